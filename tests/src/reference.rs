//! Running a suite against the reference plugins: what they do differently is asserted and reported, never skipped in
//! silence.

use crate::plugins::Plugins;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether the plugins under test are the reference's.
pub fn reference_under_test() -> bool {
    Plugins::under_test().is_reference()
}

/// Runs a test of a behaviour in which ours differs from the reference for a reason. With the reference under test the
/// behaviour must be missing: when it appears, the difference is gone and the list of differences is out of date.
#[track_caller]
pub fn unlike_the_reference(why: &str, behaviour: impl FnOnce()) {
    if !reference_under_test() {
        return behaviour();
    }
    DIFFERING.set(true);
    let differs = catch_unwind(AssertUnwindSafe(behaviour)).is_err();
    DIFFERING.set(false);
    report_difference(why);
    assert!(differs, "the reference no longer differs here: {why}");
}

thread_local! {
    static DIFFERING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread shows that the reference does not do something: what is waited for will not come.
pub(crate) fn is_differing() -> bool {
    DIFFERING.get()
}

/// Reports a difference, as [`unlike_the_reference`] does; on its own for one that is too costly to show.
#[expect(
    clippy::print_stdout,
    reason = "cargo test -- --show-output shows the list of differences"
)]
pub fn report_difference(why: &str) {
    println!("differs: {why}");
}
