//! Files and directories beneath an open directory. Nothing on the way is followed: no link, no `..` that leads out.

use super::Error;
use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::fs::{accessat, fchmod, fstat, fsync, mkdirat, open, openat2, renameat_with, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// An open directory. Where a method takes a name, it is one component: no slash, neither `.` nor `..`.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// A name in an open directory, where something is or is to be mounted.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub parent: Root,
    /// The name, one component.
    pub name: OsString,
}

impl Root {
    /// Opens a directory; links are followed, because the path is the operator's choice.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        match open(&path, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(Error::new(
                format!("open directory {}", path.display()),
                errno,
            )),
        }
    }

    /// Its path, for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory beneath this one.
    pub fn beneath(&self, relative: impl AsRef<Path>) -> Result<Self, Error> {
        let relative = relative.as_ref();
        let fd = self
            .resolve(relative, DIRECTORY)
            .map_err(|errno| self.refused("open directory", relative, errno))?;
        Ok(Self {
            fd,
            path: self.path.join(relative),
        })
    }

    /// The place of that name in this directory.
    pub fn place(self, name: impl AsRef<OsStr>) -> Result<Place, Error> {
        let name = self.component(name.as_ref(), "look at")?.to_owned();
        Ok(Place { parent: self, name })
    }

    /// Opens what is there, whatever it is, without access to its content (O_PATH): the topmost mount where something
    /// is mounted. `None` when nothing is there; a link is refused.
    pub fn open_place(&self, relative: impl AsRef<Path>) -> Result<Option<OwnedFd>, Error> {
        let relative = relative.as_ref();
        match self.resolve(relative, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.refused("look at", relative, errno)),
        }
    }

    /// Opens a regular file; anything else is refused.
    pub fn open_file(&self, name: impl AsRef<OsStr>, write: bool) -> Result<File, Error> {
        let name = self.component(name.as_ref(), "open")?;
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        // Without O_NONBLOCK a pipe that somebody put there would hold us.
        let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.resolve(Path::new(name), flags).and_then(|fd| {
            let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
            Ok((fd, kind))
        });
        match opened {
            Ok((fd, FileType::RegularFile)) => Ok(File::from(fd)),
            Ok((_, kind)) => Err(self
                .refused("open", Path::new(name), Errno::INVAL)
                .with_note(format!("it is no regular file but {kind:?}"))),
            Err(errno) => Err(self.refused("open", Path::new(name), errno)),
        }
    }

    /// Makes a file that is not there yet and opens it for reading and writing. `mode` holds whatever the umask says.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File, Error> {
        let name = self.component(name.as_ref(), "make file")?;
        let mode = Mode::from_raw_mode(mode);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat2(&self.fd, name, flags, mode, STRICT)
            .and_then(|fd| fchmod(&fd, mode).map(|()| File::from(fd)))
            .map_err(|errno| self.refused("make file", Path::new(name), errno))
    }

    /// Makes a directory and tells whether it was not there yet. `mode` holds whatever the umask says; one that is
    /// there keeps its own.
    pub fn make_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<bool, Error> {
        let name = self.component(name.as_ref(), "make directory")?;
        let mode = Mode::from_raw_mode(mode);
        let made = match mkdirat(&self.fd, name, mode) {
            Err(Errno::EXIST) => self.resolve(Path::new(name), DIRECTORY).map(|_| false),
            made => made
                .and_then(|()| self.resolve(Path::new(name), DIRECTORY))
                .and_then(|fd| fchmod(fd, mode))
                .map(|()| true),
        };
        made.map_err(|errno| self.refused("make directory", Path::new(name), errno))
    }

    /// Moves an entry into another directory, or gives it another name here. What is there already is not replaced: EEXIST.
    pub fn rename(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        to_name: impl AsRef<OsStr>,
    ) -> Result<(), Error> {
        let name = self.component(name.as_ref(), "rename")?;
        let to_name = to.component(to_name.as_ref(), "rename to")?;
        renameat_with(&self.fd, name, &to.fd, to_name, RenameFlags::NOREPLACE).map_err(|errno| {
            let to = to.path.join(to_name);
            Error::new(
                format!(
                    "rename {} to {}",
                    self.path.join(name).display(),
                    to.display()
                ),
                errno,
            )
        })
    }

    /// Whether something of that name is there. Cheaper than opening it.
    pub fn has(&self, name: impl AsRef<OsStr>) -> Result<bool, Error> {
        let name = self.component(name.as_ref(), "look for")?;
        match accessat(&self.fd, name, Access::EXISTS, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.refused("look for", Path::new(name), errno)),
        }
    }

    /// Removes a file or link and tells whether there was one.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<bool, Error> {
        self.remove(name.as_ref(), AtFlags::empty(), "remove file")
    }

    /// Removes an empty directory and tells whether there was one.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<bool, Error> {
        self.remove(name.as_ref(), AtFlags::REMOVEDIR, "remove directory")
    }

    fn remove(&self, name: &OsStr, flags: AtFlags, verb: &str) -> Result<bool, Error> {
        let name = self.component(name, verb)?;
        match unlinkat(&self.fd, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.refused(verb, Path::new(name), errno)),
        }
    }

    /// The names in this directory, in no order, without `.` and `..`.
    pub fn entries(&self) -> Result<Vec<OsString>, Error> {
        self.list().map_err(|errno| {
            Error::new(
                format!("list the entries of {}", self.path.display()),
                errno,
            )
        })
    }

    fn list(&self) -> Result<Vec<OsString>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// Waits until the entries of this directory are on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        fsync(&self.fd)
            .map_err(|errno| Error::new(format!("sync directory {}", self.path.display()), errno))
    }

    fn resolve(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat2(&self.fd, relative, flags, Mode::empty(), STRICT)
    }

    fn component<'a>(&self, name: &'a OsStr, verb: &str) -> Result<&'a OsStr, Error> {
        let dots = name == "." || name == "..";
        if name.is_empty() || dots || name.as_bytes().contains(&b'/') {
            let doing = format!("{verb} {name:?} in {}", self.path.display());
            return Err(Error::new(doing, Errno::INVAL).with_note("one plain name is wanted"));
        }
        Ok(name)
    }

    fn refused(&self, verb: &str, relative: &Path, errno: Errno) -> Error {
        let error = Error::new(
            format!("{verb} {}", self.path.join(relative).display()),
            errno,
        );
        let below = self.path.display();
        match errno {
            Errno::LOOP => error.with_note(format!("links below {below} are not followed")),
            Errno::XDEV => error.with_note(format!("it leads out of {below}")),
            _ => error,
        }
    }
}

