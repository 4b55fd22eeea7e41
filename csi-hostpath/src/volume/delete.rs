//! `DeleteVolume`: a volume that nothing uses is gone, however often it is asked for.

use crate::driver::Driver;
use crate::error::Error;
use crate::id::VolumeId;
use crate::pool::Shelf;
use crate::record::Volume;
use crate::store::Change;

impl Driver {
    /// Deletes a volume (DV-01 to DV-03). `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_volume(&self, id: Option<&VolumeId>) -> Result<(), Error> {
        let Some(id) = id else { return Ok(()) };
        let _held = self.hold_volume(id.as_str())?;
        let Some(volume) = self.store.volume(id.as_str())? else {
            return Ok(());
        };
        let observed = self.observe(&volume)?;
        if let Some(target) = observed.targets.first() {
            return Err(Error::Unready(format!(
                "volume {id} is published at {}, unpublish it first",
                target.target
            )));
        }
        if observed.in_use() {
            return Err(Error::Unready(format!(
                "volume {id} is staged on this node, unstage it first"
            )));
        }
        if let Some(attached) = volume.attached.first() {
            return Err(Error::Unready(format!(
                "volume {id} is attached to node {}, detach it first",
                attached.node
            )));
        }
        self.destroy(&volume)
    }

    /// Deletes a volume that nothing uses. The caller holds its lock.
    pub fn destroy(&self, volume: &Volume) -> Result<(), Error> {
        let pool = self.pools.get(&volume.pool)?;
        pool.discard(Shelf::Volumes, &volume.id)?;
        pool.unlimit(volume)?;
        self.store
            .commit(vec![Change::DropVolume(volume.id.clone())])?;
        if volume.ephemeral {
            // Its id may come again at once, and must not meet itself in the trash.
            return pool.purge(&volume.id);
        }
        self.janitor.purge(&volume.pool, &volume.id);
        Ok(())
    }
}
