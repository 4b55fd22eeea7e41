//! `--routes`, with packets between two nodes.

use crate::DAEMONSET;
use crate::agent::{Agent, log, remove};
use serde_json::json;
use std::net::IpAddr;
use testkit::api_server::{Server, node};
use testkit::{Scene, Uplink, dual_stack, eventually};

/// Where the pods of the other node are.
const THEIRS: [&str; 2] = ["10.244.2.0/24", "fd00:2::/64"];
/// Pods of the other node.
const PODS: [&str; 2] = ["10.244.2.5", "fd00:2::5"];
/// The pod CIDRs of this node, from which the pod gets its addresses.
const OURS: [&str; 2] = ["10.10.0.0/22", "fd00:10::/64"];

/// A node with a pod, and a neighbour that is another node with another pod.
fn two_nodes() -> (Scene, Uplink, Server) {
    let scene = Scene::new(dual_stack(json!({"ipMasq": false})));
    scene.add();
    let other = Uplink::of(&scene.host);
    let [v4, v6] = Uplink::HOST;
    let [pod4, pod6] = PODS;
    let [ours4, ours6] = OURS;
    other.outside.sh(&format!(
        "ip link set lo up; ip addr add {pod4}/32 dev lo; ip addr add {pod6}/128 dev lo nodad
         ip route add {ours4} via {v4}; ip route add {ours6} via {v6}"
    ));
    let server = Server::start(&scene.host);
    server.nodes(&[
        node("n1", &OURS, &["192.0.2.1", "2001:db8:ff::1"]),
        theirs(&["192.0.2.2", "2001:db8:ff::2"]),
    ]);
    (scene, other, server)
}

fn theirs(addresses: &[&str]) -> serde_json::Value {
    node("n2", &THEIRS, addresses)
}

fn routes(scene: &Scene) -> String {
    scene
        .host
        .sh("ip -o route show proto 104; ip -6 -o route show proto 104")
}

#[test]
fn pods_of_two_nodes_see_each_other_and_the_outside_sees_the_node() {
    let (scene, other, server) = two_nodes();
    server.answer(DAEMONSET, 200, json!({}));
    let agent = Agent::start(&scene.host, Some(&server), &["--routes"]);
    agent.await_ready();
    agent.await_owner(1);
    for (family, own) in ["10.10.0.2", "fd00:10::2"].into_iter().enumerate() {
        let [pod, node, host] = [
            PODS[family].parse::<IpAddr>().unwrap(),
            Uplink::OUTSIDE[family],
            Uplink::HOST[family],
        ];
        eventually("the other node's pod answers", || scene.pod.ping(pod));
        let seen = scene.pod.seen_by(other.outside.place(), pod).unwrap();
        assert_eq!(seen.to_string(), own, "another node's pod sees the pod");
        let seen = scene.pod.seen_by(other.outside.place(), node).unwrap();
        assert_eq!(seen, host, "what is no pod sees the node");
    }
    assert!(agent.stop().success());
    assert_eq!(
        routes(&scene).lines().count(),
        2,
        "a restart leaves the routes: {}",
        log(&scene.host)
    );

    remove(&scene.host);
    assert_eq!(routes(&scene), "");
    assert!(!scene.host.sh("nft list tables").contains("hawser_node"));
}

#[test]
fn nodes_come_go_and_move() {
    let (scene, _other, server) = two_nodes();
    let _agent = Agent::start(&scene.host, Some(&server), &["--routes"]);
    eventually("both families are routed", || {
        routes(&scene).lines().count() == 2
    });

    server.event("MODIFIED", theirs(&["192.0.2.3", "2001:db8:ff::2"]));
    eventually("the route follows the node", || {
        routes(&scene).contains("10.244.2.0/24 via 192.0.2.3")
    });
    assert_eq!(routes(&scene).lines().count(), 2);

    // The server ends an answer, and the next goes on from there.
    server.end_watches();
    server.event("ADDED", node("n3", &["10.244.3.0/24"], &["192.0.2.4"]));
    eventually("a third node is routed", || {
        routes(&scene).contains("10.244.3.0/24 via 192.0.2.4")
    });

    // Versions are forgotten: everything is listed again.
    server.event("ERROR", json!({"code": 410, "message": "too old"}));
    server.nodes(&[
        node("n1", &OURS, &["192.0.2.1"]),
        node("n3", &["10.244.3.0/24"], &["192.0.2.4"]),
    ]);
    eventually("the second node is gone", || {
        !routes(&scene).contains("10.244.2.0/24")
    });
    assert!(routes(&scene).contains("10.244.3.0/24"));
}

#[test]
fn what_cannot_be_routed_is_told_and_nobody_elses_route_is_touched() {
    let (scene, _other, server) = two_nodes();
    scene
        .host
        .sh("ip route add 10.244.2.0/24 via 192.0.2.9; ip route add default via 192.0.2.2");
    server.nodes(&[
        node("n1", &OURS, &["192.0.2.1"]),
        theirs(&["192.0.2.2"]),
        node("n3", &["10.244.3.0/24"], &["198.51.100.7"]),
    ]);
    let agent = Agent::start(&scene.host, Some(&server), &["--routes"]);
    agent.await_ready();
    let (_, text) = agent.page("/readyz");
    for words in [
        "somebody else made a route to 10.244.2.0/24",
        "no InternalIP of the family of fd00:2::/64",
        "behind 192.0.2.2",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(routes(&scene), "");
    assert!(
        scene
            .host
            .sh("ip route")
            .contains("10.244.2.0/24 via 192.0.2.9")
    );
}
