//! Mounts of a volume's own bytes, made out of everybody's sight.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use kernel::storage::Error as KernelError;
use kernel::storage::beneath::{self, Place};
use kernel::storage::freeze;
use kernel::storage::mounts::{self, Detached};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::device::{self, Purpose};
use super::sight;
use super::terms;
use crate::driver::Driver;
use crate::error::Error;
use crate::mount_flags::Flags;
use crate::record::Volume;
use crate::store::Change;

impl Driver {
    /// The place that a path names. Its directory must be there, and no link on the way to it.
    pub(super) fn place(&self, path: &Path) -> Result<Place, Error> {
        self.known_place(path)?.ok_or_else(|| {
            let parent = path.parent().unwrap_or(path);
            Error::Unready(format!(
                "directory {} does not exist: the orchestrator makes it before it calls",
                parent.display()
            ))
        })
    }

    /// The place that a path names; `None` when not even its directory is there.
    pub(super) fn known_place(&self, path: &Path) -> Result<Option<Place>, Error> {
        match beneath::resolve(&self.settings.kubelet_dir, path) {
            Ok(place) => Ok(Some(place)),
            Err(error) if error.errno() == Errno::NOENT => Ok(None),
            Err(error) => Err(sight::unplain(error)),
        }
    }

    /// The volume's directory, or the filesystem of its image, as a mount that is nowhere yet, with the attributes that
    /// `flags` ask for. Growth that is due, and repairs, are made on the way.
    pub(super) fn bring_up(&self, volume: &mut Volume, flags: &Flags) -> Result<Detached, Error> {
        self.grow_backing(volume)?;
        if volume.kind().is_directory() {
            return self.directory(volume, flags);
        }
        let image = self.pools.get(&volume.pool)?.image(volume)?;
        // Kept open until the filesystem holds it: the device goes with its last user.
        let device = match device::find(&image, &volume.id, false)? {
            Some(device) => device,
            None => device::attach(&image, &volume.id, Purpose::Filesystem)?,
        };
        self.mend(volume, &image, &device)?;
        let filesystem = volume.filesystem();
        let options = terms::options(filesystem, flags);
        let mount = mounts::new_filesystem(filesystem.name(), &device.path(), &options, false)?;
        let root = readable(&mount, Path::new(&volume.id))?;
        if volume.frozen {
            // A reboot, or an unmount while no driver ran, ended what held it still.
            freeze::thaw(&root, Path::new(&volume.id))?;
            volume.frozen = false;
            self.store.commit(vec![Change::PutVolume(volume.clone())])?;
        }
        self.grow_filesystem(volume, root.as_fd())?;
        Ok(mount)
    }

    /// The volume's directory as a mount. What it inherits from a pool that cannot be written it would keep for good.
    fn directory(&self, volume: &Volume, flags: &Flags) -> Result<Detached, Error> {
        let path = Path::new(&volume.id);
        let data = self.pools.get(&volume.pool)?.data(volume)?;
        let mount = mounts::clone_tree(data, path)?;
        if !flags.readonly && mounts::is_readonly(&mount, path)? {
            return Err(Error::Unready(format!(
                "pool {} is mounted read-only, so that volume {} cannot be written: mount the pool's filesystem for writing",
                volume.pool, volume.id
            )));
        }
        Ok(mount)
    }
}

/// Opens for reading the directory that `fd` is, which may be O_PATH.
pub(super) fn readable(fd: impl AsFd, at: &Path) -> Result<OwnedFd, KernelError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(fd, ".", flags, Mode::empty())
        .map_err(|errno| KernelError::new(format!("open {}", at.display()), errno))
}
