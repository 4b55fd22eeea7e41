//! `firewall` with real packets: hosts that drop what they forward, the administrator's rules, and ingress policies.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use serde_json::{Value, json};
use std::net::IpAddr;
use testkit::{
    Host, Network, Pod, Scene, Uplink, dual_stack, eventually, firewalled, merged,
    unlike_the_reference,
};

const DROP: &str = "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";
/// What pods of the network `podnet` are in.
const PODS: [&str; 2] = ["10.10.0.0/22", "fd00:10::/64"];

/// The gateways of the reference answer a while after ADD, over IPv6.
fn await_gateways(pod: &Pod, gateways: [&str; 2]) {
    eventually("the gateways answer", || {
        gateways.into_iter().all(|gateway| pod.ping(gateway))
    });
}

/// Whether a pod reaches the outside, in each family.
fn gets_out(pod: &Pod) -> [bool; 2] {
    Uplink::OUTSIDE.map(|address| pod.ping(address))
}

/// The pod's addresses of both families.
fn addresses(network: &Network, pod: &Pod) -> [IpAddr; 2] {
    let result = network.result(&pod.attachment()).unwrap();
    [0, 1].map(|index| {
        let address = result["ips"][index]["address"].as_str().unwrap();
        address.split('/').next().unwrap().parse().unwrap()
    })
}

/// Whether `from` reaches each address of `to`, which must be on `network`.
fn reaches(from: &Pod, network: &Network, to: &Pod) -> [bool; 2] {
    addresses(network, to).map(|address| from.seen_by(to.place(), address).is_ok())
}

/// Lets the outside send to the pods' own addresses.
fn route_to_pods(world: &Uplink) {
    for (pods, host) in PODS.into_iter().zip(Uplink::HOST) {
        world.outside.sh(&format!("ip route add {pods} via {host}"));
    }
}

/// A pod of `network`, on a host with an outside, that can use its addresses.
fn pod_of(host: &Host, network: &Network, name: &str) -> Pod {
    let pod = host.pod(name);
    network.add(&pod.attachment()).ok();
    await_gateways(&pod, ["10.10.0.1", "fd00:10::1"]);
    pod
}

/// Changes the bridge's part of a list.
fn with_bridge(mut list: Value, patch: Value) -> Value {
    list["plugins"][0] = merged(list["plugins"][0].take(), patch);
    list
}

/// The same network on a second bridge.
fn other(list: Value) -> Value {
    let ranges = json!([[{"subnet": "10.20.0.0/24"}], [{"subnet": "fd00:20::/64"}]]);
    let list = merged(list, json!({"name": "othernet"}));
    with_bridge(list, json!({"bridge": "cni1", "ipam": {"ranges": ranges}}))
}

#[test]
fn pods_are_let_through_where_iptables_drops_and_only_they() {
    let scene = Scene::new(firewalled(json!({})));
    let _world = Uplink::of(&scene.host);
    scene.host.sh(DROP);
    let pod = pod_of(&scene.host, &scene.network, "pod");
    let plain = Network::new(&scene.host, dual_stack(json!({"ipMasq": true})));
    let stranger = pod_of(&scene.host, &plain, "stranger");
    assert_eq!(gets_out(&pod), [true, true]);
    assert_eq!(gets_out(&stranger), [false, false]);
}

#[test]
fn pods_that_left_are_let_through_no_more() {
    let scene = Scene::new(firewalled(json!({})));
    let _world = Uplink::of(&scene.host);
    scene.host.sh(DROP);
    let pod = pod_of(&scene.host, &scene.network, "pod");
    assert_eq!(gets_out(&pod), [true, true]);
    scene.network.del(&pod.attachment()).silent();
    // Whoever gets the addresses next gets nothing with them.
    let plain = Network::new(
        &scene.host,
        dual_stack(json!({"ipMasq": true, "capabilities": {"ips": true}})),
    );
    let heir = scene.host.pod("heir");
    let ips = json!({"ips": ["10.10.0.2", "fd00:10::2"]});
    plain.add(&heir.attachment().offering(ips)).ok();
    await_gateways(&heir, ["10.10.0.1", "fd00:10::1"]);
    assert_eq!(gets_out(&heir), [false, false]);
}

