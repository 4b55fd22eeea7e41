//! `firewall`, verb by verb: elements that come and go with their pods, what CHECK, GC and STATUS make of them, every
//! version, and configurations that are refused.

use serde_json::{Value, json};
use testkit::{
    Attachment, Dump, Host, Network, Outcome, Scene, chained, firewalled, merged,
    reference_under_test, unlike_the_reference,
};

const POLICY: &str = "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";

const NO_NFTABLES: &str = "it has no backend for nftables";

/// A host whose iptables drops what it forwards, and a network with the plugin.
fn dropping(patch: Value) -> Scene {
    let scene = Scene::new(firewalled(patch));
    scene.host.sh(POLICY);
    scene
}

/// The firewall's part of a chain, ready to be changed.
fn alone(network: &Network, host: &Host, attachment: &Attachment, patch: Value) -> Network {
    let result = network.result(attachment);
    let config = json!({"cniVersion": "1.0.0", "name": "podnet", "type": "firewall"});
    let alone = Network::new(host, merged(config, patch));
    alone.remember(attachment, result);
    alone
}

/// A run of the plugin by itself.
fn run(host: &Host, verb: &str, config: Value) -> Outcome {
    let network = Network::new(
        host,
        merged(json!({"name": "podnet", "type": "firewall"}), config),
    );
    network
        .first(verb, &Attachment::new("c1", "eth0", "/dev/null"))
        .run()
}

/// The plugin by itself, after a bridge that attached a pod.
fn after_bridge(patch: Value) -> Value {
    chained("firewall", patch)
}

/// Every policy that the plugins under test have.
fn policies() -> Vec<&'static str> {
    let all = ["open", "same-bridge", "isolated"];
    let known = if reference_under_test() { 2 } else { 3 };
    all[..known].to_vec()
}

#[test]
fn check_misses_what_is_missing() {
    for (change, named) in [
        ("nft flush set inet hawser_firewall pods4", "pods4"),
        ("nft flush set inet hawser_firewall closed6", "closed6"),
        ("nft flush set inet hawser_firewall beside4", "beside4"),
        ("nft flush chain inet hawser_firewall forward", "forward"),
        (
            "nft flush chain inet hawser_firewall forwarded",
            "forwarded",
        ),
        ("nft flush chain inet hawser_firewall arriving", "arriving"),
        ("nft flush chain inet hawser_firewall admins", "CNI-ADMIN"),
        ("nft delete table inet hawser_firewall", "pods4"),
    ] {
        unlike_the_reference(NO_NFTABLES, || {
            let scene = Scene::new(firewalled(json!({"ingressPolicy": "same-bridge"})));
            scene.add();
            scene.network.check(&scene.eth0()).silent();
            scene.host.sh(change);
            let before = scene.dump();
            scene
                .network
                .check(&scene.eth0())
                .refused_naming(103, &[named]);
            before.assert_same(&scene.dump());
        });
    }
    unlike_the_reference(
        "Debian's reference is older than the policy isolated",
        || {
            for (change, named) in [
                ("nft flush set bridge hawser_firewall isolated", "isolated"),
                ("nft flush chain bridge hawser_firewall forward", "forward"),
            ] {
                let scene = Scene::new(firewalled(json!({"ingressPolicy": "isolated"})));
                scene.add();
                scene.network.check(&scene.eth0()).silent();
                scene.host.sh(change);
                scene
                    .network
                    .check(&scene.eth0())
                    .refused_naming(103, &[named]);
            }
        },
    );
}

#[test]
fn del_leaves_nothing_however_often_it_comes() {
    for policy in policies() {
        let scene = dropping(json!({"ingressPolicy": policy}));
        scene.join("keeper");
        let before = scene.dump();
        scene.add();
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
    }
}

#[test]
fn del_needs_neither_result_nor_namespace_nor_the_same_configuration() {
    unlike_the_reference("without prevResult it removes nothing", || {
        for policy in policies() {
            for patch in [
                json!({}),
                json!({"backend": "firewalld", "ingressPolicy": "whatever", "iptablesAdminChainName": 7}),
            ] {
                let scene = dropping(json!({"ingressPolicy": policy}));
                scene.join("keeper");
                let before = scene.dump();
                scene.add();
                let firewall = alone(&scene.network, &scene.host, &scene.eth0(), patch);
                firewall.remember(&scene.eth0(), None);
                firewall.del(&scene.eth0().netns("")).silent();
                scene.network.del(&scene.eth0()).silent();
                before.assert_same(&scene.dump());
            }
        }
    });
}

