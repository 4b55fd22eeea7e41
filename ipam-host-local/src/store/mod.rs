//! The store of one network: who holds which address.
//!
//! The directory is the truth, and the reference works on it too (`files`); the index answers from it without reading
//! it (`index`). All work happens in a [`Locked`] store, from the one flock that a verb takes to the end of the verb, so
//! an allocation over several range sets is one step to everybody else.

mod boot;
mod entries;
mod files;
mod holder;
mod index;
mod key;
mod locked;
mod snapshot;
mod stamp;
mod table;

#[cfg(test)]
mod tests;

pub use boot::{Age, Boot};
pub use files::{Files, Reservation};
pub use holder::Holder;
pub use index::directory_of as index_directory_of;
pub use locked::Locked;

use crate::address::Address;
use crate::range::RangeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What could not be done in the store, to which file, and what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}{}", .path.display(), hint(.source))]
pub struct StoreError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// The way out, where there is a usual one.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            ": make it writable for this process, or set ipam.dataDir to another directory"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": free some space there, or set ipam.dataDir to a directory with space"
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            ": a symbolic link is not followed here"
        }
        _ => "",
    }
}

/// Whether a store could be made at `path` by the first ADD, and if not, why.
pub fn could_be_made(path: &Path) -> Result<(), StoreError> {
    let Some(existing) = path.ancestors().skip(1).find(|ancestor| ancestor.exists()) else {
        return Ok(());
    };
    files::writable(existing).map_err(|error| StoreError::new("write to", existing, error))
}

/// How full a range set is, counted in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// How many addresses of the set are held.
    pub held: u64,
    /// The reservations made first: address, holder if a plugin made it, and when.
    pub oldest: Vec<(Address, Option<Holder>, SystemTime)>,
}

impl Census {
    /// How many of the oldest are named.
    const OLDEST: usize = 3;
}

/// The store of one network, open and not yet locked.
#[derive(Debug)]
pub struct Store {
    files: Files,
    index: PathBuf,
}

impl Store {
    /// Opens the store in the directory `path`; `None` when there is none.
    pub fn open(path: &Path, boot: Boot) -> Result<Option<Self>, StoreError> {
        let files = Files::open(path, boot)?;
        Ok(files.map(|files| Self {
            files,
            index: index::directory_of(path),
        }))
    }

    /// Opens the store in the directory `path`, and makes it if there is none.
    pub fn create(path: &Path, boot: Boot) -> Result<Self, StoreError> {
        if let Some(store) = Self::open(path, boot.clone())? {
            return Ok(store);
        }
        Files::create(path)?;
        let gone = || StoreError::new("open the store", path, io::ErrorKind::NotFound.into());
        Self::open(path, boot)?.ok_or_else(gone)
    }

    /// The directory.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Waits for the lock. Whoever holds it is alone with the store, the reference included.
    pub fn lock(&self) -> Result<Locked<'_>, StoreError> {
        Locked::new(&self.files, &self.index)
    }

    /// Counts the reservations of a range set, without those of gateways. Needs no lock.
    pub fn census(&self, set: &RangeSet, gateways: &[Address]) -> Result<Census, StoreError> {
        let counts = |address| set.range_of(address).is_some() && !gateways.contains(&address);
        self.files.census(counts)
    }

    /// Why no reservation can be written here, if so.
    pub fn writable(&self) -> Result<(), StoreError> {
        self.files.writable()
    }
}
