//! What one pass over the directory found, in memory: the source of a new index, and the stand-in where none can be kept.

use super::StoreError;
use super::boot::Age;
use super::entries::Entries;
use super::files::{Files, Reservation};
use super::holder::Holder;
use super::key::Key;
use super::table::Entry;
use crate::address::Address;
use crate::bits::{Chunk, ChunkId};
use std::collections::BTreeMap;

/// Everything that is held, as the verbs ask for it.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) chunks: BTreeMap<ChunkId, Chunk>,
    pub(super) entries: Entries,
    /// The addresses whose reservations are of an earlier boot.
    pub(super) earlier: Vec<Address>,
    /// Whether some holders are known by container id alone.
    pub(super) bare: bool,
}

impl Snapshot {
    /// Reads the whole directory, and tidies on the way: torn files go, unmarked reservations are marked.
    pub(super) fn take(files: &Files) -> Result<Self, StoreError> {
        Ok(Self::sweep(files, |_| true)?.0)
    }

    /// The same, and what is not to be kept goes too. What cannot be removed stays in the picture, and why in the list.
    pub(super) fn sweep(
        files: &Files,
        mut keep: impl FnMut(&Reservation) -> bool,
    ) -> Result<(Self, Vec<StoreError>), StoreError> {
        let mut snapshot = Self::default();
        let mut errors = Vec::new();
        files.scan(|address, reservation| {
            let Some(reservation) = reservation else {
                // Under the lock a torn file is nobody's, and it counts as free also where it has to stay.
                let _ = files.remove(address);
                return;
            };
            if !keep(&reservation) {
                match files.remove(address) {
                    Ok(()) => return,
                    Err(error) => errors.push(error),
                }
            }
            snapshot.note(files, address, &reservation);
        })?;
        Ok((snapshot, errors))
    }

    fn note(&mut self, files: &Files, address: Address, reservation: &Reservation) {
        self.set(address, true);
        let Some(holder) = &reservation.holder else {
            return;
        };
        self.entries.push(Entry::new(Key::of(holder), address));
        self.bare |= holder.ifname.is_empty();
        match reservation.age {
            Age::EarlierBoot => self.earlier.push(address),
            Age::ThisBoot if !reservation.marked => files.adopt(address),
            Age::ThisBoot | Age::OtherNode => {}
        }
    }

    fn set(&mut self, address: Address, occupied: bool) {
        let chunk = self.chunks.entry(ChunkId::of(address));
        chunk.or_insert_with(Chunk::empty).set(address, occupied);
    }

    pub(super) fn addresses_of(&self, holder: &Holder) -> Vec<Address> {
        let key = Key::of(holder);
        let its = self.entries.iter().filter(|entry| entry.key == key);
        its.map(|entry| entry.address()).collect()
    }

    pub(super) fn insert(&mut self, holder: &Holder, address: Address) {
        self.set(address, true);
        self.entries.push(Entry::new(Key::of(holder), address));
    }

    pub(super) fn remove(&mut self, holder: &Holder, address: Address) {
        self.set(address, false);
        self.entries.remove(Entry::new(Key::of(holder), address));
    }
}
