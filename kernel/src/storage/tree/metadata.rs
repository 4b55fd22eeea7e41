//! What belongs to a file besides its content: owner, mode, extended attributes, times.

use super::place::{Place, through};
use crate::storage::Error;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    getxattr, listxattr, removexattr, setxattr, utimensat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The most that an attribute, or the list of their names, can hold.
const MOST: usize = 64 << 10;

/// Gives files the metadata of others.
pub struct Metadata {
    names: Vec<u8>,
    value: Vec<u8>,
    present: Vec<u8>,
}

impl Metadata {
    pub fn new() -> Self {
        let buffer = || Vec::with_capacity(MOST);
        Self {
            names: buffer(),
            value: buffer(),
            present: buffer(),
        }
    }

    /// Gives `to` all that `from` has, whose status is `stat`. Both may be open as O_PATH.
    ///
    /// The order counts: a new owner takes away set-id bits and capabilities, and everything touches times.
    pub fn copy(
        &mut self,
        from: BorrowedFd<'_>,
        stat: &Stat,
        to: BorrowedFd<'_>,
        at: &Place,
    ) -> Result<(), Error> {
        owner_and_mode(stat, to).map_err(|errno| at.refused("set owner and mode of", errno))?;
        self.attributes(&through(from), &through(to), at)?;
        utimensat(to, "", &times(stat), AtFlags::EMPTY_PATH)
            .map_err(|errno| at.refused("set the times of", errno))
    }

    fn attributes(&mut self, from: &Path, to: &Path, at: &Place) -> Result<(), Error> {
        self.names.clear();
        match listxattr(from, rustix::buffer::spare_capacity(&mut self.names)) {
            Ok(_) | Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(at.refused("list the attributes of", errno)),
        }
        let names = std::mem::take(&mut self.names);
        let copied = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(OsStr::from_bytes)
            .try_for_each(|name| {
                self.attribute(from, to, name).map_err(|errno| {
                    let verb = format!("copy attribute {} of", name.as_bytes().escape_ascii());
                    at.refused(&verb, errno)
                })
            });
        self.names = names;
        copied
    }

    fn attribute(&mut self, from: &Path, to: &Path, name: &OsStr) -> Result<(), Errno> {
        self.value.clear();
        getxattr(from, name, rustix::buffer::spare_capacity(&mut self.value))?;
        setxattr(to, name, &self.value, XattrFlags::empty()).or_else(|refused| {
            // A label that the mount gives to every file cannot be set, and need not be.
            self.present.clear();
            match getxattr(to, name, rustix::buffer::spare_capacity(&mut self.present)) {
                Ok(_) if self.present == self.value => Ok(()),
                Ok(_) | Err(_) => Err(refused),
            }
        })
    }
}

fn owner_and_mode(stat: &Stat, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, "", Some(owner), Some(group), AtFlags::EMPTY_PATH)?;
    match FileType::from_raw_mode(stat.st_mode) {
        // A link has no mode of its own.
        FileType::Symlink => Ok(()),
        _ => chmod(through(to), Mode::from_raw_mode(stat.st_mode)),
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        // Below a milliard.
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Takes away the access rights that a new entry of the directory would be born with.
pub fn without_inheritance(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    match removexattr(through(directory), "system.posix_acl_default") {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}