#[test]
fn answers_come_in_and_nothing_else_does_where_iptables_drops() {
    let scene = Scene::new(firewalled(json!({})));
    let world = Uplink::of(&scene.host);
    route_to_pods(&world);
    scene.host.sh(DROP);
    let pod = pod_of(&scene.host, &scene.network, "pod");
    for outside in Uplink::OUTSIDE {
        assert!(
            pod.seen_by(world.outside.place(), outside).is_ok(),
            "{outside}"
        );
    }
    assert_eq!(
        reaches(&world.outside, &scene.network, &pod),
        [false, false]
    );
}

#[test]
fn pods_talk_to_each_other_where_the_bridge_passes_iptables() {
    let scene = Scene::new(firewalled(json!({})));
    scene.host.sh(DROP);
    for key in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        scene.host.set_sysctl(&format!("net/bridge/{key}"), "1");
    }
    let one = pod_of(&scene.host, &scene.network, "one");
    let two = pod_of(&scene.host, &scene.network, "two");
    assert_eq!(reaches(&one, &scene.network, &two), [true, true]);
}

#[test]
fn the_administrators_rules_come_first() {
    for (keys, chain) in [
        (json!({}), "CNI-ADMIN"),
        (json!({"iptablesAdminChainName": "SITE"}), "SITE"),
    ] {
        let scene = Scene::new(firewalled(keys));
        let _world = Uplink::of(&scene.host);
        scene.host.sh(DROP);
        let pod = pod_of(&scene.host, &scene.network, "pod");
        assert_eq!(gets_out(&pod), [true, true]);
        let [v4, v6] = Uplink::OUTSIDE;
        scene
            .host
            .sh(&format!("iptables -A {chain} -d {v4} -j DROP"));
        assert_eq!(gets_out(&pod), [false, true], "{chain}");
        scene
            .host
            .sh(&format!("ip6tables -A {chain} -d {v6} -j REJECT"));
        assert_eq!(gets_out(&pod), [false, false], "{chain}");
        // Another pod's ADD leaves them alone.
        let other = pod_of(&scene.host, &scene.network, "other");
        assert_eq!(gets_out(&other), [false, false], "{chain}");
    }
}

#[test]
fn the_administrator_has_a_chain_in_our_table_as_well() {
    unlike_the_reference("it has no backend for nftables", || {
        for (keys, chain) in [
            (json!({"backend": "nftables"}), "CNI-ADMIN"),
            (
                json!({"backend": "nftables", "iptablesAdminChainName": "SITE"}),
                "SITE",
            ),
        ] {
            let scene = Scene::new(firewalled(keys));
            let _world = Uplink::of(&scene.host);
            let pod = pod_of(&scene.host, &scene.network, "pod");
            assert_eq!(gets_out(&pod), [true, true]);
            let outside = Uplink::OUTSIDE[0];
            scene.host.sh(&format!(
                "nft add rule inet hawser_firewall {chain} ip daddr {outside} drop"
            ));
            assert_eq!(gets_out(&pod), [false, true]);
            scene.network.check(&pod.attachment()).silent();
        }
    });
}

#[test]
fn a_mark_that_somebody_else_sets_opens_nothing() {
    unlike_the_reference("it knows pods by a rule for each address", || {
        let scene = Scene::new(firewalled(json!({})));
        let _world = Uplink::of(&scene.host);
        scene.host.sh(DROP);
        let pod = pod_of(&scene.host, &scene.network, "pod");
        let plain = Network::new(&scene.host, dual_stack(json!({"ipMasq": true})));
        let stranger = pod_of(&scene.host, &plain, "stranger");
        scene
            .host
            .sh("iptables -t mangle -A PREROUTING -j MARK --set-mark 0xffffffff");
        assert!(gets_out(&pod)[0]);
        assert!(!gets_out(&stranger)[0]);
        // Outside of the forwarding the bit is nobody's, and the others are left as they were.
        scene
            .host
            .sh("iptables -t mangle -A POSTROUTING -m mark --mark 0xffffefff -j DROP");
        assert!(!gets_out(&pod)[0]);
    });
}

