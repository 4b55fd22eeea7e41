//! The directory of reservations, in the reference's format: the truth about who holds what.
//!
//! `<dataDir>/<network>/` holds one file per address, named by its text; `last_reserved_ip.<n>`, where the search of
//! range set n goes on; and `lock`. Everything happens relative to the open directory, under names that we formatted
//! ourselves, and no symbolic link is followed inside.

use super::boot::{ATTRIBUTE, Age, Boot};
use super::holder::{Content, Holder};
use super::stamp::Stamp;
use super::{Census, StoreError};
use crate::address::Address;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LOCK: &str = "lock";
const CURSOR: &str = "last_reserved_ip";

/// The open directory.
#[derive(Debug)]
pub struct Files {
    dir: OwnedFd,
    path: PathBuf,
    boot: Boot,
}

/// One file that occupies its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Who holds the address; `None` when the file was not written by a plugin.
    pub holder: Option<Holder>,
    /// When it was made.
    pub age: Age,
    /// Whether it carries a mark at all; the reference makes none.
    pub(super) marked: bool,
}

/// How a wanted name was made, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// The address is ours.
    Made,
    /// There is a file of this name already.
    NameTaken,
}

impl Files {
    /// Opens the directory; `None` when there is none.
    pub(super) fn open(path: &Path, boot: Boot) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(dir) => Ok(Some(Self {
                dir,
                path: path.to_owned(),
                boot,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StoreError::new("open the store", path, errno.into())),
        }
    }

    /// Makes the directory, with the mode that the reference gives it.
    pub(super) fn create(path: &Path) -> Result<(), StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .map_err(|error| StoreError::new("make the store", path, error))
    }

    /// The boot that reservations are marked with.
    pub(super) fn boot(&self) -> &Boot {
        &self.boot
    }

    /// Waits for the lock that the reference takes too, and holds it until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let locked = rustix::fs::openat(&self.dir, LOCK, flags, Mode::from_raw_mode(0o640))
            .map_err(io::Error::from)
            .and_then(|file| {
                let file = File::from(file);
                file.lock()?;
                Ok(file)
            });
        locked.map_err(|error| self.error("lock", LOCK, error))
    }

    /// The reservation of an address; `None` when the address is free, also because its file is torn.
    pub fn read(&self, address: Address) -> Result<Option<Reservation>, StoreError> {
        let name = address.to_string();
        self.read_named(&name)
            .map_err(|error| self.error("read", &name, error))
    }

    fn read_named(&self, name: &str) -> io::Result<Option<Reservation>> {
        // A FIFO must not block us, nor a terminal become ours.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let (content, mark) = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => match whole(&file) {
                Ok(bytes) => (Content::parse(&bytes), mark(&file)),
                Err(Errno::ISDIR) => (Content::Foreign, None),
                Err(errno) => return Err(errno.into()),
            },
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => (Content::Foreign, None),
            Err(errno) => return Err(errno.into()),
        };
        let age = self.boot.age(mark.as_deref());
        let holder = match content {
            Content::Torn => return Ok(None),
            Content::Held(holder) => Some(holder),
            Content::Foreign => None,
        };
        Ok(Some(Reservation {
            holder,
            age,
            marked: mark.is_some(),
        }))
    }

    /// Makes the file of a reservation: whole, or not at all.
    pub(super) fn publish(
        &self,
        address: Address,
        holder: &Holder,
    ) -> Result<Published, StoreError> {
        let name = address.to_string();
        let made = match self.link_unnamed(&name, holder) {
            // No unnamed files, or no hard links, on this filesystem.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::PERM | Errno::INVAL) => {
                self.create_exclusively(&name, holder)
            }
            made => made,
        };
        match made {
            Ok(()) => Ok(Published::Made),
            Err(Errno::EXIST) => Ok(Published::NameTaken),
            Err(errno) => Err(self.error("write", &name, errno.into())),
        }
    }

    /// Fills a file that has no name yet, then names it: no moment in which anybody sees half of it.
    fn link_unnamed(&self, name: &str, holder: &Holder) -> Result<(), Errno> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, ".", flags, Mode::from_raw_mode(0o600))?;
        self.fill(&file, holder)?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(CWD, unnamed, &self.dir, name, AtFlags::SYMLINK_FOLLOW)
    }

    /// The second best, as the reference does it: a crash in between leaves an empty file, which is a free address.
    fn create_exclusively(&self, name: &str, holder: &Holder) -> Result<(), Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))?;
        self.fill(&file, holder).inspect_err(|_| {
            // The error that matters is the one of writing.
            let _ = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty());
        })
    }

    fn fill(&self, file: &OwnedFd, holder: &Holder) -> Result<(), Errno> {
        let content = holder.to_content();
        // A short write of some bytes to a regular file means a full disk.
        if rustix::io::write(file, content.as_bytes())? != content.len() {
            return Err(Errno::NOSPC);
        }
        self.write_mark(file)
    }

    /// Marks a file as of this boot. Where attributes are not supported reservations stay unmarked, and are never
    /// reclaimed.
    fn write_mark(&self, file: &OwnedFd) -> Result<(), Errno> {
        let mark = self.boot.mark().as_bytes();
        match rustix::fs::fsetxattr(file, ATTRIBUTE, mark, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
            written => written,
        }
    }

    /// Takes a reservation that another plugin made into the order of things: as of this boot. Best effort; without the
    /// mark it is merely not reclaimed later.
    pub(super) fn adopt(&self, address: Address) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, address.to_string(), flags, Mode::empty());
        if let Ok(file) = file {
            let _ = self.write_mark(&file);
        }
    }

    /// Removes the file of an address; one that is gone is removed.
    pub fn remove(&self, address: Address) -> Result<(), StoreError> {
        let name = address.to_string();
        match rustix::fs::unlinkat(&self.dir, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", &name, errno.into())),
        }
    }

    /// The address that range set `set` gave out last. Only a hint: what cannot be read says nothing.
    pub fn cursor(&self, set: usize) -> Option<Address> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, cursor_name(set), flags, Mode::empty()).ok()?;
        let bytes = whole(&file).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        Some(text.trim().parse::<std::net::IpAddr>().ok()?.into())
    }

    /// Notes the address that range set `set` gave out last, or with `None` that there was none yet.
    pub fn set_cursor(&self, set: usize, address: Option<Address>) -> Result<(), StoreError> {
        let name = cursor_name(set);
        let written = match address {
            Some(address) => self.write_cursor(&name, &address.to_string()),
            None => match rustix::fs::unlinkat(&self.dir, &name, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                removed => removed,
            },
        };
        written.map_err(|errno| self.error("write", &name, errno.into()))
    }

    /// Overwrites and then cuts, rather than emptying first: a block that is there cannot be missing on a full disk,
    /// ext4 writes a file that was emptied to disk when it is closed, and a mixture of two cursors is harmless.
    fn write_cursor(&self, name: &str, text: &str) -> Result<(), Errno> {
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))?;
        if rustix::io::write(&file, text.as_bytes())? != text.len() {
            return Err(Errno::NOSPC);
        }
        rustix::fs::ftruncate(&file, text.len() as u64)
    }

    /// Calls `each` for every file that is named after an address; `None` stands for a torn one.
    pub(super) fn scan(
        &self,
        mut each: impl FnMut(Address, Option<Reservation>),
    ) -> Result<(), StoreError> {
        for address in self.addresses()? {
            let address = address?;
            let name = address.to_string();
            let reservation = self
                .read_named(&name)
                .map_err(|error| self.error("read", &name, error))?;
            each(address, reservation);
        }
        Ok(())
    }

    /// Every address that has a file. Files may be removed meanwhile.
    fn addresses(&self) -> Result<impl Iterator<Item = Result<Address, StoreError>>, StoreError> {
        let failed = |errno: Errno| StoreError::new("list", &self.path, errno.into());
        let entries = Dir::read_from(&self.dir).map_err(failed)?;
        Ok(entries.filter_map(move |entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_str().ok();
                name.and_then(Address::from_file_name).map(Ok)
            }
            Err(errno) => Some(Err(failed(errno))),
        }))
    }

    /// Counts the reservations that `wanted` selects, and names the oldest of them. Reads no content but theirs, and
    /// needs no lock.
    pub(super) fn census(&self, wanted: impl Fn(Address) -> bool) -> Result<Census, StoreError> {
        let mut held = 0;
        let mut oldest = Vec::new();
        for address in self.addresses()? {
            let address = address?;
            if !wanted(address) {
                continue;
            }
            let name = address.to_string();
            let stat = match rustix::fs::statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(self.error("look at", &name, errno.into())),
            };
            // An empty file is a free address.
            if stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode).is_file() {
                continue;
            }
            held += 1;
            oldest.push((Stamp::of(&stat), address));
            oldest.sort_unstable();
            oldest.truncate(Census::OLDEST);
        }
        let named = oldest.into_iter().filter_map(|(since, address)| {
            let reservation = self.read(address).ok().flatten()?;
            Some((address, reservation.holder, since.time()))
        });
        Ok(Census {
            held,
            oldest: named.collect(),
        })
    }

    /// The directory's time of modification.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&rustix::fs::fstat(&self.dir)?))
    }

    /// Sets the directory's time of modification.
    pub(super) fn set_stamp(&self, stamp: Stamp) -> io::Result<()> {
        Ok(rustix::fs::futimens(&self.dir, &stamp.times())?)
    }

    /// Why no reservation can be written here, if so; asked without writing.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        let refused = |error| StoreError::new("write to", &self.path, error);
        writable(&self.path).map_err(refused)
    }

    fn error(&self, doing: &'static str, name: &str, error: io::Error) -> StoreError {
        StoreError::new(doing, &self.path.join(name), error)
    }
}

