//! Time: waiting for what the kernel does in its own, and doing many things at once.

use crate::reference::is_differing;
use std::thread;
use std::time::{Duration, Instant};

/// How long a machine may take over what is bound to come, busy with other tests and their disks as it may be.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// [`PATIENCE`], or a second where the reference is shown not to do what is waited for.
pub(crate) fn patience() -> Duration {
    if is_differing() {
        Duration::from_secs(1)
    } else {
        PATIENCE
    }
}

/// Waits until `holds`, for at most [`PATIENCE`]; `what` names it when it never does.
#[track_caller]
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(patience(), what, holds);
}

/// The same, with another patience.
#[track_caller]
pub fn within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Does the same to all of `items` at once, each on a thread of its own, and returns what came of each.
pub fn at_once<I: Sync, T: Send>(items: &[I], job: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let job = &job;
    thread::scope(|scope| {
        let running: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(move || job(item)))
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}
