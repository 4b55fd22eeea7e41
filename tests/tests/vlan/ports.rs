//! Which VLANs a port carries.

use super::{NO_TRUNK, STAYS, able, name, native, vlans};
use serde_json::{Value, json};
use testkit::{Network, Scene, bridge, unlike_the_reference, vm};

/// ADD with `patch` gives the port these VLANs, and CHECK agrees.
#[track_caller]
fn port_carries(patch: Value, wanted: &[String]) {
    let scene = Scene::new(bridge(patch));
    scene.add();
    assert_eq!(vlans(&scene.host, &name(&scene.port())), wanted);
    let bridge = scene.host.link("cni0");
    assert_eq!(bridge["linkinfo"]["info_data"]["vlan_filtering"], 1);
    scene.network.check(&scene.eth0()).silent();
}

#[test]
fn a_kernel_without_filtering_refuses_by_name_and_nothing_is_left() {
    for (patch, key) in [
        (json!({"vlan": 100}), "\"vlan\""),
        (
            json!({"vlan": 100, "isDefaultGateway": true, "ipMasq": true}),
            "\"vlan\"",
        ),
        (
            json!({"vlanTrunk": [{"id": 5}, {"minID": 10, "maxID": 12}]}),
            "\"vlanTrunk\"",
        ),
        (json!({"vlanTrunk": []}), "\"vlanTrunk\""),
    ] {
        let scene = Scene::shared(bridge(json!({"name": "other"})));
        let scene = Scene {
            network: Network::new(&scene.host, bridge(patch)),
            ..scene
        };
        let before = scene.dump();
        let outcome = scene.network.add(&scene.eth0());
        if able() {
            outcome.ok();
            continue;
        }
        unlike_the_reference("it leaves a pair behind", || {
            outcome.refused_naming(2, &[key, "CONFIG_BRIDGE_VLAN_FILTERING"]);
            before.assert_same(&scene.dump());
        });
        scene.network.del(&scene.eth0()).silent();
    }
}

#[test]
fn preserving_the_default_needs_no_filtering() {
    let scene = Scene::new(bridge(json!({"preserveDefaultVlan": true})));
    scene.add();
    scene.network.check(&scene.eth0()).silent();
}

#[test]
fn a_port_carries_its_vlan_alone() {
    vm::where_able(able(), || {
        unlike_the_reference(STAYS, || {
            port_carries(json!({"vlan": 100}), &[native(100)]);
            port_carries(
                json!({"vlan": 4094, "preserveDefaultVlan": false}),
                &[native(4094)],
            );
            port_carries(json!({"vlan": 1}), &[native(1)]);
        });
    });
}

#[test]
fn the_default_vlan_stays_when_preserved() {
    vm::where_able(able(), || {
        let both = ["1 Egress Untagged".to_owned(), native(100)];
        port_carries(json!({"vlan": 100, "preserveDefaultVlan": true}), &both);
    });
}

#[test]
fn a_trunk_carries_its_vlans_tagged() {
    let trunk = json!([{"id": 11}, {"minID": 10, "maxID": 12}, {"id": 5}]);
    let tagged = || ["5", "10", "11", "12"].map(str::to_owned).to_vec();
    vm::where_able(able(), || {
        unlike_the_reference(NO_TRUNK, || {
            port_carries(
                json!({"vlanTrunk": trunk}),
                &[vec![native(1)], tagged()].concat(),
            );
            port_carries(
                json!({"vlanTrunk": trunk, "vlan": 7}),
                &["5".to_owned(), native(7)]
                    .into_iter()
                    .chain(tagged().into_iter().skip(1))
                    .collect::<Vec<_>>(),
            );
            port_carries(
                json!({"vlanTrunk": trunk, "vlan": 11}),
                &["5", "10", &native(11), "12"].map(str::to_owned),
            );
            port_carries(json!({"vlanTrunk": []}), &[native(1)]);
            port_carries(
                json!({"vlanTrunk": [{"id": 5}], "vlan": 7, "preserveDefaultVlan": true}),
                &["1 Egress Untagged", "5", &native(7)].map(str::to_owned),
            );
        });
    });
}

#[test]
fn a_trunk_may_carry_every_vlan() {
    vm::where_able(able(), || {
        unlike_the_reference(NO_TRUNK, || {
            let all: Vec<_> = [native(1)]
                .into_iter()
                .chain((2..=4094).map(|id| id.to_string()))
                .collect();
            port_carries(json!({"vlanTrunk": [{"minID": 1, "maxID": 4094}]}), &all);
        });
    });
}

#[test]
fn whatever_the_bridge_gives_its_ports_by_default_is_removed() {
    vm::where_able(able(), || {
        unlike_the_reference(STAYS, || {
            for default in [0, 5] {
                let scene = Scene::new(bridge(json!({"vlan": 100})));
                scene.host.sh(&format!(
                    "ip link add cni0 type bridge vlan_filtering 1 vlan_default_pvid {default}"
                ));
                scene.add();
                assert_eq!(vlans(&scene.host, &name(&scene.port())), [native(100)]);
            }
        });
    });
}
