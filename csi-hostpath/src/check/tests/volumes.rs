//! The Controller service's RPCs about volumes that exist.

use proto::csi::{
    CapacityRange, ControllerExpandVolumeRequest, ControllerGetVolumeRequest,
    ControllerModifyVolumeRequest, ControllerPublishVolumeRequest,
    ControllerUnpublishVolumeRequest, DeleteVolumeRequest, GetCapacityRequest, ListVolumesRequest,
    ValidateVolumeCapabilitiesRequest,
};
use tonic::Code;

use super::super::*;
use super::{FOREIGN, INLINE, SNAPSHOT, VOLUME, bare, block, invalid, map, mount, refused, rules};
use crate::parameters::Attributes;
use crate::request::Page;

fn sized(required_bytes: i64, limit_bytes: i64) -> Option<CapacityRange> {
    Some(CapacityRange {
        required_bytes,
        limit_bytes,
    })
}

fn expand(volume_id: &str, capacity_range: Option<CapacityRange>) -> ControllerExpandVolumeRequest {
    ControllerExpandVolumeRequest {
        volume_id: volume_id.to_owned(),
        capacity_range,
        ..ControllerExpandVolumeRequest::default()
    }
}

fn attach(volume_id: &str, node_id: &str) -> ControllerPublishVolumeRequest {
    ControllerPublishVolumeRequest {
        volume_id: volume_id.to_owned(),
        node_id: node_id.to_owned(),
        volume_capability: Some(block()),
        readonly: true,
        ..ControllerPublishVolumeRequest::default()
    }
}

fn detach(volume_id: &str, node_id: &str) -> ControllerUnpublishVolumeRequest {
    ControllerUnpublishVolumeRequest {
        volume_id: volume_id.to_owned(),
        node_id: node_id.to_owned(),
        ..ControllerUnpublishVolumeRequest::default()
    }
}

fn modify(volume_id: &str) -> ControllerModifyVolumeRequest {
    ControllerModifyVolumeRequest {
        volume_id: volume_id.to_owned(),
        mutable_parameters: map([("provisioning", "thick")]),
        ..ControllerModifyVolumeRequest::default()
    }
}

fn validate(volume_id: &str) -> ValidateVolumeCapabilitiesRequest {
    ValidateVolumeCapabilitiesRequest {
        volume_id: volume_id.to_owned(),
        volume_capabilities: vec![mount()],
        volume_context: map([("a", "1")]),
        parameters: map([("b", "2")]),
        mutable_parameters: map([("c", "3")]),
        ..ValidateVolumeCapabilitiesRequest::default()
    }
}

fn get(volume_id: &str) -> ControllerGetVolumeRequest {
    ControllerGetVolumeRequest {
        volume_id: volume_id.to_owned(),
    }
}

fn delete(volume_id: &str) -> DeleteVolumeRequest {
    DeleteVolumeRequest {
        volume_id: volume_id.to_owned(),
        ..DeleteVolumeRequest::default()
    }
}

fn list(max_entries: i32, starting_token: &str) -> ListVolumesRequest {
    ListVolumesRequest {
        max_entries,
        starting_token: starting_token.to_owned(),
    }
}

#[test]
fn g08_volume_ids_are_required_and_hold_128_bytes() {
    for id in ["", &"a".repeat(129), "a\0"] {
        invalid(delete_volume(&rules(), delete(id)), "volume_id ");
        invalid(controller_get_volume(&rules(), get(id)), "volume_id ");
        invalid(
            controller_publish_volume(&rules(), attach(id, "node-a")),
            "volume_id ",
        );
        invalid(
            controller_unpublish_volume(&rules(), detach(id, "")),
            "volume_id ",
        );
        invalid(
            controller_expand_volume(&rules(), expand(id, sized(1, 0))),
            "volume_id ",
        );
        invalid(controller_modify_volume(&rules(), modify(id)), "volume_id ");
        invalid(
            validate_volume_capabilities(&rules(), validate(id)),
            "volume_id ",
        );
    }
}

