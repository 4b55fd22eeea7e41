//! Where the bytes of a file lie. To be written.

use std::fs::File;

use rustix::io::Errno;

use super::Error;

/// A part of a file that lies in one piece.
pub struct Extent {
    /// Offset in the file, in bytes.
    pub logical: u64,
    /// In bytes.
    pub length: u64,
}

impl Extent {
    /// Whether it is set aside and was never written.
    pub const fn is_unwritten(&self) -> bool {
        false
    }
}

/// The extents of a file.
pub fn of(_file: &File) -> Result<Vec<Extent>, Error> {
    Err(Error::new("map a file", Errno::NOSYS))
}

/// What holds data.
pub const fn allocated(_extents: &[Extent], _size: u64) -> Vec<(u64, u64)> {
    Vec::new()
}

/// What differs.
pub const fn changed(_base: &[Extent], _target: &[Extent], _size: u64) -> Vec<(u64, u64)> {
    Vec::new()
}

/// What differs, by content.
pub fn changed_content(_base: &File, _target: &File, _size: u64) -> Result<Vec<(u64, u64)>, Error> {
    Err(Error::new("compare files", Errno::NOSYS))
}
