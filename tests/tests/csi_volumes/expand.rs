//! Larger volumes, as far as a controller promises them.

use super::{FOREIGN, listed, made, small};
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, PoolKind, Pv, Scene};
use tonic::Code;

#[test]
fn ce_01_a_size_is_promised_and_never_taken_back() {
    let scene = Scene::with(PoolKind::Xfs, |setup| setup.flag("max-volume-size", "1Gi"));
    let client = &scene.client;
    let id = made(client, create_volume("v").block().size(MIB)).volume_id;
    let new = |least: i64, most: i64| expand(&id, least).limit(most).block();
    // The range asked for, and the size that comes of it, one after the other.
    let rows = [
        (2 * MIB, 0, 2 * MIB),
        (2 * MIB, 0, 2 * MIB),
        (MIB, 0, 2 * MIB),
        (0, 4 * MIB, 2 * MIB),
        (3 * MIB - 1, 3 * MIB, 3 * MIB),
        (3 * MIB + 1, 0, 3 * MIB + 4096),
        (3 * MIB + 4097, 3 * MIB + 4096 + 512, 3 * MIB + 4096 + 512),
        (GIB, GIB, GIB),
    ];
    for (least, most, size) in rows {
        let grown = client.controller_expand_volume(new(least, most)).unwrap();
        assert_eq!(grown.capacity_bytes, size, "from {least} to {most}");
        assert!(grown.node_expansion_required);
        let volume = client
            .controller_get_volume(get_volume(&id))
            .unwrap()
            .volume
            .unwrap();
        assert_eq!(volume.capacity_bytes, size);
    }

    let before = listed(client);
    let (invalid, impossible) = (Code::InvalidArgument, Code::OutOfRange);
    let no_range = ControllerExpandVolumeRequest {
        capacity_range: None,
        ..new(1, 0)
    };
    let rows = [
        (new(GIB + 1, 0), impossible, "1 GiB"),
        (new(i64::MAX, i64::MAX), impossible, "1 GiB"),
        (new(1, GIB - 1), impossible, "do not shrink"),
        (new(0, 1), impossible, "do not shrink"),
        (new(200, 100), invalid, "required_bytes"),
        (new(-1, 0), invalid, "required_bytes"),
        (new(i64::MIN, 0), invalid, "required_bytes"),
        (new(0, -1), invalid, "limit_bytes"),
        (new(0, 0), invalid, "capacity_range"),
        (no_range, invalid, "capacity_range"),
        (expand(&id, GIB).used_as(mount()), invalid, "raw device"),
        (new(GIB, 0).mode(Mode::Unknown), invalid, "access_mode"),
        (
            new(GIB, 0).mode(Mode::MultiNodeMultiWriter),
            invalid,
            "access_mode",
        ),
        (expand("", GIB), invalid, "volume_id"),
    ];
    for (request, code, names) in rows {
        let call = format!("{request:?}");
        client
            .controller_expand_volume(request)
            .refused(call, code, names);
    }
    for foreign in FOREIGN {
        let answer = client.controller_expand_volume(expand(foreign, MIB));
        answer.refused(foreign, Code::NotFound, "does not exist");
    }
    assert_eq!(listed(client), before);
}

#[test]
fn ce_01_a_promise_outlives_the_driver_and_is_kept_by_the_node() {
    let mut scene = Scene::on(PoolKind::Ext4);
    let volume = made(&scene.client, small("v"));
    let pv = Pv::of("pv", &volume).block();
    let device = scene.kubelet.publish(&pv, "pod").unwrap();
    let id = volume.volume_id.as_str();
    let grown = scene
        .client
        .controller_expand_volume(expand(id, MIB))
        .unwrap();
    assert!(grown.node_expansion_required);
    scene.driver.crash();
    scene.kubelet.expand(&pv, "pod", MIB).unwrap();
    let bytes = scene
        .node
        .sh(&format!("blockdev --getsize64 {}", device.display()));
    assert_eq!(bytes, MIB.to_string());
    let grown = scene
        .client
        .controller_expand_volume(expand(id, MIB))
        .unwrap();
    assert!(
        !grown.node_expansion_required,
        "it is as large as was promised"
    );
    scene.kubelet.unpublish(&pv, "pod").unwrap();
    scene.kubelet.unstage(&pv).unwrap();
}
