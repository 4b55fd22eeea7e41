//! Filesystems made as large as their devices. To be written.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::Error;

/// What came of growing ext4 while it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Online {
    /// It has the size.
    Grown,
    /// It can be grown while it is not mounted.
    NotPermitted,
}

/// Whether this process may grow a mounted ext4.
pub const fn may_resize_ext4() -> bool {
    false
}

/// Grows a mounted ext4 to `bytes`.
pub const fn ext4_online(_root: impl AsFd + Copy, _bytes: u64) -> Result<Online, Error> {
    Ok(Online::NotPermitted)
}

/// Grows a mounted XFS to `bytes`.
pub fn xfs(_root: impl AsFd, _bytes: u64) -> Result<(), Error> {
    Err(Error::new("grow XFS", Errno::NOSYS))
}

/// Grows a mounted btrfs to its device.
pub fn btrfs(_root: impl AsFd) -> Result<(), Error> {
    Err(Error::new("grow btrfs", Errno::NOSYS))
}
