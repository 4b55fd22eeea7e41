//! Changing from the reference to ours and back under running pods: whoever added a pod, the other one serves it.

use serde_json::{Value, json};
use testkit::{
    Dump, Host, Network, Plugins, Pod, Scene, Uplink, bridge, eventually, reference_under_test,
};

/// A network that the reference serves, with a pod on it from before, so that what pods share is there.
fn node(config: Value) -> (Host, Network, Pod) {
    let host = Host::new();
    let network = Network::new(&host, config).served_by(Plugins::reference());
    let keeper = host.pod("keeper");
    network.add(&keeper.attachment()).ok();
    (host, network, keeper)
}

fn configs() -> Vec<Value> {
    let dual = json!([[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00:10::/64"}]]);
    vec![
        bridge(json!({})),
        bridge(json!({"isDefaultGateway": true, "ipMasq": true})),
        bridge(
            json!({"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "macspoofchk": true, "mtu": 1400,
                      "ipam": {"subnet": null, "ranges": dual}}),
        ),
    ]
}

#[test]
fn a_pod_of_the_references_is_deleted_without_a_trace() {
    for vanished in [false, true] {
        for config in configs() {
            let (host, network, _keeper) = node(config.clone());
            let pod = host.pod("a");
            let before = Dump::of(&host);
            network.add(&pod.attachment()).ok();
            let network = network.served_by(Plugins::under_test());
            if vanished && reference_under_test() {
                continue; // it leaks its own rules then: see bridge_del.rs
            }
            if vanished {
                pod.remove();
            }
            network.del(&pod.attachment()).silent();
            // The reference's pair is found by nothing but the pod, with which the kernel takes it in its own time.
            let left = || -> Vec<String> {
                let diff = before.diff(&Dump::of(&host));
                let own = |line: &&String| !line.ends_with("/run/netns/a");
                diff.lines().iter().filter(own).cloned().collect()
            };
            if vanished {
                eventually("the pair goes with the pod", || {
                    !left().iter().any(|line| line.contains(" veth"))
                });
            }
            assert!(
                left().is_empty(),
                "vanished: {vanished}, {config}: {:#?}",
                left()
            );
        }
    }
}

#[test]
fn a_pod_of_the_references_passes_check_when_ours_made_its_rules() {
    // What the reference made of a plain pod is what ours would have made.
    let (host, network, _keeper) = node(bridge(json!({"isDefaultGateway": true})));
    let pod = host.pod("a");
    network.add(&pod.attachment()).ok();
    network
        .served_by(Plugins::under_test())
        .check(&pod.attachment())
        .silent();
}

#[test]
fn pods_of_both_talk_to_each_other_and_to_the_outside() {
    let (host, network, old) = node(bridge(json!({"isDefaultGateway": true, "ipMasq": true})));
    let world = Uplink::of(&host);
    let network = network.served_by(Plugins::under_test());
    let new = host.pod("new");
    network.add(&new.attachment()).ok();
    assert!(new.ping("10.10.0.2") && old.ping("10.10.0.3"));
    for pod in [&old, &new] {
        assert_eq!(
            pod.seen_by(world.outside.place(), Uplink::OUTSIDE[0])
                .unwrap(),
            Uplink::HOST[0]
        );
    }
}

/// The reference's DEL takes link and address away, then fails because its own masquerade chain is not there. The DEL that
/// a runtime tries next finds no address to look a chain up for, and succeeds.
fn delete_by_the_reference(network: &Network, pod: &Pod) {
    let first = network.del(&pod.attachment());
    assert!(
        first.succeeded() || first.failed().mentions("CNI-"),
        "{first}"
    );
    network.del(&pod.attachment()).silent();
}

#[test]
fn a_pod_of_ours_is_checked_and_deleted_by_the_reference() {
    for config in configs() {
        let (host, network, _keeper) = node(config.clone());
        let pod = host.pod("a");
        let before = Dump::of(&host).and(&[&pod]);
        let network = network.served_by(Plugins::under_test());
        network.add(&pod.attachment()).ok();
        let network = network.served_by(Plugins::reference());
        network.check(&pod.attachment()).silent();
        delete_by_the_reference(&network, &pod);
        let diff = before.diff(&Dump::of(&host).and(&[&pod]));
        // It cannot know our nf_tables; everything else is gone.
        let left: Vec<_> = diff
            .lines()
            .iter()
            .filter(|line| !line.starts_with("+ host nft"))
            .collect();
        assert!(left.is_empty(), "{config}: {left:#?}");
    }
}

#[test]
fn what_the_reference_leaves_of_ours_goes_with_our_next_del() {
    let config = bridge(json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}));
    let scene = Scene::shared(config);
    let before = scene.dump();
    scene.add();
    let network = scene.network.served_by(Plugins::reference());
    delete_by_the_reference(&network, &scene.pod);
    network
        .served_by(Plugins::under_test())
        .del(&scene.pod.attachment())
        .silent();
    before.assert_same(&Dump::of(&scene.host).and(&[&scene.pod]));
}
