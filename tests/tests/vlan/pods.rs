//! Who reaches whom.

use super::{NO_TRUNK, STAYS, able, ip, join, network};
use serde_json::json;
use testkit::{Host, unlike_the_reference, vm};

#[test]
fn pods_reach_each_other_within_a_vlan_only() {
    vm::where_able(able(), || {
        let host = Host::new();
        let red = network(&host, 10, json!({"vlan": 100}));
        let blue = network(&host, 20, json!({"vlan": 200}));
        let plain = network(&host, 30, json!({}));
        let (a, b) = (join(&host, &red, "a"), join(&host, &red, "b"));
        let (c, d) = (join(&host, &blue, "c"), join(&host, &blue, "d"));
        let (e, f) = (join(&host, &plain, "e"), join(&host, &plain, "f"));
        for (from, to) in [
            (&a, "10.10.0.11"),
            (&b, "10.10.0.10"),
            (&c, "10.10.0.21"),
            (&d, "10.10.0.20"),
            (&e, "10.10.0.31"),
            (&f, "10.10.0.30"),
        ] {
            assert!(from.ping(ip(to)), "{} does not reach {to}", from.name());
        }
        unlike_the_reference(STAYS, || {
            for (from, to) in [
                (&a, "10.10.0.20"),
                (&c, "10.10.0.10"),
                (&a, "10.10.0.30"),
                (&e, "10.10.0.10"),
            ] {
                assert!(!from.ping(ip(to)), "{} reaches {to}", from.name());
            }
        });
    });
}

#[test]
fn pods_of_a_plain_network_go_on_when_a_vlan_comes_to_their_bridge() {
    vm::where_able(able(), || {
        unlike_the_reference(
            "it does not turn filtering on on a bridge that is there",
            || {
                let host = Host::new();
                let plain = network(&host, 30, json!({}));
                let (e, _f) = (join(&host, &plain, "e"), join(&host, &plain, "f"));
                assert!(e.ping(ip("10.10.0.31")));
                let red = network(&host, 10, json!({"vlan": 100}));
                let (a, _b) = (join(&host, &red, "a"), join(&host, &red, "b"));
                assert!(e.ping(ip("10.10.0.31")) && a.ping(ip("10.10.0.11")));
                assert!(!e.ping(ip("10.10.0.10")));
                plain.check(&e.attachment()).silent();
            },
        );
    });
}

#[test]
fn a_pod_speaks_tagged_on_its_trunk_and_on_no_other_vlan() {
    vm::where_able(able(), || {
        unlike_the_reference(NO_TRUNK, || {
            let host = Host::new();
            let router = json!({"vlanTrunk": [{"id": 5}, {"minID": 10, "maxID": 11}]});
            let router = join(&host, &network(&host, 10, router), "router");
            let tagged = [(5, 50), (11, 60), (12, 70)];
            for (vlan, address) in tagged {
                router.sh(&format!(
                    "ip link add link eth0 name eth0.{vlan} type vlan id {vlan}\n\
                     ip address add 10.0.{vlan}.1/24 dev eth0.{vlan}; ip link set eth0.{vlan} up"
                ));
                let subnet = json!({"vlan": vlan, "name": format!("net{address}"), "ipam": {
                    "subnet": format!("10.0.{vlan}.0/24"), "rangeStart": null, "rangeEnd": null}});
                join(&host, &network(&host, address, subnet), &format!("v{vlan}"));
            }
            assert!(router.ping(ip("10.0.5.2")) && router.ping(ip("10.0.11.2")));
            assert!(!router.ping(ip("10.0.12.2")));
        });
    });
}
