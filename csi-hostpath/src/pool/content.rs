//! The bytes of an object: removed, grown, measured.

use std::os::fd::AsFd;
use std::path::Path;

use kernel::storage::beneath::Root;
use kernel::storage::{btrfs, project, tree};
use rustix::fs::FallocateFlags;

use super::{DATA, Enforcement, Pool, Shelf};
use crate::error::Error;
use crate::quantity::Bytes;
use crate::record::{Kind, Volume};

impl Pool {
    /// Makes the image file, or the quota, `size` bytes large, and reserves them for a thick volume. Never shrinks.
    pub fn grow(&self, volume: &Volume, size: u64) -> Result<(), Error> {
        match volume.kind() {
            Kind::Directory => self.limit(self.data(volume)?, volume.project, size),
            Kind::UnenforcedDirectory => Ok(()),
            Kind::Image => {
                let image = self.image(volume)?;
                let doing = || format!("grow the image of volume {} to {}", volume.id, Bytes(size));
                if image.metadata().map_err(|error| io(doing(), &error))?.len() < size {
                    image.set_len(size).map_err(|error| io(doing(), &error))?;
                }
                if volume.thick {
                    reserve(&image, size, doing)?;
                }
                image.sync_all().map_err(|error| io(doing(), &error))
            }
        }
    }

    /// Whether what was done to a volume of this kind, an empty directory made or a limit set, is on disk only when the
    /// filesystem is committed. That takes as long as all that others do there, and many can wait for it together. Until
    /// then a loss of power takes it back; nobody's data is lost by that, and it is done again as the record says
    /// ([`Pool::renew`]).
    pub fn settles_later(&self, kind: Kind) -> bool {
        self.has_subvolumes() && kind.is_directory()
    }

    /// Gives a directory volume the limit that its record says, and makes it anew if it is not there and was made empty: a
    /// loss of power can take both while the record stays. Tells whether it was made anew.
    pub fn renew(&self, volume: &Volume) -> Result<bool, Error> {
        let copied = volume.from_snapshot.is_some() || volume.from_volume.is_some();
        match self.data(volume) {
            Ok(data) if volume.kind() == Kind::Directory => self
                .limit(data, volume.project, volume.backing)
                .map(|()| false),
            Ok(_) => Ok(false),
            Err(Error::Kernel(error)) if error.is_missing() && !copied => {
                remove(&self.volumes, &volume.id)?;
                let making = self.make(&volume.id)?;
                let making = making.bound_to(volume.kind(), volume.backing);
                making.empty_data()?;
                making.finish(Shelf::Volumes);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the quota of a directory to `size` bytes.
    pub(super) fn limit(
        &self,
        data: impl AsFd,
        project: Option<u32>,
        size: u64,
    ) -> Result<(), Error> {
        match (self.enforcement, project) {
            (Enforcement::QuotaGroup, _) => Ok(btrfs::limit(data, &self.path, Some(size))?),
            (Enforcement::ProjectQuota, Some(project)) => {
                Ok(project::limit(data, &self.path, project, size)?)
            }
            _ => Err(self.without_quotas()),
        }
    }

    /// Refuses a directory whose size was to be enforced and no longer is.
    pub fn must_enforce(&self, volume: &Volume) -> Result<(), Error> {
        if volume.kind() == Kind::Directory && self.enforcement == Enforcement::Nothing {
            return Err(self.without_quotas());
        }
        Ok(())
    }

    fn without_quotas(&self) -> Error {
        Error::Unready(format!(
            "pool {} does not enforce the size of directories: mount its filesystem with project quotas (prjquota) and \
             restart the driver",
            self.name
        ))
    }

    /// Lifts the quota of a volume that is being deleted. Only its record tells of which project it is: a pod may have
    /// given its directory to that of another volume.
    pub fn unlimit(&self, volume: &Volume) -> Result<(), Error> {
        match volume.project {
            Some(project) => Ok(project::unlimit(&self.root, &self.path, project)?),
            None => Ok(()),
        }
    }

    /// The bytes, and the inodes where they are counted, that a directory volume uses; `None` where nobody counts.
    pub fn usage(&self, volume: &Volume) -> Result<Option<(u64, Option<u64>)>, Error> {
        Ok(match (volume.kind(), self.enforcement, volume.project) {
            (Kind::Directory, Enforcement::QuotaGroup, _) => Some((
                btrfs::usage(self.data(volume)?, &self.path)?.referenced,
                None,
            )),
            (Kind::Directory, Enforcement::ProjectQuota, Some(project)) => {
                let usage = project::usage(&self.root, &self.path, project)?;
                Some((usage.bytes, Some(usage.inodes)))
            }
            _ => None,
        })
    }
}

/// Allocates every byte of `image` that has no place yet. What is written stays.
pub(super) fn reserve(
    image: impl AsFd,
    size: u64,
    doing: impl FnOnce() -> String,
) -> Result<(), Error> {
    rustix::fs::fallocate(image, FallocateFlags::empty(), 0, size)
        .map_err(|errno| kernel::storage::Error::new(doing(), errno).into())
}

/// Removes the folder of an object that was never whole, with the limit that its directory was given.
pub(super) fn abandon(making: &Root, id: &str) -> Result<(), Error> {
    if let Ok(data) = making.beneath(Path::new(id).join(DATA))
        && let Some(project) = project::of(&data, data.path())?
    {
        project::unlimit(&data, data.path(), project)?;
    }
    remove(making, id)
}

/// Removes the object's folder with all that is in it. Missing is removed.
pub(super) fn remove(parent: &Root, id: &str) -> Result<(), Error> {
    let home = match parent.beneath(Path::new(id)) {
        Ok(home) => home,
        Err(missing) if missing.is_missing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if let Ok(data) = home.beneath(Path::new(DATA))
        && btrfs::is_subvolume(&data, data.path())?
    {
        drop(data);
        btrfs::remove_subvolume(&home, home.path(), DATA)?;
    }
    Ok(tree::remove(parent, id)?)
}

/// An error of the standard library, with what was being done.
pub(super) fn io(doing: String, error: &std::io::Error) -> Error {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    kernel::storage::Error::new(doing, errno).into()
}
