//! Reserving what was planned: all of it, or nothing.

use crate::address::Address;
use crate::error::Error;
use crate::plan::Choice;
use crate::store::{Files, Holder, Locked, StoreError};
use kernel::{Step, Termination, Undo};

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every address is reserved.
    Reserved,
    /// An address was not free after all; nothing is reserved.
    Outdated,
}

/// A change of the directory. The index is not told when it is taken back: it is not sealed then, and so out of date.
enum Change<'s> {
    /// An address got a file.
    Reserved(&'s Files, Address),
    /// The cursor of a range set moved away from here.
    Moved(&'s Files, usize, Option<Address>),
}

impl Step for Change<'_> {
    type Error = StoreError;

    fn revert(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Reserved(files, address) => files.remove(*address),
            Self::Moved(files, set, from) => files.set_cursor(*set, *from),
        }
    }
}

/// Reserves for the holder what each range set is to give. A request to stop that comes before the end undoes it.
pub fn reserve(
    locked: &mut Locked<'_>,
    choices: &[Choice],
    holder: &Holder,
    stop: &Termination,
) -> Result<Outcome, Error> {
    let mut undo = Undo::new();
    let outcome = write(locked, choices, holder, &mut undo).and_then(|outcome| {
        if stop.requested() {
            Err(Error::Stopped)
        } else {
            Ok(outcome)
        }
    });
    if matches!(outcome, Ok(Outcome::Reserved)) {
        undo.keep();
        return outcome;
    }
    match (outcome, undo.revert()) {
        (outcome, Ok(())) => outcome,
        (Ok(_), Err(undo)) => Err(undo.into()),
        (Err(first), Err(undo)) => Err(Error::NotUndone {
            first: Box::new(first),
            undo,
        }),
    }
}

fn write<'s>(
    locked: &mut Locked<'s>,
    choices: &[Choice],
    holder: &Holder,
    undo: &mut Undo<Change<'s>>,
) -> Result<Outcome, Error> {
    let files = locked.files();
    for (set, choice) in choices.iter().enumerate() {
        if !locked.reserve(choice.address, holder)? {
            return Ok(Outcome::Outdated);
        }
        // Only now: a file of this name that we did not make must never be taken back.
        undo.record(Change::Reserved(files, choice.address));
        undo.record(Change::Moved(files, set, choice.after));
        files.set_cursor(set, Some(choice.address))?;
    }
    Ok(Outcome::Reserved)
}
