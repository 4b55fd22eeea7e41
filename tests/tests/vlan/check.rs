//! What CHECK finds.

use super::{STAYS, able, gateway, gateway_port, name};
use serde_json::{Value, json};
use testkit::{Scene, bridge, unlike_the_reference, vm};

/// CHECK of a pod under `config` finds the damage that `script` does, and names `words`. The script finds the names of
/// the pod's port and of the gateway's.
#[track_caller]
fn check_finds(config: &Value, script: &str, words: &[&str]) {
    let scene = Scene::new(config.clone());
    scene.add();
    let (port, gateway) = (name(&scene.port()), gateway_port(&scene.host));
    scene.network.check(&scene.eth0()).silent();
    scene
        .host
        .sh(&format!("port={port}; gateway={gateway}; {script}"));
    let failure = scene.network.check(&scene.eth0()).failed();
    for word in words {
        let word = match *word {
            "$port" => &port,
            "$gateway" => &gateway,
            word => word,
        };
        assert!(
            failure.mentions(word),
            "{script}: {word} is not in {failure:?}"
        );
    }
    scene.network.del(&scene.eth0()).silent();
}

#[test]
fn check_finds_a_damaged_vlan() {
    vm::where_able(able(), || {
        unlike_the_reference(STAYS, || {
            let access = bridge(json!({"vlan": 100}));
            check_finds(
                &access,
                "bridge vlan del dev $port vid 100",
                &["$port", "VLAN 100"],
            );
            check_finds(
                &access,
                "bridge vlan add dev $port vid 100",
                &["$port", "VLAN 100"],
            );
            check_finds(
                &access,
                "bridge vlan add dev $port vid 7",
                &["$port", "VLAN 7"],
            );
            check_finds(
                &access,
                "ip link set cni0 type bridge vlan_filtering 0",
                &["cni0", "filter"],
            );
            let trunk = bridge(json!({"vlanTrunk": [{"minID": 10, "maxID": 20}]}));
            check_finds(
                &trunk,
                "bridge vlan del dev $port vid 15",
                &["$port", "VLAN 15"],
            );
            check_finds(
                &trunk,
                "bridge vlan add dev $port vid 15 untagged",
                &["$port", "VLAN 15"],
            );
            let preserved = bridge(json!({"vlan": 100, "preserveDefaultVlan": true}));
            check_finds(
                &preserved,
                "bridge vlan del dev $port vid 100",
                &["$port", "VLAN 100"],
            );
        });
    });
}

#[test]
fn check_finds_a_damaged_gateway() {
    vm::where_able(able(), || {
        unlike_the_reference(STAYS, || {
            let config = gateway();
            for (script, words) in [
                ("ip link del cni0.100", ["cni0.100", "gateway"]),
                ("ip link set cni0.100 down", ["cni0.100", "down"]),
                ("ip link set $gateway down", ["$gateway", "down"]),
                ("ip link set $gateway nomaster", ["$gateway", "cni0"]),
                (
                    "bridge vlan del dev $gateway vid 100",
                    ["$gateway", "VLAN 100"],
                ),
                (
                    "ip address del 10.10.0.1/24 dev cni0.100",
                    ["cni0.100", "10.10.0.1/24"],
                ),
            ] {
                check_finds(&config, script, &words);
            }
        });
    });
}
