//! `NodeUnpublishVolume`: the pod's target is gone, whatever was there of the volume.

use super::device;
use super::own::Own;
use super::target;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
use crate::request;

impl Driver {
    /// Unpublishes a volume (NN-01). What is not there, or is no volume of ours, is unpublished.
    pub fn unpublish(&self, wanted: &request::Unpublish) -> Result<(), Error> {
        let Some(id) = &wanted.volume else {
            return Ok(());
        };
        let _held = self.hold_volume(id.as_str())?;
        let volume = self.store.volume(id.as_str())?;
        let own = match &volume {
            Some(volume) => Own::of(&self.pools, volume)?,
            None => Own::named(id.as_str()),
        };
        if let Some(place) = self.known_place(&wanted.target)? {
            target::take_down(&place, &own)?;
            target::remove(&place)?;
        }
        match volume {
            Some(volume) => self.forget_target(volume, &own, &wanted.target.to_string_lossy()),
            None => Ok(()),
        }
    }

    /// Drops the record of a target, and what the volume had for it alone.
    fn forget_target(&self, mut volume: Volume, own: &Own, target: &str) -> Result<(), Error> {
        if volume.published.iter().any(|other| other.target == target) {
            volume.published.retain(|other| other.target != target);
            self.change(&volume.id, |recorded| {
                recorded.published.clone_from(&volume.published);
            })?;
        }
        if volume.block && !volume.published.iter().any(|other| other.readonly) {
            device::detach(own, true)?;
        }
        if volume.ephemeral && volume.published.is_empty() {
            self.destroy(&volume)?;
        }
        Ok(())
    }
}
