//! A copy of a tree with everything that is in it.

use super::metadata::{Metadata, without_inheritance};
use super::place::{Place, open_any, open_directory, through};
use super::walk::{Visitor, mounted, walk};
use crate::storage::{Error, clone};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fstat, linkat, mkdirat, mknodat, open, openat,
    readlinkat, symlinkat, syncfs,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// A path longer than this is walked in parts: the kernel takes one byte less than 4096.
const LONGEST: usize = 2048;

/// Copies what is beneath `from` to `to`, a new and empty directory that nobody else knows, and gives `to` the metadata of
/// `from`. It is on disk when this returns.
///
/// Files of every kind come along with owner, mode, extended attributes and times, hard links among them stay such, holes
/// stay holes. Inode flags (`chattr`) do not: an immutable copy could not be deleted. With `reflink`, files share their
/// blocks where the filesystem lets them. A mount in the tree is an error. When `stop` says so, the error is ECANCELED,
/// and `to` has a part.
pub fn copy(
    from: impl AsFd,
    to: impl AsFd,
    reflink: bool,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let at = Place::default();
    let refused = |errno| at.refused(Copying::VERB, errno);
    let dot = OsStr::new(".");
    let root = open_directory(&from, dot).map_err(refused)?;
    without_inheritance(to.as_fd()).map_err(refused)?;
    let mut copying = Copying {
        root: to.as_fd(),
        to: open_directory(&to, dot).map_err(refused)?,
        reflink,
        stop,
        metadata: Metadata::new(),
        linked: HashMap::new(),
    };
    walk(root, at.clone(), &mut copying, stop)?;
    syncfs(&copying.to).map_err(|errno| at.refused("write out the copy of", errno))
}

struct Copying<'a> {
    /// The copy.
    root: BorrowedFd<'a>,
    /// The directory of the copy that we are in.
    to: OwnedFd,
    reflink: bool,
    stop: &'a dyn Fn() -> bool,
    metadata: Metadata,
    /// Files with more names than we have met, by device and inode.
    linked: HashMap<(u64, u64), Linked>,
}

/// A file that is copied already.
struct Linked {
    /// Its first name in the copy.
    place: Place,
    /// How many more names it has.
    more: u64,
}

impl Visitor for Copying<'_> {
    const VERB: &'static str = "copy";

    fn entry(&mut self, parent: BorrowedFd<'_>, at: &Place, kind: FileType) -> Result<bool, Error> {
        let refused = |errno| at.refused(Self::VERB, errno);
        if kind == FileType::Directory {
            mkdirat(&self.to, at.name(), Mode::RWXU).map_err(refused)?;
            return Ok(true);
        }
        let from = open_any(parent, at.name()).map_err(|errno| mounted(at, Self::VERB, errno))?;
        let stat = fstat(&from).map_err(refused)?;
        if self.link(&stat, at).map_err(refused)? {
            return Ok(false);
        }
        self.make(&from, &stat, at)?;
        let made = open_any(&self.to, at.name()).map_err(refused)?;
        self.metadata.copy(from.as_fd(), &stat, made.as_fd(), at)?;
        self.remember(&stat, at);
        Ok(false)
    }

    fn enter(&mut self, at: &Place) -> Result<(), Error> {
        self.to = open_directory(&self.to, at.name())
            .map_err(|errno| at.refused("enter the copy of", errno))?;
        Ok(())
    }

    fn leave(&mut self, directory: BorrowedFd<'_>, at: &Place) -> Result<(), Error> {
        let stat = fstat(directory).map_err(|errno| at.refused(Self::VERB, errno))?;
        self.metadata.copy(directory, &stat, self.to.as_fd(), at)
    }

    fn left(&mut self, _: BorrowedFd<'_>, at: &Place) -> Result<(), Error> {
        self.to = open_directory(&self.to, OsStr::new(".."))
            .map_err(|errno| at.refused("leave the copy of", errno))?;
        Ok(())
    }
}

impl Copying<'_> {
    /// Makes the copy of anything but a directory, with its content.
    fn make(&self, from: &OwnedFd, stat: &Stat, at: &Place) -> Result<(), Error> {
        let name = at.name();
        let made = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return self.file(from, stat, at),
            FileType::Symlink => readlinkat(from, "", Vec::new())
                .and_then(|target| symlinkat(target, &self.to, name)),
            kind @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice) => mknodat(&self.to, name, kind, Mode::empty(), stat.st_rdev),
            // It was something else a moment ago.
            FileType::Directory | FileType::Unknown => Err(Errno::STALE),
        };
        made.map_err(|errno| at.refused(Self::VERB, errno))
    }

    fn file(&self, from: &OwnedFd, stat: &Stat, at: &Place) -> Result<(), Error> {
        let refused = |errno| at.refused(Self::VERB, errno);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let to = openat(&self.to, at.name(), flags, Mode::RWXU).map_err(refused)?;
        if stat.st_size == 0 {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOATIME | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = open(through(from), flags, Mode::empty()).map_err(refused)?;
        let stop = self.stop;
        let shared = || Ok(self.reflink && clone::reflink(&from, &to)?);
        shared()
            .and_then(|shared| match shared {
                true => Ok(()),
                false => clone::copy_data(from.as_fd(), to.as_fd(), &|_| !stop()),
            })
            .map_err(|error: Error| refused(error.errno()))
    }

    /// Gives a file that is copied already its next name, and tells whether it is one.
    fn link(&mut self, stat: &Stat, at: &Place) -> Result<bool, Errno> {
        let key = (stat.st_dev, stat.st_ino);
        let Some(linked) = self.linked.get_mut(&key) else {
            return Ok(false);
        };
        let (directory, rest) = directory_near(self.root, &linked.place)?;
        linkat(directory, rest, &self.to, at.name(), AtFlags::empty())?;
        linked.more -= 1;
        if linked.more == 0 {
            self.linked.remove(&key);
        }
        Ok(true)
    }

    fn remember(&mut self, stat: &Stat, at: &Place) {
        if stat.st_nlink > 1 {
            let linked = Linked {
                place: at.clone(),
                more: stat.st_nlink - 1,
            };
            self.linked.insert((stat.st_dev, stat.st_ino), linked);
        }
    }
}

/// A directory on the way to a place from where the rest of the path is short enough for the kernel.
fn directory_near<'a>(
    root: BorrowedFd<'_>,
    place: &'a Place,
) -> Result<(OwnedFd, &'a OsStr), Errno> {
    let mut directory = open_directory(root, OsStr::new("."))?;
    let mut rest = place.bytes();
    while rest.len() > LONGEST {
        // No name is longer than 255 bytes.
        let slash = rest[..LONGEST].iter().rposition(|byte| *byte == b'/');
        let slash = slash.ok_or(Errno::NAMETOOLONG)?;
        directory = open_directory(directory, OsStr::from_bytes(&rest[..slash]))?;
        rest = &rest[slash + 1..];
    }
    Ok((directory, OsStr::from_bytes(rest)))
}
