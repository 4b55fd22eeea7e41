//! Growth that was promised, made true: the image or quota, then the device, then the filesystem.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;

use kernel::storage::grow::{self, Online};
use kernel::storage::loopdev::Device;
use kernel::storage::superblock::{self, Found, Kind};

use super::device;
use crate::access::Filesystem;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
use crate::store::Change;
use crate::tools;

impl Driver {
    /// Makes the image, or the quota, as large as was promised, and devices with it.
    pub(super) fn grow_backing(&self, volume: &mut Volume) -> Result<(), Error> {
        if volume.backing >= volume.size {
            return Ok(());
        }
        let pool = self.pools.get(&volume.pool)?;
        pool.grow(volume, volume.size)?;
        if !volume.kind().is_directory() {
            device::refresh(&pool.image(volume)?, &volume.id)?;
        }
        volume.backing = volume.size;
        if volume.filesystem.is_none() {
            volume.filled = volume.size;
        }
        self.put_volume(volume.clone(), pool.settles_later(volume.kind()))
    }

    /// Does to an image's filesystem what can only be done before it is mounted. Nothing is done to one that is mounted.
    pub(super) fn mend(
        &self,
        volume: &mut Volume,
        image: &File,
        device: &Device,
    ) -> Result<(), Error> {
        let found = superblock::probe_file(image, Path::new(&volume.id))?;
        verify(volume, found.as_ref())?;
        if volume.filesystem() != Filesystem::Ext4 || !device::is_free(device)? {
            return Ok(());
        }
        if volume.filled < volume.backing && !grow::may_resize_ext4() {
            tools::grow_ext4(&device.path())?;
            return self.filled(volume);
        }
        if found.is_some_and(|found| found.errors) {
            tools::check_ext4(&device.path())?;
        }
        Ok(())
    }

    /// Grows the filesystem of an image to the image's size. `root` is a directory of it, open for reading, that can be
    /// written through. Tells whether it has that size now: a mounted ext4 does not grow for everybody.
    pub(super) fn grow_filesystem(
        &self,
        volume: &mut Volume,
        root: BorrowedFd<'_>,
    ) -> Result<bool, Error> {
        if volume.filled >= volume.backing {
            return Ok(true);
        }
        let size = volume.backing;
        match volume.filesystem() {
            Filesystem::Ext4 => match grow::ext4_online(root, size)? {
                Online::Grown => {}
                Online::NotPermitted => return Ok(false),
            },
            Filesystem::Xfs => grow::xfs(root, size)?,
            Filesystem::Btrfs => grow::btrfs(root)?,
        }
        self.filled(volume)?;
        Ok(true)
    }

    fn filled(&self, volume: &mut Volume) -> Result<(), Error> {
        volume.filled = volume.backing;
        Ok(self.store.commit(vec![Change::PutVolume(volume.clone())])?)
    }
}

/// Sees that an image holds the filesystem that it was made with. A pod that had it as a raw device, or whoever restored
/// the pool, may have left another.
fn verify(volume: &Volume, found: Option<&Found>) -> Result<(), Error> {
    let kind = found.map(|found| found.kind);
    let expected = match volume.filesystem() {
        Filesystem::Ext4 => Kind::Ext4,
        Filesystem::Xfs => Kind::Xfs,
        Filesystem::Btrfs => Kind::Btrfs,
    };
    if kind == Some(expected) {
        return Ok(());
    }
    let holds = match kind {
        Some(Kind::Ext4) => "ext4",
        Some(Kind::Xfs) => "xfs",
        Some(Kind::Btrfs) => "btrfs",
        None => "no filesystem that is known",
    };
    Err(Error::Unready(format!(
        "the image of volume {} holds {holds} instead of {}: restore it from a snapshot",
        volume.id,
        volume.filesystem().name()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_filesystem_it_was_made_with_is_mounted() {
        let volume = Volume {
            filesystem: Some(Filesystem::Xfs.into()),
            ..Volume::default()
        };
        let found = |kind| Found {
            kind,
            size: 0,
            uuid: [0; 16],
            errors: false,
            needs_recovery: false,
        };
        assert!(verify(&volume, Some(&found(Kind::Xfs))).is_ok());
        assert!(verify(&volume, Some(&found(Kind::Ext4))).is_err());
        assert!(verify(&volume, None).is_err());
    }
}
