//! Mounts, made and looked at through file descriptors.
//!
//! A mount is built out of everybody's sight, given its attributes, and only then put where it belongs: nobody ever sees
//! it half done, and a process that dies before leaves nothing.

mod attributes;
mod context;
mod identity;

pub use attributes::{AccessTimes, Attributes};
pub use context::new_filesystem;
pub use identity::{Identity, device, identity, is_readonly};

use super::Error;
use super::beneath::Place;
use super::sys::mounts::{self as sys, Change};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree,
    unmount as umount2,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A mount that is nowhere yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Detached {
    fd: OwnedFd,
    source: PathBuf,
}

/// A second view of what `fd` is, a directory with all below it or a single file; mounts further below are not part
/// of it. `source` is for messages.
///
/// The kernel would make it a peer of the mount it comes from, and whatever a pod mounts in its volume would show up in
/// the pool and in every other pod. It is made private; put where mounts are shared it is shared there, like any other.
pub fn clone_tree(fd: impl AsFd, source: &Path) -> Result<Detached, Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let alone = Change::new(0, 0, u64::from(MountPropagationFlags::PRIVATE.bits()));
    open_tree(fd, "", flags)
        .and_then(|fd| sys::set_attributes(fd.as_fd(), &alone).map(|()| fd))
        .map(|fd| Detached {
            fd,
            source: source.to_owned(),
        })
        .map_err(|errno| Error::new(format!("clone the mount of {}", source.display()), errno))
}

impl Detached {
    /// Adds attributes; those it has stay.
    pub fn set(&self, attributes: &Attributes) -> Result<(), Error> {
        sys::set_attributes(self.fd.as_fd(), &attributes.change()).map_err(|errno| {
            let source = self.source.display();
            Error::new(format!("set {attributes} on the mount of {source}"), errno)
        })
    }

    /// Mounts it on what `target` is, above what is mounted there already. A directory goes onto a directory, anything
    /// else onto a file. `at` is for messages.
    pub fn attach(self, target: impl AsFd, at: &Path) -> Result<(), Error> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.fd, "", target, "", flags).map_err(|errno| {
            let source = self.source.display();
            Error::new(format!("mount {source} on {}", at.display()), errno)
        })
    }
}

impl AsFd for Detached {
    /// Its root, as O_PATH.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Unmounts the topmost mount at a place and tells whether there was one. A mount in use is the kernel's EBUSY; a
/// descriptor of its root that is still open is such a use.
///
/// There is no umount of a file descriptor, and a descriptor of the mount itself would keep it busy. So the descriptor of
/// the directory is named through /proc, which leads to that very directory whatever happened to its path, and the name
/// in it is not followed when it is a link.
pub fn unmount(place: &Place) -> Result<bool, Error> {
    let parent = place.parent.as_fd().as_raw_fd();
    let path = Path::new("/proc/self/fd")
        .join(parent.to_string())
        .join(&place.name);
    let refused = |errno| Error::new(format!("unmount {}", place.path().display()), errno);
    match umount2(path, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        // That nothing is mounted there is one meaning of many.
        Err(Errno::INVAL) => match place.open()? {
            Some(fd) if identity(&fd, &place.path())?.mount_root => Err(refused(Errno::INVAL)),
            _ => Ok(false),
        },
        Err(errno) => Err(refused(errno)),
    }
}

#[cfg(test)]
#[path = "tests/mounts.rs"]
mod tests;
