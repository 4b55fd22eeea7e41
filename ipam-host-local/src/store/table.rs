//! Which addresses a holder has: an open-addressed hash table in a file.
//!
//! A lookup reads one stretch of the file whatever the table's size. Slots are 24 bytes, a key and an address; probing is
//! linear, the table at most half full, and a removal shifts the entries behind it back, so no tombstones pile up. The
//! file begins with a header that is not this module's.

use super::entries::Entries;
use super::key::Key;
use crate::address::Address;
use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::os::unix::fs::FileExt;

const SLOT: usize = size_of::<Entry>();
/// How many slots are read at once: a run is rarely longer, as the table is at most half full.
const STRETCH: usize = 32;
const SMALLEST: u64 = 1024;
/// How many slots of a whole table are read or written at once; no table has fewer.
const PART: u64 = SMALLEST;

/// One holder's one address. As bytes, since a number of 128 bits would be padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: Key,
    address: [u8; 16],
}

impl Entry {
    pub(super) const fn new(key: Key, address: Address) -> Self {
        Self {
            key,
            address: address.number().to_le_bytes(),
        }
    }

    pub(super) const fn address(&self) -> Address {
        Address::from_number(u128::from_le_bytes(self.address))
    }
}

/// The table, in its file.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    /// Where the slots begin.
    start: u64,
    /// How many slots there are; a power of two.
    slots: u64,
    /// How many of them are used.
    used: u64,
}

impl Table {
    /// The table that was found in a file. Errors from it mean that the index is not to be trusted.
    pub(super) const fn found(file: File, start: u64, slots: u64, used: u64) -> Self {
        Self {
            file,
            start,
            slots,
            used,
        }
    }

    /// Writes a table with room to grow, and sorts the entries. A table of a full /16 is never in memory: a plugin is to stay
    /// small also when it finds a large store.
    pub(super) fn write(file: File, start: u64, entries: &mut Entries) -> io::Result<Self> {
        let slots = (entries.len() as u64 * 2).next_power_of_two().max(SMALLEST);
        // What is not written is zeros, an empty slot.
        file.set_len(start)?;
        file.set_len(start + slots * SLOT as u64)?;
        let mut sorted = entries.sorted_by(|key| home(key, slots));
        let mut table = Self::found(file, start, slots, 0);
        table.used = table.lay(&mut sorted)?;
        // Those that ran over the end live at the beginning.
        for entry in sorted {
            table.insert(entry)?;
        }
        Ok(table)
    }

    /// Writes entries into an empty table, in the order of their homes, as far as there are slots behind them. Returns how
    /// many.
    fn lay(&self, sorted: &mut Peekable<impl Iterator<Item = Entry>>) -> io::Result<u64> {
        let mut part = vec![0; usize::try_from(PART).map_err(io::Error::other)? * SLOT];
        let (mut first, mut next, mut laid) = (0, 0, 0);
        while let Some(entry) = sorted.next_if(|_| next < self.slots) {
            let slot = home(entry.key, self.slots).max(next);
            if slot >= first + PART {
                self.file.write_all_at(&part, self.offset(first))?;
                part.fill(0);
                first = slot - slot % PART;
            }
            put(&mut part, slot - first, Some(entry));
            next = slot + 1;
            laid += 1;
        }
        self.file.write_all_at(&part, self.offset(first))?;
        Ok(laid)
    }

    /// The file, for the header.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// How many slots there are, and how many are used.
    pub(super) const fn size(&self) -> (u64, u64) {
        (self.slots, self.used)
    }

    /// The addresses of a holder.
    pub(super) fn addresses_of(&self, key: Key) -> io::Result<Vec<Address>> {
        let run = self.run(home(key, self.slots))?;
        let its = run.iter().filter(|entry| entry.key == key);
        Ok(its.map(Entry::address).collect())
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, entry: Entry) -> io::Result<()> {
        if (self.used + 1) * 2 > self.slots {
            self.grow()?;
        }
        let home = home(entry.key, self.slots);
        let free = home + self.run(home)?.len() as u64;
        self.put(free, Some(entry))?;
        self.used += 1;
        Ok(())
    }

    /// Removes an entry; one that is not there is removed.
    pub(super) fn remove(&mut self, entry: Entry) -> io::Result<()> {
        let from = home(entry.key, self.slots);
        let run = self.run(from)?;
        let Some(found) = run.iter().position(|other| *other == entry) else {
            return Ok(());
        };
        // Each entry behind the hole that may live in the hole moves there, and leaves a hole.
        let mut hole = found;
        for (index, moved) in run.iter().enumerate().skip(found + 1) {
            let position = from + index as u64;
            let displaced = position.wrapping_sub(home(moved.key, self.slots)) % self.slots;
            if displaced >= (index - hole) as u64 {
                self.put(from + hole as u64, Some(*moved))?;
                hole = index;
            }
        }
        self.put(from + hole as u64, None)?;
        self.used = self.used.saturating_sub(1);
        Ok(())
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut entries = Entries::default();
        let mut part = vec![0; usize::try_from(PART).map_err(io::Error::other)? * SLOT];
        for first in (0..self.slots / PART).map(|number| number * PART) {
            self.file.read_exact_at(&mut part, self.offset(first))?;
            let found = (0..PART).filter_map(|slot| get(&part, slot));
            found.for_each(|entry| entries.push(entry));
        }
        *self = Self::write(self.file.try_clone()?, self.start, &mut entries)?;
        Ok(())
    }

