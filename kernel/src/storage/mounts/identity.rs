//! What is at a place.

use crate::storage::{Error, mountinfo};
use rustix::fs::{
    AtFlags, FileType, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatvfs, major, makedev,
    stat, statx,
};
use std::os::fd::AsFd;
use std::path::Path;

/// A file or directory and the mount it was reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The filesystem's device, as `st_dev` has it.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// The device that a device node stands for, as `st_rdev` has it; 0 for anything else.
    pub rdev: u64,
    /// Whether it is where a mount begins: something is mounted at this very place.
    pub mount_root: bool,
    /// The mount's id, as mountinfo has it.
    pub mount_id: u64,
}

/// What `fd` is; O_PATH is enough. `at` is for messages.
pub fn identity(fd: impl AsFd, at: &Path) -> Result<Identity, Error> {
    let mask = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID;
    let stat = statx(fd, "", AtFlags::EMPTY_PATH, mask)
        .map_err(|errno| Error::new(format!("look at {}", at.display()), errno))?;
    Ok(Identity {
        dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        rdev: makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
        mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        mount_id: stat.stx_mnt_id,
    })
}

/// The block device that the filesystem lies on, as `st_rdev` has it; `None` where there is none. `at` is for messages.
///
/// Mostly that is `dev`. btrfs has a `dev` of its own for each subvolume, and the mount table names its device.
pub fn device(found: &Identity, at: &Path) -> Result<Option<u64>, Error> {
    if major(found.dev) != 0 {
        return Ok(Some(found.dev));
    }
    let table = mountinfo::read()?;
    let mount = table.iter().find(|mount| mount.id == found.mount_id);
    let Some(mount) = mount.filter(|mount| mount.fstype == "btrfs") else {
        return Ok(None);
    };
    let source = Path::new(&mount.source);
    let node = stat(source).map_err(|errno| {
        Error::new(
            format!(
                "look at {}, which {} lies on",
                source.display(),
                at.display()
            ),
            errno,
        )
    })?;
    let is_block = FileType::from_raw_mode(node.st_mode) == FileType::BlockDevice;
    Ok(is_block.then_some(node.st_rdev))
}

/// Whether writes through the mount that `fd` was reached through are refused, by the mount or by its filesystem.
/// `at` is for messages.
pub fn is_readonly(fd: impl AsFd, at: &Path) -> Result<bool, Error> {
    let stat = fstatvfs(fd)
        .map_err(|errno| Error::new(format!("ask how {} is mounted", at.display()), errno))?;
    Ok(stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}
