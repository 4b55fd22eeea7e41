//! `bridge` CHECK: it finds every damage to what ADD made, and only damage (CHK-1..7).

use serde_json::{Value, json};
use testkit::{Scene, bridge, merged, reference_under_test, unlike_the_reference};

/// One way to damage an attachment.
struct Damage {
    what: &'static str,
    /// Laid over a configuration with a default gateway.
    config: Value,
    /// A script for the host; `$port` is the host's end, `$pod` enters the pod's network.
    script: &'static str,
    /// Whether the reference finds it too.
    reference_finds_it: bool,
}

fn damages() -> Vec<Damage> {
    let row = |what, config, script, reference_finds_it| Damage {
        what,
        config,
        script,
        reference_finds_it,
    };
    vec![
        row(
            "the pod's address is gone",
            json!({}),
            "$pod ip address del 10.10.0.2/24 dev eth0",
            true,
        ),
        row(
            "the default route is gone",
            json!({}),
            "$pod ip route del default",
            true,
        ),
        row(
            "the default route leads elsewhere",
            json!({}),
            "$pod ip route replace default via 10.10.0.9",
            false,
        ),
        row(
            "the pod's link is gone",
            json!({}),
            "$pod ip link del eth0",
            true,
        ),
        row(
            "the pod's link is down",
            json!({"ipam": {"routes": []}, "isDefaultGateway": false}),
            "$pod ip link set eth0 down",
            true,
        ),
        row(
            "the pod's link has another name",
            json!({}),
            "$pod ip link set eth0 down; $pod ip link set eth0 name x",
            true,
        ),
        row(
            "the pod's MAC is another",
            json!({}),
            "$pod ip link set eth0 address 02:00:00:00:00:55",
            true,
        ),
        row(
            "the pod's MTU is another",
            json!({"mtu": 1400}),
            "$pod ip link set eth0 mtu 1300",
            false,
        ),
        row(
            "the port's MTU is another",
            json!({"mtu": 1400}),
            "ip link set $port mtu 1300",
            false,
        ),
        row(
            "the port is in no bridge",
            json!({}),
            "ip link set $port nomaster",
            true,
        ),
        row(
            "the port is in another bridge",
            json!({}),
            "ip link add x type bridge; ip link set $port master x",
            true,
        ),
        row(
            "the port is down",
            json!({}),
            "ip link set $port down",
            false,
        ),
        row(
            "hairpin is off",
            json!({"hairpinMode": true}),
            "bridge link set dev $port hairpin off",
            false,
        ),
        row(
            "hairpin is on",
            json!({}),
            "bridge link set dev $port hairpin on",
            false,
        ),
        row(
            "isolation is off",
            json!({"portIsolation": true}),
            "bridge link set dev $port isolated off",
            false,
        ),
        row(
            "the bridge is not promiscuous",
            json!({"promiscMode": true}),
            "ip link set cni0 promisc off",
            true,
        ),
        row(
            "the bridge is down",
            json!({}),
            "ip link set cni0 down",
            false,
        ),
        row("the bridge is gone", json!({}), "ip link del cni0", true),
        row(
            "the gateway address is gone",
            json!({}),
            "ip address flush dev cni0",
            false,
        ),
        row(
            "the host does not forward",
            json!({}),
            "echo 0 >/proc/sys/net/ipv4/ip_forward",
            false,
        ),
        row(
            "masquerade is gone",
            json!({"ipMasq": true}),
            "nft flush ruleset",
            false,
        ),
        row(
            "anti-spoofing is gone",
            json!({"macspoofchk": true}),
            "nft flush ruleset",
            false,
        ),
        row(
            "router advertisements are let in",
            json!({}),
            "echo 2 >/proc/sys/net/ipv6/conf/$port/accept_ra",
            false,
        ),
        row(
            "the reservation is gone",
            json!({}),
            "rm /var/lib/cni/networks/podnet/10.10.0.2",
            true,
        ),
    ]
}

