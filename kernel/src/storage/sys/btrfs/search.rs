//! Searching the trees that a btrfs filesystem is made of.

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::os::fd::BorrowedFd;

const TREE_SEARCH_V2: Opcode = opcode::read_write::<Search>(super::MAGIC, 17);
/// What one search can return, in bytes.
const FOUND: usize = 16 << 10;
/// `struct btrfs_ioctl_search_header`.
const HEADER: usize = 32;

/// `struct btrfs_ioctl_search_args_v2` without what follows it.
#[repr(C)]
struct Search {
    tree: u64,
    objectids: [u64; 2],
    offsets: [u64; 2],
    transactions: [u64; 2],
    kinds: [u32; 2],
    items: u32,
    unused: u32,
    reserved: [u64; 4],
    length: u64,
}

/// The same with it.
#[repr(C)]
struct SearchAndFound {
    search: Search,
    found: [u8; FOUND],
}

const _: () = assert!(size_of::<Search>() == 112);

/// Where an item is in a tree. Trees are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub objectid: u64,
    pub kind: u32,
    pub offset: u64,
}

/// What lies in a tree, in the byte order of disks: the lowest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    pub key: Key,
    pub content: Vec<u8>,
}

/// The first items of a tree between two keys, both included: some, when there are any. ENOENT when there is no such tree.
pub fn search(fd: BorrowedFd<'_>, tree: u64, from: Key, to: Key) -> Result<Vec<Item>, Errno> {
    let search = Search {
        tree,
        objectids: [from.objectid, to.objectid],
        offsets: [from.offset, to.offset],
        transactions: [0, u64::MAX],
        kinds: [from.kind, to.kind],
        items: u32::MAX,
        unused: 0,
        reserved: [0; 4],
        length: FOUND as u64,
    };
    let mut both = SearchAndFound {
        search,
        found: [0; FOUND],
    };
    // SAFETY: the opcode reads a `btrfs_ioctl_search_args_v2` and writes at most `length` bytes behind it; both are in the
    // value passed.
    unsafe {
        ioctl(
            fd,
            Updater::<TREE_SEARCH_V2, SearchAndFound>::new(&mut both),
        )
    }?;
    Ok(items(&both.found, both.search.items))
}

/// Headers, each followed by an item's content, without padding.
fn items(mut found: &[u8], number: u32) -> Vec<Item> {
    let mut items = Vec::new();
    for _ in 0..number {
        let Some((header, rest)) = found.split_first_chunk::<HEADER>() else {
            break;
        };
        let (words, [kind, length]) = words(header);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((content, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let key = Key {
            objectid: words[1],
            kind,
            offset: words[2],
        };
        items.push(Item {
            key,
            content: content.to_vec(),
        });
        found = rest;
    }
    items
}

/// Transaction, objectid and offset; kind and length.
fn words(header: &[u8; HEADER]) -> ([u64; 3], [u32; 2]) {
    let mut long = [0; 3];
    for (word, bytes) in long.iter_mut().zip(header.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let mut short = [0; 2];
    for (word, bytes) in short.iter_mut().zip(header[24..].as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    (long, short)
}
