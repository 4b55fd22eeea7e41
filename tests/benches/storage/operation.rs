//! What is measured, and what the reference took for it.

/// A kind of volume and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory on the machine's ext4, its size not enforced: what the reference calls a volume.
    Directory,
    /// A directory on btrfs, its size enforced.
    Subvolume,
    /// An image with ext4, on the machine's ext4.
    Ext4,
    /// An image with XFS, on the machine's ext4.
    Xfs,
    /// A raw device, on the machine's ext4.
    Block,
    /// An image with XFS, on XFS with reflinks.
    Reflink,
}

impl Kind {
    /// As tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory on ext4",
            Self::Subvolume => "directory on btrfs",
            Self::Ext4 => "ext4 image on ext4",
            Self::Xfs => "xfs image on ext4",
            Self::Block => "block on ext4",
            Self::Reflink => "xfs image on xfs",
        }
    }
}

/// How many volumes there are meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volumes {
    None,
    Some,
    Many,
}

impl Volumes {
    /// As tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Some => "5,000",
            Self::Many => "20,000",
        }
    }
}

/// What the machine does in one step, without a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Primitive {
    Probe,
    Append,
    Directory,
    Bind,
    Loop,
    Mount,
    Spawn,
    MakeExt4,
    Reflink,
    Copy,
    CopyCold,
}

impl Primitive {
    const fn title(self) -> &'static str {
        match self {
            Self::Probe => "Probe: client, gRPC and socket alone",
            Self::Append => "300 bytes appended, fdatasync",
            Self::Directory => "mkdir, fsync of its parent",
            Self::Bind => "bind mount and unmount",
            Self::Loop => "loop device attached and detached",
            Self::Mount => "ext4 mounted and unmounted",
            Self::Spawn => "a process that does nothing",
            Self::MakeExt4 => "mkfs.ext4 on a sparse file of 1 GiB",
            Self::Reflink => "1 GiB reflinked, fsync (xfs)",
            Self::Copy => "1 GiB copied, fsync (ext4)",
            Self::CopyCold => "the same from a source that is not in memory",
        }
    }
}

/// What a series is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Machine(Primitive),
    Create(Kind, Volumes),
    Delete(Kind),
    CreateParallel,
    StagePublish(Kind),
    UnpublishUnstage(Kind),
    Stats,
    StatsMeanwhile,
    Snapshot(Kind),
    Restore(Kind),
    Clone(Kind),
    ListAll,
    ListPage,
    Start,
    StartKilled,
    MemoryIdle,
    MemoryStarted,
    MemoryFilled,
    Size,
}

impl Operation {
    /// As tables name it.
    pub fn title(self) -> String {
        match self {
            Self::Machine(primitive) => primitive.title().to_owned(),
            Self::Create(kind, volumes) => {
                format!("CreateVolume, {}, at {}", kind.name(), volumes.name())
            }
            Self::Delete(kind) => format!("DeleteVolume, {}", kind.name()),
            Self::CreateParallel => "50 CreateVolumes at once, directory, at 5,000".to_owned(),
            Self::StagePublish(kind) => format!("Stage + Publish, {}", kind.name()),
            Self::UnpublishUnstage(kind) => format!("Unpublish + Unstage, {}", kind.name()),
            Self::Stats => "NodeGetVolumeStats".to_owned(),
            Self::StatsMeanwhile => "NodeGetVolumeStats while 1 GiB is snapshotted".to_owned(),
            Self::Snapshot(kind) => format!("snapshot of 1 GiB, {}", kind.name()),
            Self::Restore(kind) => format!("restore of 1 GiB, {}", kind.name()),
            Self::Clone(kind) => format!("clone of 1 GiB, {}", kind.name()),
            Self::ListAll => "ListVolumes, all 5,000".to_owned(),
            Self::ListPage => "ListVolumes, a page of 100 of 5,000".to_owned(),
            Self::Start => "start to first answer, at 5,000".to_owned(),
            Self::StartKilled => "the same after SIGKILL".to_owned(),
            Self::MemoryIdle => "resident memory, no volumes".to_owned(),
            Self::MemoryStarted => "resident memory, 5,000 volumes, freshly started".to_owned(),
            Self::MemoryFilled => "resident memory, 5,000 volumes, after making them".to_owned(),
            Self::Size => "size of the executable, static and stripped".to_owned(),
        }
    }