#[test]
fn published_ports_are_the_administrators_to_allow_where_iptables_drops() {
    let scene = Scene::new(firewalled(json!({})));
    let world = Uplink::of(&scene.host);
    scene.host.sh(DROP);
    let pod = pod_of(&scene.host, &scene.network, "pod");
    let ([address, _], [published, _]) = (addresses(&scene.network, &pod), Uplink::HOST);
    publish(&scene.host, published, address);
    assert!(!world.outside.ping(published));
    scene
        .host
        .sh("iptables -A CNI-ADMIN -m conntrack --ctstate DNAT -j ACCEPT");
    assert!(world.outside.ping(published));
}

/// Hands pings for an address of the host to a pod.
fn publish(host: &Host, published: IpAddr, pod: IpAddr) {
    host.sh(&format!(
        "nft 'table ip published {{ chain pre {{ type nat hook prerouting priority dstnat; \
         ip daddr {published} icmp type echo-request dnat to {pod}; }}; }}'"
    ));
}

/// A table of nft that forwards nothing but answers, at this priority.
fn dropping(priority: i32, accepting: &str) -> String {
    format!(
        "nft 'table inet site {{ chain forward {{ type filter hook forward priority {priority}; policy drop; \
         ct state established,related accept; {accepting}; }}; }}'"
    )
}

#[test]
fn a_table_of_nft_that_drops_lets_marked_packets_through_when_told_to() {
    unlike_the_reference("it marks nothing", || {
        for (priority, accepting, expected) in [
            (0, "counter", false),
            (0, "meta mark & 0x1000 == 0x1000 accept", true),
            (10, "meta mark & 0x1000 == 0x1000 accept", true),
            // In front of us nothing is marked yet.
            (-20, "meta mark & 0x1000 == 0x1000 accept", false),
        ] {
            let scene = Scene::new(firewalled(json!({})));
            let _world = Uplink::of(&scene.host);
            scene.host.sh(&dropping(priority, accepting));
            let pod = pod_of(&scene.host, &scene.network, "pod");
            assert_eq!(
                gets_out(&pod),
                [expected; 2],
                "priority {priority}, {accepting:?}"
            );
        }
    });
}

#[test]
fn the_legacy_iptables_lets_marked_packets_through_when_told_to() {
    unlike_the_reference("it starts whichever iptables the node has", || {
        let scene = Scene::new(firewalled(json!({})));
        let _world = Uplink::of(&scene.host);
        scene
            .host
            .sh("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP");
        let pod = pod_of(&scene.host, &scene.network, "pod");
        assert_eq!(gets_out(&pod), [false, false]);
        for program in ["iptables-legacy", "ip6tables-legacy"] {
            scene.host.sh(&format!(
                "{program} -I FORWARD -m mark --mark 0x1000/0x1000 -j ACCEPT"
            ));
        }
        assert_eq!(gets_out(&pod), [true, true]);
    });
}

/// Two networks on two bridges under one policy; two pods on the first and one on the second.
struct Bridges {
    world: Uplink,
    network: Network,
    pods: [Pod; 2],
    far_network: Network,
    far: Pod,
    host: Host,
}

fn bridges(policy: &str, bridged_packets_pass_iptables: bool) -> Bridges {
    let host = Host::new();
    let world = Uplink::of(&host);
    route_to_pods(&world);
    for key in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        let value = if bridged_packets_pass_iptables {
            "1"
        } else {
            "0"
        };
        host.set_sysctl(&format!("net/bridge/{key}"), value);
    }
    let list = firewalled(json!({"ingressPolicy": policy}));
    let network = Network::new(&host, list.clone());
    let pods = ["one", "two"].map(|name| pod_of(&host, &network, name));
    let far_network = Network::new(&host, other(list));
    let far = host.pod("far");
    far_network.add(&far.attachment()).ok();
    await_gateways(&far, ["10.20.0.1", "fd00:20::1"]);
    Bridges {
        world,
        network,
        pods,
        far_network,
        far,
        host,
    }
}

