//! `NodePublishVolume`, of volumes that were staged and of inline ones.

use proto::csi::{NodePublishVolumeRequest, VolumeCapability};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, VOLUME, block, invalid, map, mount, refused, rules};
use crate::record::Kind;

const FLAG: &str = "csi.storage.k8s.io/ephemeral";

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
fn g06_contexts_hold_4_kib() {
    let large = || map([("a", &"b".repeat(4096))]);
    let published = |publish_context, volume_context| {
        let wanted = NodePublishVolumeRequest {
            publish_context,
            volume_context,
            ..publish(VOLUME)
        };
        node_publish_volume(&rules(), wanted)
    };
    invalid(published(large(), map([])), "publish_context holds");
    invalid(published(map([]), large()), "volume_context holds");
}
