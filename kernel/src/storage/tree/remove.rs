//! A tree taken away.

use super::place::{Place, open_any, open_directory, through};
use super::walk::{Visitor, mounted, walk};
use crate::storage::Error;
use rustix::fs::{
    AtFlags, FileType, IFlags, Mode, OFlags, fstat, ioctl_getflags, ioctl_setflags, open, statat,
    unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const PROTECTED: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Removes what is called `name` in `parent`, with all beneath it. What is not there is removed already.
///
/// Files that are immutable or append-only are removed, too. A mount beneath is an error (EBUSY) that names it, and nothing
/// in it is touched; what was met before it is gone then. So is a subvolume of btrfs that is read-only (EROFS).
pub fn remove(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<(), Error> {
    let (parent, name) = (parent.as_fd(), name.as_ref());
    let mut at = Place::default();
    at.push(name);
    let refused = |errno| at.refused(Removing::VERB, errno);
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(refused(errno)),
    };
    let flags = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let root = open_directory(parent, name)
                .map_err(|errno| mounted(&at, Removing::VERB, errno))?;
            walk(root, at.clone(), &mut Removing, &|| false)?;
            AtFlags::REMOVEDIR
        }
        _ => AtFlags::empty(),
    };
    unlink(parent, name, flags, || unprotect_entry(parent, name)).map_err(refused)
}

struct Removing;

impl Visitor for Removing {
    const VERB: &'static str = "remove";

    fn entry(&mut self, parent: BorrowedFd<'_>, at: &Place, kind: FileType) -> Result<bool, Error> {
        match kind {
            FileType::Directory => Ok(true),
            _ => take(parent, at, AtFlags::empty()).map(|()| false),
        }
    }

    fn closed(&mut self, at: &Place, errno: Errno) -> Result<(), Error> {
        match errno {
            Errno::NOENT => Ok(()),
            errno => Err(mounted(at, Self::VERB, errno)),
        }
    }

    fn left(&mut self, parent: BorrowedFd<'_>, at: &Place) -> Result<(), Error> {
        take(parent, at, AtFlags::REMOVEDIR)
    }
}

/// Removes an entry of a directory in the tree.
fn take(parent: BorrowedFd<'_>, at: &Place, flags: AtFlags) -> Result<(), Error> {
    let unprotect = || {
        unprotect(parent)?;
        unprotect_entry(parent, at.name())
    };
    unlink(parent, at.name(), flags, unprotect).map_err(|errno| at.refused(Removing::VERB, errno))
}

/// Removes an entry; when that is not permitted, once more without what may protect it.
fn unlink(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    flags: AtFlags,
    unprotect: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let unlink = || match unlinkat(parent, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        unlinked => unlinked,
    };
    match unlink() {
        Err(Errno::PERM) => unprotect().and_then(|()| unlink()),
        unlinked => unlinked,
    }
}

fn unprotect_entry(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let entry = open_any(parent, name)?;
    match FileType::from_raw_mode(fstat(&entry)?.st_mode) {
        FileType::RegularFile | FileType::Directory => unprotect(readable(&entry)?.as_fd()),
        // Nothing else can be protected, and opening a device may do things.
        _ => Ok(()),
    }
}

fn readable(entry: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(through(entry), flags, Mode::empty())
}

fn unprotect(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = ioctl_getflags(file)?;
    if flags.intersects(PROTECTED) {
        ioctl_setflags(file, flags.difference(PROTECTED))?;
    }
    Ok(())
}
