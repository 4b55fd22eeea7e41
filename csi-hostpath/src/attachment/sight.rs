//! What is at a place.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kernel::storage::beneath::Place;
use kernel::storage::loopdev::{self, Backing};
use kernel::storage::mountinfo::{self, Mount};
use kernel::storage::mounts::{self, Identity};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use crate::error::Error;

/// What is at a place.
pub(super) enum Sight {
    /// Nothing.
    Nothing,
    /// Something on which nothing is mounted.
    Bare(FileType),
    /// A mount, the topmost one.
    Mounted(Mounted),
}

/// A mount at a place.
pub(super) struct Mounted {
    fd: OwnedFd,
    path: PathBuf,
    what: What,
}

enum What {
    /// Its root as the filesystem has it.
    Alive(Identity),
    /// The filesystem has shut down and answers nothing any more; this is its line of the mount table.
    Dead(Box<Mount>),
}

/// Looks at a place. What is found is held open, which keeps a mount busy: drop it before unmounting.
pub(super) fn look(place: &Place) -> Result<Sight, Error> {
    let path = place.path();
    let Some(fd) = place.open().map_err(unplain)? else {
        return Ok(Sight::Nothing);
    };
    let what = match mounts::identity(&fd, &path) {
        Ok(identity) if !identity.mount_root => return Ok(Sight::Bare(file_type(&fd, &path)?)),
        Ok(identity) => What::Alive(identity),
        Err(error) if error.errno() == Errno::IO => match dead(&fd, place)? {
            Some(mount) => What::Dead(Box::new(mount)),
            None => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    Ok(Sight::Mounted(Mounted { fd, path, what }))
}

/// Why a path leads nowhere: a link on the way, or at its end, is the caller's mistake.
pub(super) fn unplain(error: kernel::storage::Error) -> Error {
    match error.errno() {
        Errno::LOOP | Errno::NOTDIR | Errno::INVAL => Error::Invalid(error.to_string()),
        _ => error.into(),
    }
}

fn file_type(fd: &OwnedFd, path: &Path) -> Result<FileType, Error> {
    let stat = fstat(fd).map_err(|errno| {
        kernel::storage::Error::new(format!("look at {}", path.display()), errno)
    })?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// The mount of which `fd` is the root, found without asking its filesystem.
fn dead(fd: &OwnedFd, place: &Place) -> Result<Option<Mount>, Error> {
    let (Some(here), Some(above)) = (mount_id(fd.as_fd()), mount_id(place.parent.as_fd())) else {
        return Ok(None);
    };
    if here == above {
        return Ok(None);
    }
    line(here)
}

/// The mount that `fd` was opened through, as /proc has it.
fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// A mount's line of the mount table.
fn line(id: u64) -> Result<Option<Mount>, Error> {
    Ok(mountinfo::read()?.into_iter().find(|mount| mount.id == id))
}

impl Mounted {
    /// Its root, as O_PATH.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the node of a loop device.
    pub(super) fn is_loop_node(&self) -> bool {
        match &self.what {
            What::Alive(identity) => loopdev::is_loop(identity.rdev).is_some(),
            What::Dead(_) => false,
        }
    }

    /// Whether its filesystem has shut down.
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.what, What::Dead(_))
    }

    /// Whether its root is that directory.
    pub(super) fn is_directory(&self, dev: u64, ino: u64) -> bool {
        match &self.what {
            What::Alive(identity) => (identity.dev, identity.ino) == (dev, ino),
            What::Dead(_) => false,
        }
    }

    /// What the loop device is backed by that its filesystem lies on, or that it is the node of.
    pub(super) fn backing(&self) -> Result<Option<Backing>, Error> {
        let Some(number) = self.number()? else {
            return Ok(None);
        };
        match loopdev::Device::open(number)? {
            Some(device) => Ok(device.backing()?),
            None => Ok(None),
        }
    }

    /// What of its filesystem is mounted, as the mount table has it.
    pub(super) fn root(&self) -> Result<Option<PathBuf>, Error> {
        match &self.what {
            What::Alive(identity) => Ok(line(identity.mount_id)?.map(|mount| mount.root)),
            What::Dead(mount) => Ok(Some(mount.root.clone())),
        }
    }

    /// The number of that loop device.
    pub(super) fn number(&self) -> Result<Option<u32>, Error> {
        let identity = match &self.what {
            What::Dead(mount) => return Ok(number_of(mount)),
            What::Alive(identity) => identity,
        };
        let device = match identity.rdev {
            0 => mounts::device(identity, &self.path)?,
            node => Some(node),
        };
        Ok(device.and_then(loopdev::is_loop))
    }
}

/// The loop device that a filesystem lies on. btrfs has a device of no hardware, and the real one as its source.
fn number_of(mount: &Mount) -> Option<u32> {
    loopdev::is_loop(mount.dev).or_else(|| {
        let number = mount.source.as_bytes().strip_prefix(b"/dev/loop")?;
        std::str::from_utf8(number).ok()?.parse().ok()
    })
}
