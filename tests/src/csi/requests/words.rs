//! What changes a request: words that several requests understand.

use super::{Mode, mount};
use proto::csi::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use proto::csi::volume_content_source::{self, SnapshotSource, VolumeSource};
use proto::csi::*;
use std::collections::HashMap;

/// A message that says how a volume is used.
pub trait Used: Sized {
    /// The capability, made when there is none; of several, the first.
    fn capability(&mut self) -> &mut VolumeCapability;

    /// As a raw device.
    #[must_use]
    fn block(mut self) -> Self {
        self.capability().access_type = Some(AccessType::Block(BlockVolume {}));
        self
    }

    /// As a mounted filesystem of this type.
    #[must_use]
    fn filesystem(mut self, fs_type: &str) -> Self {
        fs_type.clone_into(&mut mounted(self.capability()).fs_type);
        self
    }

    /// With this mount option as well.
    #[must_use]
    fn flag(mut self, flag: &str) -> Self {
        mounted(self.capability()).mount_flags.push(flag.to_owned());
        self
    }

    /// With files of this group.
    #[must_use]
    fn group(mut self, gid: u32) -> Self {
        mounted(self.capability()).volume_mount_group = gid.to_string();
        self
    }

    /// By these nodes and writers.
    #[must_use]
    fn mode(mut self, mode: Mode) -> Self {
        self.capability().access_mode = Some(AccessMode { mode: mode.into() });
        self
    }

    /// In just this way.
    #[must_use]
    fn used_as(mut self, capability: VolumeCapability) -> Self {
        *self.capability() = capability;
        self
    }
}

/// The mount options of a capability, which becomes a mount if it is none.
fn mounted(capability: &mut VolumeCapability) -> &mut MountVolume {
    if !matches!(capability.access_type, Some(AccessType::Mount(_))) {
        capability.access_type = Some(AccessType::Mount(MountVolume::default()));
    }
    match &mut capability.access_type {
        Some(AccessType::Mount(mount)) => mount,
        _ => unreachable!("it was made a mount"),
    }
}

impl Used for VolumeCapability {
    fn capability(&mut self) -> &mut VolumeCapability {
        self
    }
}

macro_rules! used {
    ($one:ident: $($request:ty),+; $several:ident: $($many:ty),+) => {
        $(impl Used for $request {
            fn capability(&mut self) -> &mut VolumeCapability {
                self.$one.get_or_insert_with(mount)
            }
        })+
        $(impl Used for $many {
            fn capability(&mut self) -> &mut VolumeCapability {
                if self.$several.is_empty() {
                    self.$several.push(mount());
                }
                &mut self.$several[0]
            }
        })+
    };
}

used! {
    volume_capability: ControllerPublishVolumeRequest, ControllerExpandVolumeRequest, NodeStageVolumeRequest,
        NodePublishVolumeRequest, NodeExpandVolumeRequest;
    volume_capabilities: CreateVolumeRequest, ValidateVolumeCapabilitiesRequest, GetCapacityRequest
}

/// A request with a range of sizes.
pub trait Ranged: Sized {
    /// The range, made when there is none.
    fn range(&mut self) -> &mut CapacityRange;

    /// At least this many bytes.
    #[must_use]
    fn size(mut self, bytes: i64) -> Self {
        self.range().required_bytes = bytes;
        self
    }

    /// At most this many bytes.
    #[must_use]
    fn limit(mut self, bytes: i64) -> Self {
        self.range().limit_bytes = bytes;
        self
    }
}

macro_rules! ranged {
    ($($request:ty),+) => {
        $(impl Ranged for $request {
            fn range(&mut self) -> &mut CapacityRange {
                self.capacity_range.get_or_insert_default()
            }
        })+
    };
}

ranged!(
    CreateVolumeRequest,
    ControllerExpandVolumeRequest,
    NodeExpandVolumeRequest
);

/// A trait for requests that have one map, and the word that adds to it.
macro_rules! with_map {
    ($(#[$doc:meta])* $name:ident, $map:ident, $word:ident: $($request:ty),+) => {
        $(#[$doc])*
        pub trait $name: Sized {
            /// The whole map.
            fn map(&mut self) -> &mut HashMap<String, String>;

            /// With this entry.
            #[must_use]
            fn $word(mut self, key: &str, value: &str) -> Self {
                $name::map(&mut self).insert(key.to_owned(), value.to_owned());
                self
            }
        }

        $(impl $name for $request {
            fn map(&mut self) -> &mut HashMap<String, String> {
                &mut self.$map
            }
        })+
    };
}

with_map!(
    /// A request with a class.
    Parametrised, parameters, parameter: CreateVolumeRequest, CreateSnapshotRequest, GetCapacityRequest,
    CreateVolumeGroupSnapshotRequest, ValidateVolumeCapabilitiesRequest
);
with_map!(
    /// A request with a VolumeAttributesClass.
    Mutable, mutable_parameters, mutable: CreateVolumeRequest, ControllerModifyVolumeRequest,
    ValidateVolumeCapabilitiesRequest
);
with_map!(
    /// A request with the volume's context.
    Contextual, volume_context, context: ControllerPublishVolumeRequest, NodeStageVolumeRequest,
    NodePublishVolumeRequest, ValidateVolumeCapabilitiesRequest
);
with_map!(
    /// A request with secrets.
    Secretive, secrets, secret: CreateVolumeRequest, DeleteVolumeRequest, ControllerPublishVolumeRequest,
    ControllerUnpublishVolumeRequest, ValidateVolumeCapabilitiesRequest, ControllerModifyVolumeRequest,
    CreateSnapshotRequest, DeleteSnapshotRequest, ListSnapshotsRequest, GetSnapshotRequest,
    ControllerExpandVolumeRequest, NodeStageVolumeRequest, NodePublishVolumeRequest, NodeExpandVolumeRequest,
    CreateVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotRequest, GetVolumeGroupSnapshotRequest,
    GetMetadataAllocatedRequest, GetMetadataDeltaRequest
);

/// What a new volume starts with.
pub trait Copying: Sized {
    /// The source, if any.
    fn source(&mut self) -> &mut Option<VolumeContentSource>;

    /// With the content of a snapshot.
    #[must_use]
    fn restoring(mut self, id: &str) -> Self {
        let snapshot_id = id.to_owned();
        let source = volume_content_source::Type::Snapshot(SnapshotSource { snapshot_id });
        *self.source() = Some(VolumeContentSource {
            r#type: Some(source),
        });
        self
    }

    /// With the content of another volume.
    #[must_use]
    fn cloning(mut self, id: &str) -> Self {
        let volume_id = id.to_owned();
        let source = volume_content_source::Type::Volume(VolumeSource { volume_id });
        *self.source() = Some(VolumeContentSource {
            r#type: Some(source),
        });
        self
    }
}

impl Copying for CreateVolumeRequest {
    fn source(&mut self) -> &mut Option<VolumeContentSource> {
        &mut self.volume_content_source
    }
}