#[test]
fn volumes_that_cannot_be_ours_are_missing_where_they_are_needed() {
    for id in FOREIGN {
        refused(controller_get_volume(&rules(), get(id)), Code::NotFound);
    }
    for id in FOREIGN.into_iter().chain([INLINE]) {
        refused(
            controller_publish_volume(&rules(), attach(id, "node-a")),
            Code::NotFound,
        );
        refused(
            controller_expand_volume(&rules(), expand(id, sized(1, 0))),
            Code::NotFound,
        );
        refused(
            controller_modify_volume(&rules(), modify(id)),
            Code::NotFound,
        );
        refused(
            validate_volume_capabilities(&rules(), validate(id)),
            Code::NotFound,
        );
    }
}

#[test]
fn dv01_cu01_volumes_that_cannot_be_ours_are_gone_already() {
    for id in FOREIGN {
        assert_eq!(delete_volume(&rules(), delete(id)).unwrap(), None);
        assert!(
            controller_unpublish_volume(&rules(), detach(id, ""))
                .unwrap()
                .is_none()
        );
    }
    let ours = delete_volume(&rules(), delete(VOLUME)).unwrap();
    assert_eq!(ours.unwrap().as_str(), VOLUME);
}

#[test]
fn gv01_an_inline_volume_can_be_asked_about() {
    for id in [VOLUME, INLINE] {
        assert_eq!(
            controller_get_volume(&rules(), get(id)).unwrap().as_str(),
            id
        );
    }
}

#[test]
fn cp01_a_volume_is_attached_to_this_node() {
    let made = controller_publish_volume(&rules(), attach(VOLUME, "node-a")).unwrap();
    assert_eq!(
        (made.volume.as_str(), made.node.as_str(), made.readonly),
        (VOLUME, "node-a", true)
    );
    let text = refused(
        controller_publish_volume(&rules(), attach(VOLUME, "node-b")),
        Code::NotFound,
    );
    assert_eq!(text, "node \"node-b\" does not exist");
    let without = ControllerPublishVolumeRequest {
        volume_capability: None,
        ..attach("no-such", "node-b")
    };
    invalid(
        controller_publish_volume(&rules(), without),
        "volume_capability is missing",
    );
    let remote = Rules {
        remote: true,
        ..rules()
    };
    assert_eq!(
        controller_publish_volume(&remote, attach(VOLUME, "node-b"))
            .unwrap()
            .node,
        "node-b"
    );
}

#[test]
fn g06_node_ids_hold_256_bytes() {
    invalid(
        controller_publish_volume(&rules(), attach(VOLUME, "")),
        "node_id is missing",
    );
    refused(
        controller_publish_volume(&rules(), attach(VOLUME, &"n".repeat(256))),
        Code::NotFound,
    );
    for id in ["n".repeat(257), "n\0".to_owned()] {
        invalid(
            controller_publish_volume(&rules(), attach(VOLUME, &id)),
            "node_id ",
        );
        invalid(
            controller_unpublish_volume(&rules(), detach(VOLUME, &id)),
            "node_id ",
        );
    }
}

#[test]
fn cu01_no_node_means_every_node() {
    let everywhere = controller_unpublish_volume(&rules(), detach(VOLUME, "")).unwrap();
    assert_eq!(everywhere.unwrap().node, None);
    let one = controller_unpublish_volume(&rules(), detach(VOLUME, "node-b")).unwrap();
    assert_eq!(one.unwrap().node.as_deref(), Some("node-b"));
}

#[test]
fn g08_rpcs_that_are_switched_off_are_not_there() {
    refused(
        controller_publish_volume(&bare(), attach("", "")),
        Code::Unimplemented,
    );
    refused(
        controller_unpublish_volume(&bare(), detach("", "")),
        Code::Unimplemented,
    );
    refused(
        controller_expand_volume(&bare(), expand("", None)),
        Code::Unimplemented,
    );
    let text = refused(
        controller_modify_volume(&bare(), modify("")),
        Code::Unimplemented,
    );
    assert!(
        text.starts_with("ControllerModifyVolume is not offered"),
        "{text}"
    );
}

