//! Requests that are complete as they are made, and words to change them.
//!
//! ```no_run
//! use testkit::csi::requests::*;
//!
//! let request = create_volume("pvc-1").size(64 * MIB).block().parameter("kind", "image");
//! assert_eq!(request.capacity_range.unwrap().required_bytes, 64 << 20);
//! ```
//!
//! A request is the message itself, so whatever has no word is set as a field. A capability is a mount by a single node's
//! writer unless said otherwise.

mod words;

pub use proto::csi::volume_capability::access_mode::Mode;
pub use words::{Contextual, Copying, Mutable, Parametrised, Ranged, Secretive, Used};

use proto::csi::volume_capability::{AccessMode, AccessType, MountVolume};
use proto::csi::*;
use std::path::Path;

/// 2^20 bytes.
pub const MIB: i64 = 1 << 20;
/// 2^30 bytes.
pub const GIB: i64 = 1 << 30;

/// A mount, written by one node.
pub fn mount() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeWriter.into(),
        }),
        access_type: Some(AccessType::Mount(MountVolume::default())),
    }
}

/// A raw device, written by one node.
pub fn block() -> VolumeCapability {
    mount().block()
}

/// A volume to be mounted, of any size.
pub fn create_volume(name: &str) -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: name.to_owned(),
        volume_capabilities: vec![mount()],
        ..CreateVolumeRequest::default()
    }
}

/// No more volume.
pub fn delete_volume(id: &str) -> DeleteVolumeRequest {
    DeleteVolumeRequest {
        volume_id: id.to_owned(),
        ..DeleteVolumeRequest::default()
    }
}

/// The volume for a node.
pub fn attach(id: &str, node: &str) -> ControllerPublishVolumeRequest {
    ControllerPublishVolumeRequest {
        volume_id: id.to_owned(),
        node_id: node.to_owned(),
        volume_capability: Some(mount()),
        ..ControllerPublishVolumeRequest::default()
    }
}

/// The volume for a node no more; for no node when `node` is empty.
pub fn detach(id: &str, node: &str) -> ControllerUnpublishVolumeRequest {
    ControllerUnpublishVolumeRequest {
        volume_id: id.to_owned(),
        node_id: node.to_owned(),
        ..ControllerUnpublishVolumeRequest::default()
    }
}

/// Whether the volume can be mounted.
pub fn validate(id: &str) -> ValidateVolumeCapabilitiesRequest {
    ValidateVolumeCapabilitiesRequest {
        volume_id: id.to_owned(),
        volume_capabilities: vec![mount()],
        ..ValidateVolumeCapabilitiesRequest::default()
    }
}

/// One volume.
pub fn get_volume(id: &str) -> ControllerGetVolumeRequest {
    let volume_id = id.to_owned();
    ControllerGetVolumeRequest { volume_id }
}

/// A page of volumes, at most `max_entries` long, after the page that ended with `token`.
pub fn list_volumes(max_entries: i32, token: &str) -> ListVolumesRequest {
    let starting_token = token.to_owned();
    ListVolumesRequest {
        max_entries,
        starting_token,
    }
}

/// The volume of this size.
pub fn expand(id: &str, bytes: i64) -> ControllerExpandVolumeRequest {
    let request = ControllerExpandVolumeRequest {
        volume_id: id.to_owned(),
        ..ControllerExpandVolumeRequest::default()
    };
    request.size(bytes)
}

/// The volume with other attributes, which are added by [`Mutable::mutable`].
pub fn modify(id: &str) -> ControllerModifyVolumeRequest {
    ControllerModifyVolumeRequest {
        volume_id: id.to_owned(),
        ..ControllerModifyVolumeRequest::default()
    }
}

/// A snapshot of a volume.
pub fn create_snapshot(name: &str, volume: &str) -> CreateSnapshotRequest {
    CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: volume.to_owned(),
        ..CreateSnapshotRequest::default()
    }
}

/// No more snapshot.
pub fn delete_snapshot(id: &str) -> DeleteSnapshotRequest {
    DeleteSnapshotRequest {
        snapshot_id: id.to_owned(),
        ..DeleteSnapshotRequest::default()
    }
}

/// One snapshot.
pub fn get_snapshot(id: &str) -> GetSnapshotRequest {
    GetSnapshotRequest {
        snapshot_id: id.to_owned(),
        ..GetSnapshotRequest::default()
    }
}

