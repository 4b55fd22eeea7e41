//! Who has what, in memory: all of a store's entries at once, which is why those of IPv4 are kept short.

use super::key::Key;
use super::table::Entry;
use crate::address::Address;
use std::iter;
use std::iter::Peekable;
use std::net::{IpAddr, Ipv4Addr};

/// Any number of entries.
#[derive(Debug, Default)]
pub(super) struct Entries {
    v4: Vec<Short>,
    v6: Vec<Entry>,
}

/// An entry of IPv4, at half the size. As bytes, since a number of 64 bits would be padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    key: [u8; 8],
    address: Ipv4Addr,
}

impl Short {
    fn of(entry: Entry) -> Option<Self> {
        match entry.address().ip() {
            IpAddr::V4(address) => Some(Self {
                key: entry.key.to_bytes(),
                address,
            }),
            IpAddr::V6(_) => None,
        }
    }

    fn entry(&self) -> Option<Entry> {
        let address = Address::from(IpAddr::V4(self.address));
        Some(Entry::new(Key::from_bytes(self.key)?, address))
    }
}

impl Entries {
    /// Adds an entry.
    pub(super) fn push(&mut self, entry: Entry) {
        match Short::of(entry) {
            Some(short) => self.v4.push(short),
            None => self.v6.push(entry),
        }
    }

    /// Removes an entry, however often it is there.
    pub(super) fn remove(&mut self, gone: Entry) {
        match Short::of(gone) {
            Some(short) => self.v4.retain(|other| *other != short),
            None => self.v6.retain(|other| *other != gone),
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        let short = self.v4.iter().filter_map(Short::entry);
        short.chain(self.v6.iter().copied())
    }

    /// All of them, sorted by what their keys come to.
    pub(super) fn sorted_by(
        &mut self,
        place: impl Fn(Key) -> u64,
    ) -> Peekable<impl Iterator<Item = Entry>> {
        let of_short = |short: &Short| Key::from_bytes(short.key).map(&place);
        self.v4.sort_unstable_by_key(of_short);
        self.v6.sort_unstable_by_key(|entry| place(entry.key));
        let mut v4 = self.v4.iter().filter_map(Short::entry).peekable();
        let mut v6 = self.v6.iter().copied().peekable();
        let merged = iter::from_fn(move || match (v4.peek(), v6.peek()) {
            (Some(short), Some(long)) if place(long.key) < place(short.key) => v6.next(),
            (Some(_), _) => v4.next(),
            (None, _) => v6.next(),
        });
        merged.peekable()
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut all = Self::default();
        entries.into_iter().for_each(|entry| all.push(entry));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry((key, number): (u64, u128)) -> Entry {
        let key = Key::from_bytes(key.max(1).to_le_bytes()).unwrap();
        Entry::new(key, Address::from_number(number))
    }

    /// Half of them are of IPv4.
    fn addresses() -> impl Strategy<Value = u128> {
        prop_oneof![
            any::<u32>().prop_map(|v4| 0xffff_0000_0000 | u128::from(v4)),
            any::<u128>()
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_everything_sorted(
            all in prop::collection::vec((any::<u64>(), addresses()), 0..50),
        ) {
            let mut all: Vec<_> = all.into_iter().map(entry).collect();
            let mut entries: Entries = all.iter().copied().collect();
            prop_assert_eq!(entries.len(), all.len());
            let mut sorted: Vec<_> = entries.sorted_by(|key| key.0.get() % 16).collect();
            prop_assert!(sorted.is_sorted_by_key(|entry| entry.key.0.get() % 16));
            let mut found: Vec<_> = entries.iter().collect();
            for list in [&mut all, &mut found, &mut sorted] {
                list.sort_unstable();
            }
            prop_assert_eq!(&found, &all);
            prop_assert_eq!(&sorted, &all);
            if let Some(first) = all.first() {
                entries.remove(*first);
                prop_assert!(entries.iter().all(|entry| entry != *first));
            }
        }
    }
}
