//! The gateway of a VLAN.

use super::{STAYS, able, gateway, gateway_port, ip, join, native, vlans};
use serde_json::json;
use testkit::{Host, Network, Scene, Uplink, addresses, bridge, unlike_the_reference, vm};

#[test]
fn the_gateway_of_a_vlan_has_a_device_of_its_own() {
    vm::where_able(able(), || {
        let scene = Scene::new(gateway());
        let result = scene.add();
        let device = scene.host.link("cni0.100");
        assert_eq!(addresses(&device), ["10.10.0.1/24", "fd00:10::1/64"]);
        assert!(addresses(&scene.host.link("cni0")).is_empty());
        assert_eq!(scene.host.sysctl("net/ipv4/ip_forward").unwrap(), "1");
        let accept_ra = scene.host.sysctl("net/ipv6/conf/cni0.100/accept_ra");
        assert_eq!(accept_ra.unwrap(), "0");
        let listed = &result["interfaces"];
        assert_eq!(listed[3]["name"], "cni0.100");
        assert_eq!(listed[3]["mac"], device["address"]);
        assert_eq!(listed[2]["name"], "eth0");
        assert_eq!(result["ips"][0]["interface"], 2);
        for gateway in ["10.10.0.1", "fd00:10::1"] {
            assert!(scene.pod.ping(ip(gateway)), "{gateway} does not answer");
        }
        scene.network.check(&scene.eth0()).silent();
        unlike_the_reference(STAYS, || {
            assert_eq!(
                vlans(&scene.host, &gateway_port(&scene.host)),
                [native(100)]
            );
        });
    });
}

#[test]
fn pods_of_a_vlan_reach_the_outside_through_its_gateway() {
    vm::where_able(able(), || {
        let scene = Scene::new(gateway());
        let world = Uplink::of(&scene.host);
        scene.add();
        let seen = Uplink::OUTSIDE.map(|to| scene.pod.seen_by(world.outside.place(), to).ok());
        assert_eq!(seen, Uplink::HOST.map(Some));
    });
}

#[test]
fn each_vlan_has_its_own_gateway() {
    vm::where_able(able(), || {
        let host = Host::new();
        for vlan in [100, 200] {
            let config = bridge(json!({
                "name": format!("net{vlan}"), "vlan": vlan, "isDefaultGateway": true,
                "ipam": {"subnet": format!("10.0.{vlan}.0/24")}
            }));
            let pod = join(&host, &Network::new(&host, config), &format!("v{vlan}"));
            assert!(pod.ping(ip(&format!("10.0.{vlan}.1"))));
        }
    });
}

#[test]
fn del_leaves_the_bridge_and_the_gateway_to_the_others() {
    vm::where_able(able(), || {
        let scene = Scene::shared(gateway());
        let before = scene.dump();
        scene.add();
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
        let keeper = scene.host.pod("late");
        scene.network.add(&keeper.attachment()).ok();
        assert!(keeper.ping(ip("10.10.0.1")));
    });
}

#[test]
fn a_gateway_left_halfway_is_finished_by_the_next_add() {
    vm::where_able(able(), || {
        unlike_the_reference("it takes the device as it finds it", || {
            for damage in [
                // Killed between two requests.
                "ip link add cni0.100 type veth peer name half",
                // The bridge was removed and made again.
                "ip link add gone type bridge vlan_filtering 1; \
                 ip link add cni0.100 up type veth peer name half; \
                 ip link set half up master gone; ip link del gone",
            ] {
                let scene = Scene::new(gateway());
                scene.host.sh(damage);
                scene.add();
                assert!(scene.pod.ping(ip("10.10.0.1")), "after {damage}");
                scene.network.check(&scene.eth0()).silent();
                assert_eq!(vlans(&scene.host, "half"), [native(100)]);
            }
        });
    });
}

#[test]
fn the_first_pods_of_a_vlan_may_come_at_once() {
    vm::where_able(able(), || {
        let host = Host::new();
        let network = Network::new(&host, gateway());
        let pods: Vec<_> = (0..4).map(|n| host.pod(&format!("p{n}"))).collect();
        std::thread::scope(|scope| {
            for pod in &pods {
                scope.spawn(|| network.add(&pod.attachment()).ok());
            }
        });
        for pod in &pods {
            assert!(pod.ping(ip("10.10.0.1")), "{}", pod.name());
            network.check(&pod.attachment()).silent();
        }
    });
}
