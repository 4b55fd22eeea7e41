//! Where the bytes of a file lie, and by that which of them hold data and which two files do not share.
//!
//! Ranges are offset and length in bytes, ascending, apart and never empty.

mod compare;
mod ranges;

use super::Error;
use super::sys::extents as sys;
use std::os::fd::AsFd;

pub use compare::changed_content;
pub use ranges::{aligned, allocated, changed};

/// FIEMAP_EXTENT_UNKNOWN, _DELALLOC, _ENCODED, _DATA_ENCRYPTED, _NOT_ALIGNED, _DATA_INLINE and _DATA_TAIL: the bytes are
/// not simply those at the place that is told, or there is none.
const INDIRECT: u32 = UNPLACED | 0x8 | 0x80;
/// Those of them with which the place means nothing at all.
const UNPLACED: u32 = 0x2 | 0x4 | 0x100 | 0x200 | 0x400;
const UNWRITTEN: u32 = 0x800;
const SHARED: u32 = 0x2000;

/// A part of a file that lies in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the file, in bytes.
    pub logical: u64,
    /// Offset in the filesystem's space, in bytes.
    pub physical: u64,
    /// In bytes.
    pub length: u64,
    /// FIEMAP_EXTENT_* of linux/fiemap.h.
    pub flags: u32,
}

impl Extent {
    /// Whether it is set aside and was never written: it reads as a hole.
    pub const fn is_unwritten(&self) -> bool {
        self.flags & UNWRITTEN != 0
    }

    /// Whether another file, or another part of this one, has the same piece.
    pub const fn is_shared(&self) -> bool {
        self.flags & SHARED != 0
    }

    /// Whether each byte is at its place: neither compressed, nor encrypted, nor among metadata.
    const fn is_direct(&self) -> bool {
        self.flags & INDIRECT == 0
    }

    /// Whether the place tells one extent from another, at least.
    const fn is_placed(&self) -> bool {
        self.flags & UNPLACED == 0
    }

    /// The end in the file.
    const fn end(&self) -> u64 {
        self.logical.saturating_add(self.length)
    }
}

/// The extents of a file in ascending order, after what was only in memory is written out. A filesystem that does not
/// tell is an error, EOPNOTSUPP.
pub fn of(file: impl AsFd) -> Result<Vec<Extent>, Error> {
    let mut extents: Vec<Extent> = Vec::new();
    loop {
        let from = extents.last().map_or(0, Extent::end);
        let page = sys::page(&file, from)
            .map_err(|errno| Error::new(format!("map a file's extents from byte {from}"), errno))?;
        extents.extend(page.iter().map(|extent| Extent {
            logical: extent.logical,
            physical: extent.physical,
            length: extent.length,
            flags: extent.flags & !sys::LAST,
        }));
        match page.last() {
            Some(last) if last.flags & sys::LAST == 0 && last.length > 0 => {}
            _ => return Ok(extents),
        }
    }
}

#[cfg(test)]
#[path = "tests/extents.rs"]
mod tests;
