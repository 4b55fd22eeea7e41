//! Snapshots, and what is told of their blocks.

use proto::csi::{
    CreateSnapshotRequest, DeleteSnapshotRequest, GetMetadataAllocatedRequest,
    GetMetadataDeltaRequest, GetSnapshotRequest, ListSnapshotsRequest,
};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, SNAPSHOT, VOLUME, bare, invalid, map, refused, rules};
use crate::request::Page;

fn create(name: &str, source: &str) -> CreateSnapshotRequest {
    CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: source.to_owned(),
        ..CreateSnapshotRequest::default()
    }
}

fn delete(snapshot_id: &str) -> DeleteSnapshotRequest {
    DeleteSnapshotRequest {
        snapshot_id: snapshot_id.to_owned(),
        ..DeleteSnapshotRequest::default()
    }
}

fn get(snapshot_id: &str) -> GetSnapshotRequest {
    GetSnapshotRequest {
        snapshot_id: snapshot_id.to_owned(),
        ..GetSnapshotRequest::default()
    }
}

fn list(snapshot_id: &str, source_volume_id: &str) -> ListSnapshotsRequest {
    ListSnapshotsRequest {
        snapshot_id: snapshot_id.to_owned(),
        source_volume_id: source_volume_id.to_owned(),
        ..ListSnapshotsRequest::default()
    }
}

fn allocated(
    snapshot_id: &str,
    starting_offset: i64,
    max_results: i32,
) -> GetMetadataAllocatedRequest {
    GetMetadataAllocatedRequest {
        snapshot_id: snapshot_id.to_owned(),
        starting_offset,
        max_results,
        ..GetMetadataAllocatedRequest::default()
    }
}

fn delta(
    base: &str,
    target: &str,
    starting_offset: i64,
    max_results: i32,
) -> GetMetadataDeltaRequest {
    GetMetadataDeltaRequest {
        base_snapshot_id: base.to_owned(),
        target_snapshot_id: target.to_owned(),
        starting_offset,
        max_results,
        ..GetMetadataDeltaRequest::default()
    }
}

#[test]
fn cs01_name_and_source_are_required() {
    let made = create_snapshot(&rules(), create("snap", VOLUME)).unwrap();
    assert_eq!((made.name.as_str(), made.source.as_str()), ("snap", VOLUME));
    invalid(
        create_snapshot(&rules(), create("", VOLUME)),
        "name is missing",
    );
    invalid(
        create_snapshot(&rules(), create("snap", "")),
        "source_volume_id is missing",
    );
    invalid(
        create_snapshot(&rules(), create("s\u{7f}", VOLUME)),
        "name ",
    );
    for id in FOREIGN.into_iter().chain([INLINE, SNAPSHOT]) {
        refused(
            create_snapshot(&rules(), create("snap", id)),
            Code::NotFound,
        );
    }
}

#[test]
fn cs01_classes_have_no_parameters() {
    let with = |key| CreateSnapshotRequest {
        parameters: map([(key, "true")]),
        ..create("snap", VOLUME)
    };
    create_snapshot(&rules(), with("csi.storage.k8s.io/volumesnapshot/name")).unwrap();
    invalid(
        create_snapshot(&rules(), with("ignoreFailedRead")),
        "parameters has the unknown key",
    );
}

#[test]
fn ds01_gs01_ids_are_required() {
    for id in ["", &"a".repeat(129), "a\0"] {
        invalid(delete_snapshot(&rules(), delete(id)), "snapshot_id ");
        invalid(get_snapshot(&rules(), get(id)), "snapshot_id ");
    }
    let ours = delete_snapshot(&rules(), delete(SNAPSHOT)).unwrap();
    assert_eq!(ours.unwrap().as_str(), SNAPSHOT);
    assert_eq!(
        get_snapshot(&rules(), get(SNAPSHOT)).unwrap().as_str(),
        SNAPSHOT
    );
    for id in FOREIGN.into_iter().chain([VOLUME]) {
        assert_eq!(delete_snapshot(&rules(), delete(id)).unwrap(), None);
        refused(get_snapshot(&rules(), get(id)), Code::NotFound);
    }
}

