//! Loop devices: files as block devices.
//!
//! A device is known by what it is backed by, device and inode, never by a path. Devices are shared by the whole machine:
//! between a look at one and the next step it may have got another file, unless it is held open. [`Device`] holds it.

use super::Error;
use super::sys::loopdev as sys;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, major, minor, open, openat2};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// How often somebody else may take the device that the kernel named as free before we give up.
const ATTEMPTS: u32 = 64;
/// The device's sector size in bytes, whatever the disk beneath has: an image that was formatted on one disk must be
/// mountable on another. Where the disk wants larger blocks, the kernel does without direct I/O.
const SECTOR: u32 = 512;
const LOOP_MAJOR: u32 = 7;
const DEV: &str = "/dev";

/// How a device is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Refuse writes.
    pub readonly: bool,
    /// Let the file go when nobody has the device open or mounted any more.
    pub autoclear: bool,
    /// Pass the page cache of the file by, where the file's filesystem can; the kernel does without it elsewhere.
    pub direct_io: bool,
    /// Text kept with the device; of more than 63 bytes the rest is dropped.
    pub label: &'a str,
}

/// A loop device, held open.
#[derive(Debug)]
pub struct Device {
    /// The number in its name.
    pub number: u32,
    /// The device itself, open for reading, and for writing when [`attach`] made it so.
    pub file: File,
}

/// What a device is backed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The file's device, as `st_dev` has it.
    pub dev: u64,
    /// The file's inode.
    pub ino: u64,
    /// The text kept with the device.
    pub label: String,
    /// Writes are refused.
    pub readonly: bool,
    /// The file is let go when nobody has the device open or mounted any more.
    pub autoclear: bool,
    /// The file's page cache is passed by.
    pub direct_io: bool,
    /// Where in the file the device starts, in bytes.
    pub offset: u64,
    /// The largest size of the device in bytes; 0 for the file's size.
    pub size_limit: u64,
}

/// Makes a file a block device. The file must be open for writing, unless the device is to be read-only.
///
/// File and settings come about in one step: there is no moment at which a process could die and leave a device that
/// does not tell whose it is.
pub fn attach(file: &File, options: &Options<'_>) -> Result<Device, Error> {
    let control = open(
        "/dev/loop-control",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| Error::new("open /dev/loop-control", errno))?;
    let settings = sys::Config::new(file.as_fd(), SECTOR, options.flags(), options.label);
    for _ in 0..ATTEMPTS {
        let number = sys::get_free(&control)
            .map_err(|errno| Error::new("find a free loop device", errno))?;
        let Some(device) = Device::with(number, !options.readonly)? else {
            continue;
        };
        match sys::configure(&device.file, &settings) {
            Ok(()) => return Ok(device),
            Err(Errno::BUSY) => {}
            Err(errno) => {
                let doing = format!("attach {} to {}", options.label, path_of(number).display());
                return Err(Error::new(doing, errno));
            }
        }
    }
    let doing = format!("attach {} to a loop device", options.label);
    Err(Error::new(doing, Errno::BUSY)
        .with_note("each that was free was taken by somebody else; try again"))
}

/// The devices that have a file, with it. Which have is read from /sys.
pub fn attached() -> Result<Vec<(u32, Backing)>, Error> {
    let mut found = Vec::new();
    for number in numbers()? {
        if let Some(device) = Device::open(number)?
            && let Some(backing) = device.backing()?
        {
            found.push((number, backing));
        }
    }
    Ok(found)
}

/// The device whose file is this one, read-only or writable as asked.
pub fn find(dev: u64, ino: u64, readonly: bool) -> Result<Option<Device>, Error> {
    for number in numbers()? {
        let Some(device) = Device::open(number)? else {
            continue;
        };
        let wanted = |backing: &Backing| {
            (backing.dev, backing.ino, backing.readonly) == (dev, ino, readonly)
        };
        if device.backing()?.as_ref().is_some_and(wanted) {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

/// The number of the loop device that `rdev` is, `None` when it is something else, a partition of one for example.
pub fn is_loop(rdev: u64) -> Option<u32> {
    if major(rdev) != LOOP_MAJOR {
        return None;
    }
    // With `loop.max_part` set, minor numbers are not the devices' numbers.
    let link = fs::read_link(format!("/sys/dev/block/{LOOP_MAJOR}:{}", minor(rdev))).ok()?;
    number_of(link.file_name()?.to_str()?)
}

/// The numbers of the devices that have a file, as /sys has it.
fn numbers() -> Result<Vec<u32>, Error> {
    let list = || -> std::io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir("/sys/block")? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(number_of);
            // The folder is only there while there is a file.
            if let Some(number) = number
                && entry.path().join("loop").exists()
            {
                numbers.push(number);
            }
        }
        Ok(numbers)
    };
    list().map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::new("list /sys/block", errno)
    })
}

fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix("loop")?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())?
}

fn path_of(number: u32) -> PathBuf {
    Path::new(DEV).join(format!("loop{number}"))
}

impl Options<'_> {
    const fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.readonly {
            flags |= sys::READ_ONLY;
        }
        if self.autoclear {
            flags |= sys::AUTOCLEAR;
        }
        if self.direct_io {
            flags |= sys::DIRECT_IO;
        }
        flags
    }
}

impl Device {
    /// Opens the device of that number for reading; `None` when there is none. Whether it has a file is another question.
    pub fn open(number: u32) -> Result<Option<Self>, Error> {
        Self::with(number, false)
    }

    fn with(number: u32, write: bool) -> Result<Option<Self>, Error> {
        let path = path_of(number);
        let refused = |errno| Error::new(format!("open {}", path.display()), errno);
        let file = match node(number, write) {
            Ok(file) => file,
            // Devices can be removed at any time.
            Err(Errno::NXIO | Errno::NODEV) => return Ok(None),
            Err(Errno::NOENT) if !Path::new(&format!("/sys/block/loop{number}")).exists() => {
                return Ok(None);
            }
            Err(Errno::NOENT) => {
                return Err(refused(Errno::NOENT).with_note("/dev must be the host's"));
            }
            Err(errno) => return Err(refused(errno)),
        };
        let rdev = fstat(&file).map_err(refused)?.st_rdev;
        match is_loop(rdev) {
            Some(found) if found == number => Ok(Some(Self { number, file })),
            _ => Err(refused(Errno::NOTBLK).with_note(format!("it is not loop device {number}"))),
        }
    }

    /// Its path, as programs and mounts name it.
    pub fn path(&self) -> PathBuf {
        path_of(self.number)
    }

    /// What it is backed by; `None` when it is free.
    pub fn backing(&self) -> Result<Option<Backing>, Error> {
        match sys::status(&self.file) {
            Ok(status) => Ok(Some(Backing {
                dev: status.device,
                ino: status.inode,
                label: status.label(),
                readonly: status.flags & sys::READ_ONLY != 0,
                autoclear: status.flags & sys::AUTOCLEAR != 0,
                direct_io: status.flags & sys::DIRECT_IO != 0,
                offset: status.offset,
                size_limit: status.size_limit,
            })),
            Err(Errno::NXIO) => Ok(None),
            Err(errno) => Err(self.refused("ask for the file of", errno)),
        }
    }

    /// Takes over the size that the file has by now.
    pub fn refresh_size(&self) -> Result<(), Error> {
        sys::set_capacity(&self.file).map_err(|errno| self.refused("refresh the size of", errno))
    }

    /// Lets the file go and closes the device. It is free when this returns, unless somebody else has it open or mounted:
    /// then it is free when they let go, and `autoclear` until then. One that is free already stays so.
    pub fn detach(self) -> Result<(), Error> {
        match sys::clear(&self.file) {
            Ok(()) | Err(Errno::NXIO) => Ok(()),
            Err(errno) => Err(self.refused("detach", errno)),
        }
    }

    fn refused(&self, verb: &str, errno: Errno) -> Error {
        Error::new(format!("{verb} {}", self.path().display()), errno)
    }
}

/// Opens a device node without following links.
fn node(number: u32, write: bool) -> Result<File, Errno> {
    let dev = open(
        DEV,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
    let flags = access | OFlags::CLOEXEC;
    let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(dev, format!("loop{number}"), flags, Mode::empty(), strict).map(File::from)
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
#[path = "tests/loopdev.rs"]
mod tests;
