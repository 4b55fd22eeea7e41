//! The driver as a process: how it starts and ends, what it listens at, and what it says of itself.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail in its helpers too"
)]

mod end;
mod http;
mod reflection;
mod registration;
mod running;
mod services;
mod start;
