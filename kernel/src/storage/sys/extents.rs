//! FS_IOC_FIEMAP (linux/fiemap.h).

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::os::fd::AsFd;

/// FIEMAP_FLAG_SYNC: what is only in memory is written out first, so that it has a place.
const SYNC: u32 = 1;
/// FIEMAP_EXTENT_LAST.
pub const LAST: u32 = 1;

/// How many extents are asked for at once.
const PAGE: usize = 256;

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Extent {
    pub logical: u64,
    pub physical: u64,
    pub length: u64,
    reserved64: [u64; 2],
    pub flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap` without its extents, which is what the number of the call is made of.
#[repr(C)]
struct Head {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
}

#[repr(C)]
struct Map {
    head: Head,
    extents: [Extent; PAGE],
}

const _: () = assert!(size_of::<Extent>() == 56 && size_of::<Head>() == 32);
const _: () = assert!(size_of::<Map>() == 32 + 56 * PAGE);

const FIEMAP: Opcode = opcode::read_write::<Head>(b'f', 11);

/// Extents from that byte of a file on, in order, as many as are told at once; none when there are no more.
pub fn page(file: impl AsFd, start: u64) -> Result<Vec<Extent>, Errno> {
    let none = Extent {
        logical: 0,
        physical: 0,
        length: 0,
        reserved64: [0; 2],
        flags: 0,
        reserved: [0; 3],
    };
    let mut map = Map {
        head: Head {
            start,
            length: u64::MAX - start,
            flags: SYNC,
            mapped: 0,
            count: u32::try_from(PAGE).unwrap_or_default(),
            reserved: 0,
        },
        extents: [none; PAGE],
    };
    // SAFETY: FIEMAP reads and writes a `fiemap`, followed by as many extents as `count` says; all are initialised and
    // outlive the call.
    unsafe { ioctl(file, Updater::<FIEMAP, Map>::new(&mut map)) }?;
    let mapped = usize::try_from(map.head.mapped).unwrap_or_default();
    Ok(map.extents.iter().take(mapped).copied().collect())
}
