//! What callers ask for, checked: each RPC's request as the driver works with it. Made by `check`, and by nobody else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::access::Capability;
use crate::id::{GroupId, SnapshotId, VolumeId};
use crate::parameters::{Attributes, Class};

/// The sizes that are acceptable, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    /// At least this; 0 when not given.
    pub required: u64,
    /// At most this.
    pub limit: Option<u64>,
}

/// What a new volume starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The content of a snapshot.
    Snapshot(SnapshotId),
    /// The content of another volume, now.
    Volume(VolumeId),
}

/// `CreateVolume`.
#[derive(Debug, Clone)]
pub struct CreateVolume {
    /// The caller's name: the key of idempotency, never a path.
    pub name: String,
    /// `None` where no range was given.
    pub range: Option<SizeRange>,
    /// At least one; all of one access type and filesystem.
    pub capabilities: Vec<Capability>,
    /// The StorageClass, understood.
    pub class: Class,
    /// The StorageClass as it came, for comparing repeats (CV-05).
    pub parameters: BTreeMap<String, String>,
    /// The VolumeAttributesClass, understood (CV-09: it wins over the class).
    pub attributes: Attributes,
    /// Snapshot or volume to start from.
    pub source: Option<Source>,
}

/// `ControllerPublishVolume`.
#[derive(Debug, Clone)]
pub struct Attach {
    /// The volume.
    pub volume: VolumeId,
    /// The node, as its driver named itself.
    pub node: String,
    /// How it will be used.
    pub capability: Capability,
    /// Whether the attachment is read-only.
    pub readonly: bool,
}

/// `ControllerUnpublishVolume`.
#[derive(Debug, Clone)]
pub struct Detach {
    /// The volume.
    pub volume: VolumeId,
    /// The node; `None` for every node.
    pub node: Option<String>,
}

/// `ValidateVolumeCapabilities`.
#[derive(Debug, Clone)]
pub struct Validate {
    /// The volume.
    pub volume: VolumeId,
    /// Parsed one by one: a refusal is an answer here, not an error (C-02).
    pub capabilities: Result<Vec<Capability>, String>,
    /// The volume context that the caller holds; empty when not given.
    pub context: BTreeMap<String, String>,
    /// The parameters that the caller assumes; empty when not given.
    pub parameters: BTreeMap<String, String>,
    /// The mutable parameters that the caller assumes; empty when not given.
    pub mutable_parameters: BTreeMap<String, String>,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most this many entries; `None` for all.
    pub most: Option<usize>,
    /// Entries whose id is greater than this one.
    pub after: Option<String>,
}

/// `ListSnapshots`.
#[derive(Debug, Clone, Default)]
pub struct ListSnapshots {
    /// Which part of the list.
    pub page: Page,
    /// Only this snapshot. A value that cannot be an id of ours gives an empty list (LS-01).
    pub snapshot: Option<String>,
    /// Only snapshots of this volume. Same.
    pub source: Option<String>,
}

/// `GetCapacity`.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// How volumes would be used; `None` when such volumes cannot exist here, so that there is no room for them.
    pub capabilities: Option<Vec<Capability>>,
    /// The StorageClass, understood; `None` when it cannot be served.
    pub class: Option<Class>,
    /// Whether the topology asked for is this node's (or none was).
    pub here: bool,
}

/// `ControllerExpandVolume`.
#[derive(Debug, Clone)]
pub struct Expand {
    /// The volume.
    pub volume: VolumeId,
    /// The sizes wanted.
    pub range: SizeRange,
    /// How it is used, when told.
    pub capability: Option<Capability>,
}

/// `ControllerModifyVolume`.
#[derive(Debug, Clone)]
pub struct Modify {
    /// The volume.
    pub volume: VolumeId,
    /// What changes; what is `None` stays.
    pub attributes: Attributes,
}

/// `CreateSnapshot`.
#[derive(Debug, Clone)]
pub struct CreateSnapshot {
    /// The caller's name: the key of idempotency, never a path.
    pub name: String,
    /// The volume.
    pub source: VolumeId,
}

/// `CreateVolumeGroupSnapshot`.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// The caller's name: the key of idempotency, never a path.
    pub name: String,
    /// The volumes, each once, in the caller's order.
    pub sources: Vec<VolumeId>,
}

/// `DeleteVolumeGroupSnapshot` and `GetVolumeGroupSnapshot`.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group.
    pub group: GroupId,
    /// The members that the caller knows of (GG-04, GG-05).
    pub snapshots: Vec<SnapshotId>,
}

/// `GetMetadataAllocated` (no `base`) and `GetMetadataDelta`.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// The snapshot to compare with.
    pub base: Option<SnapshotId>,
    /// The snapshot told about.
    pub target: SnapshotId,
    /// Nothing that ends at or before this offset is told (SM-04).
    pub from: u64,
    /// Entries in each message at most; `None` where the driver chooses.
    pub most: Option<usize>,
}

/// `NodeStageVolume`.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The volume.
    pub volume: VolumeId,
    /// The directory that the orchestrator made. Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// How it is used.
    pub capability: Capability,
}

/// `NodeUnstageVolume`.
#[derive(Debug, Clone)]
pub struct Unstage {
    /// The volume. An id that cannot be ours was never staged.
    pub volume: Option<VolumeId>,
    /// The staging path. Absolute, without `.` and `..`.
    pub path: PathBuf,
}

/// `NodePublishVolume`.
#[derive(Debug, Clone)]
pub struct Publish {
    /// The volume.
    pub volume: VolumeId,
    /// Where it was staged; always there except for inline volumes (NP-02).
    pub staging: Option<PathBuf>,
    /// Where the pod will find it. Absolute, without `.` and `..`; its parent exists.
    pub target: PathBuf,
    /// How it is used.
    pub capability: Capability,
    /// Whether it must not be written.
    pub readonly: bool,
    /// Set when the volume is an inline ephemeral one, made by this call (K-13).
    pub ephemeral: Option<Ephemeral>,
}

/// An inline ephemeral volume, as the pod describes it.
#[derive(Debug, Clone)]
pub struct Ephemeral {
    /// Its size in bytes; `None` for the default.
    pub size: Option<u64>,
    /// The other attributes, understood.
    pub class: Class,
    /// The attributes as they came, for comparing repeats.
    pub parameters: BTreeMap<String, String>,
}

/// `NodeUnpublishVolume`.
#[derive(Debug, Clone)]
pub struct Unpublish {
    /// The volume. An id that cannot be ours was never published.
    pub volume: Option<VolumeId>,
    /// Where it was published. Absolute, without `.` and `..`.
    pub target: PathBuf,
}

/// `NodeGetVolumeStats`.
#[derive(Debug, Clone)]
pub struct Stats {
    /// The volume.
    pub volume: VolumeId,
    /// A path at which it is published or staged. Absolute, without `.` and `..`.
    pub path: PathBuf,
}

/// `NodeExpandVolume`.
#[derive(Debug, Clone)]
pub struct NodeExpand {
    /// The volume.
    pub volume: VolumeId,
    /// A path at which it is published or staged. Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// The sizes wanted; `None` for what the controller promised (NE-01).
    pub range: Option<SizeRange>,
    /// How it is used, when told.
    pub capability: Option<Capability>,
}
