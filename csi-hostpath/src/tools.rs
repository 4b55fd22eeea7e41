//! The programs that make, check and grow filesystems: the only programs that the driver starts. To be written.

use std::path::Path;

use crate::access::Filesystem;

/// Why a program failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// To be written.
    #[error("to be written")]
    ToBeWritten,
}

impl Error {
    /// The gRPC code.
    pub fn code(&self) -> tonic::Code {
        tonic::Code::Internal
    }
}

#[allow(unused_variables)]
/// Makes an empty filesystem in the image file at `image`, which the caller knows to be new. Discards nothing.
pub fn make(filesystem: Filesystem, image: &Path) -> Result<(), Error> {
    Err(Error::ToBeWritten)
}

#[allow(unused_variables)]
/// Checks and repairs an ext4 filesystem that is not mounted, as far as is safe without a person.
pub fn check_ext4(device: &Path) -> Result<(), Error> {
    Err(Error::ToBeWritten)
}

#[allow(unused_variables)]
/// Grows an ext4 filesystem that is not mounted to the size of its device.
pub fn grow_ext4(device: &Path) -> Result<(), Error> {
    Err(Error::ToBeWritten)
}

#[allow(unused_variables)]
/// Gives a copied btrfs image an identity of its own; two filesystems with one identity cannot be mounted together.
pub fn new_identity_btrfs(image: &Path) -> Result<(), Error> {
    Err(Error::ToBeWritten)
}