#[test]
fn a_late_del_leaves_the_next_owner_of_the_address_alone() {
    unlike_the_reference("its rules say only which address they are for", || {
        let host = Host::new();
        run(&host, "ADD", after_bridge(json!({}))).ok();
        let next = Network::new(
            &host,
            merged(
                json!({"name": "podnet", "type": "firewall"}),
                after_bridge(json!({})),
            ),
        );
        let next_pod = Attachment::new("c2", "eth0", "/dev/null");
        next.first("ADD", &next_pod).run().ok();
        let before = Dump::of(&host);
        run(&host, "DEL", after_bridge(json!({}))).silent();
        before.assert_same(&Dump::of(&host));
        assert!(before.mentions("podnet/c2/eth0"));
    });
}

#[test]
fn a_second_add_changes_nothing() {
    let host = Host::new();
    host.sh(POLICY);
    let first = run(&host, "ADD", after_bridge(json!({}))).ok();
    let before = Dump::of(&host);
    assert_eq!(run(&host, "ADD", after_bridge(json!({}))).ok(), first);
    before.assert_same(&Dump::of(&host));
}

#[test]
fn the_policy_is_the_last_adds_whatever_was_left_at_its_place() {
    unlike_the_reference(
        "Debian's reference is older than the policy isolated",
        || {
            let policies = [
                "isolated",
                "open",
                "same-bridge",
                "isolated",
                "same-bridge",
                "open",
            ];
            for same_pod in [true, false] {
                let host = Host::new();
                for (n, policy) in policies.into_iter().enumerate() {
                    let config = after_bridge(json!({"ingressPolicy": policy}));
                    let network = Network::new(&host, config.clone());
                    let id = if same_pod {
                        "c1".to_owned()
                    } else {
                        format!("c{n}")
                    };
                    let pod = Attachment::new(&id, "eth0", "/dev/null");
                    network.first("ADD", &pod).run().ok();
                    network.first("CHECK", &pod).run().silent();
                    let other = if policy == "open" { "isolated" } else { "open" };
                    let other = merged(config, json!({"ingressPolicy": other}));
                    Network::new(&host, other)
                        .first("CHECK", &pod)
                        .run()
                        .refused(103);
                }
                let left = Dump::of(&host);
                let elements = left.named("host nft element").map(|(name, _)| name);
                let elements: Vec<_> = elements
                    .filter(|name| !name.contains("firewall pods"))
                    .collect();
                assert!(elements.is_empty(), "{elements:#?}");
            }
        },
    );
}

#[test]
fn gc_removes_what_is_not_listed_and_nothing_else() {
    unlike_the_reference(
        "it does not know GC (newer ones accept it and do nothing)",
        || {
            for policy in policies() {
                let scene = dropping(json!({"ingressPolicy": policy}));
                let list = merged(
                    firewalled(json!({"ingressPolicy": policy})),
                    json!({"cniVersion": "1.1.0"}),
                );
                let network = Network::new(&scene.host, list.clone());
                let keeper = scene.host.pod("keeper");
                network.add(&keeper.attachment()).ok();
                let before = scene.dump();
                network.add(&scene.eth0()).ok();
                network.gc(&[&keeper.attachment()]).silent();
                before.assert_same(&scene.dump());
                network.check(&keeper.attachment()).silent();
                // Another network's GC is none of its business.
                let other = Network::new(&scene.host, merged(list, json!({"name": "podnet2"})));
                other.gc(&[]).silent();
                before.assert_same(&scene.dump());
                network.gc(&[]).silent();
                assert!(!Dump::of(&scene.host).mentions("podnet/keeper/eth0"));
            }
        },
    );
}

#[test]
fn status_says_whether_an_add_could_be_served() {
    unlike_the_reference(
        "it does not know STATUS (newer ones accept it and do nothing)",
        || {
            let host = Host::new();
            let newest = |patch: Value| merged(json!({"cniVersion": "1.1.0"}), patch);
            let before = Dump::of(&host);
            run(&host, "STATUS", newest(json!({}))).silent();
            run(
                &host,
                "STATUS",
                newest(json!({"backend": "iptables", "iptablesAdminChainName": "SITE"})),
            )
            .silent();
            before.assert_same(&Dump::of(&host));
            run(&host, "ADD", after_bridge(json!({}))).ok();
            run(&host, "STATUS", newest(json!({}))).silent();

            host.sh("iptables-legacy -P FORWARD DROP");
            run(&host, "STATUS", newest(json!({}))).silent();
            let legacy = newest(json!({"backend": "iptables"}));
            run(&host, "STATUS", legacy)
                .refused_naming(50, &["iptables-legacy -I FORWARD", "0x1000/0x1000"]);
            let refused = run(&host, "ADD", after_bridge(json!({"backend": "iptables"})));
            refused.refused_naming(2, &["iptables-legacy -I FORWARD", "nftables"]);

            host.sh("nft flush chain inet hawser_firewall forward");
            run(&host, "STATUS", newest(json!({})))
                .refused_naming(50, &["forward", "nft delete table inet hawser_firewall"]);
            host.sh("nft delete table inet hawser_firewall");
            run(&host, "STATUS", newest(json!({}))).silent();
        },
    );
}

