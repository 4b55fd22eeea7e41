//! Mounted filesystems made as large as their device has become.
//!
//! Each function takes the root of a mount, open with access, and may be repeated: a filesystem that has its size stays
//! as it is. None makes one smaller.

use super::Error;
use super::sys::grow as sys;
use rustix::fs::{fstat, fstatfs};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};
use std::os::fd::{AsFd, BorrowedFd};

/// What came of growing ext4 while it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Online {
    /// It has the size.
    Grown,
    /// The kernel does not let this process, or not this filesystem because errors were found in it. It can be grown
    /// while it is not mounted.
    NotPermitted,
}

/// Whether the kernel lets this process grow a mounted ext4: CAP_SYS_RESOURCE.
pub fn may_resize_ext4() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE))
}

/// Grows ext4 to a device of `bytes`.
pub fn ext4_online(root: impl AsFd, bytes: u64) -> Result<Online, Error> {
    let root = root.as_fd();
    grow_ext4(root, bytes).map_err(|errno| refused("ext4", bytes, errno))
}

fn grow_ext4(root: BorrowedFd<'_>, bytes: u64) -> Result<Online, Errno> {
    let block = u64::try_from(fstatfs(root)?.f_bsize).map_err(|_| Errno::OVERFLOW)?;
    let blocks = bytes.checked_div(block).ok_or(Errno::INVAL)?;
    if blocks == 0 {
        return Err(Errno::INVAL);
    }
    // Asked first: the kernel checks permission before it sees that there is nothing to do.
    let device = u32::try_from(fstat(root)?.st_dev).map_err(|_| Errno::OVERFLOW)?;
    if sys::mapped_from(root, device, (blocks - 1) * block)? > 0 {
        return Ok(Online::Grown);
    }
    match sys::ext4_resize(root, blocks) {
        Ok(()) => Ok(Online::Grown),
        Err(Errno::PERM) => Ok(Online::NotPermitted),
        Err(errno) => Err(errno),
    }
}

/// Grows XFS to a device of `bytes`.
pub fn xfs(root: impl AsFd, bytes: u64) -> Result<(), Error> {
    grow_xfs(root.as_fd(), bytes).map_err(|errno| refused("XFS", bytes, errno))
}

fn grow_xfs(root: BorrowedFd<'_>, bytes: u64) -> Result<(), Errno> {
    let now = sys::xfs_geometry(root)?;
    let blocks = bytes
        .checked_div(u64::from(now.block_size))
        .ok_or(Errno::INVAL)?;
    if blocks <= now.blocks {
        return Ok(());
    }
    sys::xfs_grow(root, blocks, now.inode_percent)
}

/// Grows btrfs to all of its device; one on several devices is refused, and so is one below 256 MiB, which btrfs does
/// not resize.
pub fn btrfs(root: impl AsFd) -> Result<(), Error> {
    let doing = "grow btrfs to its device";
    let info = sys::btrfs_info(&root).map_err(|errno| Error::new(doing, errno))?;
    if info.devices != 1 {
        let devices = format!("it lies on {} devices, not one", info.devices);
        return Err(Error::new(doing, Errno::INVAL).with_note(devices));
    }
    sys::btrfs_resize(root, &format!("{}:max", info.largest_device))
        .map_err(|errno| Error::new(doing, errno))
}

fn refused(filesystem: &str, bytes: u64, errno: Errno) -> Error {
    Error::new(format!("grow {filesystem} to {bytes} bytes"), errno)
}

#[cfg(test)]
#[path = "tests/grow.rs"]
mod tests;
