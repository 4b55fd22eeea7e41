//! `CreateVolume`.

use proptest::prelude::*;
use proto::csi::volume_content_source::{SnapshotSource, Type, VolumeSource};
use proto::csi::{CapacityRange, CreateVolumeRequest, VolumeContentSource};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, SNAPSHOT, VOLUME, bare, create, invalid, map, refused, rules};
use crate::parameters::Attributes;
use crate::record::Kind;
use crate::request::{SizeRange, Source};

fn sized(required_bytes: i64, limit_bytes: i64) -> Option<CapacityRange> {
    Some(CapacityRange {
        required_bytes,
        limit_bytes,
    })
}

fn range(capacity_range: Option<CapacityRange>) -> Result<Option<SizeRange>, Error> {
    let wanted = CreateVolumeRequest {
        capacity_range,
        ..create()
    };
    create_volume(&rules(), wanted).map(|made| made.range)
}

#[test]
fn cv01_the_least_request_is_taken() {
    let made = create_volume(&rules(), create()).unwrap();
    assert_eq!(
        (made.name.as_str(), made.range, made.source),
        ("pvc-1", None, None)
    );
    assert_eq!(made.capabilities.len(), 1);
    assert_eq!(made.class, crate::parameters::Class::default());
}

#[test]
fn cv03_ranges_are_taken() {
    for (required, limit, size) in [
        (1, 0, (1, None)),
        (0, 1, (0, Some(1))),
        (5, 5, (5, Some(5))),
        (i64::MAX, 0, (i64::MAX as u64, None)),
        (0, i64::MAX, (0, Some(i64::MAX as u64))),
        (i64::MAX, i64::MAX, (i64::MAX as u64, Some(i64::MAX as u64))),
    ] {
        let (required_bytes, limit_bytes) = size;
        let size = SizeRange {
            required: required_bytes,
            limit: limit_bytes,
        };
        assert_eq!(range(sized(required, limit)).unwrap(), Some(size));
    }
    assert_eq!(range(None).unwrap(), None);
}

#[test]
fn cv03_ranges_that_hold_no_size_are_refused() {
    for (required, limit, text) in [
        (0, 0, "capacity_range has neither"),
        (-1, 0, "capacity_range.required_bytes -1 is less than 0"),
        (0, -1, "capacity_range.limit_bytes -1 is less than 0"),
        (
            i64::MIN,
            i64::MAX,
            "capacity_range.required_bytes -9223372036854775808",
        ),
        (
            i64::MAX,
            i64::MIN,
            "capacity_range.limit_bytes -9223372036854775808",
        ),
        (
            2048,
            1024,
            "capacity_range.required_bytes 2 KiB (2048 bytes) is more than limit_bytes 1 KiB (1024 bytes)",
        ),
        (i64::MAX, 1, "capacity_range.required_bytes 7.9 EiB"),
    ] {
        invalid(range(sized(required, limit)), text);
    }
}

#[test]
fn cv05_parameters_are_understood_and_kept_as_they_came() {
    let wanted = CreateVolumeRequest {
        parameters: map([("kind", "image"), ("csi.storage.k8s.io/pvc/name", "data")]),
        ..create()
    };
    let made = create_volume(&rules(), wanted).unwrap();
    assert_eq!(made.class.kind, Some(Kind::Image));
    assert_eq!(made.parameters["csi.storage.k8s.io/pvc/name"], "data");
    let wanted = CreateVolumeRequest {
        parameters: map([("Kind", "image")]),
        ..create()
    };
    let text = invalid(
        create_volume(&rules(), wanted),
        "parameters has the unknown key \"Kind\"",
    );
    assert!(text.ends_with("did you mean kind"), "{text}");
}

#[test]
fn cv09_mutable_parameters_only_where_they_are_offered() {
    let wanted = |key| CreateVolumeRequest {
        mutable_parameters: map([(key, "thick")]),
        ..create()
    };
    let made = create_volume(&rules(), wanted("provisioning")).unwrap();
    assert_eq!(made.attributes, Attributes { thick: Some(true) });
    invalid(
        create_volume(&rules(), wanted("pool")),
        "mutable_parameters has the unknown key",
    );
    let text = invalid(
        create_volume(&bare(), wanted("provisioning")),
        "mutable_parameters is set",
    );
    assert!(text.contains("--enable-controller-modify-volume"), "{text}");
}

#[test]
fn cv07_sources_are_found_by_ids_of_ours() {
    let from = |r#type| {
        let wanted = CreateVolumeRequest {
            volume_content_source: Some(VolumeContentSource { r#type }),
            ..create()
        };
        create_volume(&rules(), wanted).map(|made| made.source)
    };
    let snapshot = |snapshot_id: &str| {
        let snapshot_id = snapshot_id.to_owned();
        from(Some(Type::Snapshot(SnapshotSource { snapshot_id })))
    };
    let volume = |volume_id: &str| {
        let volume_id = volume_id.to_owned();
        from(Some(Type::Volume(VolumeSource { volume_id })))
    };
    let Ok(Some(Source::Snapshot(id))) = snapshot(SNAPSHOT) else {
        panic!("no snapshot");
    };
    assert_eq!(id.as_str(), SNAPSHOT);
    let Ok(Some(Source::Volume(id))) = volume(VOLUME) else {
        panic!("no volume");
    };
    assert_eq!(id.as_str(), VOLUME);
    invalid(from(None), "volume_content_source is missing");
    invalid(
        snapshot(""),
        "volume_content_source.snapshot.snapshot_id is missing",
    );
    invalid(
        volume(""),
        "volume_content_source.volume.volume_id is missing",
    );
    for foreign in FOREIGN {
        refused(snapshot(foreign), Code::NotFound);
        refused(volume(foreign), Code::NotFound);
    }
    // Nobody copies what belongs to a pod, and the kinds of ids do not stand in for each other.
    refused(volume(INLINE), Code::NotFound);
    refused(volume(SNAPSHOT), Code::NotFound);
    refused(snapshot(VOLUME), Code::NotFound);
}

proptest! {
    #[test]
    fn cv03_a_range_that_is_taken_holds_a_size(required: i64, limit: i64) {
        if let Ok(Some(range)) = range(sized(required, limit)) {
            prop_assert!(range.limit.is_none_or(|limit| range.required <= limit && limit > 0));
            prop_assert!(range.required > 0 || range.limit.is_some());
            prop_assert_eq!(i64::try_from(range.required), Ok(required));
        }
    }
}
