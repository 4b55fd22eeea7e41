//! The way through a tree, depth first, with one directory open at a time.

use super::place::{Place, open_directory};
use crate::storage::Error;
use rustix::fs::{AtFlags, FileType, RawDir, SeekFrom, fstat, seek, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Bytes of directory entries asked for at once.
const BUFFER: usize = 32 << 10;
/// How many directories are noted to be entered before a parent is read on: what a stranger makes must not fill our memory.
const AHEAD: usize = 4096;

/// What is done on the way. The place is always that of what is spoken of; the root's is where the walk began.
pub trait Visitor {
    /// What is done, for messages.
    const VERB: &'static str;

    /// An entry of `parent`. Tells whether it is a directory to be entered.
    fn entry(&mut self, parent: BorrowedFd<'_>, at: &Place, kind: FileType) -> Result<bool, Error>;

    /// A directory that cannot be entered: EXDEV says that something is mounted there. It is left out unless that is an
    /// error.
    fn closed(&mut self, at: &Place, errno: Errno) -> Result<(), Error> {
        Err(mounted(at, Self::VERB, errno))
    }

    /// A directory below the root is entered.
    fn enter(&mut self, _at: &Place) -> Result<(), Error> {
        Ok(())
    }

    /// A directory, also the root, was walked through.
    fn leave(&mut self, _directory: BorrowedFd<'_>, _at: &Place) -> Result<(), Error> {
        Ok(())
    }

    /// We are back in the parent of a directory.
    fn left(&mut self, _parent: BorrowedFd<'_>, _at: &Place) -> Result<(), Error> {
        Ok(())
    }
}

/// A directory on the way down to where we are.
struct Level {
    /// Device and inode: on the way back it has to be the same one.
    identity: (u64, u64),
    /// Directories in it that are still to be entered.
    ahead: Vec<OsString>,
    /// Where its entries are to be read on; `None` when all have been.
    next: Option<u64>,
}

struct Walk<'a, V> {
    visitor: &'a mut V,
    stop: &'a dyn Fn() -> bool,
    at: Place,
    buffer: Vec<u8>,
}

/// Walks through all that is beneath `root`. When `stop` says so, the error is ECANCELED.
pub fn walk<V: Visitor>(
    root: OwnedFd,
    at: Place,
    visitor: &mut V,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut walk = Walk {
        visitor,
        stop,
        at,
        buffer: Vec::with_capacity(BUFFER),
    };
    let mut here = root;
    let mut levels = vec![walk.level(&here)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.ahead.pop() {
            if let Some(child) = walk.descend(&here, &name)? {
                levels.push(walk.level(&child)?);
                here = child;
            }
        } else if let Some(from) = level.next {
            (level.ahead, level.next) = walk.read(&here, from)?;
        } else {
            walk.visitor.leave(borrow(&here), &walk.at)?;
            levels.pop();
            if let Some(parent) = levels.last() {
                here = walk.ascend(&here, parent)?;
            }
        }
    }
    Ok(())
}

impl<V: Visitor> Walk<'_, V> {
    fn level(&self, directory: &OwnedFd) -> Result<Level, Error> {
        Ok(Level {
            identity: self.told(identity(directory))?,
            ahead: Vec::new(),
            next: Some(0),
        })
    }

    /// Visits the entries of a directory from a position on, and gives back which of them are to be entered and where to
    /// read on then.
    fn read(&mut self, here: &OwnedFd, from: u64) -> Result<(Vec<OsString>, Option<u64>), Error> {
        self.told(seek(here, SeekFrom::Start(from)))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut entries = RawDir::new(here, buffer.spare_capacity_mut());
        let mut ahead = Vec::new();
        let mut next = None;
        while let Some(entry) = entries.next() {
            let entry = self.told(entry)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsStr::from_bytes(name);
            if self.entry(here, name, entry.file_type())? {
                ahead.push(name.to_owned());
            }
            if ahead.len() == AHEAD {
                next = Some(entry.next_entry_cookie());
                break;
            }
        }
        self.buffer = buffer;
        Ok((ahead, next))
    }

    fn entry(&mut self, here: &OwnedFd, name: &OsStr, kind: FileType) -> Result<bool, Error> {
        self.at.push(name);
        if (self.stop)() {
            return Err(self.at.refused(V::VERB, Errno::CANCELED));
        }
        let kind = match kind {
            FileType::Unknown => {
                let stat = self.told(statat(here, name, AtFlags::SYMLINK_NOFOLLOW))?;
                FileType::from_raw_mode(stat.st_mode)
            }
            known => known,
        };
        let enter = self.visitor.entry(borrow(here), &self.at, kind)?;
        self.at.pop();
        Ok(enter)
    }

    fn descend(&mut self, here: &OwnedFd, name: &OsStr) -> Result<Option<OwnedFd>, Error> {
        self.at.push(name);
        match open_directory(here, name) {
            Ok(child) => {
                self.visitor.enter(&self.at)?;
                Ok(Some(child))
            }
            Err(errno) => {
                self.visitor.closed(&self.at, errno)?;
                self.at.pop();
                Ok(None)
            }
        }
    }

    fn ascend(&mut self, here: &OwnedFd, parent: &Level) -> Result<OwnedFd, Error> {
        let above = self.told(open_directory(here, OsStr::new("..")))?;
        if self.told(identity(&above))? != parent.identity {
            let error = self.at.refused(V::VERB, Errno::STALE);
            return Err(error.with_note("somebody has moved it meanwhile"));
        }
        self.visitor.left(borrow(&above), &self.at)?;
        self.at.pop();
        Ok(above)
    }

    fn told<T>(&self, result: Result<T, Errno>) -> Result<T, Error> {
        result.map_err(|errno| self.at.refused(V::VERB, errno))
    }
}

/// An entry that could not be opened, with the reason when that is a mount.
pub fn mounted(at: &Place, verb: &str, errno: Errno) -> Error {
    match errno {
        Errno::XDEV => at
            .refused(verb, Errno::BUSY)
            .with_note("something is mounted there; unmount it first"),
        errno => at.refused(verb, errno),
    }
}

fn identity(directory: &OwnedFd) -> Result<(u64, u64), Errno> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(fd)
}
