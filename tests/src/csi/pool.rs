//! A filesystem for volumes: real, of the kind that a test asks for, and gone with it.

use super::node::{Node, left_behind};
use super::scope::Scope;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// What a pool lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolKind {
    /// ext4: no reflinks.
    Ext4,
    /// XFS with reflinks.
    Xfs,
    /// btrfs: reflinks, subvolumes, quota groups.
    Btrfs,
    /// A directory of the machine's own filesystem, whatever that is.
    Plain,
}

impl PoolKind {
    /// Every kind that has a filesystem of its own.
    pub const FILESYSTEMS: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    /// As mount(8) calls it; None for a plain directory.
    pub const fn filesystem(self) -> Option<&'static str> {
        match self {
            Self::Ext4 => Some("ext4"),
            Self::Xfs => Some("xfs"),
            Self::Btrfs => Some("btrfs"),
            Self::Plain => None,
        }
    }

    const fn mkfs(self) -> &'static str {
        match self {
            Self::Ext4 => "mkfs.ext4 -q -F -m 0 -E nodiscard",
            Self::Xfs => "mkfs.xfs -q -K -m reflink=1",
            Self::Btrfs => "mkfs.btrfs -q -K",
            Self::Plain => "true",
        }
    }
}

/// A pool, mounted on a node. Its size is a limit, not a cost: the file behind it is sparse, and it is deleted as soon as it
/// is mounted, so nothing stays even of a test that is killed.
#[derive(Debug)]
pub struct PoolDisk {
    kind: PoolKind,
    scope: Scope,
    /// The directory behind a plain one.
    _plain: Option<TempDir>,
}

impl PoolDisk {
    /// Makes the pool `pool` of a node, `size` bytes large (XFS asks for 300 MiB at least).
    pub fn new(node: &Node, kind: PoolKind, size: u64) -> Self {
        Self::named(node, "pool", kind, size)
    }

    /// Makes a pool with another name.
    pub fn named(node: &Node, name: &str, kind: PoolKind, size: u64) -> Self {
        let path = node.root().join(name);
        let target = path.display();
        node.sh(&format!("mkdir {target}"));
        let plain = match kind.filesystem() {
            None => {
                let dir = TempDir::new().expect("make a directory");
                node.sh(&format!("mount --bind {} {target}", dir.path().display()));
                Some(dir)
            }
            Some(filesystem) => {
                let file = NamedTempFile::new().expect("make a file");
                file.as_file().set_len(size).expect("give a file its size");
                let image = file.path().display();
                node.sh(&format!("{} {image}", kind.mkfs()));
                node.sh(&format!("mount -t {filesystem} -o loop {image} {target}"));
                None
            }
        };
        Self {
            kind,
            scope: node.beneath(path),
            _plain: plain,
        }
    }

    /// Where it is mounted: what a driver takes as its state directory.
    pub fn path(&self) -> &Path {
        self.scope.dir()
    }

    /// What it lies on.
    pub const fn kind(&self) -> PoolKind {
        self.kind
    }

    /// Every path in the pool, relative to it, sorted. What is mounted beneath is not entered.
    pub fn files(&self) -> Vec<PathBuf> {
        self.scope.files()
    }

    /// What the pool takes on its disk, in bytes, when everything is written.
    pub fn used(&self) -> u64 {
        let dir = self.path().display();
        let place = self.scope.place();
        let blocks = place.sh(&format!("sync -f {dir} && stat -f -c '%b %f %S' {dir}"));
        let numbers: Vec<u64> = blocks.split(' ').filter_map(|n| n.parse().ok()).collect();
        (numbers[0] - numbers[1]) * numbers[2]
    }
}

impl Drop for PoolDisk {
    fn drop(&mut self) {
        left_behind(&self.scope.release());
    }
}
