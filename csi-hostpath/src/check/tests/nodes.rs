//! The Node service.

use proto::csi::{
    CapacityRange, NodeExpandVolumeRequest, NodeGetVolumeStatsRequest, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest, VolumeCapability,
};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, VOLUME, bare, block, invalid, map, mount, refused, rules};
use crate::record::Kind;

const FLAG: &str = "csi.storage.k8s.io/ephemeral";

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

fn publish(volume_id: &str) -> NodePublishVolumeRequest {
    NodePublishVolumeRequest {
        volume_id: volume_id.to_owned(),
        staging_target_path: "/stage".to_owned(),
        target_path: "/target".to_owned(),
        volume_capability: Some(mount()),
        readonly: true,
        ..NodePublishVolumeRequest::default()
    }
}

fn inline(volume_capability: VolumeCapability) -> NodePublishVolumeRequest {
    NodePublishVolumeRequest {
        staging_target_path: String::new(),
        volume_capability: Some(volume_capability),
        volume_context: map([
            (FLAG, "true"),
            ("csi.storage.k8s.io/pod.name", "web-0"),
            ("csi.storage.k8s.io/serviceAccount.tokens", "hunter2"),
            ("size", "64Mi"),
            ("kind", "image"),
        ]),
        ..publish(INLINE)
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
    let wanted = NodePublishVolumeRequest {
        publish_context: large(),
        ..publish(VOLUME)
    };
    invalid(
        node_publish_volume(&rules(), wanted),
        "publish_context holds",
    );
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
fn np01_id_target_and_capability_are_required() {
    let made = node_publish_volume(&rules(), publish(VOLUME)).unwrap();
    assert_eq!(
        (made.volume.as_str(), made.target.to_str()),
        (VOLUME, Some("/target"))
    );
    assert_eq!(made.staging.unwrap().to_str(), Some("/stage"));
    assert!(made.readonly && made.ephemeral.is_none());
    invalid(
        node_publish_volume(&rules(), publish("")),
        "volume_id is missing",
    );
    let no_target = NodePublishVolumeRequest {
        target_path: String::new(),
        ..publish("no-such")
    };
    invalid(
        node_publish_volume(&rules(), no_target),
        "target_path is missing",
    );
    let no_capability = NodePublishVolumeRequest {
        volume_capability: None,
        staging_target_path: String::new(),
        ..publish("no-such")
    };
    invalid(
        node_publish_volume(&rules(), no_capability),
        "volume_capability is missing",
    );
    for id in FOREIGN {
        refused(node_publish_volume(&rules(), publish(id)), Code::NotFound);
    }
}

#[test]
fn np02_a_volume_is_staged_first() {
    let unstaged = NodePublishVolumeRequest {
        staging_target_path: String::new(),
        ..publish(VOLUME)
    };
    let text = refused(
        node_publish_volume(&rules(), unstaged),
        Code::FailedPrecondition,
    );
    assert!(text.starts_with("staging_target_path is missing"), "{text}");
    let odd = NodePublishVolumeRequest {
        staging_target_path: "stage".to_owned(),
        ..publish(VOLUME)
    };
    invalid(
        node_publish_volume(&rules(), odd),
        "staging_target_path \"stage\"",
    );
}

#[test]
fn k13_an_inline_volume_is_made_by_its_attributes() {
    let made = node_publish_volume(&rules(), inline(mount())).unwrap();
    assert_eq!((made.volume.as_str(), made.staging), (INLINE, None));
    let ephemeral = made.ephemeral.unwrap();
    assert_eq!(
        (ephemeral.size, ephemeral.class.kind),
        (Some(64 << 20), Some(Kind::Image))
    );
    // Neither the pod nor its tokens belong to the volume.
    let keys: Vec<_> = ephemeral.parameters.keys().collect();
    assert_eq!(keys, ["kind", "size"]);
}

#[test]
fn k13_an_inline_volume_is_mounted_and_its_attributes_are_known() {
    invalid(
        node_publish_volume(&rules(), inline(block())),
        "volume_capability is block",
    );
    let unknown = NodePublishVolumeRequest {
        volume_context: map([(FLAG, "true"), ("capacity", "64Mi")]),
        ..inline(mount())
    };
    let text = invalid(
        node_publish_volume(&rules(), unknown),
        "volume_context has the unknown key \"capacity\"",
    );
    assert!(
        text.ends_with("known are size, kind, pool, provisioning"),
        "{text}"
    );
}

#[test]
fn k13_only_kubelets_ids_are_inline_and_only_with_the_flag() {
    for id in FOREIGN.into_iter().chain([VOLUME]) {
        let wanted = NodePublishVolumeRequest {
            volume_id: id.to_owned(),
            ..inline(mount())
        };
        invalid(
            node_publish_volume(&rules(), wanted),
            "volume_context has csi.storage.k8s.io/ephemeral = true",
        );
    }
    for context in [map([]), map([(FLAG, "false")]), map([(FLAG, "True")])] {
        let wanted = NodePublishVolumeRequest {
            volume_context: context,
            ..publish(INLINE)
        };
        let text = invalid(
            node_publish_volume(&rules(), wanted),
            "volume_id is an inline volume's",
        );
        assert!(text.contains("podInfoOnMount"), "{text}");
    }
}

#[test]
fn a_staged_volumes_context_may_hold_anything() {
    let wanted = NodePublishVolumeRequest {
        volume_context: map([
            (FLAG, "false"),
            ("storage.kubernetes.io/csiProvisionerIdentity", "1-2-x"),
        ]),
        ..publish(VOLUME)
    };
    node_publish_volume(&rules(), wanted).unwrap();
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
