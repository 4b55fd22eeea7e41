//! What the store keeps of each object. Fields are only ever added, under new numbers, so that a newer driver reads an
//! older one's store.

use std::collections::BTreeMap;

use crate::access::{Filesystem, Mode};

/// How a volume's bytes are kept and its size is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// A directory, or a subvolume on btrfs, whose size a quota enforces.
    Directory = 1,
    /// A file behind a loop device.
    Image = 2,
    /// A directory whose size nobody enforces; only where the class asks for it by name.
    UnenforcedDirectory = 3,
}

impl Kind {
    /// Its name in a StorageClass.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Image => "image",
            Self::UnenforcedDirectory => "unenforced-directory",
        }
    }

    /// Whether the bytes lie in a directory of the pool's own filesystem.
    pub const fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::UnenforcedDirectory)
    }
}

/// A volume.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Volume {
    /// Its id, also the name of its folder in the pool.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The caller's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The pool that holds it.
    #[prost(string, tag = "3")]
    pub pool: String,
    /// A [`Kind`].
    #[prost(enumeration = "Kind", tag = "4")]
    pub kind: i32,
    /// Whether pods get a raw device.
    #[prost(bool, tag = "5")]
    pub block: bool,
    /// The [`Filesystem`] inside an image that pods mount; absent otherwise.
    #[prost(enumeration = "Filesystem", optional, tag = "6")]
    pub filesystem: Option<i32>,
    /// The size that was promised, in bytes; what callers are told.
    #[prost(uint64, tag = "7")]
    pub size: u64,
    /// The size that the image file, or the quota, has by now, in bytes. Less than `size` while growth is due.
    #[prost(uint64, tag = "8")]
    pub backing: u64,
    /// The size to which the filesystem inside the image has been grown, in bytes. Less than `backing` while growth is
    /// due. Equal to `backing` where there is no filesystem.
    #[prost(uint64, tag = "9")]
    pub filled: u64,
    /// Whether its space is reserved (`provisioning: thick`).
    #[prost(bool, tag = "10")]
    pub thick: bool,
    /// The snapshot it was made from.
    #[prost(string, optional, tag = "11")]
    pub from_snapshot: Option<String>,
    /// The volume it was made from.
    #[prost(string, optional, tag = "12")]
    pub from_volume: Option<String>,
    /// The StorageClass parameters (or inline attributes) as they came.
    #[prost(btree_map = "string, string", tag = "13")]
    pub parameters: BTreeMap<String, String>,
    /// The mutable parameters in force.
    #[prost(btree_map = "string, string", tag = "14")]
    pub mutable: BTreeMap<String, String>,
    /// When it was made, in nanoseconds since 1970.
    #[prost(int64, tag = "15")]
    pub created: i64,
    /// Whether it is an inline volume that ends with its pod.
    #[prost(bool, tag = "16")]
    pub ephemeral: bool,
    /// The project id that its quota counts under, on ext4 and XFS.
    #[prost(uint32, optional, tag = "17")]
    pub project: Option<u32>,
    /// Nodes it is attached to (`ControllerPublishVolume`).
    #[prost(message, repeated, tag = "18")]
    pub attached: Vec<Attached>,
    /// Where it is staged. Written before the mount is made: the mount table decides. This and what follows ends with the
    /// machine, and is in the record itself only where it could not be written elsewhere (`store`).
    #[prost(message, optional, tag = "19")]
    pub staged: Option<Staged>,
    /// Where it is published. Written before the mount is made: the mount table decides.
    #[prost(message, repeated, tag = "20")]
    pub published: Vec<Published>,
    /// Set while a filesystem is frozen for a cut, so that a restarted driver thaws it.
    #[prost(bool, tag = "21")]
    pub frozen: bool,
}

