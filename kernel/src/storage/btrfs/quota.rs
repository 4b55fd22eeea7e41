//! Quota groups: what subvolumes use, and how much they may.

use super::super::{Error, sys::btrfs as sys};
use super::tree;
use rustix::io::{Errno, retry_on_intr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

const INCONSISTENT: u64 = 1 << 2;
const SIMPLE_MODE: u64 = 1 << 3;
/// A limit of so many bytes is none.
const UNLIMITED: u64 = u64::MAX;

/// How a filesystem counts what its subvolumes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Not at all.
    Off,
    /// By quota groups that know what is shared.
    Qgroups,
    /// By who wrote it (Linux 6.7).
    Simple,
}

/// What a subvolume uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that can be reached from it. This is what a limit is about.
    pub referenced: u64,
    /// Bytes of these that become free with it.
    pub exclusive: u64,
    /// The bytes that it may refer to at most.
    pub limit: Option<u64>,
}

/// How the filesystem of `fd` counts. `at` names it in errors.
pub fn quota_state(fd: impl AsFd, at: &Path) -> Result<Quota, Error> {
    let flags = tree::quota_flags(fd.as_fd()).map_err(|errno| {
        let doing = format!("read the quota state of the filesystem at {}", at.display());
        Error::new(doing, errno)
    })?;
    Ok(match flags {
        None => Quota::Off,
        Some(flags) if flags & SIMPLE_MODE != 0 => Quota::Simple,
        Some(_) => Quota::Qgroups,
    })
}

/// Turns quota groups on in the filesystem of `fd`, unless quotas are on. `at` names it in errors.
///
/// Returns when everything that is there is counted, which takes as long as reading the filesystem's metadata.
pub fn enable_quota(fd: impl AsFd, at: &Path) -> Result<(), Error> {
    enable(fd.as_fd()).map_err(|errno| {
        Error::new(
            format!("turn on quotas for the filesystem at {}", at.display()),
            errno,
        )
    })
}

fn enable(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    sys::quota_control(fd, sys::ENABLE)?;
    retry_on_intr(|| sys::quota_rescan_wait(fd))?;
    let flags = tree::quota_flags(fd)?.unwrap_or_default();
    if flags & INCONSISTENT == 0 {
        return Ok(());
    }
    // The kernel gave up counting at something that would have cost too much.
    match sys::quota_rescan(fd) {
        Ok(()) | Err(Errno::INPROGRESS) => retry_on_intr(|| sys::quota_rescan_wait(fd)),
        Err(errno) => Err(errno),
    }
}

/// Limits what a subvolume may refer to, in bytes of files and of its own metadata; `None` lifts the limit. `at` names it
/// in errors.
///
/// Subvolumes inside of it are not counted. What has been written is counted when the kernel commits (see [`sync`]), but
/// what is being written is reserved, so that a limit is not overrun in between.
pub fn limit(subvolume: impl AsFd, at: &Path, bytes: Option<u64>) -> Result<(), Error> {
    sys::qgroup_limit(subvolume.as_fd(), bytes.unwrap_or(UNLIMITED)).map_err(|errno| {
        let error = match bytes {
            Some(bytes) => Error::new(format!("limit {} to {bytes} bytes", at.display()), errno),
            None => Error::new(format!("lift the limit of {}", at.display()), errno),
        };
        explained(error)
    })
}

/// What a subvolume uses, as of the last commit (see [`sync`]). `at` names it in errors.
pub fn usage(subvolume: impl AsFd, at: &Path) -> Result<Usage, Error> {
    read_usage(subvolume.as_fd()).map_err(|errno| {
        explained(Error::new(
            format!("read the usage of {}", at.display()),
            errno,
        ))
    })
}

fn read_usage(subvolume: BorrowedFd<'_>) -> Result<Usage, Errno> {
    // The group of a subvolume has its number, at level 0.
    let qgroup = sys::tree_of(subvolume)?;
    let counted = tree::counted(subvolume, qgroup)?;
    let (referenced, exclusive) = counted.ok_or(Errno::NOTCONN)?;
    let limit = tree::limit(subvolume, qgroup)?.filter(|bytes| *bytes != UNLIMITED);
    Ok(Usage {
        referenced,
        exclusive,
        limit,
    })
}

/// Writes out and commits the filesystem of `fd`: afterwards [`usage`] counts all that was written before. `at` names it
/// in errors.
pub fn sync(fd: impl AsFd, at: &Path) -> Result<(), Error> {
    rustix::fs::syncfs(&fd)
        .map_err(|errno| Error::new(format!("sync the filesystem at {}", at.display()), errno))
}

/// The kernel's word for quotas that are off, "not connected", says nothing.
fn explained(error: Error) -> Error {
    if error.errno() == Errno::NOTCONN {
        error.with_note("it has no quota group: quotas are off")
    } else {
        error
    }
}
