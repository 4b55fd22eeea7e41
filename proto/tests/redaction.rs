//! No `Debug` of any message shows a secret, a token or a mount flag (G-05). Which messages can carry one, and where, is read
//! from the descriptor, so a field that is added later is covered, or its message is asked for here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use proto::csi::*;

const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Decodes a message of one type and shows it: `{:?}`, then `{:#?}`.
type Show = fn(&[u8]) -> String;

fn show<T: Message + Default + std::fmt::Debug>(encoded: &[u8]) -> String {
    let message = T::decode(encoded).unwrap();
    format!("{message:?}\n{message:#?}")
}

macro_rules! shown {
    ($($name:ident),+ $(; $($nested:literal is $path:path),+)?) => {
        BTreeMap::<&str, Show>::from([
            $((stringify!($name), show::<$name> as Show),)+
            $($(($nested, show::<$path> as Show)),+)?
        ])
    };
}

/// Every message that carries something secret, itself or within.
fn secretive() -> BTreeMap<&'static str, Show> {
    shown![
        ControllerExpandVolumeRequest, ControllerGetVolumeResponse, ControllerModifyVolumeRequest,
        ControllerPublishVolumeRequest, ControllerPublishVolumeResponse, ControllerUnpublishVolumeRequest,
        CreateSnapshotRequest, CreateVolumeGroupSnapshotRequest, CreateVolumeRequest, CreateVolumeResponse,
        DeleteSnapshotRequest, DeleteVolumeGroupSnapshotRequest, DeleteVolumeRequest, GetCapacityRequest,
        GetMetadataAllocatedRequest, GetMetadataDeltaRequest, GetSnapshotRequest, GetVolumeGroupSnapshotRequest,
        ListSnapshotsRequest, ListVolumesResponse, NodeExpandVolumeRequest, NodePublishVolumeRequest,
        NodeStageVolumeRequest, ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse, Volume,
        VolumeCapability;
        "ListVolumesResponse.Entry" is proto::ListedVolume,
        "ValidateVolumeCapabilitiesResponse.Confirmed" is validate_volume_capabilities_response::Confirmed,
        "VolumeCapability.MountVolume" is volume_capability::MountVolume
    ]
}

#[test]
fn secrets_tokens_and_mount_flags_are_counted_and_not_shown() {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let secretive = secretive();
    let mut seen = BTreeSet::new();
    for message in pool
        .all_messages()
        .filter(|message| !message.is_map_entry())
    {
        if !carries_secrets(&message) {
            continue;
        }
        let name = message.full_name().trim_start_matches("csi.v1.");
        let show = secretive.get(name);
        let show = show.unwrap_or_else(|| panic!("{name} carries secrets: list it in `secretive`"));
        let shown = show(&filled(&message).encode_to_vec());
        assert!(!shown.contains("hush"), "{name} shows a secret: {shown}");
        assert!(
            !shown.contains(TOKENS),
            "{name} shows a token's key: {shown}"
        );
        assert!(
            shown.contains("(2 not shown)"),
            "{name} does not tell that it has any: {shown}"
        );
        seen.insert(name.to_owned());
    }
    let listed: BTreeSet<String> = secretive.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(seen, listed);
}

#[test]
fn what_is_no_secret_is_shown() {
    let request = DeleteVolumeRequest {
        volume_id: "vol-1".to_owned(),
        secrets: [("password".to_owned(), "hush".to_owned())].into(),
    };
    assert_eq!(
        format!("{request:?}"),
        r#"DeleteVolumeRequest { volume_id: "vol-1", secrets: (1 not shown) }"#
    );
}

/// The fields that the definition marks, and those that carry secrets without being marked.
fn is_secret(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let marked = options
        .extensions()
        .any(|(option, value)| option.name() == "csi_secret" && value.as_bool() == Some(true));
    marked || ["mount_flags", "volume_context", "publish_context"].contains(&field.name())
}

fn carries_secrets(message: &MessageDescriptor) -> bool {
    // Messages of google.protobuf have none, and some of them contain themselves.
    message.package_name() == "csi.v1"
        && message.fields().any(|field| {
            is_secret(&field)
                || matches!(field.kind(), Kind::Message(within) if carries_secrets(&within))
        })
}

/// A message in which everything that leads to a secret is set, and each secret holds two entries. Of a oneof, the last
/// alternative is set.
fn filled(message: &MessageDescriptor) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        match field.kind() {
            _ if is_secret(&field) => filled.set_field(&field, secret(&field)),
            Kind::Message(within) if carries_secrets(&within) => {
                let value = Value::Message(self::filled(&within));
                let value = if field.is_list() {
                    Value::List(vec![value])
                } else {
                    value
                };
                filled.set_field(&field, value);
            }
            _ => {}
        }
    }
    filled
}

fn secret(field: &FieldDescriptor) -> Value {
    if field.is_map() {
        let entry = |key: &str| {
            let value = Value::String(format!("hush, the value of {key}"));
            (MapKey::String(key.to_owned()), value)
        };
        return Value::Map([entry("hush"), entry(TOKENS)].into());
    }
    let one = || Value::String("context=hush".to_owned());
    if field.is_list() {
        Value::List(vec![one(), one()])
    } else {
        one()
    }
}
