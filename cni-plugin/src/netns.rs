//! The container's namespace, looked at before anything is made.
//!
//! The path is opened without opening what it names (`O_PATH`), so a FIFO or a device does not
//! hold the plugin up. What it names is told by the kernel's own name for it, `net:[<inode>]`:
//! no path can look like that. The reference compares with the plugin's own namespace only after
//! the verb, when everything is already made there.

use crate::{Call, Error};
use cni::Verb;
use rustix::fs::{Mode, OFlags, Stat, fstat, open, stat};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Checks the call's namespace as far as its verb depends on it.
pub fn check(call: &Call) -> Result<(), Error> {
    let Some(path) = &call.netns else {
        return Ok(());
    };
    match inspect(path) {
        Ok(Found::Another) => Ok(()),
        Ok(Found::Own) if call.may_be_own_netns => Ok(()),
        Ok(Found::Own) => Err(Error::OwnNetns(path.clone())),
        // What is gone needs no detaching (DEL-1).
        _ if call.verb == Verb::Del => Ok(()),
        Ok(Found::SomethingElse) => Err(Error::NotANetns(path.clone())),
        Ok(Found::Nothing) => Err(Error::NoNetns(path.clone())),
        Err(source) => Err(Error::Netns {
            path: path.clone(),
            source,
        }),
    }
}

enum Found {
    /// A network namespace that is not the plugin's.
    Another,
    /// The plugin's network namespace.
    Own,
    /// Something that is no network namespace.
    SomethingElse,
    /// Nothing.
    Nothing,
}

fn inspect(path: &Path) -> io::Result<Found> {
    let file = match open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Found::SomethingElse),
        Err(errno) => return Err(errno.into()),
    };
    if !is_netns(&file)? {
        return Ok(Found::SomethingElse);
    }
    let own = stat("/proc/self/ns/net")?;
    Ok(if same(&fstat(&file)?, &own) {
        Found::Own
    } else {
        Found::Another
    })
}

fn is_netns(file: &OwnedFd) -> io::Result<bool> {
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(name.as_os_str().as_bytes().starts_with(b"net:["))
}

const fn same(one: &Stat, other: &Stat) -> bool {
    one.st_dev == other.st_dev && one.st_ino == other.st_ino
}
