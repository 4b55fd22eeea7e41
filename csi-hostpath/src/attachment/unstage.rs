//! `NodeUnstageVolume`: the node lets the volume go.

use super::device;
use super::own::Own;
use super::target;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
use crate::request;

impl Driver {
    /// Unstages a volume (NU-01). What is not staged, or is no volume of ours, is unstaged. The directory stays: the
    /// orchestrator made it.
    pub fn unstage(&self, wanted: &request::Unstage) -> Result<(), Error> {
        let Some(id) = &wanted.volume else {
            return Ok(());
        };
        let _held = self.hold_volume(id.as_str())?;
        let volume = self.store.volume(id.as_str())?;
        let own = match &volume {
            Some(volume) => self.unpublished(volume)?,
            None => Own::named(id.as_str()),
        };
        if let Some(place) = self.known_place(&wanted.path)? {
            target::take_down(&place, &own)?;
        }
        let path = wanted.path.to_string_lossy();
        let is_here = |volume: &Volume| {
            let staged = volume.staged.as_ref();
            staged.is_none_or(|staged| staged.path == path)
        };
        let Some(volume) = volume.filter(is_here) else {
            return Ok(());
        };
        if volume.block {
            device::detach(&own, true)?;
            device::detach(&own, false)?;
        }
        match volume.staged {
            Some(_) => self.change(&volume.id, |volume| volume.staged = None),
            None => Ok(()),
        }
    }

    /// What a volume is recognised by, if it is published nowhere: a pod's device must not go while it is used.
    fn unpublished(&self, volume: &Volume) -> Result<Own, Error> {
        let own = Own::of(&self.pools, volume)?;
        match self.targets(volume, &own)?.first() {
            None => Ok(own),
            Some(published) => Err(Error::Unready(format!(
                "volume {} is published at {}, unpublish it there first",
                volume.id, published.target
            ))),
        }
    }
}
