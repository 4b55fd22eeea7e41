//! Network sysctls, through procfs, which shows those of the calling thread's network namespace.

use super::Error;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::os::fd::OwnedFd;

/// The sysctls of whichever network namespace the calling thread is in.
///
/// One procfs keeps the folders of all namespaces under the same names and looks through them one by one: with 1,000 pods a
/// path below /proc/sys/net takes half a millisecond, for everybody. So this is a procfs of its own, mounted nowhere, that
/// has seen no other pods and goes with its descriptor.
#[derive(Debug)]
pub struct Sysctls {
    proc: OwnedFd,
}

impl Sysctls {
    /// A view of them. Where no procfs can be had (before Linux 5.2, or in a user namespace) it is the one on /proc.
    pub fn open() -> Result<Self, Error> {
        let proc = own_procfs().or_else(|_| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, "/proc", flags, Mode::empty())
        });
        let proc = proc.map_err(|errno| Error::io("open /proc", errno))?;
        Ok(Self { proc })
    }

    /// Sets `net/<key>`; a key is a path such as `ipv4/conf/eth0/arp_notify`. `false` when the kernel has no such key.
    pub fn set(&self, key: &str, value: &str) -> Result<bool, Error> {
        let set = || write(self.file(key, OFlags::WRONLY)?, value.as_bytes());
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
        let mut get = || read(self.file(key, OFlags::RDONLY)?, &mut value);
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

    fn file(&self, key: &str, access: OFlags) -> Result<OwnedFd, Errno> {
        let path = format!("sys/net/{key}");
        openat(&self.proc, path, access | OFlags::CLOEXEC, Mode::empty())
    }
}

fn own_procfs() -> Result<OwnedFd, Errno> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{fstat, stat};

    #[test]
    fn the_procfs_is_one_of_its_own() {
        let own = fstat(own_procfs().unwrap()).unwrap();
        assert_ne!(own.st_dev, stat("/proc").unwrap().st_dev);
    }
}
