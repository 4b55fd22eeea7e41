//! A tree given to a group, as kubelet does for a pod's `fsGroup`.

use super::place::{Place, open_any, open_directory, through};
use super::walk::{Visitor, walk};
use crate::storage::Error;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, chmod, chownat, fstat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

/// What owner and group may do with a file.
const FILE: u32 = 0o660;
/// And with a directory, whose new entries get its group.
const DIRECTORY: u32 = 0o2770;

/// Gives everything beneath `directory` and itself to the group: files can be read and written by it, directories
/// entered as well, and what is made in them later belongs to it. Of links only the owner changes. Mounts beneath are
/// left alone, and what vanishes meanwhile is forgotten.
///
/// The directory itself comes last; one that is as it should be has nothing beneath it looked at. When `stop` says so,
/// the error is ECANCELED.
pub fn chown_group(directory: impl AsFd, gid: u32, stop: &dyn Fn() -> bool) -> Result<(), Error> {
    let at = Place::default();
    let root = open_directory(&directory, OsStr::new("."))
        .and_then(|root| fstat(&root).map(|stat| (root, stat)));
    let (root, stat) = root.map_err(|errno| at.refused(Giving::VERB, errno))?;
    if stat.st_gid == gid && stat.st_mode & DIRECTORY == DIRECTORY {
        return Ok(());
    }
    walk(root, at, &mut Giving { gid }, stop)
}

struct Giving {
    gid: u32,
}

impl Visitor for Giving {
    const VERB: &'static str = "change the group of";

    fn entry(&mut self, parent: BorrowedFd<'_>, at: &Place, kind: FileType) -> Result<bool, Error> {
        if kind == FileType::Directory {
            return Ok(true);
        }
        match open_any(parent, at.name()).and_then(|entry| self.give(entry.as_fd())) {
            Ok(()) => Ok(false),
            Err(errno) => self.closed(at, errno).map(|()| false),
        }
    }

    fn closed(&mut self, at: &Place, errno: Errno) -> Result<(), Error> {
        match errno {
            Errno::XDEV | Errno::NOENT => Ok(()),
            errno => Err(at.refused(Self::VERB, errno)),
        }
    }

    fn leave(&mut self, directory: BorrowedFd<'_>, at: &Place) -> Result<(), Error> {
        self.give(directory)
            .map_err(|errno| at.refused(Self::VERB, errno))
    }
}

impl Giving {
    fn give(&self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        let stat = fstat(to)?;
        let owned = stat.st_gid == self.gid;
        if !owned {
            let group = Some(Gid::from_raw(self.gid));
            chownat(to, "", None, group, AtFlags::EMPTY_PATH)?;
        }
        match wanted(&stat) {
            // A new group takes away set-id bits: the mode is set again also when nothing is added to it.
            Some(mode) if !owned || mode != stat.st_mode => {
                chmod(through(to), Mode::from_raw_mode(mode))
            }
            _ => Ok(()),
        }
    }
}

/// The mode that a file is to have; `None` for a link, which has none.
fn wanted(stat: &Stat) -> Option<u32> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => None,
        FileType::Directory => Some(stat.st_mode | DIRECTORY),
        _ => Some(stat.st_mode | FILE),
    }
}
