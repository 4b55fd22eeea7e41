//! What may change while a volume exists: whether its space is set aside.

use super::{FOREIGN, made, small};
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, PoolKind, Scene};
use tonic::Code;

fn modifying(pool: PoolKind) -> Scene {
    Scene::with(pool, |setup| {
        setup.flag("enable-controller-modify-volume", "true")
    })
}

fn provisioning(id: &str, how: &str) -> ControllerModifyVolumeRequest {
    modify(id).mutable("provisioning", how)
}

#[test]
fn mv_01_space_is_set_aside_and_given_back() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = modifying(pool);
        let client = &scene.client;
        let size = 64 * MIB;
        let id = made(client, create_volume("v").block().size(size)).volume_id;
        let thin = scene.pool.used();
        let reserved = || i64::try_from(scene.pool.used().saturating_sub(thin)).unwrap();
        for _ in 0..2 {
            client
                .controller_modify_volume(provisioning(&id, "thick"))
                .unwrap();
            assert!(reserved() >= size, "{pool:?}: {}", reserved());
        }
        for _ in 0..2 {
            client
                .controller_modify_volume(provisioning(&id, "thin"))
                .unwrap();
            testkit::eventually("the space comes back", || reserved() < size / 4);
        }
    }
}

#[test]
fn mv_01_what_cannot_be_changes_nothing() {
    let scene = modifying(PoolKind::Btrfs);
    let client = &scene.client;
    let directory = made(client, create_volume("directory").size(MIB)).volume_id;
    let device = made(client, small("device")).volume_id;
    let leaks = scene.leaks();
    let rows = [
        (modify(&device), "mutable_parameters"),
        (provisioning(&device, "fat"), "thin or thick"),
        (provisioning(&device, ""), "thin or thick"),
        (
            provisioning(&device, "thick").mutable("kind", "image"),
            "known are provisioning",
        ),
        (
            provisioning(&device, "thick").mutable("Provisioning", "thin"),
            "did you mean provisioning",
        ),
        (provisioning(&directory, "thick"), "kind image"),
        (provisioning("", "thick"), "volume_id"),
    ];
    for (request, names) in rows {
        let call = format!("{request:?}");
        client
            .controller_modify_volume(request)
            .refused(call, Code::InvalidArgument, names);
    }
    for foreign in FOREIGN {
        let answer = client.controller_modify_volume(provisioning(foreign, "thick"));
        answer.refused(foreign, Code::NotFound, "does not exist");
    }
    // Thin it is still, which is also to say that it can be told so.
    let still_thin = validate(&device).block().mutable("provisioning", "thin");
    let still_thin = client.validate_volume_capabilities(still_thin).unwrap();
    assert!(still_thin.confirmed.is_some(), "{}", still_thin.message);
    client
        .controller_modify_volume(provisioning(&directory, "thin"))
        .unwrap();
    leaks.assert_none();
}

#[test]
fn cv_09_mutable_parameters_win_over_parameters() {
    let scene = modifying(PoolKind::Xfs);
    let client = &scene.client;
    let rows = [("thick", "thin"), ("thin", "thick")];
    for (parameter, mutable) in rows {
        let request = small(parameter)
            .parameter("provisioning", parameter)
            .mutable("provisioning", mutable);
        let id = made(client, request.clone()).volume_id;
        assert_eq!(made(client, request).volume_id, id);
        let asked = validate(&id).block().mutable("provisioning", mutable);
        let answer = client.validate_volume_capabilities(asked).unwrap();
        assert!(answer.confirmed.is_some(), "{}", answer.message);
    }
    let unknown = small("v").mutable("kind", "image");
    let answer = client.create_volume(unknown);
    answer.refused("unknown", Code::InvalidArgument, "known are provisioning");
}

#[test]
fn cv_09_mutable_parameters_come_with_the_capability() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    let answer = client.create_volume(small("v").mutable("provisioning", "thin"));
    answer.refused(
        "create",
        Code::InvalidArgument,
        "--enable-controller-modify-volume",
    );
    let id = made(client, small("v")).volume_id;
    let answer = client.controller_modify_volume(provisioning(&id, "thin"));
    answer.refused("modify", Code::Unimplemented, "ControllerModifyVolume");
}
