//! The Node service, all but publishing.

use proto::csi::{
    CapacityRange, NodeExpandVolumeRequest, NodeGetVolumeStatsRequest, NodeStageVolumeRequest,
    NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, VOLUME, bare, block, invalid, map, mount, refused, rules};

fn stage(volume_id: &str) -> NodeStageVolumeRequest {
    NodeStageVolumeRequest {
        volume_id: volume_id.to_owned(),
        staging_target_path: "/stage".to_owned(),
        volume_capability: Some(mount()),
        ..NodeStageVolumeRequest::default()
    }
}

fn unstage(volume_id: &str, staging_target_path: &str) -> NodeUnstageVolumeRequest {
    NodeUnstageVolumeRequest {
        volume_id: volume_id.to_owned(),
        staging_target_path: staging_target_path.to_owned(),
    }
}

fn unpublish(volume_id: &str) -> NodeUnpublishVolumeRequest {
    NodeUnpublishVolumeRequest {
        volume_id: volume_id.to_owned(),
        target_path: "/target".to_owned(),
    }
}

fn stats(volume_id: &str, volume_path: &str) -> NodeGetVolumeStatsRequest {
    NodeGetVolumeStatsRequest {
        volume_id: volume_id.to_owned(),
        volume_path: volume_path.to_owned(),
        ..NodeGetVolumeStatsRequest::default()
    }
}

fn expand(volume_id: &str, volume_path: &str) -> NodeExpandVolumeRequest {
    NodeExpandVolumeRequest {
        volume_id: volume_id.to_owned(),
        volume_path: volume_path.to_owned(),
        ..NodeExpandVolumeRequest::default()
    }
}

#[test]
fn ns01_id_path_and_capability_are_required() {
    let made = node_stage_volume(&rules(), stage(VOLUME)).unwrap();
    assert_eq!(
        (made.volume.as_str(), made.path.to_str()),
        (VOLUME, Some("/stage"))
    );
    invalid(
        node_stage_volume(&rules(), stage("")),
        "volume_id is missing",
    );
    // What is missing comes before what is not found.
    let no_path = NodeStageVolumeRequest {
        staging_target_path: String::new(),
        ..stage("no-such")
    };
    invalid(
        node_stage_volume(&rules(), no_path),
        "staging_target_path is missing",
    );
    let no_capability = NodeStageVolumeRequest {
        volume_capability: None,
        ..stage("no-such")
    };
    invalid(
        node_stage_volume(&rules(), no_capability),
        "volume_capability is missing",
    );
    for id in FOREIGN.into_iter().chain([INLINE]) {
        refused(node_stage_volume(&rules(), stage(id)), Code::NotFound);
    }
}

#[test]
fn g06_contexts_hold_4_kib() {
    let large = || map([("a", &"b".repeat(4096))]);
    let staged = |publish_context, volume_context| {
        let wanted = NodeStageVolumeRequest {
            publish_context,
            volume_context,
            ..stage(VOLUME)
        };
        node_stage_volume(&rules(), wanted)
    };
    invalid(staged(large(), map([])), "publish_context holds");
    invalid(staged(map([]), large()), "volume_context holds");
}

#[test]
fn nu01_nn01_what_cannot_be_ours_was_never_there() {
    for id in FOREIGN {
        assert!(
            node_unstage_volume(&rules(), unstage(id, "/stage"))
                .unwrap()
                .volume
                .is_none()
        );
        assert!(
            node_unpublish_volume(&rules(), unpublish(id))
                .unwrap()
                .volume
                .is_none()
        );
    }
    let unstaged = node_unstage_volume(&rules(), unstage(VOLUME, "/stage")).unwrap();
    assert_eq!(
        (unstaged.volume.unwrap().as_str(), unstaged.path.to_str()),
        (VOLUME, Some("/stage"))
    );
    let unpublished = node_unpublish_volume(&rules(), unpublish(INLINE)).unwrap();
    assert_eq!(unpublished.volume.unwrap().as_str(), INLINE);
    invalid(
        node_unstage_volume(&rules(), unstage("", "/stage")),
        "volume_id is missing",
    );
    invalid(
        node_unstage_volume(&rules(), unstage(VOLUME, "")),
        "staging_target_path is missing",
    );
    invalid(
        node_unpublish_volume(&rules(), unpublish("")),
        "volume_id is missing",
    );
}

#[test]
fn ng01_ne01_id_and_path_are_required() {
    for id in [VOLUME, INLINE] {
        let made = node_get_volume_stats(&rules(), stats(id, "/target")).unwrap();
        assert_eq!(
            (made.volume.as_str(), made.path.to_str()),
            (id, Some("/target"))
        );
        let made = node_expand_volume(&rules(), expand(id, "/target")).unwrap();
        assert_eq!(
            (made.volume.as_str(), made.path.to_str()),
            (id, Some("/target"))
        );
    }
    invalid(
        node_get_volume_stats(&rules(), stats("", "some/path")),
        "volume_id is missing",
    );
    invalid(
        node_get_volume_stats(&rules(), stats("no-such", "")),
        "volume_path is missing",
    );
    invalid(
        node_expand_volume(&rules(), expand("", "some/path")),
        "volume_id is missing",
    );
    invalid(
        node_expand_volume(&rules(), expand("no-such", "")),
        "volume_path is missing",
    );
    let long = format!("/{}", "a".repeat(4095));
    invalid(
        node_get_volume_stats(&rules(), stats(VOLUME, &long)),
        "volume_path ",
    );
}

#[test]
fn ng01_ne01_nothing_is_found_under_other_ids_or_at_odd_paths() {
    for id in FOREIGN {
        refused(
            node_get_volume_stats(&rules(), stats(id, "some/path")),
            Code::NotFound,
        );
        refused(
            node_expand_volume(&rules(), expand(id, "/target")),
            Code::NotFound,
        );
    }
    for path in ["some/path", "/a/../b", "/"] {
        let text = refused(
            node_get_volume_stats(&rules(), stats(VOLUME, path)),
            Code::NotFound,
        );
        assert_eq!(
            text,
            format!("volume {VOLUME} at volume_path {path:?} does not exist")
        );
        refused(
            node_expand_volume(&rules(), expand(VOLUME, path)),
            Code::NotFound,
        );
    }
}

#[test]
fn ng01_the_staging_path_is_optional_and_a_path() {
    let wanted = NodeGetVolumeStatsRequest {
        staging_target_path: "stage".to_owned(),
        ..stats(VOLUME, "/target")
    };
    invalid(
        node_get_volume_stats(&rules(), wanted),
        "staging_target_path ",
    );
}

#[test]
fn ne01_the_range_is_optional_and_a_range() {
    let with = |required_bytes| NodeExpandVolumeRequest {
        capacity_range: Some(CapacityRange {
            required_bytes,
            limit_bytes: 0,
        }),
        volume_capability: Some(block()),
        ..expand(VOLUME, "/target")
    };
    assert!(
        node_expand_volume(&rules(), expand(VOLUME, "/target"))
            .unwrap()
            .range
            .is_none()
    );
    let made = node_expand_volume(&rules(), with(7)).unwrap();
    assert_eq!(made.range.unwrap().required, 7);
    assert!(made.capability.is_some());
    for bytes in [0, -1, i64::MIN] {
        invalid(node_expand_volume(&rules(), with(bytes)), "capacity_range");
    }
    refused(node_expand_volume(&bare(), with(7)), Code::Unimplemented);
}
