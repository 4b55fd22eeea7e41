//! What a filesystem is and how full it is.

use super::Error;
use rustix::fs::{StatVfsMountFlags, fstatfs, fstatvfs};
use std::os::fd::AsFd;
use std::path::Path;

/// A filesystem as a file descriptor on it shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// Its kind.
    pub kind: Kind,
    /// How full it is. Where a quota bounds the directory that was asked about, XFS and ext4 tell the quota's numbers.
    pub space: Space,
    /// Whether writes are refused, by the filesystem or by the mount it was reached through.
    pub readonly: bool,
    /// In bytes.
    pub block_size: u64,
}

/// Kinds that make a difference to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// A filesystem in memory.
    Tmpfs,
    /// Layers of others.
    Overlay,
    /// Another, by its magic number.
    Other(u64),
}

/// How full a filesystem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that nobody uses.
    pub free: u64,
    /// Bytes that a pod may still take: free ones without those that ext4 keeps for CAP_SYS_RESOURCE, which pods do not
    /// have.
    pub available: u64,
    /// `None` on filesystems that do not count them.
    pub inodes: Option<Inodes>,
}

/// How many files a filesystem holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inodes {
    /// In all.
    pub total: u64,
    /// Not used.
    pub free: u64,
}

/// The filesystem that `fd` is on; O_PATH is enough. `at` is for messages.
pub fn of(fd: impl AsFd, at: &Path) -> Result<Filesystem, Error> {
    let refused = |errno| Error::new(format!("ask for the filesystem of {}", at.display()), errno);
    let magic = fstatfs(&fd).map_err(refused)?.f_type;
    let stat = fstatvfs(&fd).map_err(refused)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Filesystem {
        kind: Kind::of(u64::try_from(magic).unwrap_or_default()),
        space: Space {
            total: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            available: bytes(stat.f_bavail),
            inodes: (stat.f_files > 0).then_some(Inodes {
                total: stat.f_files,
                free: stat.f_ffree,
            }),
        },
        readonly: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        block_size: stat.f_bsize,
    })
}

impl Kind {
    const fn of(magic: u64) -> Self {
        match magic {
            0xEF53 => Self::Ext,
            0x5846_5342 => Self::Xfs,
            0x9123_683E => Self::Btrfs,
            0x0102_1994 => Self::Tmpfs,
            0x794C_7630 => Self::Overlay,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
#[path = "tests/filesystem.rs"]
mod tests;
