//! Whether a volume can be what somebody believes it to be.

use super::{FOREIGN, made, small};
use proto::csi::validate_volume_capabilities_response::Confirmed;
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Scene};
use tonic::Code;

fn validated(
    client: &Client,
    request: ValidateVolumeCapabilitiesRequest,
) -> ValidateVolumeCapabilitiesResponse {
    let call = format!("{request:?}");
    let answer = client.validate_volume_capabilities(request);
    answer.unwrap_or_else(|refused| panic!("{call}: {refused}"))
}

#[test]
fn c_02_what_fits_is_confirmed_word_for_word() {
    let scene = Scene::on(PoolKind::Btrfs);
    let client = &scene.client;
    let device = made(client, small("device").parameter("provisioning", "thin"));
    let image = made(
        client,
        create_volume("image").size(16 * MIB).filesystem("ext4"),
    );
    let directory = made(client, create_volume("directory").size(MIB));
    let of = |volume: &Volume| {
        let mut request = validate(&volume.volume_id);
        request.volume_context.clone_from(&volume.volume_context);
        request
    };
    let two = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: vec![
            mount(),
            mount().mode(Mode::SingleNodeMultiWriter).flag("noatime"),
        ],
        ..of(&image)
    };
    let rows = [
        of(&device).block(),
        of(&device).block().parameter("provisioning", "thin"),
        of(&device).block().mutable("provisioning", "thin"),
        of(&image),
        of(&image).filesystem("ext4").flag("discard"),
        two,
        of(&directory),
        of(&directory).filesystem("btrfs").flag("noexec"),
        validate(&directory.volume_id),
    ];
    for request in rows {
        let expected = Confirmed {
            volume_context: request.volume_context.clone(),
            volume_capabilities: request.volume_capabilities.clone(),
            parameters: request.parameters.clone(),
            mutable_parameters: request.mutable_parameters.clone(),
        };
        let answer = validated(client, request);
        assert_eq!(answer.confirmed, Some(expected), "{}", answer.message);
        assert_eq!(answer.message, "");
    }

    let not_both = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: vec![mount(), block()],
        ..of(&image)
    };
    let not_the_second = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: vec![mount(), mount().filesystem("xfs")],
        ..of(&image)
    };
    // What does not fit, and a word of the reason.
    let rows = [
        (of(&device), "raw device"),
        (of(&image).block(), "filesystem"),
        (
            of(&image).block().mode(Mode::MultiNodeMultiWriter),
            "one node's own disk",
        ),
        (
            of(&image).mode(Mode::MultiNodeSingleWriter),
            "one node's own disk",
        ),
        (of(&image).filesystem("xfs"), "ext4"),
        (of(&image).filesystem("ntfs"), "fs_type"),
        (of(&directory).filesystem("ext4"), "ext4"),
        (of(&directory).flag("discard"), "kind image"),
        (of(&image).flag("bind"), "mount_flags"),
        (not_both, "both"),
        (not_the_second, "xfs"),
        (of(&image).context("kind", "directory"), "volume_context"),
        (of(&image).context("more", "than told"), "volume_context"),
        (of(&image).parameter("kind", "image"), "parameters"),
        (
            of(&device).block().parameter("provisioning", "thick"),
            "parameters",
        ),
        (of(&device).block().mutable("provisioning", "thick"), "thin"),
    ];
    for (request, names) in rows {
        let call = format!("{request:?}");
        let answer = validated(client, request);
        assert_eq!(answer.confirmed, None, "{call}");
        assert!(answer.message.contains(names), "{call}: {}", answer.message);
    }
}

#[test]
fn c_02_an_id_and_a_use_are_required() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    let id = made(client, small("v")).volume_id;
    let no_use = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: Vec::new(),
        ..validate(&id)
    };
    let no_type = VolumeCapability {
        access_type: None,
        ..mount()
    };
    let rows = [
        (validate(""), "volume_id"),
        (no_use, "volume_capabilities"),
        (validate(&id).used_as(no_type), "neither block nor mount"),
        (validate(&id).mode(Mode::Unknown), "access_mode"),
    ];
    for (request, names) in rows {
        let call = format!("{request:?}");
        client
            .validate_volume_capabilities(request)
            .refused(call, Code::InvalidArgument, names);
    }
    for id in FOREIGN {
        let answer = client.validate_volume_capabilities(validate(id));
        answer.refused(id, Code::NotFound, "does not exist");
    }
}
