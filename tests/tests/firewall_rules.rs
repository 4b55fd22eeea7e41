//! `firewall` and what it makes: rules that iptables reads as its own, elements that come and go with their pods, and what
//! CHECK, GC and STATUS make of them.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{
    Attachment, Dump, Host, Network, Outcome, Plugins, Pod, Scene, firewalled, merged,
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

/// What `iptables-save` says of the filter table, without remarks and counters; never that it cannot read it.
fn saved(host: &Host, program: &str) -> Vec<String> {
    let text = host.sh(&format!("{program}-save -t filter 2>&1"));
    assert!(!text.contains("ncompatible"), "{text}");
    let lines = text.lines().filter(|line| line.starts_with([':', '-']));
    let uncounted = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
    lines.map(uncounted).collect()
}

/// The rules among them.
fn rules(host: &Host, program: &str) -> Vec<String> {
    let mut lines = saved(host, program);
    lines.retain(|line| line.starts_with('-'));
    lines
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

/// An earlier result as the bridge plugin gives it.
fn earlier() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "cni0", "mac": "02:00:00:00:00:01"},
            {"name": "veth1", "mac": "02:00:00:00:00:02"},
            {"name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": "/run/netns/a"}
        ],
        "ips": [
            {"address": "10.1.0.7/16", "gateway": "10.1.0.1", "interface": 2},
            {"address": "fd00::7/64", "gateway": "fd00::1", "interface": 2}
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    })
}

fn with_earlier(patch: Value) -> Value {
    merged(
        json!({"cniVersion": "1.0.0", "prevResult": earlier()}),
        patch,
    )
}

#[test]
fn iptables_lists_one_static_rule_for_all_pods() {
    unlike_the_reference("it has two rules for each address in one chain", || {
        let scene = dropping(json!({}));
        for n in 0..5 {
            scene.join(&format!("pod{n}"));
        }
        for program in ["iptables", "ip6tables"] {
            let expected = [
                ":INPUT ACCEPT",
                ":FORWARD DROP",
                ":OUTPUT ACCEPT",
                ":CNI-ADMIN -",
                ":CNI-FORWARD -",
                "-A FORWARD -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD",
                "-A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN",
                "-A CNI-FORWARD -m comment --comment \"pods of table inet hawser_firewall\" \
                 -m mark --mark 0x1000/0x1000 -j ACCEPT",
            ];
            assert_eq!(saved(&scene.host, program), expected);
        }
    });
}

#[test]
fn the_rules_stand_in_front_of_what_was_there() {
    let scene = dropping(json!({}));
    let add = "-A FORWARD -s 192.0.2.99/32 -j DROP";
    scene.host.sh(&format!("iptables {add}"));
    scene.add();
    let rules = rules(&scene.host, "iptables");
    assert!(
        rules[0].ends_with("-j CNI-FORWARD") && rules[1] == add,
        "{rules:#?}"
    );
    assert!(rules[2].starts_with("-A CNI-FORWARD") && rules[2].ends_with("-j CNI-ADMIN"));
}

#[test]
fn what_iptables_saves_it_restores_and_it_still_serves() {
    let scene = dropping(json!({}));
    scene.add();
    for program in ["iptables", "ip6tables"] {
        let before = saved(&scene.host, program);
        let file = scene.host.scratch(program);
        let file = file.display();
        scene.host.sh(&format!(
            "{program}-save > {file}; {program} -F; {program} -X; {program}-restore < {file}"
        ));
        assert_eq!(saved(&scene.host, program), before);
        scene
            .host
            .sh(&format!("{program} -S; {program} -L -v -n -x"));
    }
    scene.network.check(&scene.eth0()).silent();
    // The next pod finds everything there.
    let before = rules(&scene.host, "iptables").len();
    scene.join("next");
    let of_the_pod = if reference_under_test() { 2 } else { 0 };
    assert_eq!(rules(&scene.host, "iptables").len(), before + of_the_pod);
}

#[test]
fn a_host_that_does_not_forward_through_iptables_gets_none_of_its_tables() {
    unlike_the_reference("it makes the table and its chains", || {
        for backend in [json!(null), json!("nftables")] {
            let scene = Scene::new(firewalled(json!({"backend": backend})));
            if backend == "nftables" {
                scene.host.sh(POLICY);
            }
            scene.add();
            let tables = scene.host.sh("nft list chains");
            assert!(!tables.contains("CNI-FORWARD"), "{backend}: {tables}");
            scene.network.check(&scene.eth0()).silent();
        }
    });
}

#[test]
fn the_backend_iptables_makes_the_tables_that_it_needs() {
    let scene = Scene::new(firewalled(json!({"backend": "iptables"})));
    scene.add();
    for program in ["iptables", "ip6tables"] {
        let lines = saved(&scene.host, program);
        assert!(lines.contains(&":FORWARD ACCEPT".to_owned()), "{lines:#?}");
        assert!(
            lines.iter().any(|line| line.ends_with("-j CNI-FORWARD")),
            "{lines:#?}"
        );
    }
    scene.network.check(&scene.eth0()).silent();
}

