//! Waiting for what the kernel does in its own time.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `holds`, for at most five seconds; `what` names it when it never does.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "not within five seconds: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
