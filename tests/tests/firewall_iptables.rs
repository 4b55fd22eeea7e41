//! `firewall` in iptables' own tables: rules that iptables reads as its own, that are made once, mended, and shared with
//! the reference plugin.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{
    Attachment, Host, Network, Outcome, Plugins, Pod, Scene, chained, firewalled, merged,
    reference_under_test, report_difference, unlike_the_reference,
};

const POLICY: &str = "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";

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

/// Eight pods at once.
fn crowd(host: &Host, round: usize) {
    std::thread::scope(|scope| {
        for n in 10 * round..10 * round + 8 {
            scope.spawn(move || {
                let ips = json!([{"address": format!("10.1.0.{n}/16")}, {"address": format!("fd00::{n}/64")}]);
                let network = Network::new(host, after_bridge(json!({"prevResult": {"ips": ips}})));
                let pod = Attachment::new(&format!("pod{n}"), "eth0", "/dev/null");
                network.first("ADD", &pod).run().ok();
            });
        }
    });
}

#[test]
fn pods_that_come_at_once_make_and_mend_each_rule_once() {
    if reference_under_test() {
        // By chance: its processes make the same chain at the same moment, and one of them fails.
        return report_difference("pods that come at once may be refused, or have rules twice");
    }
    let host = Host::new();
    for (round, before) in [
        POLICY,
        "iptables -F FORWARD; ip6tables -F CNI-FORWARD",
        "iptables -F; ip6tables -D CNI-FORWARD 1",
        "iptables -F; iptables -X; ip6tables -D CNI-FORWARD 2",
    ]
    .into_iter()
    .enumerate()
    {
        host.sh(before);
        crowd(&host, round + 1);
        for program in ["iptables", "ip6tables"] {
            let mut counted = BTreeMap::new();
            for rule in rules(&host, program) {
                *counted.entry(rule).or_insert(0) += 1;
            }
            let times = counted.values().collect::<Vec<_>>();
            assert_eq!(times, [&1; 3], "{before}: {counted:#?}");
        }
    }
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
            after_bridge(json!({"ingressPolicy": "same-bridge"})),
        )
        .ok();
        let one = listed(&host);
        for n in 1..60 {
            let ips = json!([{"address": format!("10.1.1.{n}/16")}, {"address": format!("fd00::1:{n}/64")}]);
            let config =
                after_bridge(json!({"ingressPolicy": "same-bridge", "prevResult": {"ips": ips}}));
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

#[test]
fn what_was_flushed_is_found_by_check_and_mended_by_the_next_add() {
    unlike_the_reference("its CHECK makes missing chains before it judges", || {
        for flush in [
            "iptables -F FORWARD",
            "ip6tables -F CNI-FORWARD",
            "iptables -F; iptables -X",
            "nft delete table ip filter; iptables -P FORWARD DROP",
        ] {
            let scene = dropping(json!({}));
            let all = || ["iptables", "ip6tables"].map(|program| rules(&scene.host, program));
            scene.add();
            scene.network.check(&scene.eth0()).silent();
            let complete = all();
            scene.host.sh(flush);
            let left = all();
            scene
                .network
                .check(&scene.eth0())
                .refused_naming(103, &["CNI-FORWARD", "DEL and ADD"]);
            assert_eq!(all(), left, "CHECK changed something after {flush}");
            scene.join("next");
            assert_eq!(all(), complete, "after {flush}");
            scene.network.check(&scene.eth0()).silent();
        }
    });
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

/// The firewall's part of a chain, ready to be changed.
fn alone(network: &Network, host: &Host, attachment: &Attachment, patch: Value) -> Network {
    let result = network.result(attachment);
    let config = json!({"cniVersion": "1.0.0", "name": "podnet", "type": "firewall"});
    let alone = Network::new(host, merged(config, patch));
    alone.remember(attachment, result);
    alone
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
fn a_pod_of_ours_is_deleted_by_the_reference_and_then_by_ours() {
    let scene = dropping(json!({}));
    scene.join("keeper");
    let before = scene.dump();
    scene.add();
    let pod = scene.eth0();
    let firewall = alone(
        &scene.network,
        &scene.host,
        &pod,
        json!({"backend": "iptables"}),
    );
    firewall.served_by(Plugins::reference()).del(&pod).silent();
    scene.network.del(&pod).silent();
    before.assert_same(&scene.dump());
}