    /// What the reference took, hostpathplugin of csi-driver-host-path, measured earlier on such a machine: Debian has no
    /// package of it that could run in turn. Milliseconds or MB.
    pub const fn reference(self) -> Option<f64> {
        use Kind::{Block, Directory};
        Some(match self {
            Self::Create(Directory, Volumes::None) => 1.3,
            Self::Create(Directory, Volumes::Some) => 9.3,
            Self::Create(Block, Volumes::None) => 10.2,
            Self::Create(Block, Volumes::Some) => 17.6,
            Self::Delete(Directory) => 1.1,
            Self::Delete(Block) => 13.3,
            Self::CreateParallel => 463.0,
            Self::StagePublish(Directory) => 20.7,
            Self::UnpublishUnstage(Directory) => 27.8,
            Self::Stats => 5.7,
            Self::StatsMeanwhile => 60_800.0,
            Self::Snapshot(Directory) => 66_000.0,
            Self::Restore(Directory) => 11_300.0,
            Self::Clone(Directory) => 5_400.0,
            Self::Snapshot(Block) => 420.0,
            Self::Restore(Block) => 6_600.0,
            Self::Clone(Block) => 6_200.0,
            Self::ListAll => 269.0,
            Self::ListPage => 2.7,
            Self::Start => 78.0,
            Self::MemoryIdle => 16.3,
            Self::MemoryStarted => 23.8,
            Self::MemoryFilled => 38.2,
            _ => return None,
        })
    }

    /// The machine's steps beneath it, which no driver could do without.
    pub const fn steps(self) -> &'static [Primitive] {
        use Primitive::{
            Append, Bind, Copy, CopyCold, Directory, Loop, MakeExt4, Mount, Probe, Reflink, Spawn,
        };
        match self {
            Self::Create(Kind::Directory | Kind::Block, _) => &[Probe, Directory, Append],
            Self::Create(Kind::Ext4, _) => &[Probe, Directory, MakeExt4, Append],
            Self::Delete(Kind::Directory | Kind::Block | Kind::Ext4) => &[Probe, Append],
            // Two calls, each with a record; mounted at two places.
            Self::StagePublish(Kind::Directory) => &[Probe, Append, Bind, Probe, Append, Bind],
            Self::StagePublish(Kind::Ext4) => &[Probe, Append, Loop, Mount, Probe, Append, Bind],
            Self::StagePublish(Kind::Block) => &[Probe, Append, Loop, Probe, Append, Bind],
            Self::UnpublishUnstage(Kind::Directory | Kind::Ext4 | Kind::Block) => {
                &[Probe, Append, Probe, Append]
            }
            Self::Stats | Self::StatsMeanwhile | Self::ListPage => &[Probe],
            Self::Snapshot(Kind::Reflink) => &[Probe, Reflink, Append],
            Self::Restore(Kind::Reflink) | Self::Clone(Kind::Reflink) => &[Probe, Reflink, Append],
            Self::Snapshot(Kind::Directory | Kind::Ext4 | Kind::Block)
            | Self::Clone(Kind::Directory | Kind::Ext4 | Kind::Block) => &[Probe, Copy, Append],
            // A snapshot's copy does not stay in memory.
            Self::Restore(Kind::Directory | Kind::Ext4 | Kind::Block) => &[Probe, CopyCold, Append],
            Self::Start | Self::StartKilled => &[Spawn, Probe],
            _ => &[],
        }
    }
}
