//! `NodeExpandVolume`: the size that was promised becomes true, while the volume is used.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::own::Own;
use crate::access::Access;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
use crate::request;

impl Driver {
    /// Grows a volume to the size asked for, or promised (NE-01), and returns its size in bytes. A raw device grows; what
    /// a pod keeps on it is the pod's.
    pub fn node_expand(&self, wanted: &request::NodeExpand) -> Result<u64, Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let volume = self.volume(&wanted.volume)?;
        if let Some(capability) = &wanted.capability
            && (capability.access == Access::Block) != volume.block
        {
            let is = if volume.block {
                "a raw device"
            } else {
                "a filesystem"
            };
            return Err(Error::Invalid(format!(
                "volume {} is {is}, volume_capability says otherwise",
                volume.id
            )));
        }
        let own = Own::of(&self.pools, &volume)?;
        if !self.is_at(&volume, &own, &wanted.path)? {
            return Err(Error::Missing {
                what: "a mount of this volume at",
                id: wanted.path.display().to_string(),
            });
        }
        let size = match wanted.range {
            Some(range) => self.promise(volume, range)?,
            None => volume.size,
        };
        let mut volume = self.volume(&wanted.volume)?;
        self.grow_backing(&mut volume)?;
        self.grow_used(&mut volume, &own, &wanted.path)?;
        Ok(size)
    }

    /// Grows the filesystem of an image that is mounted.
    fn grow_used(&self, volume: &mut Volume, own: &Own, path: &Path) -> Result<(), Error> {
        if volume.filled >= volume.backing {
            return Ok(());
        }
        still(volume)?;
        let Some(root) = self.writable_root(volume, own, path)? else {
            return Err(later(volume, "it is mounted read-only"));
        };
        if self.grow_filesystem(volume, root.as_fd())? {
            return Ok(());
        }
        Err(later(
            volume,
            "ext4 that is mounted grows only for a driver with CAP_SYS_RESOURCE, and only without errors in it",
        ))
    }

    /// A root of the volume through which it can be grown: the staged one, otherwise that of a target.
    fn writable_root(
        &self,
        volume: &Volume,
        own: &Own,
        path: &Path,
    ) -> Result<Option<OwnedFd>, Error> {
        let staged = volume.staged.iter().map(|staged| staged.path.as_ref());
        let published = volume.published.iter().map(|other| other.target.as_ref());
        for path in staged.chain([path]).chain(published) {
            let root = self.root(own, path)?;
            if let Some(root) = root
                && !kernel::storage::mounts::is_readonly(&root, path)?
            {
                return Ok(Some(root));
            }
        }
        Ok(None)
    }
}

/// Growth that has to wait. It is promised, and staging makes it.
fn later(volume: &Volume, why: &str) -> Error {
    Error::Unready(format!(
        "volume {} grows when it is staged next, restart its pods: {why}",
        volume.id
    ))
}

/// Refuses to touch a filesystem that is held still while it is copied: whoever writes to it waits for the copy.
pub(super) fn still(volume: &Volume) -> Result<(), Error> {
    if volume.frozen {
        return Err(Error::Busy(format!("volume {}", volume.id)));
    }
    Ok(())
}
