//! `NodeStageVolume`: the volume becomes usable on this node.
//!
//! A directory, or the filesystem in an image, is mounted at the staging path. A raw device is attached, and nothing is
//! mounted.

use kernel::Undo;
use kernel::storage::beneath::Place;

use super::device::{self, Purpose};
use super::own::Own;
use super::sight::{self, Sight};
use super::target::{self, Shape};
use super::terms;
use super::undo::Step;
use crate::driver::Driver;
use crate::error::Error;
use crate::mount_flags::Flags;
use crate::record::{Staged, Volume};
use crate::request;
use crate::store::Change;

impl Driver {
    /// Stages a volume (NS-01). Growth that is due is made, and repairs that are safe.
    pub fn stage(&self, wanted: &request::Stage) -> Result<(), Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let mut volume = self.volume(&wanted.volume)?;
        let pool = self.pools.get(&volume.pool)?;
        let flags = terms::suit(&volume, &wanted.capability, pool.filesystem())?;
        pool.must_enforce(&volume)?;
        let own = Own::of(&self.pools, &volume)?;
        let staged = record(wanted);
        let recorded = match &volume.staged {
            Some(recorded) if self.is_staged(&volume, &own, recorded)? => Some(recorded),
            _ => None,
        };
        if terms::is_staged(&volume.id, recorded, &staged)? {
            return Ok(());
        }
        let place = self.place(&wanted.path)?;
        clear(&place, &own)?;

        let mut undo = Undo::new();
        undo.record(Step::Staged(self, volume.id.clone()));
        volume.staged = Some(staged);
        self.store.commit(vec![Change::PutVolume(volume.clone())])?;
        if volume.block {
            self.stage_device(volume, &own, &mut undo)?;
        } else {
            self.stage_mount(volume, &flags, &own, &place, &mut undo)?;
        }
        undo.keep();
        Ok(())
    }

    /// Attaches a raw device.
    fn stage_device<'a>(
        &'a self,
        mut volume: Volume,
        own: &'a Own,
        undo: &mut Undo<Step<'a>>,
    ) -> Result<(), Error> {
        self.grow_backing(&mut volume)?;
        let image = self.pools.get(&volume.pool)?.image(&volume)?;
        if device::find(&image, &volume.id, false)?.is_none() {
            undo.record(Step::Device {
                own,
                readonly: false,
            });
            device::attach(&image, &volume.id, Purpose::Raw)?;
        }
        Ok(())
    }

    /// Mounts the volume at its staging path.
    fn stage_mount<'a>(
        &'a self,
        mut volume: Volume,
        flags: &Flags,
        own: &'a Own,
        place: &'a Place,
        undo: &mut Undo<Step<'a>>,
    ) -> Result<(), Error> {
        let mount = self.bring_up(&mut volume, flags)?;
        mount.set(&terms::attributes(flags, false))?;
        undo.record(Step::Mount { own, place });
        target::attach(mount, place)
    }

    /// Whether what is recorded is so: a device is attached, or the volume is mounted at the path.
    fn is_staged(&self, volume: &Volume, own: &Own, recorded: &Staged) -> Result<bool, Error> {
        if volume.block {
            let image = self.pools.get(&volume.pool)?.image(volume)?;
            return Ok(device::find(&image, &volume.id, false)?.is_some());
        }
        self.is_mounted(own, recorded.path.as_ref())
    }
}

/// Makes sure that a staging path is a directory on which nothing is mounted, not even the volume in a way that nobody
/// recorded.
fn clear(place: &Place, own: &Own) -> Result<(), Error> {
    target::take_down(place, own)?;
    match sight::look(place)? {
        Sight::Bare(there) => Shape::Directory.fits(there, place),
        _ => Err(Error::Unready(format!(
            "staging path {} does not exist: the orchestrator makes it before it calls",
            place.path().display()
        ))),
    }
}

fn record(wanted: &request::Stage) -> Staged {
    Staged {
        path: wanted.path.to_string_lossy().into_owned(),
        flags: terms::flags(&wanted.capability),
        mode: wanted.capability.mode.into(),
    }
}
