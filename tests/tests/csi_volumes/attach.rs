//! Attaching, which a node-local volume does not need and a cluster may want.

use super::{FOREIGN, listed, made, small};
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Pv, Scene};
use tonic::Code;

fn attaching() -> Scene {
    Scene::with(PoolKind::Ext4, |setup| {
        setup
            .flag("enable-attach", "true")
            .flag("attach-limit", "2")
    })
}

/// The nodes that a volume is attached to, as a list and as the volume itself tell.
fn nodes(client: &Client, id: &str) -> Vec<String> {
    let status = client
        .controller_get_volume(get_volume(id))
        .unwrap()
        .status
        .unwrap();
    let of = |entry: &proto::ListedVolume| entry.volume().unwrap().volume_id == id;
    let entry = listed(client).into_iter().find(of).unwrap();
    assert_eq!(
        entry.status().unwrap().published_node_ids,
        status.published_node_ids
    );
    status.published_node_ids
}

#[test]
fn cp_01_cp_02_cu_01_a_volume_is_attached_to_its_node() {
    let mut scene = attaching();
    let client = &scene.client;
    let id = made(client, small("v")).volume_id;
    let mounted = made(client, create_volume("m").size(16 * MIB)).volume_id;
    let here = |id: &str| attach(id, "node-1").block();
    let read_only = || {
        let mut request = here(&id);
        request.readonly = true;
        request
    };
    assert!(nodes(client, &id).is_empty());
    for _ in 0..2 {
        client.controller_publish_volume(here(&id)).unwrap();
        assert_eq!(nodes(client, &id), ["node-1"]);
    }
    let invalid = Code::InvalidArgument;
    let no_use = {
        let mut request = here(&id);
        request.volume_capability = None;
        request
    };
    let rows = [
        ("read-only", read_only(), Code::AlreadyExists, "read-write"),
        (
            "mode",
            here(&id).mode(Mode::SingleNodeSingleWriter),
            Code::AlreadyExists,
            "detach",
        ),
        (
            "another node",
            attach(&id, "node-2").block(),
            Code::NotFound,
            "node-2",
        ),
        ("no node", attach(&id, "").block(), invalid, "node_id"),
        (
            "long node",
            attach(&id, &"n".repeat(257)).block(),
            invalid,
            "256 bytes",
        ),
        ("no volume", here(""), invalid, "volume_id"),
        ("no use", no_use, invalid, "volume_capability"),
        ("as a mount", attach(&id, "node-1"), invalid, "raw device"),
        (
            "as a device",
            attach(&mounted, "node-1").block(),
            invalid,
            "filesystem",
        ),
    ];
    for (call, request, code, names) in rows {
        client
            .controller_publish_volume(request)
            .refused(call, code, names);
    }
    for foreign in FOREIGN {
        let answer = client.controller_publish_volume(here(foreign));
        answer.refused(foreign, Code::NotFound, "does not exist");
    }
    let deletion = client.delete_volume(delete_volume(&id));
    deletion.refused("deletion", Code::FailedPrecondition, "detach it first");
    assert_eq!(nodes(client, &id), ["node-1"]);

    scene.driver.crash();
    let client = &scene.client;
    assert_eq!(nodes(client, &id), ["node-1"]);
    for _ in 0..2 {
        client
            .controller_unpublish_volume(detach(&id, "node-1"))
            .unwrap();
        assert!(nodes(client, &id).is_empty());
    }
    client.controller_publish_volume(read_only()).unwrap();
    client
        .controller_unpublish_volume(detach(&id, "node-2"))
        .unwrap();
    assert_eq!(nodes(client, &id), ["node-1"], "another node was meant");
    client.controller_unpublish_volume(detach(&id, "")).unwrap();
    assert!(nodes(client, &id).is_empty(), "every node was meant");
    client.delete_volume(delete_volume(&id)).unwrap();
}

#[test]
fn cu_01_what_cannot_be_attached_is_detached() {
    let scene = attaching();
    let client = &scene.client;
    let detached = |id: &str, node: &str| client.controller_unpublish_volume(detach(id, node));
    for id in FOREIGN {
        detached(id, "node-1").unwrap();
        detached(id, "").unwrap();
    }
    detached("", "node-1").refused("no volume", Code::InvalidArgument, "volume_id");
    let long = "n".repeat(257);
    detached("vol-1", &long).refused("long node", Code::InvalidArgument, "node_id");
}

#[test]
fn cu_01_a_volume_in_use_stays_attached() {
    let scene = attaching();
    let client = &scene.client;
    let volume = made(client, create_volume("v").size(16 * MIB));
    let (id, pv) = (&volume.volume_id, Pv::of("pv", &volume));
    client
        .controller_publish_volume(attach(id, "node-1"))
        .unwrap();
    scene.kubelet.stage(&pv).unwrap();
    let answer = client.controller_unpublish_volume(detach(id, "node-1"));
    answer.refused("staged", Code::FailedPrecondition, id);
    assert_eq!(nodes(client, id), ["node-1"]);
    scene.kubelet.unstage(&pv).unwrap();
    client
        .controller_unpublish_volume(detach(id, "node-1"))
        .unwrap();
}

#[test]
fn cp_01_no_more_are_attached_than_the_limit_says() {
    let scene = attaching();
    let client = &scene.client;
    let ids = ["a", "b", "c"].map(|name| made(client, small(name)).volume_id);
    let attached = |id: &str| client.controller_publish_volume(attach(id, "node-1").block());
    for id in [&ids[0], &ids[1], &ids[0]] {
        attached(id).unwrap();
    }
    attached(&ids[2]).refused("a third", Code::ResourceExhausted, "limit is 2");
    client
        .controller_unpublish_volume(detach(&ids[0], "node-1"))
        .unwrap();
    attached(&ids[2]).unwrap();
}
