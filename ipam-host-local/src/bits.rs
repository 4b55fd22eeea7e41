//! Which addresses are occupied, as bits: chunks of 32,768 neighbouring addresses, one bit each. Pure.
//!
//! A chunk fills one page (4 KiB), so that a full /16 is two pages to search and an IPv6 /64 costs only the chunks that
//! were ever used.

use crate::address::Address;

/// How many addresses a chunk describes, as a power of two.
const SHIFT: u32 = 15;
const WORDS: usize = 1 << (SHIFT - 6);
/// The size of a chunk as bytes.
pub const CHUNK_BYTES: usize = WORDS * 8;

/// Which chunk: the high bits of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(u128);

impl ChunkId {
    /// The chunk in which the address lies.
    pub const fn of(address: Address) -> Self {
        Self(address.number() >> SHIFT)
    }

    /// The number of this chunk.
    pub const fn number(self) -> u128 {
        self.0
    }

    /// The chunk's first address.
    pub const fn first(self) -> Address {
        Address::from_number(self.0 << SHIFT)
    }

    /// The chunk's last address.
    pub const fn last(self) -> Address {
        Address::from_number((self.0 << SHIFT) | MASK)
    }
}

const MASK: u128 = (1 << SHIFT) - 1;

/// Where the bit of an address is: the word in its chunk, and the bit in the word.
fn place(address: Address) -> (usize, u32) {
    let low = (address.number() & MASK) as u32;
    ((low >> 6) as usize, low & 63)
}

/// The bits of one chunk; set means occupied.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk([u64; WORDS]);

impl Chunk {
    /// A chunk with every address free.
    pub const fn empty() -> Self {
        Self([0; WORDS])
    }

    /// Sets or clears the bit of an address of this chunk.
    pub fn set(&mut self, address: Address, occupied: bool) {
        let (word, bit) = place(address);
        if let Some(word) = self.0.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(occupied) << bit;
        }
    }

    /// The first free address from `from` to `to`, both of them in chunk `id` and included.
    pub fn first_free(&self, id: ChunkId, from: Address, to: Address) -> Option<Address> {
        let (first_word, first_bit) = place(from);
        let words = self.0.iter().enumerate().skip(first_word);
        for (index, word) in words {
            // The bits before the start count as occupied.
            let before = if index == first_word {
                !(u64::MAX << first_bit)
            } else {
                0
            };
            let free = !(word | before);
            if free != 0 {
                let low = (index as u128) << 6 | u128::from(free.trailing_zeros());
                let address = Address::from_number(id.first().number() | low);
                return (address <= to).then_some(address);
            }
        }
        None
    }

    /// The chunk as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A chunk as it was stored; bytes that are missing are free addresses.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut chunk = Self::empty();
        let (words, _) = bytes.as_chunks::<8>();
        for (word, stored) in chunk.0.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*stored);
        }
        chunk
    }

    /// Where the bit of an address is in a stored chunk: the byte, and the bit in the byte.
    pub fn byte_of(address: Address) -> (u64, u8) {
        let (word, bit) = place(address);
        ((word * 8) as u64 + u64::from(bit >> 3), 1 << (bit & 7))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(number: u128) -> Address {
        Address::from_number(number)
    }

    proptest! {
        #[test]
        fn finds_what_a_naive_search_finds(
            taken in prop::collection::btree_set(0_u128..200, 0..200),
            from in 0_u128..200,
            length in 0_u128..200,
        ) {
            let base = 7 << SHIFT;
            let mut chunk = Chunk::empty();
            for low in &taken {
                chunk.set(at(base + low), true);
            }
            let to = from + length;
            let naive = (from..=to).find(|low| !taken.contains(low)).map(|low| at(base + low));
            let found = chunk.first_free(ChunkId(7), at(base + from), at(base + to));
            prop_assert_eq!(found, naive);
        }

        #[test]
        fn survives_storage_whole_and_byte_by_byte(low in prop::collection::vec((0_u128..1 << SHIFT, any::<bool>()), 0..80)) {
            let mut chunk = Chunk::empty();
            let mut stored = vec![0; CHUNK_BYTES];
            let mut model = BTreeSet::new();
            for (low, occupied) in low {
                chunk.set(at(low), occupied);
                let (offset, mask) = Chunk::byte_of(at(low));
                let byte = &mut stored[usize::try_from(offset).unwrap()];
                *byte = if occupied { *byte | mask } else { *byte & !mask };
                if occupied { model.insert(low); } else { model.remove(&low); }
            }
            prop_assert!(Chunk::from_bytes(&stored) == chunk);
            prop_assert_eq!(chunk.to_bytes(), stored);
            for low in model {
                prop_assert_ne!(chunk.first_free(ChunkId(0), at(low), at(low)), Some(at(low)));
            }
        }
    }

    #[test]
    fn a_full_chunk_has_nothing_free() {
        let chunk = Chunk([u64::MAX; WORDS]);
        assert_eq!(chunk.first_free(ChunkId(0), at(0), at(MASK)), None);
    }
}
