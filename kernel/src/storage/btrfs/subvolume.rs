//! Making, copying and removing subvolumes.

use super::super::filesystem::{self, Kind};
use super::super::{Error, sys::btrfs as sys};
use super::tree::{self, Nested};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Whether `fd` is the root directory of a subvolume. `at` names it in errors.
pub fn is_subvolume(fd: impl AsFd, at: &Path) -> Result<bool, Error> {
    let doing = |errno| Error::new(format!("look at {}", at.display()), errno);
    let about = fstat(&fd).map_err(doing)?;
    let is_root = FileType::from_raw_mode(about.st_mode) == FileType::Directory
        && about.st_ino == sys::ROOT_DIRECTORY;
    Ok(is_root && filesystem::of(&fd, at)?.kind == Kind::Btrfs)
}

/// Makes an empty subvolume `name` in the directory `parent`, whose path is `at`. Its mode is 0777 less the umask.
pub fn create_subvolume(
    parent: impl AsFd,
    at: &Path,
    name: impl AsRef<OsStr>,
) -> Result<(), Error> {
    let name = name.as_ref();
    sys::create(parent.as_fd(), name).map_err(|errno| {
        Error::new(
            format!("create subvolume {}", at.join(name).display()),
            errno,
        )
    })
}

/// Makes a subvolume `name` in the directory `parent`, whose path is `at`, with the content that the subvolume `source`
/// has at this moment.
///
/// With full quota groups it has its source's limit as well.
pub fn snapshot(
    source: impl AsFd,
    parent: impl AsFd,
    at: &Path,
    name: impl AsRef<OsStr>,
    readonly: bool,
) -> Result<(), Error> {
    let name = name.as_ref();
    let flags = if readonly { sys::READ_ONLY } else { 0 };
    sys::snapshot(source.as_fd(), parent.as_fd(), name, flags).map_err(|errno| {
        Error::new(
            format!("create snapshot {}", at.join(name).display()),
            errno,
        )
    })
}

/// Makes a subvolume read-only, or writable again. `at` names it in errors.
pub fn set_readonly(subvolume: impl AsFd, at: &Path, readonly: bool) -> Result<(), Error> {
    let state = if readonly { "read-only" } else { "writable" };
    set_read_only_flag(subvolume.as_fd(), readonly)
        .map_err(|errno| Error::new(format!("make {} {state}", at.display()), errno))
}

fn set_read_only_flag(subvolume: BorrowedFd<'_>, readonly: bool) -> Result<(), Errno> {
    let flags = sys::flags(subvolume)?;
    let wanted = if readonly {
        flags | sys::READ_ONLY
    } else {
        flags & !sys::READ_ONLY
    };
    // Setting what is set costs a transaction.
    if flags == wanted {
        return Ok(());
    }
    sys::set_flags(subvolume, wanted)
}

/// Removes the subvolume `name` of the directory `parent`, whose path is `at`, with all subvolumes inside of it and with
/// the quota groups of all of them. It is no error when it is not there; it is one when it is something else, or a mount
/// point.
///
/// The space becomes free later, when the filesystem's cleaner comes by. After an error some of the subvolumes inside may
/// be gone.
pub fn remove_subvolume(
    parent: impl AsFd,
    at: &Path,
    name: impl AsRef<OsStr>,
) -> Result<(), Error> {
    let (parent, name) = (parent.as_fd(), name.as_ref());
    let path = at.join(name);
    let doing = |errno| Error::new(format!("remove subvolume {}", path.display()), errno);
    let subvolume = match open(parent, name) {
        Ok(subvolume) => subvolume,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(doing(errno)),
    };
    if !is_subvolume(&subvolume, &path)? {
        return Err(doing(Errno::INVAL).with_note("it is no subvolume"));
    }
    let id = sys::tree_of(subvolume.as_fd()).map_err(doing)?;
    remove_nested(subvolume.as_fd(), id)
        .map_err(|errno| doing(errno).with_note("at a subvolume inside of it"))?;
    sys::destroy(parent, name).map_err(doing)?;
    drop_qgroup(parent, id).map_err(doing)
}

fn open(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(parent, name, flags, Mode::empty(), resolve)
}

/// Removes all subvolumes inside of the subvolume `id`, the innermost first.
///
/// They are found in the filesystem's own list and opened by number: what whoever made them calls them, how deep they
/// are and what is linked to where does not matter.
fn remove_nested(subvolume: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    let mut found: Vec<Nested> = Vec::new();
    let mut within = vec![id];
    while let Some(outer) = within.pop() {
        let nested = tree::nested(subvolume, outer)?;
        if !nested.is_empty() {
            // Names can be taken out of a writable subvolume only.
            set_read_only_flag(
                open_by_number(subvolume, outer, sys::ROOT_DIRECTORY)?.as_fd(),
                false,
            )?;
        }
        within.extend(nested.iter().map(|inner| inner.id));
        found.extend(nested);
    }
    for inner in found.iter().rev() {
        let directory = open_by_number(subvolume, inner.within, inner.directory)?;
        sys::destroy(directory.as_fd(), &inner.name)?;
        drop_qgroup(subvolume, inner.id)?;
    }
    Ok(())
}

fn open_by_number(near: BorrowedFd<'_>, subvolume: u64, directory: u64) -> Result<OwnedFd, Errno> {
    let generation = tree::generation(near, subvolume, directory)?;
    sys::open_directory(near, subvolume, directory, generation)
}

/// Removes the quota group of a subvolume that was removed, if there is one.
fn drop_qgroup(near: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    match sys::qgroup_remove(near, id) {
        // Quotas are off, or there is no such group. Newer kernels keep the group until the space is free, and remove it
        // then by themselves.
        Ok(()) | Err(Errno::NOTCONN | Errno::NOENT | Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno),
    }
}
