//! Holding a filesystem still, and giving back what it does not use.
//!
//! The file descriptors are of anything on the filesystem, opened with access: O_PATH is not enough.

use super::Error;
use super::sys::freeze as sys;
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::path::Path;

/// Writes out what is pending and holds back every further write, until [`thaw`]. Tells whether it was not frozen
/// already. It outlives the process. `at` is for messages.
pub fn freeze(fd: impl AsFd, at: &Path) -> Result<bool, Error> {
    match sys::freeze(fd) {
        Ok(()) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(errno) => Err(refused("freeze", at, errno)),
    }
}

/// Lets writes go on. What is not frozen stays so. `at` is for messages.
pub fn thaw(fd: impl AsFd, at: &Path) -> Result<(), Error> {
    match sys::thaw(fd) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(refused("thaw", at, errno)),
    }
}

/// Discards the filesystem's free space in its device and tells how many bytes that was. `at` is for messages.
pub fn trim(fd: impl AsFd, at: &Path) -> Result<u64, Error> {
    sys::trim(fd).map_err(|errno| refused("trim", at, errno))
}

fn refused(verb: &str, at: &Path, errno: Errno) -> Error {
    Error::new(format!("{verb} the filesystem at {}", at.display()), errno)
}

#[cfg(test)]
#[path = "tests/freeze.rs"]
mod tests;