#[test]
fn ls01_filters_may_be_anything() {
    let all = list_snapshots(&rules(), list("", "")).unwrap();
    assert_eq!(
        (all.page, all.snapshot, all.source),
        (Page::default(), None, None)
    );
    for id in FOREIGN {
        let some = list_snapshots(&rules(), list(id, VOLUME)).unwrap();
        assert_eq!(
            (some.snapshot.as_deref(), some.source.as_deref()),
            (Some(id), Some(VOLUME))
        );
    }
    invalid(
        list_snapshots(&rules(), list(&"a".repeat(129), "")),
        "snapshot_id ",
    );
    invalid(
        list_snapshots(&rules(), list("", &"a".repeat(129))),
        "source_volume_id ",
    );
    invalid(
        list_snapshots(&rules(), list("", "a\0")),
        "source_volume_id ",
    );
}

#[test]
fn ls01_pages_begin_after_the_id_of_a_snapshot() {
    let page = |max_entries, token: &str| {
        let wanted = ListSnapshotsRequest {
            max_entries,
            starting_token: token.to_owned(),
            ..ListSnapshotsRequest::default()
        };
        list_snapshots(&rules(), wanted)
    };
    assert_eq!(
        page(1, SNAPSHOT).unwrap().page.after.as_deref(),
        Some(SNAPSHOT)
    );
    refused(page(1, VOLUME), Code::Aborted);
    refused(page(1, "2147483648"), Code::Aborted);
    for most in [-1, i32::MIN] {
        invalid(page(most, ""), "max_entries ");
    }
}

#[test]
fn sm03_messages_are_bounded() {
    let most = |max_results| {
        let one = get_metadata_allocated(&rules(), allocated(SNAPSHOT, 0, max_results));
        let other = get_metadata_delta(&rules(), delta(SNAPSHOT, SNAPSHOT, 0, max_results));
        one.and_then(|one| other.map(|other| (one.most, other.most)))
    };
    assert_eq!(most(0).unwrap(), (None, None));
    assert_eq!(most(7).unwrap(), (Some(7), Some(7)));
    most(i32::MAX).unwrap();
    for negative in [-1, i32::MIN] {
        invalid(most(negative), "max_results ");
        let only = get_metadata_delta(&rules(), delta(SNAPSHOT, SNAPSHOT, 0, negative));
        invalid(only, "max_results ");
    }
}

#[test]
fn sm04_offsets_are_not_negative() {
    for (offset, from) in [(0, 0), (4096, 4096), (i64::MAX, i64::MAX as u64)] {
        let blocks = get_metadata_allocated(&rules(), allocated(SNAPSHOT, offset, 0)).unwrap();
        assert_eq!(blocks.from, from);
    }
    for offset in [-1, i64::MIN] {
        refused(
            get_metadata_allocated(&rules(), allocated(SNAPSHOT, offset, 0)),
            Code::OutOfRange,
        );
        refused(
            get_metadata_delta(&rules(), delta(SNAPSHOT, SNAPSHOT, offset, 0)),
            Code::OutOfRange,
        );
    }
}

#[test]
fn sm05_both_ids_are_required_and_known() {
    let other = SNAPSHOT.replace('0', "f");
    let blocks = get_metadata_delta(&rules(), delta(SNAPSHOT, &other, 0, 0)).unwrap();
    assert_eq!(blocks.base.unwrap().as_str(), SNAPSHOT);
    assert_eq!(blocks.target.as_str(), other);
    let blocks = get_metadata_allocated(&rules(), allocated(SNAPSHOT, 0, 0)).unwrap();
    assert!(blocks.base.is_none());
    invalid(
        get_metadata_allocated(&rules(), allocated("", 0, 0)),
        "snapshot_id is missing",
    );
    invalid(
        get_metadata_delta(&rules(), delta("", SNAPSHOT, 0, 0)),
        "base_snapshot_id is missing",
    );
    invalid(
        get_metadata_delta(&rules(), delta("no-such", "", 0, 0)),
        "target_snapshot_id is missing",
    );
    for id in FOREIGN {
        refused(
            get_metadata_allocated(&rules(), allocated(id, 0, 0)),
            Code::NotFound,
        );
        refused(
            get_metadata_delta(&rules(), delta(id, SNAPSHOT, 0, 0)),
            Code::NotFound,
        );
        refused(
            get_metadata_delta(&rules(), delta(SNAPSHOT, id, 0, 0)),
            Code::NotFound,
        );
    }
}

#[test]
fn g08_metadata_that_is_switched_off_is_not_there() {
    refused(
        get_metadata_allocated(&bare(), allocated("", 0, 0)),
        Code::Unimplemented,
    );
    refused(
        get_metadata_delta(&bare(), delta("", "", 0, 0)),
        Code::Unimplemented,
    );
}
