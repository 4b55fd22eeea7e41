//! What `portmap` makes, refuses and removes.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::{
    Attachment, Dump, Host, Network, Pod, at_once, chained, dual_stack, eventually, merged,
    reference_under_test, unlike_the_reference,
};

const NEITHER: &str = "it knows neither GC nor STATUS (newer ones accept both and do nothing)";

const BLIND: &str = "CHECK of portmap does not find its own rules in iptables-nft";

fn chain(patch: Value) -> Value {
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let mut bridge = dual_stack(json!({}));
    let fields = bridge.as_object_mut().unwrap();
    let (name, _) = (fields.remove("name"), fields.remove("cniVersion"));
    let version = if reference_under_test() {
        "1.0.0"
    } else {
        "1.1.0"
    };
    json!({"name": name, "cniVersion": version, "plugins": [bridge, merged(portmap, patch)]})
}

fn tcp(port: u16) -> Value {
    json!({"hostPort": port, "containerPort": 80, "protocol": "tcp"})
}

fn offering(pod: &Pod, mappings: &Value) -> Attachment {
    pod.attachment().offering(json!({"portMappings": mappings}))
}

/// A host whose static part is there, so that what differs afterwards is a pod's.
fn prepared(patch: Value) -> (Host, Network) {
    let host = Host::new();
    let network = Network::new(&host, chain(patch));
    let pod = host.pod("first");
    let mut mappings = json!([tcp(1)]);
    if !reference_under_test() {
        // What is shared of an address of the node is there as well.
        let at = json!({"hostPort": 2, "containerPort": 2, "hostIP": "192.0.2.1"});
        mappings.as_array_mut().unwrap().push(at);
    }
    let attachment = offering(&pod, &mappings);
    network.add(&attachment).ok();
    network.del(&attachment).silent();
    pod.remove();
    (host, network)
}

#[test]
fn a_pod_leaves_nothing_whatever_del_is_told() {
    let (host, network) = prepared(json!({}));
    let mappings = json!([
        tcp(8080),
        {"hostPort": 53, "containerPort": 53, "protocol": "udp"},
        {"hostPort": 53, "containerPort": 53, "protocol": "tcp", "hostIP": "192.0.2.1"},
    ]);
    let forget = |attachment: &Attachment| network.remember(attachment, None);
    let gone = |attachment: &Attachment| attachment.clone().netns("/run/netns/nowhere");
    let bare = |pod: &Pod| pod.attachment();
    let behaviour = || {
        let before = Dump::of(&host);
        for (name, how) in [("told", 0), ("untold", 1), ("forgotten", 2), ("lost", 3)] {
            let pod = host.pod(name);
            let attachment = offering(&pod, &mappings);
            network.add(&attachment).ok();
            let attachment = match how {
                0 => attachment,
                1 => bare(&pod),
                2 => {
                    forget(&attachment);
                    bare(&pod)
                }
                _ => gone(&bare(&pod)),
            };
            network.del(&attachment).silent();
            network.del(&attachment).silent();
            pod.remove();
            before.assert_same(&Dump::of(&host));
        }
    };
    unlike_the_reference("DEL without the mappings leaves their rules", behaviour);
}

#[test]
fn a_taken_port_names_its_holder_and_changes_nothing() {
    unlike_the_reference(
        "whoever maps a port first has it, and nobody is told",
        || {
            let (host, network) = prepared(json!({}));
            let holder = host.pod("holder");
            network.add(&offering(&holder, &json!([tcp(8080)]))).ok();
            let late = host.pod("late");
            let before = Dump::of(&host);
            let at = |ip: &str| json!({"hostPort": 8080, "containerPort": 80, "hostIP": ip});
            for mappings in [
                json!([tcp(9090), tcp(8080)]),
                json!([at("192.0.2.1")]),
                json!([at("::1")]),
            ] {
                let outcome = network.add(&offering(&late, &mappings));
                outcome.refused_naming(101, &["tcp port 8080", "podnet/holder/eth0", "hostPort"]);
                network.del(&late.attachment()).silent();
                before.assert_same(&Dump::of(&host));
            }
            // The other way round: a port of all addresses, when one address has it.
            let one = host.pod("one");
            network
                .add(&offering(&one, &json!([at("192.0.2.1")])))
                .refused(101);
            network.del(&one.attachment()).silent();
            let udp = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": "192.0.2.1"}]);
            network.add(&offering(&one, &udp)).ok();
            let all = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "udp"}]);
            let outcome = network.add(&offering(&late, &all));
            outcome.refused_naming(101, &["udp port 8080 of 192.0.2.1", "podnet/one/eth0"]);
        },
    );
}