#[test]
fn pods_that_come_at_once_make_each_rule_once() {
    let scene = dropping(json!({}));
    // The bridge is shared as well; here it is the rules that count.
    let names: Vec<_> = (0..8).map(|n| format!("pod{n}")).collect();
    std::thread::scope(|scope| {
        for (n, name) in names.iter().enumerate() {
            let host = &scene.host;
            scope.spawn(move || {
                let n = n + 10;
                let ips = json!([{"address": format!("10.1.0.{n}/16")}, {"address": format!("fd00::{n}/64")}]);
                let config = json!({"cniVersion": "1.0.0", "name": "podnet", "type": "firewall",
                    "prevResult": {"cniVersion": "1.0.0", "ips": ips}});
                let network = Network::new(host, config);
                network.first("ADD", &Attachment::new(name, "eth0", "/dev/null")).run().ok();
            });
        }
    });
    for program in ["iptables", "ip6tables"] {
        let mut counted = BTreeMap::new();
        for rule in rules(&scene.host, program) {
            *counted.entry(rule).or_insert(0) += 1;
        }
        if reference_under_test() {
            testkit::report_difference("two ADDs at once may each make its shared rules");
        } else {
            let once = counted.values().all(|count| *count == 1);
            assert!(once, "{counted:#?}");
        }
        assert!(counted.len() >= 3, "{counted:#?}");
    }
}

#[test]
fn what_was_flushed_is_found_by_check_and_mended_by_the_next_add() {
    for flush in [
        "iptables -F FORWARD",
        "ip6tables -F CNI-FORWARD",
        "iptables -F; iptables -X",
        "nft delete table ip filter; iptables -P FORWARD DROP",
    ] {
        let scene = dropping(json!({}));
        scene.add();
        scene.network.check(&scene.eth0()).silent();
        let before = [
            rules(&scene.host, "iptables"),
            rules(&scene.host, "ip6tables"),
        ];
        scene.host.sh(flush);
        let left = [
            rules(&scene.host, "iptables"),
            rules(&scene.host, "ip6tables"),
        ];
        let failure = unlike_check(&scene, flush);
        assert!(
            reference_under_test() || failure.contains("DEL and ADD"),
            "{failure}"
        );
        if !reference_under_test() {
            let after = [
                rules(&scene.host, "iptables"),
                rules(&scene.host, "ip6tables"),
            ];
            assert_eq!(left, after, "CHECK changed something after {flush}");
            scene.join("next");
            let after = [
                rules(&scene.host, "iptables"),
                rules(&scene.host, "ip6tables"),
            ];
            assert_eq!(after, before, "after {flush}");
            scene.network.check(&scene.eth0()).silent();
        }
    }
}

/// The message of a CHECK that has to fail. The reference may have mended what it was to judge.
fn unlike_check(scene: &Scene, after: &str) -> String {
    let outcome = scene.network.check(&scene.eth0());
    if reference_under_test() {
        testkit::report_difference("its CHECK makes missing chains before it judges");
        return String::new();
    }
    let failure = outcome.refused(103);
    assert!(
        failure.mentions("CNI-FORWARD"),
        "after {after}: {failure:?}"
    );
    failure.msg
}

#[test]
fn iptables_that_comes_later_is_found_by_check_and_joined_by_the_next_add() {
    unlike_the_reference("it makes the table and its chains at once", || {
        let scene = Scene::new(firewalled(json!({})));
        scene.add();
        scene.network.check(&scene.eth0()).silent();
        scene.host.sh(POLICY);
        scene
            .network
            .check(&scene.eth0())
            .refused_naming(103, &["FORWARD", "CNI-FORWARD"]);
        scene.join("next");
        scene.network.check(&scene.eth0()).silent();
    });
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

/// Every policy that the plugins under test have.
fn policies() -> Vec<&'static str> {
    let all = ["open", "same-bridge", "isolated"];
    let known = if reference_under_test() { 2 } else { 3 };
    all[..known].to_vec()
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
        run(&host, "ADD", with_earlier(json!({}))).ok();
        let next = Network::new(
            &host,
            merged(
                json!({"name": "podnet", "type": "firewall"}),
                with_earlier(json!({})),
            ),
        );
        let next_pod = Attachment::new("c2", "eth0", "/dev/null");
        next.first("ADD", &next_pod).run().ok();
        let before = Dump::of(&host);
        run(&host, "DEL", with_earlier(json!({}))).silent();
        before.assert_same(&Dump::of(&host));
        assert!(before.mentions("podnet/c2/eth0"));
    });
}

