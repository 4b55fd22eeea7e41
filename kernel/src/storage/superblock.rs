//! Which filesystem an image holds, read from its first bytes. Nothing in them is trusted: a user may have written them.

use super::Error;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How many bytes at the start of an image tell its filesystem.
pub const PROBED: usize = 128 << 10;

/// A filesystem's description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// It says of itself that it is damaged.
    pub errors: bool,
    /// It was not unmounted and its journal is to be replayed. XFS does not tell this here: false.
    pub needs_recovery: bool,
}

/// The filesystems that images hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext4, or one of its forerunners.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

/// Looks at the first bytes of an image, [`PROBED`] of them or all there are.
///
/// Of traces of several, the one that was made last counts: XFS overwrites the others' marks, and btrfs's lies so far
/// behind that the other two may leave it.
pub fn probe(start: &[u8]) -> Option<Found> {
    xfs(start).or_else(|| ext4(start)).or_else(|| btrfs(start))
}

/// Looks at the start of an image. `at` is for messages.
pub fn probe_file(image: &File, at: &Path) -> Result<Option<Found>, Error> {
    let mut start = vec![0; PROBED];
    let mut length = 0;
    while let Some(rest) = start.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match image.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                return Err(Error::new(format!("read {}", at.display()), errno));
            }
        }
    }
    Ok(probe(start.get(..length).unwrap_or_default()))
}

/// `struct ext4_super_block`, little endian.
fn ext4(start: &[u8]) -> Option<Found> {
    const MAGIC: u16 = 0xEF53;
    const STATE_ERRORS: u16 = 2;
    const INCOMPAT_RECOVER: u32 = 0x4;
    const INCOMPAT_64BIT: u32 = 0x80;
    const LARGEST_BLOCK: u32 = 64 << 10;
    let block = Bytes(start.get(1024..2048)?);
    if block.le16(0x38)? != MAGIC {
        return None;
    }
    let incompatible = block.le32(0x60)?;
    let high = match incompatible & INCOMPAT_64BIT {
        0 => 0,
        _ => block.le32(0x150)?,
    };
    let blocks = u64::from(high) << 32 | u64::from(block.le32(0x4)?);
    let block_size = 1024_u32.checked_shl(block.le32(0x18)?)?;
    if !(1024..=LARGEST_BLOCK).contains(&block_size) {
        return None;
    }
    Some(Found {
        kind: Kind::Ext4,
        size: blocks.checked_mul(u64::from(block_size))?,
        uuid: block.array(0x68)?,
        errors: block.le16(0x3A)? & STATE_ERRORS != 0,
        needs_recovery: incompatible & INCOMPAT_RECOVER != 0,
    })
}

/// `struct xfs_dsb`, big endian.
fn xfs(start: &[u8]) -> Option<Found> {
    const INCOMPAT_NEEDS_REPAIR: u32 = 0x10;
    let block = Bytes(start.get(..512)?);
    if &block.array(0)? != b"XFSB" {
        return None;
    }
    let version = block.be16(100)? & 0xF;
    let incompatible = match version {
        5 => block.be32(216)?,
        _ => 0,
    };
    Some(Found {
        kind: Kind::Xfs,
        size: block.be64(8)?.checked_mul(u64::from(block.be32(4)?))?,
        uuid: block.array(32)?,
        errors: incompatible & INCOMPAT_NEEDS_REPAIR != 0,
        needs_recovery: false,
    })
}

/// `struct btrfs_super_block`, little endian.
fn btrfs(start: &[u8]) -> Option<Found> {
    const AT: usize = 64 << 10;
    const FLAG_ERROR: u64 = 4;
    let block = Bytes(start.get(AT..AT + 4096)?);
    if &block.array(0x40)? != b"_BHRfS_M" {
        return None;
    }
    Some(Found {
        kind: Kind::Btrfs,
        size: block.le64(0x70)?,
        uuid: block.array(0x20)?,
        errors: block.le64(0x38)? & FLAG_ERROR != 0,
        // The root of the log tree.
        needs_recovery: block.le64(0x60)? != 0,
    })
}

/// A structure on a disk; offsets in bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn le16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn le32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn le64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    fn be16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn be32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn be64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }
}

#[cfg(test)]
#[path = "tests/superblock.rs"]
mod tests;
