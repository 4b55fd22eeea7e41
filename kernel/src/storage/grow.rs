//! Filesystems made as large as their devices. To be written.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use super::Error;

/// Whether this process may grow a mounted ext4.
pub const fn may_resize_ext4() -> bool {
    false
}

/// Grows a mounted ext4 to `size` bytes.
pub fn ext4_online(_root: impl AsFd, _size: u64, at: &Path) -> Result<(), Error> {
    refused(at)
}

/// Grows a mounted XFS to `size` bytes.
pub fn xfs(_root: impl AsFd, _size: u64, at: &Path) -> Result<(), Error> {
    refused(at)
}

/// Grows a mounted btrfs to `size` bytes.
pub fn btrfs(_root: impl AsFd, _size: u64, at: &Path) -> Result<(), Error> {
    refused(at)
}

fn refused(at: &Path) -> Result<(), Error> {
    let doing = format!("grow the filesystem at {}", at.display());
    Err(Error::new(doing, Errno::NOSYS))
}
