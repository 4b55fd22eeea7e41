//! The store of one network: who holds which address.
//!
//! The directory is the truth, and the reference works on it too ([`files`]); the [`index`] answers from it without
//! reading it. All work happens in a [`Locked`] store, from the one flock that a verb takes to the end of the verb, so
//! an allocation over several range sets is one step to everybody else.

mod boot;
mod files;
mod holder;
mod index;
mod key;
mod snapshot;
mod stamp;
mod table;

#[cfg(test)]
mod tests;

pub use boot::{Age, Boot};
pub use files::{Files, Reservation};
pub use holder::Holder;
pub use index::directory_of as index_directory_of;

use crate::address::Address;
use crate::bits::{Chunk, ChunkId};
use crate::range::RangeSet;
use files::Published;
use index::Index;
use snapshot::Snapshot;
use stamp::Stamp;
use std::fs::File;
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
            ": set ipam.dataDir to a directory that this process can write to"
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
        let lock = self.files.lock()?;
        let valid = self
            .files
            .stamp()
            .ok()
            .and_then(|stamp| Index::open(&self.index, self.files.boot(), stamp));
        let found = valid.is_some();
        let mut locked = Locked {
            store: self,
            view: valid.map_or_else(|| View::Scanned(Snapshot::default()), View::Indexed),
            fresh: false,
            changed: false,
            _lock: lock,
        };
        if !found {
            locked.rescan()?;
        }
        Ok(locked)
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

/// Where answers come from.
enum View {
    /// From the index in its files.
    Indexed(Index),
    /// From memory: the index could not be kept, and each verb reads the whole directory.
    Scanned(Snapshot),
}

/// The store, while its lock is held.
///
/// Dropped without [`Locked::seal`] after a change, it leaves an index that the next verb finds out of date.
pub struct Locked<'s> {
    store: &'s Store,
    view: View,
    /// Whether the view was made from the directory under this very lock.
    fresh: bool,
    /// Whether the index does not carry the directory's stamp any more.
    changed: bool,
    _lock: File,
}

