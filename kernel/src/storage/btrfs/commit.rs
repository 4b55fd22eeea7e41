//! Commits of the whole filesystem.

use super::super::{Error, sys::btrfs as sys};
use std::os::fd::AsFd;
use std::path::Path;

/// Commits what the filesystem of `fd` holds back of its own: names, subvolumes, limits. What files hold back is left to
/// those who write them. `at` names it in errors.
pub fn commit(fd: impl AsFd, at: &Path) -> Result<(), Error> {
    let commit = || sys::wait_sync(fd.as_fd(), sys::start_sync(fd.as_fd())?);
    commit()
        .map_err(|errno| Error::new(format!("commit the filesystem at {}", at.display()), errno))
}