/// Whether something could be made in this directory: permissions, a read-only mount, no space, no inodes.
pub(super) fn writable(directory: &Path) -> io::Result<()> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::accessat(CWD, directory, access, AtFlags::EACCESS)?;
    let space = rustix::fs::statvfs(directory)?;
    // Filesystems that make inodes as needed say that they have none at all.
    let out_of_inodes = space.f_files > 0 && space.f_favail == 0;
    if space.f_bavail == 0 || out_of_inodes {
        return Err(Errno::NOSPC.into());
    }
    Ok(())
}

fn cursor_name(set: usize) -> String {
    format!("{CURSOR}.{set}")
}

/// All of a small file, in one read in practice.
fn whole(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; 512];
    let mut length = 0;
    loop {
        let read = rustix::io::read(file, bytes.get_mut(length..).unwrap_or_default())?;
        length += read;
        if length < bytes.len() {
            bytes.truncate(length);
            return Ok(bytes);
        }
        bytes.resize(length * 2, 0);
    }
}

fn mark(file: &OwnedFd) -> Option<Vec<u8>> {
    let mut value = [0; 128];
    let length = rustix::fs::fgetxattr(file, ATTRIBUTE, &mut value).ok()?;
    Some(value.get(..length)?.to_vec())
}

impl Stamp {
    fn time(self) -> SystemTime {
        let (seconds, nanoseconds) = self.parts();
        SystemTime::UNIX_EPOCH + Duration::new(seconds.try_into().unwrap_or(0), nanoseconds)
    }
}
