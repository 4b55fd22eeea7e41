//! How much room is told, and that it is the truth.

use super::{delete, made};
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Scene};
use tonic::Code;

fn of(capability: VolumeCapability) -> GetCapacityRequest {
    GetCapacityRequest {
        volume_capabilities: vec![capability],
        ..GetCapacityRequest::default()
    }
}

fn available(client: &Client) -> i64 {
    client.get_capacity(of(block())).unwrap().available_capacity
}

/// A device that takes its space at once, or when it is written.
fn device(name: &str, size: i64, provisioning: &str) -> CreateVolumeRequest {
    create_volume(name)
        .block()
        .size(size)
        .parameter("provisioning", provisioning)
}

#[test]
fn gc_01_a_limit_counts_what_was_promised() {
    for provisioning in ["thin", "thick"] {
        let scene = Scene::with(PoolKind::Xfs, |setup| {
            setup.flag("capacity", "default=256Mi")
        });
        let client = &scene.client;
        assert_eq!(available(client), 256 * MIB);
        let new = |name: &str, size: i64| device(name, size, provisioning);
        let first = made(client, new("a", 100 * MIB)).volume_id;
        made(client, new("b", 100 * MIB));
        assert_eq!(available(client), 56 * MIB);
        let leaks = scene.leaks();
        for size in [100 * MIB, 56 * MIB + 1] {
            client
                .create_volume(new("c", size))
                .refused(size, Code::ResourceExhausted, "56");
        }
        let growth = client.controller_expand_volume(expand(&first, 157 * MIB));
        growth.refused("growth", Code::ResourceExhausted, "56");
        leaks.assert_none();
        client
            .controller_expand_volume(expand(&first, 110 * MIB))
            .unwrap();
        assert_eq!(available(client), 46 * MIB);
        made(client, new("c", 46 * MIB));
        assert_eq!(available(client), 0);
        delete(client, &first);
        assert_eq!(available(client), 110 * MIB);
        made(client, new("d", 110 * MIB));
    }
}

#[test]
fn gc_01_without_a_limit_the_disk_decides() {
    for pool in [PoolKind::Ext4, PoolKind::Xfs] {
        let scene = Scene::on(pool);
        let client = &scene.client;
        let disk = || {
            let pool = scene.pool.path().display();
            let free = scene.node.sh(&format!("stat -f -c '%a %S' {pool}"));
            let numbers: Vec<i64> = free.split(' ').map(|n| n.parse().unwrap()).collect();
            numbers[0] * numbers[1]
        };
        let told = client.get_capacity(of(block())).unwrap();
        assert_eq!(told.available_capacity, disk(), "{pool:?}");
        assert_eq!(
            told.maximum_volume_size,
            Some(told.available_capacity),
            "{pool:?}"
        );

        let full = told.available_capacity;
        let too_large = client.create_volume(device("large", full + MIB, "thin"));
        too_large.refused("more than there is", Code::ResourceExhausted, "room");
        // A thin one takes no space until it is written, a thick one takes all of it.
        made(client, device("thin", GIB, "thin"));
        let slack = 16 * MIB;
        assert!(full - available(client) < slack, "{pool:?}");
        let thick = made(client, device("thick", GIB, "thick")).volume_id;
        let taken = full - available(client);
        assert!((GIB..GIB + slack).contains(&taken), "{pool:?}: {taken}");
        let half = full - GIB / 2;
        let too_large = client.create_volume(device("large", half, "thick"));
        too_large.refused("more than is left", Code::ResourceExhausted, "room");
        delete(client, &thick);
        testkit::eventually("the space comes back", || full - available(client) < slack);
    }
}

