//! How a volume may be used: filesystem or raw device, by whom, with which mount options.

/// A filesystem that an image volume can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Filesystem {
    /// ext4, the default.
    Ext4 = 1,
    /// XFS.
    Xfs = 2,
    /// btrfs.
    Btrfs = 3,
}

impl Filesystem {
    /// Its name, as in `fs_type` and for the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// An access mode of CSI. The two in which several nodes write are not offered by node-local volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Mode {
    /// `SINGLE_NODE_WRITER` (ReadWriteOnce).
    SingleNodeWriter = 1,
    /// `SINGLE_NODE_READER_ONLY`.
    SingleNodeReader = 2,
    /// `MULTI_NODE_READER_ONLY` (ReadOnlyMany).
    MultiNodeReader = 3,
    /// `SINGLE_NODE_SINGLE_WRITER` (ReadWriteOncePod).
    SingleNodeSingleWriter = 6,
    /// `SINGLE_NODE_MULTI_WRITER` (ReadWriteOnce of drivers that know the two above).
    SingleNodeMultiWriter = 7,
}

impl Mode {
    /// Whether nobody may write.
    pub const fn reads_only(self) -> bool {
        matches!(self, Self::SingleNodeReader | Self::MultiNodeReader)
    }

    /// Whether a volume may be published at several targets of this node (NP-04).
    pub const fn many_targets(self) -> bool {
        matches!(self, Self::MultiNodeReader | Self::SingleNodeMultiWriter)
    }
}

/// A volume capability of CSI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Raw device or mounted filesystem.
    pub access: Access,
    /// Who may use it.
    pub mode: Mode,
}

/// What a pod gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A raw block device.
    Block,
    /// A mounted filesystem or directory.
    Mount(MountOptions),
}

/// How a volume is mounted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// The filesystem asked for; `None` where the driver chooses.
    pub filesystem: Option<Filesystem>,
    /// Mount options, each in the form of mount(8), checked. They may hold secrets and are never logged (G-05).
    pub flags: Vec<String>,
    /// The group that owns the volume's files (`volume_mount_group`).
    pub group: Option<u32>,
}

impl std::fmt::Debug for MountOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MountOptions")
            .field("filesystem", &self.filesystem)
            .field("flags", &format_args!("({} not shown)", self.flags.len()))
            .field("group", &self.group)
            .finish()
    }
}
