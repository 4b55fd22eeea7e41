//! A range set without a free address: is it true, and who has them all?
//!
//! Counting reads the whole directory, so it happens after the lock is released. It doubles as the proof: an index that
//! a change without the lock made wrong is found out before anybody is turned away because of it.

use crate::conf::Settings;
use crate::error::{Error, Exhausted};
use crate::plan::Refusal;
use crate::store::Store;

/// What an attempt may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The index, if it is valid.
    Index,
    /// Only the directory itself.
    Directory,
}

/// Makes the attempt; one that finds a range set full is made again from the directory unless a count agrees.
pub fn verified<T>(
    store: &Store,
    settings: &Settings,
    attempt: impl Fn(Trust) -> Result<T, Refusal>,
) -> Result<T, Error> {
    let mut trust = Trust::Index;
    loop {
        let number = match attempt(trust) {
            Ok(done) => return Ok(done),
            Err(Refusal::Error(error)) => return Err(error),
            Err(Refusal::Full(number)) => number,
        };
        // The number came from the very list.
        let Some(set) = settings.sets.get(number) else {
            return Err(Error::Unlocked(settings.store.clone()));
        };
        let census = store.census(set, &settings.gateways)?;
        let full = u128::from(census.held) >= set.capacity(&settings.gateways);
        if full || trust == Trust::Directory {
            return Err(Error::Exhausted(Box::new(Exhausted {
                set: set.to_string(),
                network: settings.network.clone(),
                census,
            })));
        }
        trust = Trust::Directory;
    }
}