impl<'s> Locked<'s> {
    /// The directory.
    pub fn files(&self) -> &'s Files {
        &self.store.files
    }

    /// Reads the directory anew and writes a new index.
    pub fn rescan(&mut self) -> Result<(), StoreError> {
        let snapshot = Snapshot::take(&self.store.files)?;
        self.adopt(snapshot);
        Ok(())
    }

    fn adopt(&mut self, snapshot: Snapshot) {
        self.view = match Index::build(&self.store.index, self.files().boot(), &snapshot) {
            Ok(index) => View::Indexed(index),
            // No `/run`, or no room in it: right all the same, only slower.
            Err(_) => View::Scanned(snapshot),
        };
        self.fresh = true;
        self.changed = true;
    }

    /// Whether the view was made from the directory under this very lock, and so cannot be wrong.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Which addresses of a chunk are occupied; `None` when none is.
    pub fn chunk(&mut self, id: ChunkId) -> Result<Option<Chunk>, StoreError> {
        self.ask(
            |index| index.chunk(id),
            |snapshot| snapshot.chunks.get(&id).cloned(),
        )
    }

    /// The addresses that `holder` has, each as its file confirms it.
    pub fn holdings(&mut self, holder: &Holder) -> Result<Vec<(Address, Age)>, StoreError> {
        loop {
            let mut holdings = Vec::new();
            let mut confirmed = true;
            for address in self.addresses_of(holder)? {
                match self.files().read(address)? {
                    Some(found) if found.holder.as_ref() == Some(holder) => {
                        holdings.push((address, found.age));
                    }
                    _ => confirmed = false,
                }
            }
            if confirmed || self.fresh {
                return Ok(holdings);
            }
            // Somebody changed the directory without taking the lock.
            self.rescan()?;
        }
    }

    fn addresses_of(&mut self, holder: &Holder) -> Result<Vec<Address>, StoreError> {
        self.ask(
            |index| index.addresses_of(holder),
            |snapshot| snapshot.addresses_of(holder),
        )
    }

    /// Gives `address` to `holder`. `false` when somebody has it: the view was wrong, and [`Locked::rescan`] is due.
    pub fn reserve(&mut self, address: Address, holder: &Holder) -> Result<bool, StoreError> {
        let files = self.files();
        let mut made = files.publish(address, holder)?;
        if made == Published::NameTaken && files.read(address)?.is_none() {
            // A torn file has the name.
            files.remove(address)?;
            made = files.publish(address, holder)?;
        }
        if made == Published::NameTaken {
            return Ok(false);
        }
        self.tell(
            |index| index.insert(holder, address),
            |snapshot| snapshot.insert(holder, address),
        )?;
        Ok(true)
    }

    /// Takes `address` from `holder`.
    pub fn release(&mut self, address: Address, holder: &Holder) -> Result<(), StoreError> {
        self.files().remove(address)?;
        self.tell(
            |index| index.remove(holder, address),
            |snapshot| snapshot.remove(holder, address),
        )
    }

    /// Removes the reservations that are not to be kept, in one pass over the directory that goes on over errors and
    /// returns them.
    pub fn sweep(
        &mut self,
        keep: impl FnMut(&Reservation) -> bool,
    ) -> Result<Vec<StoreError>, StoreError> {
        let (snapshot, errors) = Snapshot::sweep(&self.store.files, keep)?;
        self.adopt(snapshot);
        Ok(errors)
    }

    /// The addresses of the set that are held by reservations of an earlier boot, with their holders.
    pub fn leftovers(&mut self, set: &RangeSet) -> Result<Vec<(Address, Holder)>, StoreError> {
        let mut leftovers = Vec::new();
        for address in self.earlier()? {
            if set.range_of(address).is_none() {
                continue;
            }
            if let Some(Reservation {
                holder: Some(holder),
                age: Age::EarlierBoot,
                ..
            }) = self.files().read(address)?
            {
                leftovers.push((address, holder));
            }
        }
        Ok(leftovers)
    }

    /// Frees the addresses of the set that are held by reservations of an earlier boot, and says how many they were.
    pub fn reclaim(&mut self, set: &RangeSet) -> Result<usize, StoreError> {
        let leftovers = self.leftovers(set)?;
        for (address, holder) in &leftovers {
            self.release(*address, holder)?;
        }
        if !leftovers.is_empty() {
            let mut earlier = self.earlier()?;
            earlier.retain(|address| set.range_of(*address).is_none());
            self.tell(
                |index| index.set_earlier(&earlier),
                |snapshot| snapshot.earlier = earlier.clone(),
            )?;
        }
        Ok(leftovers.len())
    }

    fn earlier(&mut self) -> Result<Vec<Address>, StoreError> {
        self.ask(Index::earlier, |snapshot| snapshot.earlier.clone())
    }

    /// Where the search of range set `set` goes on: the address it gave out last.
    pub fn cursor(&self, set: usize) -> Option<Address> {
        self.files().cursor(set)
    }

    /// Makes the index valid again after changes. Without effect where there is no index: the next verb reads the
    /// directory.
    pub fn seal(&mut self) {
        if !self.changed {
            return;
        }
        if let View::Indexed(index) = &self.view {
            let stamp = Stamp::fresh();
            // The order matters: see the index's own words.
            let sealed = index.describe(stamp);
            if sealed.and_then(|()| self.files().set_stamp(stamp)).is_ok() {
                self.changed = false;
            }
        }
    }

    /// Asks the view; an index that cannot answer is given up.
    fn ask<T>(
        &mut self,
        indexed: impl FnOnce(&Index) -> io::Result<T>,
        scanned: impl FnOnce(&Snapshot) -> T,
    ) -> Result<T, StoreError> {
        let answer = match &self.view {
            View::Scanned(snapshot) => return Ok(scanned(snapshot)),
            View::Indexed(index) => indexed(index),
        };
        if let Ok(answer) = answer {
            return Ok(answer);
        }
        let snapshot = Snapshot::take(&self.store.files)?;
        let answer = scanned(&snapshot);
        self.view = View::Scanned(snapshot);
        self.fresh = true;
        Ok(answer)
    }

    /// Tells the view of a change that was made in the directory; an index that cannot follow is given up.
    fn tell(
        &mut self,
        indexed: impl FnOnce(&mut Index) -> io::Result<()>,
        scanned: impl FnOnce(&mut Snapshot),
    ) -> Result<(), StoreError> {
        self.changed = true;
        let told = match &mut self.view {
            View::Indexed(index) => indexed(index),
            View::Scanned(snapshot) => {
                scanned(snapshot);
                Ok(())
            }
        };
        if told.is_err() {
            self.view = View::Scanned(Snapshot::take(&self.store.files)?);
            self.fresh = true;
        }
        Ok(())
    }
}
