//! Where a volume has to be reachable from: its node, and no other.

use super::{listed, made, small};
use proto::csi::*;
use testkit::csi::{Answer, PoolKind, Scene};
use tonic::Code;

const KEY: &str = "topology.hostpath.hawser.io/node";

fn term(segments: &[(&str, &str)]) -> Topology {
    let segments = segments.iter();
    let segments = segments.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Topology {
        segments: segments.collect(),
    }
}

fn on(node: &str) -> Topology {
    term(&[(KEY, node)])
}

fn wanted(requisite: Vec<Topology>, preferred: Vec<Topology>) -> CreateVolumeRequest {
    CreateVolumeRequest {
        accessibility_requirements: Some(TopologyRequirement {
            requisite,
            preferred,
        }),
        ..small("v")
    }
}

#[test]
fn cv_08_a_volume_is_made_where_one_of_the_requisite_nodes_is_this_one() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    let leaks = scene.leaks();
    let (here, there) = (|| on("node-1"), || on("node-2"));
    let elsewhere = [
        wanted(vec![there()], vec![]),
        wanted(vec![there(), on("node-3")], vec![there()]),
        wanted(vec![], vec![there()]),
        wanted(vec![there()], vec![here()]),
        wanted(vec![term(&[(KEY, "node-1"), ("zone", "a")])], vec![]),
        wanted(
            vec![term(&[("topology.another.driver/node", "node-1")])],
            vec![],
        ),
        wanted(vec![on("")], vec![]),
        wanted(vec![on("NODE-1")], vec![]),
        wanted(vec![Topology::default()], vec![]),
    ];
    for request in elsewhere {
        let call = format!("{request:?}");
        client.create_volume(request).refused(
            call,
            Code::ResourceExhausted,
            "this is node \"node-1\"",
        );
    }
    assert!(listed(client).is_empty());
    leaks.assert_none();
    let right = [
        wanted(vec![here()], vec![]),
        wanted(vec![here()], vec![here()]),
        wanted(vec![there(), here()], vec![there(), here()]),
        wanted(vec![], vec![there(), here()]),
        wanted(vec![], vec![]),
        wanted(
            vec![term(&[("Topology.Hostpath.Hawser.IO/Node", "node-1")])],
            vec![],
        ),
    ];
    for request in right {
        assert_eq!(made(client, request).accessible_topology, [here()]);
    }
}

#[test]
fn cv_08_without_topology_nothing_is_asked_and_nothing_is_told() {
    let scene = Scene::with(PoolKind::Plain, |setup| {
        setup.flag("enable-topology", "false")
    });
    let client = &scene.client;
    let asked = client.create_volume(wanted(vec![on("node-1")], vec![]));
    asked.refused("asked", Code::InvalidArgument, "accessibility_requirements");
    assert_eq!(made(client, small("v")).accessible_topology, []);
    let info = client.node_get_info(NodeGetInfoRequest {}).unwrap();
    assert_eq!(info.accessible_topology, None);
}
