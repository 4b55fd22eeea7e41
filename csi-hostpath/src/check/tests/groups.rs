//! Groups of snapshots.

use proto::csi::{
    CreateVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotRequest,
    GetVolumeGroupSnapshotRequest,
};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, GROUP, INLINE, SNAPSHOT, VOLUME, invalid, map, refused, rules};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn create(name: &str, sources: &[&str]) -> CreateVolumeGroupSnapshotRequest {
    CreateVolumeGroupSnapshotRequest {
        name: name.to_owned(),
        source_volume_ids: texts(sources),
        ..CreateVolumeGroupSnapshotRequest::default()
    }
}

fn delete(group: &str, snapshots: &[&str]) -> DeleteVolumeGroupSnapshotRequest {
    DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: group.to_owned(),
        snapshot_ids: texts(snapshots),
        ..DeleteVolumeGroupSnapshotRequest::default()
    }
}

fn get(group: &str, snapshots: &[&str]) -> GetVolumeGroupSnapshotRequest {
    GetVolumeGroupSnapshotRequest {
        group_snapshot_id: group.to_owned(),
        snapshot_ids: texts(snapshots),
        ..GetVolumeGroupSnapshotRequest::default()
    }
}

#[test]
fn gg02_volumes_keep_the_callers_order() {
    let (one, other) = (VOLUME.replace('0', "f"), VOLUME.replace('0', "e"));
    let made =
        create_volume_group_snapshot(&rules(), create("g", &[&one, VOLUME, &other])).unwrap();
    let sources: Vec<_> = made.sources.iter().map(|id| id.as_str()).collect();
    assert_eq!(
        (made.name.as_str(), sources),
        ("g", vec![one.as_str(), VOLUME, other.as_str()])
    );
}

#[test]
fn gg02_name_and_volumes_are_required_each_once() {
    let made = |name: &str, sources: &[&str]| {
        create_volume_group_snapshot(&rules(), create(name, sources))
    };
    invalid(made("", &[VOLUME]), "name is missing");
    invalid(made("g", &[]), "source_volume_ids is missing");
    invalid(made("g", &[VOLUME, ""]), "source_volume_ids[1] is missing");
    invalid(
        made("g", &["no-such", &"a".repeat(129)]),
        "source_volume_ids[1] ",
    );
    let text = invalid(made("g", &[VOLUME, VOLUME]), "source_volume_ids has ");
    assert!(text.ends_with("twice"), "{text}");
    for id in FOREIGN.into_iter().chain([INLINE, SNAPSHOT]) {
        refused(made("g", &[VOLUME, id]), Code::NotFound);
    }
}

#[test]
fn gg02_classes_have_no_parameters() {
    let wanted = CreateVolumeGroupSnapshotRequest {
        parameters: map([("freeze", "no")]),
        ..create("g", &[VOLUME])
    };
    invalid(
        create_volume_group_snapshot(&rules(), wanted),
        "parameters has the unknown key \"freeze\"",
    );
}

#[test]
fn gg04_an_unknown_group_is_gone_already() {
    for id in FOREIGN.into_iter().chain([SNAPSHOT]) {
        let none = delete_volume_group_snapshot(&rules(), delete(id, &[])).unwrap();
        assert!(none.is_none());
    }
    let group = delete_volume_group_snapshot(&rules(), delete(GROUP, &[SNAPSHOT]))
        .unwrap()
        .unwrap();
    assert_eq!(
        (group.group.as_str(), group.snapshots[0].as_str()),
        (GROUP, SNAPSHOT)
    );
}

#[test]
fn gg05_an_unknown_group_is_missing() {
    for id in FOREIGN.into_iter().chain([SNAPSHOT]) {
        refused(
            get_volume_group_snapshot(&rules(), get(id, &[])),
            Code::NotFound,
        );
    }
    let group = get_volume_group_snapshot(&rules(), get(GROUP, &[SNAPSHOT])).unwrap();
    assert_eq!(
        (group.group.as_str(), group.snapshots[0].as_str()),
        (GROUP, SNAPSHOT)
    );
}

#[test]
fn gg04_gg05_members_are_required_and_ours() {
    for (group, members, text) in [
        ("", vec![SNAPSHOT], "group_snapshot_id is missing"),
        (GROUP, vec![], "snapshot_ids is missing"),
        (GROUP, vec![SNAPSHOT, ""], "snapshot_ids[1] is missing"),
        (
            GROUP,
            vec![SNAPSHOT, "no-such"],
            "snapshot_ids[1] \"no-such\" is not a member",
        ),
    ] {
        invalid(
            delete_volume_group_snapshot(&rules(), delete(group, &members)),
            text,
        );
        invalid(
            get_volume_group_snapshot(&rules(), get(group, &members)),
            text,
        );
    }
}
