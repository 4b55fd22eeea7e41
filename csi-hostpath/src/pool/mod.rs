//! Pools: directories in which volumes and snapshots lie. To be written.

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::error::Error;
use crate::record::Volume;

/// The pools of this node, by name.
pub struct Pools {}

/// One pool.
pub struct Pool {}

#[allow(unused_variables)]
impl Pools {
    /// The pool called `name`.
    pub fn get(&self, name: &str) -> Result<&Pool, Error> {
        Err(Error::NotOffered("todo"))
    }
}

#[allow(unused_variables)]
impl Pool {
    /// The directory of a directory volume, open for reading. Its device and inode are the volume's identity.
    pub fn data(&self, volume: &Volume) -> Result<OwnedFd, Error> {
        Err(Error::NotOffered("todo"))
    }

    /// The image file of an image volume, open for writing. Its device and inode are the volume's identity.
    pub fn image(&self, volume: &Volume) -> Result<File, Error> {
        Err(Error::NotOffered("todo"))
    }

    /// Makes the image file, or the quota, `size` bytes large (and reserves them for a thick volume). Never shrinks.
    pub fn grow(&self, volume: &Volume, size: u64) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }

    /// The bytes, and the inodes where they are counted, that a directory volume uses; `None` where nobody counts.
    pub fn usage(&self, volume: &Volume) -> Result<Option<(u64, Option<u64>)>, Error> {
        Err(Error::NotOffered("todo"))
    }
}