const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

impl From<Root> for OwnedFd {
    fn from(root: Root) -> Self {
        root.fd
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Place {
    /// Its path, for messages only.
    pub fn path(&self) -> PathBuf {
        self.parent.path.join(&self.name)
    }

    /// Opens what is there; see [`Root::open_place`].
    pub fn open(&self) -> Result<Option<OwnedFd>, Error> {
        self.parent.open_place(&self.name)
    }
}

/// Finds the place that an absolute path names. Links are followed in `trusted` itself and nowhere else: not below it, and
/// nowhere in a path that is not below it. Only the place's directory must be there.
pub fn resolve(trusted: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Place, Error> {
    let (trusted, path) = (trusted.as_ref(), path.as_ref());
    let (root, relative) = match path.strip_prefix(trusted) {
        Ok(relative) => (trusted, relative),
        Err(_) => (Path::new("/"), path.strip_prefix("/").unwrap_or(path)),
    };
    let plain = path.is_absolute()
        && relative
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
    let (Some(name), true) = (relative.file_name(), plain) else {
        let doing = format!("resolve {path:?}");
        return Err(Error::new(doing, Errno::INVAL)
            .with_note("an absolute path without \"..\" that names something is wanted"));
    };
    let root = Root::open(root)?;
    let parent = match relative.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => root.beneath(parent)?,
        _ => root,
    };
    parent.place(name)
}

#[cfg(test)]
#[path = "tests/beneath.rs"]
mod tests;
