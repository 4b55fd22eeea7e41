//! The few items of btrfs's trees that we read (linux/btrfs_tree.h).

use super::super::sys::btrfs::{Item, Key, search};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

const ROOT_TREE: u64 = 1;
const QUOTA_TREE: u64 = 8;

const INODE_ITEM: u32 = 1;
const ROOT_REF: u32 = 156;
const QGROUP_STATUS: u32 = 240;
const QGROUP_INFO: u32 = 242;
const QGROUP_LIMIT: u32 = 244;

/// A subvolume that lies inside of another one.
#[derive(Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its number.
    pub id: u64,
    /// The number of the subvolume it lies in.
    pub within: u64,
    /// The inode of the directory it lies in.
    pub directory: u64,
    /// Its name there.
    pub name: OsString,
}

/// The subvolumes right inside of the subvolume `within`.
pub fn nested(fd: BorrowedFd<'_>, within: u64) -> Result<Vec<Nested>, Errno> {
    let key = |offset| Key {
        objectid: within,
        kind: ROOT_REF,
        offset,
    };
    let mut nested = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        let items = search(fd, ROOT_TREE, key(from), key(u64::MAX))?;
        next = items.last().and_then(|last| last.key.offset.checked_add(1));
        for item in items {
            nested.push(root_ref(&item).ok_or(Errno::UCLEAN)?);
        }
    }
    Ok(nested)
}

/// `struct btrfs_root_ref`: the directory, a sequence number, the name's length, the name.
fn root_ref(item: &Item) -> Option<Nested> {
    let name = item.content.get(18..)?;
    Some(Nested {
        id: item.key.offset,
        within: item.key.objectid,
        directory: word(&item.content, 0)?,
        name: OsStr::from_bytes(name).to_owned(),
    })
}

/// The generation of an inode, which tells it from earlier ones of the same number.
pub fn generation(fd: BorrowedFd<'_>, tree: u64, inode: u64) -> Result<u32, Errno> {
    let key = Key {
        objectid: inode,
        kind: INODE_ITEM,
        offset: 0,
    };
    let items = search(fd, tree, key, key)?;
    let item = items.first().ok_or(Errno::NOENT)?;
    // Inodes in memory keep the lower half.
    let low = item.content.first_chunk().ok_or(Errno::UCLEAN)?;
    Ok(u32::from_le_bytes(*low))
}

/// BTRFS_QGROUP_STATUS_FLAG_*, or `None` when quotas are off.
pub fn quota_flags(fd: BorrowedFd<'_>) -> Result<Option<u64>, Errno> {
    let status = quota_item(fd, QGROUP_STATUS, 0)?;
    // Version and generation come before.
    Ok(status.and_then(|status| word(&status, 2)))
}

/// Bytes that a quota group refers to, and those that nobody else refers to.
pub fn counted(fd: BorrowedFd<'_>, qgroup: u64) -> Result<Option<(u64, u64)>, Errno> {
    let info = quota_item(fd, QGROUP_INFO, qgroup)?;
    // Behind the generation: referenced, the same compressed, exclusive.
    Ok(info.and_then(|info| Some((word(&info, 1)?, word(&info, 3)?))))
}

/// The limit of what a quota group may refer to, in bytes.
pub fn limit(fd: BorrowedFd<'_>, qgroup: u64) -> Result<Option<u64>, Errno> {
    const MAX_RFER: u64 = 1 << 0;
    let limit = quota_item(fd, QGROUP_LIMIT, qgroup)?;
    let limit = limit.and_then(|limit| Some((word(&limit, 0)?, word(&limit, 1)?)));
    Ok(limit.and_then(|(flags, referenced)| (flags & MAX_RFER != 0).then_some(referenced)))
}

/// An item of the quota tree, which is there while quotas are on.
fn quota_item(fd: BorrowedFd<'_>, kind: u32, offset: u64) -> Result<Option<Vec<u8>>, Errno> {
    let key = Key {
        objectid: 0,
        kind,
        offset,
    };
    match search(fd, QUOTA_TREE, key, key) {
        Ok(items) => Ok(items.into_iter().next().map(|item| item.content)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The n-th integer of 64 bits.
fn word(content: &[u8], n: usize) -> Option<u64> {
    content
        .as_chunks()
        .0
        .get(n)
        .map(|bytes| u64::from_le_bytes(*bytes))
}
