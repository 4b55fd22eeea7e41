//! `bridge` with real packets: masquerade, anti-spoofing, isolation, and how soon neighbours find a new pod.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use testkit::{Network, Pod, Scene, Uplink, bridge, dual_stack, unlike_the_reference};

/// The addresses of the `n`th pod.
fn nth(n: u8) -> [IpAddr; 2] {
    [
        IpAddr::V4(Ipv4Addr::new(10, 10, 0, n + 1)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, u16::from(n) + 1)),
    ]
}

/// The reference's IPv6 gateway address is in duplicate address detection for a second; whether ours answers at once is
/// a test of its own.
fn await_gateways(pod: &Pod) {
    testkit::eventually("the gateways answer", || {
        nth(0).into_iter().all(|gateway| pod.ping(gateway))
    });
}

/// Where a pod's connections to the outside come from, in both families; none where nothing arrives.
fn seen_from(world: &Uplink, pod: &Pod) -> [Option<IpAddr>; 2] {
    await_gateways(pod);
    Uplink::OUTSIDE.map(|outside| pod.seen_by(world.outside.place(), outside).ok())
}

#[test]
fn masquerade_lets_pods_out_under_the_hosts_address() {
    for backend in [Value::Null, json!("iptables"), json!("nftables")] {
        let scene = Scene::new(dual_stack(
            json!({"ipMasq": true, "ipMasqBackend": backend}),
        ));
        let world = Uplink::of(&scene.host);
        scene.add();
        assert_eq!(
            seen_from(&world, &scene.pod),
            Uplink::HOST.map(Some),
            "backend {backend}"
        );
    }
}

#[test]
fn without_masquerade_the_outside_cannot_answer() {
    let scene = Scene::new(dual_stack(json!({})));
    let world = Uplink::of(&scene.host);
    scene.add();
    assert_eq!(seen_from(&world, &scene.pod), [None, None]);
}

#[test]
fn pods_of_one_network_see_each_others_addresses() {
    let scene = Scene::new(dual_stack(json!({"ipMasq": true})));
    scene.add();
    let other = scene.join("b");
    for (own, others) in nth(1).into_iter().zip(nth(2)) {
        assert_eq!(scene.pod.seen_by(other.place(), others).unwrap(), own);
    }
}

#[test]
fn a_pod_that_leaves_takes_only_its_own_masquerade() {
    let scene = Scene::new(dual_stack(json!({"ipMasq": true})));
    let world = Uplink::of(&scene.host);
    let stays = scene.join("stays");
    scene.add();
    scene.network.del(&scene.eth0()).silent();
    assert_eq!(seen_from(&world, &stays), Uplink::HOST.map(Some));
    scene.network.check(&stays.attachment()).silent();
}

#[test]
fn of_subnets_that_overlap_the_latest_counts() {
    unlike_the_reference("a pod's rules are its own", || {
        let scene = Scene::new(bridge(json!({"ipMasq": true})));
        scene.add();
        let wider = json!({"name": "wider", "bridge": "cni1", "ipMasq": true,
            "ipam": {"subnet": "10.10.0.0/16"}});
        let wider = Network::new(&scene.host, bridge(wider));
        wider.add(&scene.host.pod("b").attachment()).ok();
        let leaving = "nft list chain inet hawser_masquerade leaving";
        let rules = scene.host.sh(leaving);
        let at = |subnet: &str| rules.find(&format!("goto leaving_{subnet} ")).unwrap();
        assert!(at("10.10.0.0/16") < at("10.10.0.0/24"), "{rules}");
    });
}

#[test]
fn a_backend_that_is_none_is_refused() {
    unlike_the_reference("Debian's reference is older than ipMasqBackend", || {
        let scene = Scene::new(bridge(json!({"ipMasq": true, "ipMasqBackend": "ebtables"})));
        let before = scene.dump();
        scene
            .network
            .add(&scene.eth0())
            .refused_naming(7, &["ipMasqBackend", "ebtables", "nftables"]);
        before.assert_same(&scene.dump());
    });
}

#[test]
fn a_pod_cannot_send_under_another_mac() {
    for checked in [true, false] {
        let scene = Scene::new(bridge(json!({"macspoofchk": checked})));
        scene.add();
        scene.join("b");
        let honest = scene.pod.link("eth0")["address"].clone();
        let become_ = |mac: &str| {
            scene.pod.sh(&format!(
                "ip link set eth0 address {mac}; ip neigh flush all"
            ))
        };
        assert!(scene.pod.ping("10.10.0.3"), "an honest packet is lost");
        become_("02:00:00:00:00:66");
        assert_eq!(
            scene.pod.ping("10.10.0.3"),
            !checked,
            "with macspoofchk {checked}"
        );
        become_(honest.as_str().unwrap());
        assert!(
            scene.pod.ping("10.10.0.3"),
            "an honest packet is lost afterwards"
        );
    }
}

#[test]
fn anti_spoofing_of_one_pod_leaves_others_alone() {
    let scene = Scene::new(bridge(json!({"macspoofchk": true})));
    let (one, other) = (scene.join("one"), scene.join("other"));
    scene.add();
    scene.network.del(&scene.eth0()).silent();
    assert!(one.ping("10.10.0.3") && other.ping("10.10.0.2"));
    other.sh("ip link set eth0 address 02:00:00:00:00:66; ip neigh flush all");
    assert!(!other.ping("10.10.0.2"));
}

#[test]
fn isolated_pods_reach_their_gateway_and_not_each_other() {
    unlike_the_reference("Debian's reference is older than portIsolation", || {
        let scene = Scene::new(bridge(json!({"portIsolation": true, "isGateway": true})));
        scene.add();
        scene.join("b");
        assert!(scene.pod.ping("10.10.0.1"));
        assert!(!scene.pod.ping("10.10.0.3"));
    });
}

/// Lets `pod` believe for good that `address` is at a MAC which nobody has.
fn mislead(pod: &Pod, address: IpAddr) {
    // An entry is not overwritten within its lock time, which a pod that just came has not spent yet.
    pod.set_sysctl("net/ipv4/neigh/eth0/locktime", "0");
    pod.sh(&format!(
        "ip neigh replace {address} lladdr 02:00:00:00:00:99 dev eth0 nud reachable"
    ));
}

/// Whether a pod that knows the old owner of an address reaches the new one with its first packet.
fn a_new_pod_is_found(family: usize) -> bool {
    let scene = Scene::new(dual_stack(json!({"capabilities": {"ips": true}})));
    scene.add();
    let address = nth(49)[family];
    mislead(&scene.pod, address);
    let newcomer = scene.host.pod("newcomer");
    scene
        .network
        .add(&newcomer.attachment().offering(json!({"ips": [address]})))
        .ok();
    scene.pod.ping(address)
}

#[test]
fn neighbours_learn_a_new_pod_at_once() {
    unlike_the_reference(
        "it announces an address before the bridge port forwards, and the packet is lost",
        || {
            assert!(a_new_pod_is_found(0));
        },
    );
}

#[test]
fn ipv6_neighbours_learn_a_new_pod_at_once() {
    unlike_the_reference("it sends no unsolicited neighbour advertisement", || {
        assert!(a_new_pod_is_found(1))
    });
}