#[test]
fn of_many_that_want_one_port_one_gets_it() {
    unlike_the_reference(
        "whoever maps a port first has it, and nobody is told",
        || {
            let (host, network) = prepared(json!({}));
            let pods: Vec<_> = (0..6).map(|n| host.pod(&format!("p{n}"))).collect();
            let outcomes = at_once(&pods, |pod| {
                network.add(&offering(pod, &json!([tcp(8080)]))).succeeded()
            });
            assert_eq!(
                outcomes.iter().filter(|got| **got).count(),
                1,
                "{outcomes:?}"
            );
        },
    );
}

#[test]
fn a_port_of_all_addresses_and_one_of_a_new_address_do_not_come_together() {
    unlike_the_reference(
        "whoever maps a port first has it, and nobody is told",
        || {
            let host = Host::new();
            host.sh("ip route add 10.1.0.0/16 dev lo");
            // Of one family, because the reference fails where a hostIP is not of every family that the pod has.
            let earlier = json!({"ips": [{"address": "10.1.0.7/16", "interface": 2}]});
            let keys = json!({"capabilities": {"portMappings": true}, "prevResult": earlier});
            let network = Network::new(&host, chained("portmap", keys));
            let add = |(name, port, ip): &(&str, u16, String)| {
                let mapping = json!([{"hostPort": port, "containerPort": 80, "protocol": "tcp", "hostIP": ip}]);
                let pod = Attachment::new(&format!("{name}{port}"), "eth0", "/run/netns/p");
                network
                    .add(&pod.offering(json!({"portMappings": mapping})))
                    .succeeded()
            };
            for port in 9000..9020 {
                let address = format!("192.0.2.{}", port - 8990);
                let got = at_once(&[("one", port, address), ("all", port, String::new())], add);
                assert!(got != [true, true], "both have port {port}");
            }
        },
    );
}

#[test]
fn networks_of_one_container_have_mappings_of_their_own() {
    let (host, network) = prepared(json!({}));
    let mut other = merged(chain(json!({})), json!({"name": "othernet"}));
    let ranges = json!([[{"subnet": "10.20.0.0/24"}], [{"subnet": "fd00:20::/64"}]]);
    let second = json!({"bridge": "cni1", "isDefaultGateway": false, "ipam": {"ranges": ranges}});
    other["plugins"][0] = merged(other["plugins"][0].take(), second);
    let other = Network::new(&host, other);
    let pod = host.pod("two");
    let one = offering(&pod, &json!([tcp(8080)]));
    let two = offering(&pod, &json!([tcp(9090)])).ifname("net1");
    network.add(&one).ok();
    other.add(&two).ok();
    other.del(&two).silent();
    unlike_the_reference(BLIND, || network.check(&one).silent());
    let left = host.sh("nft list ruleset");
    assert!(left.contains("8080") && !left.contains("9090"), "{left}");
}

#[test]
fn a_second_add_takes_the_place_of_the_first() {
    unlike_the_reference("a repeated ADD leaves the rules of the first", || {
        let host = Host::new();
        let alone = |verb: &str, port: u16| {
            let mappings = json!({"runtimeConfig": {"portMappings": [tcp(port)]}});
            let config = merged(chained("portmap", json!({"cniVersion": "1.1.0"})), mappings);
            let portmap = Network::new(&host, config.clone());
            let pod = Attachment::new("twice", "eth0", "/run/netns/twice");
            portmap.first(verb, &pod).stdin(config.to_string()).run()
        };
        let mapped = |port: &str| host.sh("nft list table inet hawser_portmap").contains(port);
        alone("ADD", 9092).ok();
        alone("ADD", 9093).ok();
        assert!(mapped("9093"));
        eventually("the first mapping is gone", || !mapped("9092"));
        alone("DEL", 9093).silent();
        eventually("and so is the second", || !mapped("9093"));
    });
}

#[test]
fn check_sees_what_is_missing() {
    let (host, network) = prepared(json!({}));
    let pod = host.pod("web");
    let attachment = offering(&pod, &json!([tcp(8080)]));
    network.add(&attachment).ok();
    unlike_the_reference(BLIND, || {
        network.check(&attachment).silent();
        for (harm, words) in [
            (
                "sysctl -qw net.ipv4.conf.cni0.route_localnet=0",
                "route_localnet",
            ),
            (
                "nft delete element inet hawser_portmap localnet { cni0 }",
                "localnet",
            ),
            (
                "nft flush chain inet hawser_portmap back_10.10.0.0/22",
                "chain back_10.10.0.0/22",
            ),
            ("nft flush chain inet hawser_portmap back", "chain back of"),
            ("nft flush chain inet hawser_portmap ports", "chain ports"),
            (
                "nft delete element inet hawser_portmap any6 { tcp . 8080 }",
                "any6",
            ),
        ] {
            host.sh(harm);
            network
                .check(&attachment)
                .refused_naming(103, &[words, "DEL and ADD"]);
        }
    });
}