#[test]
fn the_result_of_the_plugins_before_is_passed_on_in_every_version() {
    for version in [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ] {
        let host = Host::new();
        let mut earlier = after_bridge(json!({}))["prevResult"].take();
        earlier["cniVersion"] = json!(version);
        if version.starts_with("0.1") || version.starts_with("0.2") {
            earlier = json!({"cniVersion": version, "ip4": {"ip": "10.1.0.7/16", "gateway": "10.1.0.1"}, "ip6": {"ip": "fd00::7/64"}});
        } else if version.starts_with("0.") {
            earlier["ips"][0]["version"] = json!("4");
            earlier["ips"][1]["version"] = json!("6");
        }
        let old = version < "0.4.0" || version == "1.1.0";
        let serves = || {
            let config = json!({"cniVersion": version, "prevResult": earlier});
            let mut result = run(&host, "ADD", config.clone()).ok();
            for key in ["dns", "routes"] {
                // Some versions have it even when there is none.
                if earlier.get(key).is_none() {
                    result.as_object_mut().unwrap().remove(key);
                }
            }
            assert_eq!(result, earlier, "{version}");
            if version >= "0.4.0" {
                run(&host, "CHECK", config.clone()).silent();
            }
            run(&host, "DEL", config).silent();
        };
        if old {
            unlike_the_reference("it speaks 0.4.0 and 1.0.0 alone", serves);
        } else {
            serves();
        }
    }
}

#[test]
fn without_an_earlier_result_there_is_nothing_to_let_through() {
    let host = Host::new();
    let bare = json!({"cniVersion": "1.0.0"});
    run(&host, "ADD", bare.clone()).refused_naming(7, &["prevResult", "chain"]);
    run(&host, "CHECK", bare.clone()).refused_naming(7, &["prevResult"]);
    run(&host, "DEL", bare).silent();
    // A network of layer 2 has no address.
    let none =
        json!({"cniVersion": "1.0.0", "prevResult": {"cniVersion": "1.0.0", "interfaces": []}});
    let before = Dump::of(&host);
    if !reference_under_test() {
        run(&host, "ADD", none.clone()).ok();
        run(&host, "CHECK", none.clone()).silent();
        before.assert_same(&Dump::of(&host));
    }
    run(&host, "DEL", none).silent();
}

#[test]
fn a_configuration_that_breaks_a_rule_is_refused_and_changes_nothing() {
    let host = Host::new();
    host.sh(POLICY);
    let no_interfaces = json!({"prevResult": {"interfaces": []}});
    for (patch, code, words) in [
        (
            json!({"ingressPolicy": "closed"}),
            7,
            ["ingressPolicy", "closed"],
        ),
        (json!({"ingressPolicy": 1}), 6, ["ingressPolicy", "1"]),
        (
            merged(
                json!({"ingressPolicy": "same-bridge"}),
                no_interfaces.clone(),
            ),
            7,
            ["same-bridge", "interfaces"],
        ),
        (
            merged(json!({"ingressPolicy": "isolated"}), no_interfaces),
            7,
            ["isolated", "port"],
        ),
        (
            json!({"prevResult": {"ips": [{"address": "10.1.0.7"}]}}),
            7,
            ["prevResult.ips[0].address", "10.1.0.7"],
        ),
        (json!({"backend": 1}), 6, ["backend", "1"]),
    ] {
        let before = Dump::of(&host);
        run(&host, "ADD", after_bridge(patch.clone())).refused_naming(code, &words);
        if !reference_under_test() {
            before.assert_same(&Dump::of(&host));
        }
    }
    unlike_the_reference(
        "a backend that it does not know is the automatic one",
        || {
            run(&host, "ADD", after_bridge(json!({"backend": "ebtables"})))
                .refused_naming(7, &["backend", "ebtables"]);
        },
    );
    // Without a D-Bus, neither serves it.
    run(
        &host,
        "ADD",
        after_bridge(json!({"backend": "firewalld", "firewalldZone": "pods"})),
    )
    .refused_naming(
        2,
        &[
            "firewalld",
            "firewall-cmd --permanent --zone=pods --add-source=",
        ],
    );
    let admin = json!({"iptablesAdminChainName": "FORWARD"});
    run(&host, "ADD", after_bridge(admin))
        .refused_naming(7, &["iptablesAdminChainName", "FORWARD"]);
}