#[test]
fn open_pods_are_reached_from_everywhere() {
    for policy in ["", "open"] {
        let net = bridges(policy, true);
        let [one, two] = &net.pods;
        assert_eq!(reaches(one, &net.network, two), [true, true]);
        assert_eq!(reaches(one, &net.far_network, &net.far), [true, true]);
        assert_eq!(reaches(&net.world.outside, &net.network, one), [true, true]);
    }
}

#[test]
fn same_bridge_pods_are_reached_from_their_bridge_alone() {
    for bridged in [true, false] {
        let net = bridges("same-bridge", bridged);
        let [one, two] = &net.pods;
        assert_eq!(reaches(one, &net.network, two), [true, true]);
        assert_eq!(reaches(one, &net.far_network, &net.far), [false, false]);
        assert_eq!(reaches(&net.far, &net.network, one), [false, false]);
        assert_eq!(gets_out(one), [true, true]);
        assert_eq!(gets_out(&net.far), [true, true]);
    }
}

#[test]
fn same_bridge_pods_are_not_reached_from_the_outside_or_from_open_pods() {
    unlike_the_reference(
        "it keeps only bridges with the policy apart from each other, against its own description",
        || {
            let net = bridges("same-bridge", true);
            let [one, _] = &net.pods;
            assert_eq!(
                reaches(&net.world.outside, &net.network, one),
                [false, false]
            );
            let open = Network::new(
                &net.host,
                merged(other(firewalled(json!({}))), json!({"name": "open"})),
            );
            let open = open.configured(with_bridge(
                merged(firewalled(json!({})), json!({"name": "open"})),
                json!({"bridge": "cni2", "ipam": {"ranges": [[{"subnet": "10.30.0.0/24"}], [{"subnet": "fd00:30::/64"}]]}}),
            ));
            let pod = net.host.pod("open");
            open.add(&pod.attachment()).ok();
            await_gateways(&pod, ["10.30.0.1", "fd00:30::1"]);
            assert_eq!(reaches(&pod, &net.network, one), [false, false]);
            assert_eq!(reaches(one, &open, &pod), [true, true]);
        },
    );
}

#[test]
fn isolated_pods_are_reached_by_nobody_and_reach_the_outside() {
    unlike_the_reference("Debian's reference is older than the policy", || {
        for bridged in [true, false] {
            let net = bridges("isolated", bridged);
            let [one, two] = &net.pods;
            assert_eq!(
                reaches(one, &net.network, two),
                [false, false],
                "bridged: {bridged}"
            );
            assert_eq!(
                reaches(two, &net.network, one),
                [false, false],
                "bridged: {bridged}"
            );
            assert_eq!(reaches(one, &net.far_network, &net.far), [false, false]);
            assert_eq!(
                reaches(&net.world.outside, &net.network, one),
                [false, false]
            );
            assert_eq!(gets_out(one), [true, true]);
            // The host itself reaches its pods.
            for address in addresses(&net.network, one) {
                assert!(net.host.ping(address), "{address}");
            }
        }
    });
}

#[test]
fn published_ports_are_reached_under_every_policy_but_not_around_it() {
    unlike_the_reference(
        "Debian's reference is older than the policy isolated",
        || {
            for policy in ["open", "same-bridge", "isolated"] {
                let net = bridges(policy, true);
                let [one, _] = &net.pods;
                let [address, _] = addresses(&net.network, one);
                let published = Uplink::HOST[0];
                publish(&net.host, published, address);
                // That it is the pod which answers is seen by its answering no more when it is gone.
                assert!(net.world.outside.ping(published), "{policy}");
                assert_eq!(net.far.ping(published), policy == "open", "{policy}");
                one.sh("ip link set eth0 down");
                assert!(!net.world.outside.ping(published), "{policy}");
            }
        },
    );
}
