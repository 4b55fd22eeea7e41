//! Undo as data: what was changed, and how it is taken back.
//!
//! A change is recorded *before* it is made, so that no failure between the two escapes. A verb that succeeds ends
//! with [`Undo::keep`]; one that returns early drops the record, and the drop takes everything back.

/// One change that can be taken back.
pub trait Step {
    /// Why it could not be taken back.
    type Error;

    /// Takes the change back. What is already gone, or was never made, counts as taken back.
    fn revert(&mut self) -> Result<(), Self::Error>;
}

/// The changes of one verb, in the order in which they were made.
#[must_use = "dropping the record takes the changes back"]
pub struct Undo<S: Step> {
    steps: Vec<S>,
}

impl<S: Step> Undo<S> {
    /// An empty record.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Records a change that is about to be made.
    pub fn record(&mut self, step: S) {
        self.steps.push(step);
    }

    /// Keeps every change: the verb succeeded.
    pub fn keep(mut self) {
        self.steps.clear();
    }

    /// Takes every change back, the newest first, and goes on over failures; the first of them is returned.
    pub fn revert(mut self) -> Result<(), S::Error> {
        self.revert_all()
    }

    fn revert_all(&mut self) -> Result<(), S::Error> {
        let mut first = Ok(());
        while let Some(mut step) = self.steps.pop() {
            let reverted = step.revert();
            if first.is_ok() {
                first = reverted;
            }
        }
        first
    }
}

impl<S: Step> Default for Undo<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Step> Drop for Undo<S> {
    fn drop(&mut self) {
        // Whoever wants to hear of a failed undo calls `revert`; here the first error is already on its way out.
        let _ = self.revert_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Note(u8, Rc<RefCell<Vec<u8>>>);

    impl Step for Note {
        type Error = u8;

        fn revert(&mut self) -> Result<(), u8> {
            self.1.borrow_mut().push(self.0);
            if self.0.is_multiple_of(2) {
                Err(self.0)
            } else {
                Ok(())
            }
        }
    }

    fn three(log: &Rc<RefCell<Vec<u8>>>) -> Undo<Note> {
        let mut undo = Undo::new();
        for step in 1..=3 {
            undo.record(Note(step, Rc::clone(log)));
        }
        undo
    }

    #[test]
    fn a_dropped_record_reverts_the_newest_first() {
        let log = Rc::default();
        drop(three(&log));
        assert_eq!(*log.borrow(), [3, 2, 1]);
    }

    #[test]
    fn reverting_goes_on_over_failures_and_reports_the_first() {
        let log = Rc::default();
        assert_eq!(three(&log).revert(), Err(2));
        assert_eq!(*log.borrow(), [3, 2, 1]);
    }

    #[test]
    fn a_kept_record_reverts_nothing() {
        let log = Rc::default();
        three(&log).keep();
        assert!(log.borrow().is_empty());
    }
}