    /// The entries from a slot to the next empty one.
    fn run(&self, from: u64) -> io::Result<Vec<Entry>> {
        let mut run = Vec::new();
        let mut bytes = [0; SLOT * STRETCH];
        while (run.len() as u64) < self.slots {
            let position = (from + run.len() as u64) % self.slots;
            let count = (STRETCH as u64).min(self.slots - position);
            let part = usize::try_from(count).map_err(io::Error::other)? * SLOT;
            let part = bytes.get_mut(..part).unwrap_or_default();
            self.file.read_exact_at(part, self.offset(position))?;
            for slot in 0..count {
                match get(part, slot) {
                    Some(entry) => run.push(entry),
                    None => return Ok(run),
                }
            }
        }
        Err(io::Error::other("the table has no empty slot"))
    }

    fn put(&self, slot: u64, entry: Option<Entry>) -> io::Result<()> {
        let mut bytes = [0; SLOT];
        put(&mut bytes, 0, entry);
        self.file
            .write_all_at(&bytes, self.offset(slot % self.slots))
    }

    const fn offset(&self, slot: u64) -> u64 {
        self.start + slot * SLOT as u64
    }
}

/// The slot where the search for a key begins.
const fn home(key: Key, slots: u64) -> u64 {
    key.0.get() % slots
}

fn slot_bytes(slot: u64) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(slot).ok()?.checked_mul(SLOT)?;
    Some(start..start.checked_add(SLOT)?)
}

/// The entry of a slot; an empty one is zeros.
fn get(bytes: &[u8], slot: u64) -> Option<Entry> {
    let bytes = bytes.get(slot_bytes(slot)?)?;
    let key = Key::from_bytes(*bytes.first_chunk()?)?;
    let address = *bytes.last_chunk()?;
    Some(Entry { key, address })
}

fn put(bytes: &mut [u8], slot: u64, entry: Option<Entry>) {
    let Some(bytes) = slot_bytes(slot).and_then(|range| bytes.get_mut(range)) else {
        return;
    };
    let (key, address) = entry.map_or(([0; 8], [0; 16]), |entry| {
        (entry.key.to_bytes(), entry.address)
    });
    let (left, right) = bytes.split_at_mut(size_of::<Key>());
    left.copy_from_slice(&key);
    right.copy_from_slice(&address);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::num::NonZeroU64;

    const START: u64 = 64;

    fn entry(home: u16, address: u8) -> Entry {
        let key = NonZeroU64::new(home.into()).unwrap();
        Entry::new(Key(key), Address::from_number(address.into()))
    }

    fn found(table: &Table, key: Key) -> BTreeSet<Address> {
        table.addresses_of(key).unwrap().into_iter().collect()
    }

    #[derive(Debug, Clone)]
    enum Op {
        Insert(u16, u8),
        Remove(u16, u8),
    }

    /// Homes crowd around the end of the table, so that runs are long and wrap round.
    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = (any::<bool>(), 1010_u16..1030, 0_u8..4).prop_map(|(insert, home, address)| {
            if insert {
                Op::Insert(home, address)
            } else {
                Op::Remove(home, address)
            }
        });
        prop::collection::vec(op, 1..200)
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(ops in ops()) {
            let mut table = Table::write(tempfile::tempfile().unwrap(), START, &mut Entries::default()).unwrap();
            let mut model = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Insert(home, address) => {
                        let entry = entry(home, address);
                        if model.insert(entry) {
                            table.insert(entry).unwrap();
                        }
                    }
                    Op::Remove(home, address) => {
                        let entry = entry(home, address);
                        model.remove(&entry);
                        table.remove(entry).unwrap();
                    }
                }
            }
            for home in 1010..1030 {
                let key = entry(home, 0).key;
                let expected = model.iter().filter(|entry| entry.key == key).map(Entry::address).collect();
                prop_assert_eq!(found(&table, key), expected);
            }
            prop_assert_eq!(table.size().1, model.len() as u64);
        }
    }

    proptest! {
        #[test]
        fn a_table_is_written_with_all_its_entries(
            homes in prop::collection::btree_set((990_u16..1040, 0_u8..20), 0..400),
        ) {
            let entries: Vec<_> = homes.iter().map(|(home, address)| entry(*home, *address)).collect();
            let file = tempfile::tempfile().unwrap();
            // What was there before is gone.
            file.write_all_at(&[0xff; 5000], START).unwrap();
            let table = Table::write(file, START, &mut entries.iter().copied().collect()).unwrap();
            prop_assert_eq!(table.size(), (1024, entries.len() as u64));
            for home in 990..1040 {
                let key = entry(home, 0).key;
                let expected = entries.iter().filter(|entry| entry.key == key).map(Entry::address).collect();
                prop_assert_eq!(found(&table, key), expected);
            }
        }
    }

    #[test]
    fn a_table_grows_and_keeps_everything() {
        let mut table = Table::write(
            tempfile::tempfile().unwrap(),
            START,
            &mut Entries::default(),
        )
        .unwrap();
        for home in 1..=5000 {
            table.insert(entry(home, 1)).unwrap();
        }
        assert!(table.size().0 >= 10_000);
        for home in 1..=5000 {
            assert_eq!(found(&table, entry(home, 0).key).len(), 1);
        }
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_no_panic() {
        let table = Table::write(
            tempfile::tempfile().unwrap(),
            START,
            &mut Entries::default(),
        )
        .unwrap();
        table.file().set_len(100).unwrap();
        assert!(table.addresses_of(entry(900, 0).key).is_err());
    }
}
