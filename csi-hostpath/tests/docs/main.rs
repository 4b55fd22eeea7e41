//! `docs/csi-hostpath.md` says what the driver does: its tables hold what the code holds, and nothing else. Wants root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail in its helpers too"
)]

mod calls;
mod flags;
mod metrics;
mod page;
mod parameters;
mod texts;

#[path = "../attachment/node.rs"]
#[allow(dead_code, reason = "one volume in one pod is enough here")]
mod node;
#[path = "../process/running.rs"]
#[allow(dead_code, reason = "here drivers are started and asked, no more")]
mod running;