/// Whether CHECK finds the damage; that it found nothing before is asserted.
#[track_caller]
fn finds(damage: &Damage) -> bool {
    let scene = Scene::new(merged(
        bridge(json!({"isDefaultGateway": true})),
        damage.config.clone(),
    ));
    scene.add();
    scene.network.check(&scene.eth0()).silent();
    let port = scene.port()["ifname"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    scene.host.sh(&format!(
        "pod='ip netns exec a'; port={port}; {}",
        damage.script
    ));
    let outcome = scene.network.check(&scene.eth0());
    if !outcome.succeeded() {
        assert!(!outcome.failed().msg.is_empty());
    }
    !outcome.succeeded()
}

#[test]
fn each_kind_of_damage_is_found() {
    let mut unexpected = Vec::new();
    for damage in damages() {
        let expected = damage.reference_finds_it || !reference_under_test();
        if finds(&damage) != expected {
            unexpected.push(damage.what);
        }
    }
    assert!(
        unexpected.is_empty(),
        "found against expectation, or not: {unexpected:#?}"
    );
}

#[test]
fn lost_masquerade_of_one_pod_among_others_is_found() {
    unlike_the_reference("its CHECK does not look at masquerade", || {
        for key in ["ipMasq", "macspoofchk"] {
            let scene = Scene::shared(bridge(json!({"isDefaultGateway": true, (key): true})));
            scene.add();
            // What another network's plugin could do: only the elements of this attachment go.
            let elements = testkit::Dump::of(&scene.host);
            let ours: Vec<_> = elements
                .named("host nft element of")
                .filter(|(name, _)| name.contains("podnet/a/eth0"))
                .collect();
            assert!(
                !ours.is_empty(),
                "{key}: no element carries the attachment's label"
            );
            for (name, _) in ours {
                scene
                    .host
                    .sh(&format!("nft delete element {}", element_text(name)));
            }
            assert!(!scene.network.check(&scene.eth0()).succeeded(), "{key}");
        }
    });
}

#[test]
fn lost_rules_of_masquerade_are_found() {
    unlike_the_reference("its CHECK does not look at masquerade", || {
        for chain in ["postrouting", "leaving", "leaving_10.10.0.0/24"] {
            let scene = Scene::new(bridge(json!({"isGateway": true, "ipMasq": true})));
            scene.add();
            let flush = format!("nft flush chain inet hawser_masquerade {chain}");
            scene.host.sh(&flush);
            let outcome = scene.network.check(&scene.eth0());
            outcome.refused_naming(103, &[&format!("chain {chain} of inet hawser_masquerade")]);
        }
    });
}

/// `host nft element of inet t s: {"elem": {"val": X, "comment": ..}}` as `inet t s { X }`.
fn element_text(name: &str) -> String {
    let (place, element) = name
        .trim_start_matches("host nft element of ")
        .split_once(": ")
        .unwrap_or_default();
    let element: Value = serde_json::from_str(element).unwrap_or_default();
    let key = if element.is_array() {
        &element[0]
    } else {
        &element
    };
    let key = key.pointer("/elem/val").unwrap_or(key);
    let parts = key["concat"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![key.clone()]);
    let text = |part: &Value| {
        part.as_str()
            .map_or_else(|| part.to_string(), str::to_owned)
    };
    format!(
        "{place} '{{ {} }}'",
        parts.iter().map(text).collect::<Vec<_>>().join(" . ")
    )
}

#[test]
fn what_others_do_is_no_damage() {
    let rows = [
        (
            "a later plugin adds an address and a route",
            "$pod ip address add 10.77.0.1/24 dev eth0; $pod ip route add 10.78.0.0/24 dev eth0",
            true,
        ),
        (
            "udev gives the port another MAC",
            "ip link set $port address 02:00:00:00:00:77",
            false,
        ),
        ("other tables come", "nft add table inet others", true),
        (
            "the bridge gets another address",
            "ip address add 172.16.0.1/24 dev cni0",
            true,
        ),
        (
            "the bridge gets another port",
            "ip link add v9 type veth peer name v8; ip link set v9 master cni0 up",
            true,
        ),
    ];
    for (what, script, reference_agrees) in rows {
        let config = json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true});
        let scene = Scene::new(bridge(config));
        scene.add();
        let port = scene.port()["ifname"].as_str().unwrap().to_owned();
        scene
            .host
            .sh(&format!("pod='ip netns exec a'; port={port}; {script}"));
        let accepted = scene.network.check(&scene.eth0()).succeeded();
        assert_eq!(
            accepted,
            reference_agrees || !reference_under_test(),
            "{what}"
        );
    }
}

#[test]
fn pods_that_come_and_go_are_no_damage() {
    let scene = Scene::new(bridge(json!({"isGateway": true})));
    scene.add();
    let others: Vec<_> = (0..4).map(|n| scene.join(&format!("p{n}"))).collect();
    scene.network.check(&scene.eth0()).silent();
    for other in others {
        scene.network.del(&other.attachment()).ok();
        scene.network.check(&scene.eth0()).silent();
    }
}

#[test]
fn check_needs_the_previous_result() {
    let scene = Scene::new(bridge(json!({})));
    scene.add();
    scene.network.remember(&scene.eth0(), None);
    scene
        .network
        .check(&scene.eth0())
        .refused_naming(7, &["prevResult"]);
}

#[test]
fn a_previous_result_of_another_generation_is_refused() {
    let scene = Scene::new(bridge(json!({})));
    scene.add();
    let old = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.10.0.2/24"}});
    scene.network.remember(&scene.eth0(), Some(old));
    let failure = scene.network.check(&scene.eth0()).failed();
    assert!(
        reference_under_test() || failure.mentions("prevResult"),
        "{failure:?}"
    );
}

#[test]
fn check_of_what_was_never_added_fails() {
    let scene = Scene::new(bridge(json!({})));
    let keeper = scene.join("keeper");
    scene
        .network
        .remember(&scene.eth0(), scene.network.result(&keeper.attachment()));
    scene.network.check(&scene.eth0()).failed();
}

#[test]
fn check_changes_nothing() {
    let scene = Scene::new(bridge(
        json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
    ));
    scene.add();
    let before = scene.dump();
    scene.network.check(&scene.eth0()).silent();
    scene.pod.sh("ip route del default");
    let damaged = scene.dump();
    scene.network.check(&scene.eth0()).failed();
    damaged.assert_same(&scene.dump());
    assert!(!before.diff(&damaged).is_empty());
}

#[test]
fn check_is_forwarded_to_the_ipam() {
    let scene = Scene::new(bridge(json!({})));
    scene.add();
    let refuse = r#"echo '{"cniVersion":"1.0.0","code":120,"msg":"the lease is gone"}'; exit 1"#;
    let stub = testkit::Stub::new(&scene.host, "host-local", refuse);
    let network = scene.network.searching(stub.dir());
    let failure = network.check(&scene.pod.attachment()).refused(120);
    assert!(failure.msg.contains("the lease is gone"), "{failure:?}");
    assert!(stub.stdin("CHECK").contains("prevResult"));
}