#[test]
fn a_second_add_changes_nothing() {
    let host = Host::new();
    host.sh(POLICY);
    let first = run(&host, "ADD", with_earlier(json!({}))).ok();
    let before = Dump::of(&host);
    assert_eq!(run(&host, "ADD", with_earlier(json!({}))).ok(), first);
    before.assert_same(&Dump::of(&host));
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
            run(&host, "ADD", with_earlier(json!({}))).ok();
            run(&host, "STATUS", newest(json!({}))).silent();

            host.sh("iptables-legacy -P FORWARD DROP");
            run(&host, "STATUS", newest(json!({}))).silent();
            let legacy = newest(json!({"backend": "iptables"}));
            run(&host, "STATUS", legacy)
                .refused_naming(50, &["iptables-legacy -I FORWARD", "0x1000/0x1000"]);
            let refused = run(&host, "ADD", with_earlier(json!({"backend": "iptables"})));
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
        let mut earlier = earlier();
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
        run(&host, "ADD", with_earlier(patch.clone())).refused_naming(code, &words);
        if !reference_under_test() {
            before.assert_same(&Dump::of(&host));
        }
    }
    unlike_the_reference(
        "a backend that it does not know is the automatic one",
        || {
            run(&host, "ADD", with_earlier(json!({"backend": "ebtables"})))
                .refused_naming(7, &["backend", "ebtables"]);
        },
    );
    // Without a D-Bus, neither serves it.
    run(
        &host,
        "ADD",
        with_earlier(json!({"backend": "firewalld", "firewalldZone": "pods"})),
    )
    .refused_naming(
        2,
        &[
            "firewalld",
            "firewall-cmd --permanent --zone=pods --add-source=",
        ],
    );
    let admin = json!({"iptablesAdminChainName": "FORWARD"});
    run(&host, "ADD", with_earlier(admin))
        .refused_naming(7, &["iptablesAdminChainName", "FORWARD"]);
}

/// A host on which the reference has let a pod through already.
fn migrated() -> (Host, Network, Pod) {
    let host = Host::new();
    host.sh(POLICY);
    let network = Network::new(&host, firewalled(json!({"backend": "iptables"})))
        .served_by(Plugins::reference());
    let old = host.pod("old");
    network.add(&old.attachment()).ok();
    (host, network, old)
}

#[test]
fn pods_of_the_references_are_checked_and_deleted() {
    let (host, network, old) = migrated();
    let network = network.served_by(Plugins::under_test());
    let new = host.pod("new");
    network.add(&new.attachment()).ok();
    // One chain for both, entered once.
    let all = rules(&host, "iptables");
    let to = |chain: &str| {
        all.iter()
            .filter(|rule| rule.ends_with(&format!("-j {chain}")))
            .count()
    };
    assert_eq!((to("CNI-FORWARD"), to("CNI-ADMIN")), (1, 1), "{all:#?}");
    let firewall = alone(
        &network,
        &host,
        &old.attachment(),
        json!({"backend": "iptables"}),
    );
    firewall.check(&old.attachment()).silent();
    network.del(&old.attachment()).silent();
    for program in ["iptables", "ip6tables"] {
        let left = rules(&host, program);
        assert!(
            !left
                .iter()
                .any(|rule| rule.contains("10.10.0.2") || rule.contains("fd00:10::2")),
            "{left:#?}"
        );
    }
    firewall.remember(&old.attachment(), None);
    network.check(&new.attachment()).silent();
}

#[test]
fn the_reference_finds_our_rules_to_be_its_own() {
    let host = Host::new();
    host.sh(POLICY);
    let network = Network::new(&host, firewalled(json!({"backend": "iptables"})));
    let ours = host.pod("ours");
    network.add(&ours.attachment()).ok();
    let before = rules(&host, "iptables");
    let network = network.served_by(Plugins::reference());
    let theirs = host.pod("theirs");
    network.add(&theirs.attachment()).ok();
    // It adds what it has for its pod, and finds the rest.
    let after = rules(&host, "iptables");
    assert_eq!(after.len(), before.len() + 2, "{after:#?}");
    network.check(&theirs.attachment()).silent();
}

#[test]
fn the_rules_of_many_pods_are_those_of_one() {
    unlike_the_reference("it has two rules for each address in one chain", || {
        let host = Host::new();
        host.sh(POLICY);
        let listed = |host: &Host| -> Vec<String> {
            let text = host.sh("nft -s list ruleset");
            let rules = text
                .lines()
                .filter(|line| !line.contains("elements") && !line.contains("comment \"podnet/"));
            rules.map(str::to_owned).collect()
        };
        run(
            &host,
            "ADD",
            with_earlier(json!({"ingressPolicy": "same-bridge"})),
        )
        .ok();
        let one = listed(&host);
        for n in 1..60 {
            let ips = json!([{"address": format!("10.1.1.{n}/16")}, {"address": format!("fd00::1:{n}/64")}]);
            let config =
                with_earlier(json!({"ingressPolicy": "same-bridge", "prevResult": {"ips": ips}}));
            let network = Network::new(
                &host,
                merged(json!({"name": "podnet", "type": "firewall"}), config),
            );
            network
                .first(
                    "ADD",
                    &Attachment::new(&format!("pod{n}"), "eth0", "/dev/null"),
                )
                .run()
                .ok();
        }
        assert_eq!(listed(&host), one);
        assert!(
            host.sh("nft list set inet hawser_firewall beside6")
                .contains("podnet/pod59/eth0")
        );
    });
}