#[test]
fn gc_01_it_is_about_one_class_on_this_node() {
    let scene = Scene::with(PoolKind::Xfs, |setup| setup.flag("max-volume-size", "1Gi"));
    let client = &scene.client;
    let at = |node: &str, request: GetCapacityRequest| {
        let segment = (
            "topology.hostpath.hawser.io/node".to_owned(),
            node.to_owned(),
        );
        let segments = [segment].into();
        GetCapacityRequest {
            accessible_topology: Some(Topology { segments }),
            ..request
        }
    };
    // The least size of what there is room for.
    let some = [
        (GetCapacityRequest::default(), 16 * MIB),
        (of(block()), 4096),
        (of(mount()), 16 * MIB),
        (of(mount().filesystem("xfs")), 300 * MIB),
        (of(mount()).parameter("kind", "unenforced-directory"), MIB),
        (at("node-1", of(block())), 4096),
        (of(block()).parameter("pool", "default"), 4096),
        (
            of(block()).parameter("csi.storage.k8s.io/fstype", "ext4"),
            4096,
        ),
    ];
    for (request, least) in some {
        let call = format!("{request:?}");
        let told = client.get_capacity(request).unwrap();
        assert!(told.available_capacity > 3 * GIB, "{call}: {told:?}");
        assert_eq!(told.maximum_volume_size, Some(GIB), "{call}");
        assert_eq!(told.minimum_volume_size, Some(least), "{call}");
    }
    let none = [
        at("node-2", of(block())),
        at("node-2", GetCapacityRequest::default()),
        of(mount().filesystem("ntfs")),
        of(mount().mode(Mode::MultiNodeMultiWriter)),
        of(block()).parameter("pool", "no-such"),
        of(block()).parameter("kynd", "image"),
        of(block()).parameter("kind", "directory"),
        of(mount()).parameter("kind", "directory"),
    ];
    for request in none {
        let call = format!("{request:?}");
        let told = client.get_capacity(request).unwrap();
        assert_eq!(told.available_capacity, 0, "{call}");
        assert!(
            told.maximum_volume_size.is_none_or(|size| size == 0),
            "{call}: {told:?}"
        );
    }
    let malformed = of(mount().mode(Mode::Unknown));
    client
        .get_capacity(malformed)
        .refused("no mode", Code::InvalidArgument, "access_mode");
}

#[test]
fn gc_01_the_largest_volume_told_can_be_made() {
    let scene = Scene::with(PoolKind::Ext4, |setup| setup.flag("max-volume-size", "1Gi"));
    let client = &scene.client;
    let told = client.get_capacity(of(block())).unwrap();
    let largest = told.maximum_volume_size.unwrap();
    made(client, device("largest", largest, "thin"));
    let over = client.create_volume(device("over", largest + 1, "thin"));
    over.refused("over", Code::OutOfRange, "1 GiB");
    let least = told.minimum_volume_size.unwrap();
    assert_eq!(
        made(client, device("least", least, "thin")).capacity_bytes,
        least
    );
}

#[test]
fn gc_01_pools_have_rooms_of_their_own() {
    let node = testkit::csi::Node::new();
    let disks = ["pool", "fast"]
        .map(|name| testkit::csi::PoolDisk::named(&node, name, PoolKind::Ext4, 1 << 30));
    let fast = format!("fast={}", disks[1].path().display());
    let setup = testkit::csi::Setup::on(&node, disks[0].path());
    let setup = setup.flag("pool", &fast).flag("capacity", "fast=10Mi");
    let driver = setup.start();
    let client = Client::on(node.place(), driver.setup().socket());
    let in_fast = |name: &str| device(name, 6 * MIB, "thin").parameter("pool", "fast");
    let volume = made(&client, in_fast("a"));
    assert_eq!(volume.volume_context["pool"], "fast");
    client
        .create_volume(in_fast("b"))
        .refused("b", Code::ResourceExhausted, "fast");
    let room = client
        .get_capacity(of(block()).parameter("pool", "fast"))
        .unwrap();
    assert_eq!(room.available_capacity, 4 * MIB);
    assert!(available(&client) > 512 * MIB);
    // A copy lies where its source lies, unless its class says otherwise.
    let copy = create_volume("c").block().cloning(&volume.volume_id);
    client
        .create_volume(copy.clone())
        .refused("copy", Code::ResourceExhausted, "fast");
    let copy = made(&client, copy.parameter("pool", "default"));
    assert_eq!(copy.volume_context["pool"], "default");
}
