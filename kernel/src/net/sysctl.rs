//! Network sysctls, through /proc/sys, which shows those of the calling thread's network namespace.

use super::Error;
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::{Errno, read, write};
use std::os::fd::OwnedFd;

/// The sysctls of one network namespace.
///
/// The kernel keeps the folders of all namespaces under the same names and looks for the right ones one by one: with 1,000
/// pods a path takes a millisecond. So the folder is looked for once.
#[derive(Debug)]
pub struct Sysctls(OwnedFd);

impl Sysctls {
    /// Those of the namespace that the calling thread is in.
    pub fn open() -> Result<Self, Error> {
        const FOLDER: &str = "/proc/sys/net";
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(FOLDER, flags, Mode::empty());
        folder
            .map(Self)
            .map_err(|errno| Error::io(format!("open {FOLDER}"), errno))
    }

    /// Sets `net/<key>`; a key is a path such as `ipv4/conf/eth0/arp_notify`. `false` when the kernel has no such key.
    pub fn set(&self, key: &str, value: &str) -> Result<bool, Error> {
        let set = || {
            let file = openat(
                &self.0,
                key,
                OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            write(&file, value.as_bytes())
        };
        match set() {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(Error::io(format!("set sysctl net/{key} to {value}"), errno)),
        }
    }

    /// Reads `net/<key>`; `None` when the kernel has no such key.
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        // One read gets a value whole, and every value fits.
        let mut value = [0; 64];
        let mut get = || {
            let file = openat(
                &self.0,
                key,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            read(&file, &mut value)
        };
        match get() {
            Ok(length) => {
                let value = String::from_utf8_lossy(value.get(..length).unwrap_or_default());
                Ok(Some(value.trim_end().to_owned()))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io(format!("read sysctl net/{key}"), errno)),
        }
    }

    /// Sets `net/<key>` unless it has that value; on a node where somebody else manages it, it is then never written.
    pub fn ensure(&self, key: &str, value: &str) -> Result<bool, Error> {
        match self.get(key)? {
            None => Ok(false),
            Some(present) if present == value => Ok(true),
            Some(_) => self.set(key, value),
        }
    }
}

/// Sets one sysctl of the calling thread's namespace; see [`Sysctls::set`].
pub fn set(key: &str, value: &str) -> Result<bool, Error> {
    Sysctls::open()?.set(key, value)
}

/// Reads one sysctl of the calling thread's namespace; see [`Sysctls::get`].
pub fn get(key: &str) -> Result<Option<String>, Error> {
    Sysctls::open()?.get(key)
}
