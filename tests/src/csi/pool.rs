//! A filesystem for volumes: real, of the kind that a test asks for, and gone with it.

use super::node::{Node, left_behind};
use super::scope::Scope;
use std::fs::File;
use std::os::fd::AsRawFd;
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
    /// ext4 that enforces project quotas; only on kernels that can, such as that of [`crate::vm`].
    Ext4Projects,
    /// XFS that enforces project quotas; only there, too.
    XfsProjects,
    /// A directory of the machine's own filesystem, whatever that is.
    Plain,
}

impl PoolKind {
    /// Every kind that has a filesystem of its own, on any kernel.
    pub const FILESYSTEMS: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    /// The kinds that enforce project quotas.
    pub const PROJECTS: [Self; 2] = [Self::Ext4Projects, Self::XfsProjects];

    /// As mount(8) calls it; None for a plain directory.
    pub const fn filesystem(self) -> Option<&'static str> {
        match self {
            Self::Ext4 | Self::Ext4Projects => Some("ext4"),
            Self::Xfs | Self::XfsProjects => Some("xfs"),
            Self::Btrfs => Some("btrfs"),
            Self::Plain => None,
        }
    }

    const fn mkfs(self) -> &'static str {
        match self {
            Self::Ext4 => "mkfs.ext4 -q -F -m 0 -E nodiscard",
            Self::Ext4Projects => "mkfs.ext4 -q -F -m 0 -E nodiscard -O quota,project",
            Self::Xfs | Self::XfsProjects => "mkfs.xfs -q -K -m reflink=1",
            Self::Btrfs => "mkfs.btrfs -q -K",
            Self::Plain => "true",
        }
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Ext4Projects | Self::XfsProjects => "prjquota",
            _ => "defaults",
        }
    }
}

/// A pool, mounted on a node. Its size is a limit, not a cost: the file behind it is sparse, and it is deleted as soon as it
/// is mounted, so nothing stays even of a test that is killed.
#[derive(Debug)]
pub struct PoolDisk {
    kind: PoolKind,
    scope: Scope,
    /// The file behind the filesystem, which has no name any more.
    file: Option<File>,
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
        let (file, plain) = match kind.filesystem() {
            None => {
                let dir = TempDir::new().expect("make a directory");
                node.sh(&format!("mount --bind {} {target}", dir.path().display()));
                (None, Some(dir))
            }
            Some(filesystem) => {
                let file = NamedTempFile::new().expect("make a file");
                file.as_file().set_len(size).expect("give a file its size");
                let image = file.path().display();
                node.sh(&format!("{} {image}", kind.mkfs()));
                let options = kind.options();
                node.sh(&format!(
                    "mount -t {filesystem} -o loop,{options} {image} {target}"
                ));
                (Some(file.into_file()), None)
            }
        };
        Self {
            kind,
            scope: node.beneath(path),
            file,
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

    /// Mounts it anew, as a reboot does, with these options instead of its kind's. Nobody may use it.
    pub fn remount(&self, options: &str) {
        let mount = self.scope.mounts().into_iter().next();
        let mount = mount.expect("the pool is mounted");
        let (device, kind) = (mount.source, mount.filesystem);
        let target = self.path().display();
        // Held open, because the device goes with its last user, and the file behind it is deleted.
        self.scope.place().sh(&format!(
            "exec 3<{device}; umount {target}; mount -t {kind} -o {options} {device} {target}"
        ));
    }

    /// What is on the pool's disk at this moment, to [`come back`](Self::come_back) with: what its filesystem still holds in
    /// memory is not in it. Nobody may be writing.
    pub fn on_disk(&self) -> NamedTempFile {
        let file = self.file.as_ref().expect("a pool with a disk of its own");
        let copy = NamedTempFile::new().expect("make a file");
        let from = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let (place, to) = (self.scope.place(), copy.path().display());
        place.sh(&format!("cp --sparse=always {from} {to}"));
        copy
    }

    /// Mounts what was on its disk once, as after a loss of power. Nobody may use the pool.
    pub fn come_back(&mut self, disk: NamedTempFile) {
        let filesystem = self.kind.filesystem().expect("a filesystem of its own");
        let (target, image) = (self.path().display(), disk.path().display());
        let options = self.kind.options();
        // A filesystem of the same name is mounted once at a time.
        self.scope.place().sh(&format!(
            "umount {target} && mount -t {filesystem} -o loop,{options} {image} {target}"
        ));
        self.file = Some(disk.into_file());
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
