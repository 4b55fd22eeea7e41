//! Fixed-size names for things of any length.

use super::holder::Holder;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::num::NonZeroU64;

/// A holder as the index knows it: the start of a digest, never zero. It is short because all keys of a large store are in
/// memory at once; two holders that share one are told apart by the files of their reservations, which are always read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) NonZeroU64);

impl Key {
    pub(super) fn of(holder: &Holder) -> Self {
        let digest = Sha256::new()
            .chain_update(&holder.container_id)
            .chain_update([0])
            .chain_update(&holder.ifname)
            .finalize();
        let start = digest.first_chunk().copied().unwrap_or_default();
        Self::from_bytes(start).unwrap_or(Self(NonZeroU64::MIN))
    }

    /// The key with these bytes; zeros are none.
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        NonZeroU64::new(u64::from_le_bytes(bytes)).map(Self)
    }

    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_le_bytes()
    }
}

/// 128 bits of a 256-bit digest.
pub(super) fn first_half(digest: &[u8]) -> [u8; 16] {
    digest.first_chunk().copied().unwrap_or_default()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_id_and_ifname_counts() {
        let key = |id, ifname| Key::of(&Holder::new(id, ifname));
        assert_eq!(key("ab", "c"), key("ab", "c"));
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("ab", ""), key("a", "b"));
    }

    #[test]
    fn hexadecimal_keeps_leading_zeros() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
