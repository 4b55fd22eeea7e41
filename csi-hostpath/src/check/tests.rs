//! Every rule of the requests, by its id in the specification's checklists.

mod capabilities;
mod creation;
mod groups;
mod nodes;
mod publishing;
mod snapshots;
mod texts;
mod topologies;
mod volumes;

use std::collections::HashMap;
use std::fmt::Debug;

use proto::csi::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use proto::csi::{CreateVolumeRequest, VolumeCapability};
use tonic::Code;

use super::Rules;
use crate::driver::{Offers, Settings};
use crate::error::Error;

const VOLUME: &str = "vol-0123456789abcdef0123456789abcdef";
const INLINE: &str = "csi-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SNAPSHOT: &str = "snap-0123456789abcdef0123456789abcdef";
const GROUP: &str = "group-0123456789abcdef0123456789abcdef";
/// Ids that we never issue, and that would be harmful as paths.
const FOREIGN: [&str; 6] = [
    "no-such",
    "..",
    "../../etc",
    "/",
    "vol-0123456789abcdef0123456789abcde/",
    "vol-0123456789ABCDEF0123456789ABCDEF",
];

/// A driver with everything switched on.
fn rules() -> Rules {
    Rules::new(&Settings {
        name: "hostpath.hawser.io".to_owned(),
        node: "node-a".to_owned(),
        kubelet_dir: "/var/lib/kubelet".into(),
        max_volume_size: 1 << 40,
        attach_limit: 0,
        offers: Offers {
            attach: true,
            topology: true,
            expansion: true,
            modify: true,
            metadata: true,
            mount_group: true,
        },
        remote: false,
    })
}

/// A driver with everything switched off.
fn bare() -> Rules {
    Rules {
        offers: Offers {
            attach: false,
            topology: false,
            expansion: false,
            modify: false,
            metadata: false,
            mount_group: false,
        },
        ..rules()
    }
}

fn with_access(access_type: AccessType) -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: 1 }),
        access_type: Some(access_type),
    }
}

fn mount() -> VolumeCapability {
    with_access(AccessType::Mount(MountVolume::default()))
}

fn block() -> VolumeCapability {
    with_access(AccessType::Block(BlockVolume {}))
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> HashMap<String, String> {
    entries
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

/// The least that `CreateVolume` takes.
fn create() -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: "pvc-1".to_owned(),
        volume_capabilities: vec![mount()],
        ..CreateVolumeRequest::default()
    }
}

/// The text of a refusal with the code `code`.
#[track_caller]
fn refused<T: Debug>(outcome: Result<T, Error>, code: Code) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error.to_string()
}

/// A refusal as `INVALID_ARGUMENT` whose text begins with the field.
#[track_caller]
fn invalid<T: Debug>(outcome: Result<T, Error>, field: &str) -> String {
    let text = refused(outcome, Code::InvalidArgument);
    assert!(text.starts_with(field), "{text}");
    text
}
