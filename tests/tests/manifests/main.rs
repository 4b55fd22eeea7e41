//! The folder `manifests/`: what `kubectl` makes of it, held against Kubernetes' types, against itself and against the
//! executables that it starts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod agreement;
mod monitoring;
mod references;
mod rendered;
mod rights;
mod schemas;