/// A page of snapshots, at most `max_entries` long, after the page that ended with `token`.
pub fn list_snapshots(max_entries: i32, token: &str) -> ListSnapshotsRequest {
    ListSnapshotsRequest {
        max_entries,
        starting_token: token.to_owned(),
        ..ListSnapshotsRequest::default()
    }
}

/// Snapshots of several volumes at one moment.
pub fn create_group(name: &str, volumes: &[&str]) -> CreateVolumeGroupSnapshotRequest {
    CreateVolumeGroupSnapshotRequest {
        name: name.to_owned(),
        source_volume_ids: volumes.iter().map(|id| (*id).to_owned()).collect(),
        ..CreateVolumeGroupSnapshotRequest::default()
    }
}

/// No more of a group.
pub fn delete_group(group: &VolumeGroupSnapshot) -> DeleteVolumeGroupSnapshotRequest {
    DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: group.group_snapshot_id.clone(),
        snapshot_ids: members(group),
        ..DeleteVolumeGroupSnapshotRequest::default()
    }
}

/// One group.
pub fn get_group(group: &VolumeGroupSnapshot) -> GetVolumeGroupSnapshotRequest {
    GetVolumeGroupSnapshotRequest {
        group_snapshot_id: group.group_snapshot_id.clone(),
        snapshot_ids: members(group),
        ..GetVolumeGroupSnapshotRequest::default()
    }
}

fn members(group: &VolumeGroupSnapshot) -> Vec<String> {
    let members = group.snapshots.iter();
    members.map(|member| member.snapshot_id.clone()).collect()
}

/// The blocks of a snapshot that hold data.
pub fn allocated(snapshot: &str) -> GetMetadataAllocatedRequest {
    GetMetadataAllocatedRequest {
        snapshot_id: snapshot.to_owned(),
        ..GetMetadataAllocatedRequest::default()
    }
}

/// The blocks that differ between two snapshots.
pub fn delta(base: &str, target: &str) -> GetMetadataDeltaRequest {
    GetMetadataDeltaRequest {
        base_snapshot_id: base.to_owned(),
        target_snapshot_id: target.to_owned(),
        ..GetMetadataDeltaRequest::default()
    }
}

/// The volume at a staging path.
pub fn stage(id: &str, path: impl AsRef<Path>) -> NodeStageVolumeRequest {
    NodeStageVolumeRequest {
        volume_id: id.to_owned(),
        staging_target_path: text(path),
        volume_capability: Some(mount()),
        ..NodeStageVolumeRequest::default()
    }
}

/// The volume no more at a staging path.
pub fn unstage(id: &str, path: impl AsRef<Path>) -> NodeUnstageVolumeRequest {
    NodeUnstageVolumeRequest {
        volume_id: id.to_owned(),
        staging_target_path: text(path),
    }
}

/// The staged volume at a pod's path.
pub fn publish(
    id: &str,
    staging: impl AsRef<Path>,
    target: impl AsRef<Path>,
) -> NodePublishVolumeRequest {
    NodePublishVolumeRequest {
        volume_id: id.to_owned(),
        staging_target_path: text(staging),
        target_path: text(target),
        volume_capability: Some(mount()),
        ..NodePublishVolumeRequest::default()
    }
}

/// The volume no more at a pod's path.
pub fn unpublish(id: &str, target: impl AsRef<Path>) -> NodeUnpublishVolumeRequest {
    NodeUnpublishVolumeRequest {
        volume_id: id.to_owned(),
        target_path: text(target),
    }
}

/// How full the volume at a path is.
pub fn stats(id: &str, path: impl AsRef<Path>) -> NodeGetVolumeStatsRequest {
    NodeGetVolumeStatsRequest {
        volume_id: id.to_owned(),
        volume_path: text(path),
        ..NodeGetVolumeStatsRequest::default()
    }
}

/// The volume at a path, as large as was promised; or as is said by [`Ranged::size`].
pub fn node_expand(id: &str, path: impl AsRef<Path>) -> NodeExpandVolumeRequest {
    NodeExpandVolumeRequest {
        volume_id: id.to_owned(),
        volume_path: text(path),
        ..NodeExpandVolumeRequest::default()
    }
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}