#[test]
fn a_set_that_is_missing_comes_with_the_next_add() {
    unlike_the_reference("it has no sets", || {
        let (host, network) = prepared(json!({}));
        host.sh("nft delete set inet hawser_portmap addresses4");
        let pod = host.pod("web");
        let mapping = json!({"hostPort": 8080, "containerPort": 80, "hostIP": "192.0.2.1"});
        let attachment = offering(&pod, &json!([mapping]));
        network.add(&attachment).ok();
        network.check(&attachment).silent();
        let set = host.sh("nft list set inet hawser_portmap addresses4");
        assert!(set.contains("192.0.2.1"), "{set}");
    });
}

#[test]
fn gc_removes_what_is_not_listed_and_nothing_else() {
    unlike_the_reference(NEITHER, || {
        let (host, network) = prepared(json!({"conditionsV4": ["-i", "uplink"]}));
        let keeper = host.pod("keeper");
        let kept = offering(&keeper, &json!([tcp(8080)]));
        network.add(&kept).ok();
        let before = Dump::of(&host);
        let gone = host.pod("gone");
        network
            .add(&offering(&gone, &json!([tcp(9090), tcp(9091)])))
            .ok();
        gone.remove();
        network.gc(&[&kept]).silent();
        before.assert_same(&Dump::of(&host));
        network.check(&kept).silent();
        network.status().silent();
    });
}

#[test]
fn gc_leaves_alone_what_is_being_added() {
    unlike_the_reference(NEITHER, || {
        let host = Host::new();
        let keys = json!({"cniVersion": "1.1.0", "capabilities": {"portMappings": true}, "conditionsV4": ["-i", "uplink"]});
        let network = Network::new(&host, chained("portmap", keys));
        let named = |port: u16| {
            let attachment = Attachment::new(&format!("p{port}"), "eth0", "/run/netns/p");
            attachment.offering(json!({"portMappings": [tcp(port)]}))
        };
        let every: Vec<_> = (9000..9030).map(named).collect();
        let valid: Vec<_> = every.iter().collect();
        // One collects for as long as the other adds.
        let adding = AtomicBool::new(true);
        at_once(&[true, false], |adds| {
            if !adds {
                while adding.load(Ordering::Relaxed) {
                    network.gc(&valid).silent();
                }
                return;
            }
            let outcomes: Vec<_> = every.iter().map(|one| network.add(one)).collect();
            adding.store(false, Ordering::Relaxed);
            outcomes.iter().for_each(|outcome| drop(outcome.ok()));
        });
        let ruleset = host.sh("nft list ruleset");
        assert_eq!(ruleset.matches("chain if_").count(), every.len());
    });
}

#[test]
fn without_mappings_nothing_is_made_and_the_result_passes_through() {
    let host = Host::new();
    let network = Network::new(&host, chain(json!({})));
    let pod = host.pod("plain");
    let result = network.add(&pod.attachment()).ok();
    assert_eq!(result["ips"][0]["address"], "10.10.0.2/22");
    assert!(!host.sh("nft list tables").contains("portmap"));
    network.check(&pod.attachment()).silent();
    network.del(&pod.attachment()).silent();
}

#[test]
fn what_cannot_be_mapped_is_named_before_anything_is_made() {
    let (host, network) = prepared(json!({}));
    let refused = |mapping: Value, code: u64, words: &[&str]| {
        let pod = host.pod("bad");
        let attachment = offering(&pod, &json!([mapping]));
        let before = Dump::of(&host);
        network.add(&attachment).refused_naming(code, words);
        network.del(&attachment).silent();
        before.assert_same(&Dump::of(&host));
        pod.remove();
    };
    unlike_the_reference(
        "what it hands to iptables unchecked fails there, or is taken",
        || {
            refused(
                json!({"hostPort": 70000, "containerPort": 80}),
                7,
                &["hostPort", "70000", "65535"],
            );
            refused(
                json!({"hostPort": 0, "containerPort": 80}),
                7,
                &["hostPort"],
            );
            refused(
                json!({"hostPort": 80, "containerPort": 80, "protocol": "tcp; flush ruleset"}),
                7,
                &["protocol"],
            );
            refused(
                json!({"hostPort": 80, "containerPort": 80, "hostIP": "node"}),
                7,
                &["hostIP", "node"],
            );
        },
    );
}

#[test]
fn every_version_is_spoken() {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
        let host = Host::new();
        let network = Network::new(
            &host,
            merged(chain(json!({})), json!({"cniVersion": version})),
        );
        let pod = host.pod("v");
        let attachment = offering(&pod, &json!([tcp(8080)]));
        let result = network.add(&attachment).ok();
        assert_eq!(result["cniVersion"], version);
        network.del(&attachment).silent();
    }
}
