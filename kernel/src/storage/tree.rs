//! Trees of files. To be written.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::Error;
use super::beneath::Root;

/// Copies a tree.
pub fn copy(
    _from: BorrowedFd<'_>,
    _to: BorrowedFd<'_>,
    _reflink: bool,
    _stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    Err(Error::new("copy a tree", Errno::NOSYS))
}

/// Removes a tree.
pub fn remove(_parent: &Root, _name: &str) -> Result<(), Error> {
    Err(Error::new("remove a tree", Errno::NOSYS))
}

/// Gives a tree to a group.
pub fn chown_group(
    _directory: impl std::os::fd::AsFd,
    _gid: u32,
    _stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    Err(Error::new("give a tree to a group", Errno::NOSYS))
}
