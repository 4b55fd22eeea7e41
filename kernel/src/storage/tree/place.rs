//! Where in a tree we are, for messages, and how its entries are opened.

use crate::storage::Error;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How many bytes of a path a message shows: its end tells more than its beginning.
const SHOWN: usize = 400;

/// A path that grows and shrinks by one name at a time.
#[derive(Clone, Default)]
pub struct Place(Vec<u8>);

impl Place {
    pub fn push(&mut self, name: &OsStr) {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name.as_bytes());
    }

    pub fn pop(&mut self) {
        let parent = self.0.len() - self.name().len();
        self.0.truncate(parent.saturating_sub(1));
    }

    /// The last name; empty at the root.
    pub fn name(&self) -> &OsStr {
        let name = self.0.rsplit(|byte| *byte == b'/').next();
        OsStr::from_bytes(name.unwrap_or_default())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The kernel's refusal to do something with what is here.
    pub fn refused(&self, verb: &str, errno: Errno) -> Error {
        Error::new(format!("{verb} {self}"), errno)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len().checked_sub(SHOWN) {
            _ if self.0.is_empty() => f.write_str("."),
            Some(hidden) if hidden > 0 => write!(f, "...{}", self.0[hidden..].escape_ascii()),
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

/// Opens a directory's entry of that name, which is no link. Where something is mounted, the error is EXDEV.
pub fn open_directory(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NOATIME;
    open(parent, name, flags)
}

/// Opens whatever the entry is, a link included, without access to its content. Where something is mounted, the error is
/// EXDEV.
pub fn open_any(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    open(parent, name, OFlags::PATH | OFlags::NOFOLLOW)
}

fn open(parent: impl AsFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
}

/// The path that leads to an open file whatever it is called now, also to a link itself.
pub fn through(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}
