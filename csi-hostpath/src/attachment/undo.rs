//! What a verb changes, and how it is taken back.

use kernel::storage::beneath::Place;

use super::device;
use super::own::Own;
use super::target;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
use crate::store::Change;

/// One change. The caller holds the volume until all are kept or taken back.
pub(super) enum Step<'a> {
    /// The volume was made.
    Made(&'a Driver, String),
    /// It was recorded as staged.
    Staged(&'a Driver, String),
    /// It was recorded as published at a target.
    Published(&'a Driver, String, String),
    /// It got a device that stays, its only one that is read-only, or that is not.
    Device { own: &'a Own, readonly: bool },
    /// A target was made.
    Target(&'a Place),
    /// Something was mounted.
    Mount { own: &'a Own, place: &'a Place },
}

impl kernel::Step for Step<'_> {
    type Error = Error;

    fn revert(&mut self) -> Result<(), Error> {
        match self {
            Self::Made(driver, id) => match driver.store.volume(id)? {
                Some(volume) => driver.destroy(&volume),
                None => Ok(()),
            },
            Self::Staged(driver, id) => driver.change(id, |volume| volume.staged = None),
            Self::Published(driver, id, target) => driver.change(id, |volume| {
                volume.published.retain(|other| other.target != *target);
            }),
            Self::Device { own, readonly } => device::detach(own, *readonly),
            Self::Target(place) => target::remove(place),
            Self::Mount { own, place } => match target::take_down(place, own) {
                // What is not ours was there before.
                Err(Error::Unready(_)) => Ok(()),
                taken => taken,
            },
        }
    }
}

impl Driver {
    /// Changes the record of a volume that its caller holds, as it is by now; one that is gone needs no change.
    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut Volume)) -> Result<(), Error> {
        let Some(mut volume) = self.store.volume(id)? else {
            return Ok(());
        };
        change(&mut volume);
        Ok(self.store.commit(vec![Change::PutVolume(volume)])?)
    }
}