#[test]
fn c02_what_the_caller_assumes_is_kept() {
    let made = validate_volume_capabilities(&rules(), validate(VOLUME)).unwrap();
    assert_eq!(made.volume.as_str(), VOLUME);
    assert_eq!(made.capabilities.unwrap().len(), 1);
    assert_eq!(made.context["a"], "1");
    assert_eq!(made.parameters["b"], "2");
    assert_eq!(made.mutable_parameters["c"], "3");
}

#[test]
fn lv01_pages_begin_after_an_id() {
    let page = |most, after: Option<&str>| Page {
        most,
        after: after.map(str::to_owned),
    };
    assert_eq!(
        list_volumes(&rules(), list(0, "")).unwrap(),
        page(None, None)
    );
    assert_eq!(
        list_volumes(&rules(), list(3, VOLUME)).unwrap(),
        page(Some(3), Some(VOLUME))
    );
    let largest = usize::try_from(i32::MAX).unwrap();
    assert_eq!(
        list_volumes(&rules(), list(i32::MAX, INLINE)).unwrap(),
        page(Some(largest), Some(INLINE))
    );
    for most in [-1, i32::MIN] {
        invalid(
            list_volumes(&rules(), list(most, "")),
            &format!("max_entries {most} is less than 0"),
        );
    }
    for token in ["0", "-1", "99999999999999999999", SNAPSHOT, ".."] {
        let text = refused(list_volumes(&rules(), list(0, token)), Code::Aborted);
        assert!(
            text.starts_with(&format!("token {token:?} was not issued")),
            "{text}"
        );
    }
    invalid(
        list_volumes(&rules(), list(0, &"1".repeat(129))),
        "starting_token ",
    );
}

#[test]
fn gc01_a_class_that_cannot_be_served_has_no_room() {
    let measured = |parameters| {
        let wanted = GetCapacityRequest {
            parameters,
            ..GetCapacityRequest::default()
        };
        get_capacity(&rules(), wanted)
    };
    assert!(measured(map([("kind", "image")])).unwrap().class.is_some());
    assert!(measured(map([("kind", "tape")])).unwrap().class.is_none());
    assert!(measured(map([("speed", "high")])).unwrap().class.is_none());
    invalid(
        measured(map([("a", &"b".repeat(4096))])),
        "parameters holds",
    );
}

#[test]
fn ce01_a_size_is_required() {
    let made = controller_expand_volume(&rules(), expand(VOLUME, sized(7, 0))).unwrap();
    assert_eq!(
        (made.range.required, made.range.limit, made.capability),
        (7, None, None)
    );
    invalid(
        controller_expand_volume(&rules(), expand(VOLUME, None)),
        "capacity_range is missing",
    );
    invalid(
        controller_expand_volume(&rules(), expand(VOLUME, sized(0, 0))),
        "capacity_range has neither",
    );
    invalid(
        controller_expand_volume(&rules(), expand("no-such", None)),
        "capacity_range is missing",
    );
}

#[test]
fn ce01_a_capability_that_cannot_be_is_refused() {
    let with = |capability| ControllerExpandVolumeRequest {
        volume_capability: Some(capability),
        ..expand(VOLUME, sized(1, 0))
    };
    assert!(
        controller_expand_volume(&rules(), with(block()))
            .unwrap()
            .capability
            .is_some()
    );
    let no_type = proto::csi::VolumeCapability {
        access_type: None,
        ..mount()
    };
    invalid(
        controller_expand_volume(&rules(), with(no_type)),
        "volume_capability is missing",
    );
}

#[test]
fn mv01_something_has_to_change() {
    let made = controller_modify_volume(&rules(), modify(VOLUME)).unwrap();
    assert_eq!(made.attributes, Attributes { thick: Some(true) });
    let with = |mutable_parameters| ControllerModifyVolumeRequest {
        mutable_parameters,
        ..modify(VOLUME)
    };
    invalid(
        controller_modify_volume(&rules(), with(map([]))),
        "mutable_parameters is missing",
    );
    invalid(
        controller_modify_volume(&rules(), with(map([("kind", "image")]))),
        "mutable_parameters has",
    );
    invalid(
        controller_modify_volume(&rules(), with(map([("provisioning", "")]))),
        "mutable_parameters[provisioning] is \"\"",
    );
}
