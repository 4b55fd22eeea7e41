//! The same name once more.

use super::{listed, made, small};
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Scene};
use tonic::Code;

fn image(name: &str) -> CreateVolumeRequest {
    create_volume(name)
        .size(32 * MIB)
        .limit(64 * MIB)
        .parameter("kind", "image")
        .filesystem("ext4")
}

/// A request with what a sidecar adds to its class.
fn told_of(request: CreateVolumeRequest, claim: &str) -> CreateVolumeRequest {
    request.parameter("csi.storage.k8s.io/pvc/name", claim)
}

#[test]
fn cv_04_the_same_request_finds_the_same_volume() {
    let scene = Scene::with(PoolKind::Xfs, |setup| {
        setup.flag("enable-controller-modify-volume", "true")
    });
    let thick = |request: CreateVolumeRequest| request.parameter("provisioning", "thick");
    // Requests that ask for one thing, and so find what the first of them made.
    let rows = [
        vec![create_volume("any size"), create_volume("any size")],
        vec![
            image("image"),
            image("image"),
            told_of(image("image"), "a"),
            told_of(image("image"), "b"),
        ],
        // What was made is within these ranges, too.
        vec![
            image("range"),
            image("range").size(0),
            image("range").limit(0),
            image("range").limit(i64::MAX),
        ],
        vec![thick(small("thick")), thick(small("thick"))],
        vec![
            small("mutable").mutable("provisioning", "thin"),
            small("mutable"),
        ],
        vec![
            image("modes"),
            image("modes").mode(Mode::SingleNodeSingleWriter),
        ],
        vec![image("flags"), image("flags").flag("noatime")],
    ];
    for requests in rows {
        let mut requests = requests.into_iter();
        let first = made(&scene.client, requests.next().unwrap());
        for request in requests {
            assert_eq!(made(&scene.client, request), first);
        }
    }
}

#[test]
fn cv_05_another_request_does_not() {
    let scene = Scene::with(PoolKind::Xfs, |setup| {
        setup.flag("enable-controller-modify-volume", "true")
    });
    let other = made(&scene.client, small("other")).volume_id;
    let snapshot = scene
        .client
        .create_snapshot(create_snapshot("s", &other))
        .unwrap();
    let snapshot = snapshot.snapshot.unwrap().snapshot_id;
    let image = || image("image");
    let clone = || small("clone").cloning(&other);
    let plain = || {
        create_volume("plain")
            .size(MIB)
            .parameter("kind", "unenforced-directory")
    };
    for first in [image(), clone(), plain()] {
        made(&scene.client, first);
    }
    let before = listed(&scene.client);
    let leaks = scene.leaks();
    // What differs, the request, and a word of the reason.
    let rows = [
        ("larger", image().size(32 * MIB + 1), "32"),
        ("smaller", image().size(0).limit(32 * MIB - 1), "32"),
        ("access type", image().block(), "filesystem"),
        ("filesystem", image().filesystem("xfs"), "xfs"),
        (
            "parameter",
            image().parameter("provisioning", "thin"),
            "parameters",
        ),
        (
            "kind",
            image().parameter("kind", "unenforced-directory"),
            "parameters",
        ),
        (
            "provisioning",
            image().mutable("provisioning", "thick"),
            "thin",
        ),
        ("with a source", image().cloning(&other), "source"),
        ("without its source", small("clone"), "source"),
        (
            "a snapshot as source",
            small("clone").restoring(&snapshot),
            "source",
        ),
        (
            "mount flags that only an image can have",
            plain().flag("discard"),
            "kind image",
        ),
        (
            "the filesystem of an image",
            plain().filesystem("ext4"),
            "ext4",
        ),
    ];
    for (what, request, names) in rows {
        scene
            .client
            .create_volume(request)
            .refused(what, Code::AlreadyExists, names);
    }
    assert_eq!(listed(&scene.client), before);
    leaks.assert_none();
}

#[test]
fn cv_04_a_name_is_free_again_when_its_volume_is_gone() {
    let scene = Scene::on(PoolKind::Plain);
    let client: &Client = &scene.client;
    let first = made(client, small("v")).volume_id;
    super::delete(client, &first);
    let second = made(client, small("v").size(8192));
    assert_ne!(second.volume_id, first);
    assert_eq!(second.capacity_bytes, 8192);
}