impl Volume {
    /// Whether every enumerated number in it stands for something. Read one by one, those that do not look like the
    /// first of their enumeration: some future kind like a directory. The store hands out no such record.
    pub fn is_understood(&self) -> bool {
        let modes = self.attached.iter().map(|attached| attached.mode);
        let modes = modes.chain(self.staged.iter().map(|staged| staged.mode));
        let mut modes = modes.chain(self.published.iter().map(|published| published.mode));
        Kind::is_valid(self.kind)
            && self.filesystem.is_none_or(Filesystem::is_valid)
            && modes.all(Mode::is_valid)
    }
}

/// One node that a volume is attached to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Attached {
    /// The node's id.
    #[prost(string, tag = "1")]
    pub node: String,
    /// Whether the attachment is read-only.
    #[prost(bool, tag = "2")]
    pub readonly: bool,
    /// The access mode.
    #[prost(enumeration = "Mode", tag = "3")]
    pub mode: i32,
}

/// Where and how a volume is staged.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Staged {
    /// The staging path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// The mount flags.
    #[prost(string, repeated, tag = "2")]
    pub flags: Vec<String>,
    /// The access mode.
    #[prost(enumeration = "Mode", tag = "3")]
    pub mode: i32,
}

/// Where and how a volume is published.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Published {
    /// The target path.
    #[prost(string, tag = "1")]
    pub target: String,
    /// Whether it must not be written.
    #[prost(bool, tag = "2")]
    pub readonly: bool,
    /// The mount flags.
    #[prost(string, repeated, tag = "3")]
    pub flags: Vec<String>,
    /// The access mode.
    #[prost(enumeration = "Mode", tag = "4")]
    pub mode: i32,
    /// The volume mount group.
    #[prost(uint32, optional, tag = "5")]
    pub group: Option<u32>,
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Progress {
    /// Cut; its bytes are still being copied.
    Copying = 1,
    /// Ready to use.
    Ready = 2,
    /// Copying failed; `Snapshot::failure` says why.
    Failed = 3,
}

/// A snapshot.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Snapshot {
    /// Its id, also the name of its folder in the pool.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The caller's name; empty for a member of a group.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The volume it was taken of, which may be gone.
    #[prost(string, tag = "3")]
    pub source: String,
    /// The pool that holds it.
    #[prost(string, tag = "4")]
    pub pool: String,
    /// A [`Kind`], that of the volume.
    #[prost(enumeration = "Kind", tag = "5")]
    pub kind: i32,
    /// Whether the volume was a raw device.
    #[prost(bool, tag = "6")]
    pub block: bool,
    /// The [`Filesystem`] inside the image; absent otherwise.
    #[prost(enumeration = "Filesystem", optional, tag = "7")]
    pub filesystem: Option<i32>,
    /// The least size of a volume restored from it, in bytes.
    #[prost(uint64, tag = "8")]
    pub size: u64,
    /// The size of the filesystem inside the image, in bytes.
    #[prost(uint64, tag = "9")]
    pub filled: u64,
    /// The moment of the cut, in nanoseconds since 1970.
    #[prost(int64, tag = "10")]
    pub created: i64,
    /// The group it belongs to.
    #[prost(string, optional, tag = "11")]
    pub group: Option<String>,
    /// A [`Progress`].
    #[prost(enumeration = "Progress", tag = "12")]
    pub progress: i32,
    /// Why copying failed.
    #[prost(string, tag = "13")]
    pub failure: String,
    /// Whether it failed for want of room.
    #[prost(bool, tag = "14")]
    pub full: bool,
}

impl Snapshot {
    /// As [`Volume::is_understood`].
    pub fn is_understood(&self) -> bool {
        Kind::is_valid(self.kind)
            && self.filesystem.is_none_or(Filesystem::is_valid)
            && Progress::is_valid(self.progress)
    }
}

/// A group of snapshots taken at one moment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Group {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The caller's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The volumes, in the caller's order.
    #[prost(string, repeated, tag = "3")]
    pub sources: Vec<String>,
    /// The snapshots, in the order of `sources`.
    #[prost(string, repeated, tag = "4")]
    pub snapshots: Vec<String>,
    /// The moment of the cut, in nanoseconds since 1970.
    #[prost(int64, tag = "5")]
    pub created: i64,
}

#[cfg(test)]
mod tests;
