//! The store while its lock is held: every question to it and every change of it.

use super::StoreError;
use super::boot::Age;
use super::files::{Files, Published, Reservation};
use super::holder::Holder;
use super::index::Index;
use super::snapshot::Snapshot;
use super::stamp::Stamp;
use crate::address::Address;
use crate::bits::{Chunk, ChunkId};
use crate::range::RangeSet;
use std::fs::File;
use std::io;
use std::path::Path;

/// Where answers come from.
pub(super) enum View {
    /// From the index in its files.
    Indexed(Index),
    /// From memory: the index could not be kept, and each verb reads the whole directory.
    Scanned(Snapshot),
}

/// The store, while its lock is held.
///
/// Dropped without [`Locked::seal`] after a change, it leaves an index that the next verb finds out of date.
pub struct Locked<'s> {
    files: &'s Files,
    /// Where the index is, or would be.
    index: &'s Path,
    pub(super) view: View,
    /// Whether the view was made from the directory under this very lock.
    fresh: bool,
    /// Whether the index does not carry the directory's stamp any more.
    changed: bool,
    _lock: File,
}

impl<'s> Locked<'s> {
    pub(super) fn new(files: &'s Files, index: &'s Path) -> Result<Self, StoreError> {
        let lock = files.lock()?;
        let stamp = files.stamp().ok();
        let valid = stamp.and_then(|stamp| Index::open(index, files.boot(), stamp));
        let found = valid.is_some();
        let mut locked = Self {
            files,
            index,
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

    /// The directory.
    pub fn files(&self) -> &'s Files {
        self.files
    }

    /// Reads the directory anew and writes a new index.
    pub fn rescan(&mut self) -> Result<(), StoreError> {
        let snapshot = Snapshot::take(self.files)?;
        self.adopt(snapshot);
        Ok(())
    }

    fn adopt(&mut self, mut snapshot: Snapshot) {
        self.view = match Index::build(self.index, self.files.boot(), &mut snapshot) {
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
                match self.files.read(address)? {
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
        let files = self.files;
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
        self.files.remove(address)?;
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
        let (snapshot, errors) = Snapshot::sweep(self.files, keep)?;
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
            }) = self.files.read(address)?
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
        self.files.cursor(set)
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
            if sealed.and_then(|()| self.files.set_stamp(stamp)).is_ok() {
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
        let snapshot = Snapshot::take(self.files)?;
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
            self.view = View::Scanned(Snapshot::take(self.files)?);
            self.fresh = true;
        }
        Ok(())
    }
}
