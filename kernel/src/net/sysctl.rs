//! Network sysctls, through procfs, which shows those of the calling thread's network namespace.

use super::Error;
use rustix::fs::{CWD, Mode, OFlags, openat, stat};
use rustix::io::{Errno, read, write};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::os::fd::OwnedFd;

/// The sysctls of whichever network namespace the calling thread is in.
///
/// One procfs keeps the folders of all namespaces under the same names and looks through them one by one: with 1,000 pods a
/// path below /proc/sys/net takes half a millisecond, for everybody. So where pods are many this is a procfs of its own,
/// mounted nowhere, that has seen no other pods and goes with its descriptor.
#[derive(Debug)]
pub struct Sysctls {
    proc: OwnedFd,
}

impl Sysctls {
    /// A view of them. Where no procfs can be had (before Linux 5.2, or in a user namespace) it is the one on /proc.
    pub fn open() -> Result<Self, Error> {
        let own = crowded().then(own_procfs).and_then(Result::ok);
        let proc = own.map_or_else(shared_procfs, Ok);
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

/// Whether the machine has so many links, in all its namespaces together, that it is quicker to mount a procfs, at 40 to
/// 100 µs, than to look through the one that everybody uses.
fn crowded() -> bool {
    const MANY: u32 = 200;
    stat("/sys/devices/virtual/net").is_ok_and(|links| links.st_nlink > MANY.into())
}

fn shared_procfs() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/proc", flags, Mode::empty())
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
    use rustix::fs::fstat;

    #[test]
    fn a_procfs_of_its_own_says_the_same() {
        let views = [own_procfs(), shared_procfs()].map(Result::unwrap);
        let [own, shared] = views.each_ref().map(|proc| fstat(proc).unwrap().st_dev);
        assert_ne!(own, shared);
        let forwards = views.map(|proc| Sysctls { proc }.get("ipv4/ip_forward").unwrap());
        assert!(forwards[0].is_some());
        assert_eq!(forwards[0], forwards[1]);
    }
}
