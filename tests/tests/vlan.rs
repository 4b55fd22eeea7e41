//! The keys `vlan`, `vlanTrunk` and `preserveDefaultVlan` of `bridge`, with real packets. They need a kernel whose
//! bridges filter VLANs; where this one does not, the tests run in a VM.

use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::OnceLock;
use testkit::{Host, Network, Place, Pod, Scene, Uplink, bridge, merged, unlike_the_reference, vm};

const NO_TRUNK: &str = "Debian's reference is older than vlanTrunk and preserveDefaultVlan";
const STAYS: &str = "it keeps VLAN 1 on the port, and looks at no VLAN in CHECK";

fn able() -> bool {
    static ABLE: OnceLock<bool> = OnceLock::new();
    *ABLE.get_or_init(vm::filters_vlans)
}

#[expect(
    clippy::unwrap_used,
    reason = "addresses written here are read back here"
)]
fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The VLANs of a bridge port as `bridge vlan` words them: `100 PVID Egress Untagged`.
fn vlans(host: &Place, port: &str) -> Vec<String> {
    let shown = host.json(&format!("bridge -j vlan show dev {port}"));
    let vlans = shown[0]["vlans"].as_array().cloned().unwrap_or_default();
    let words = |vlan: &Value| {
        let flags = vlan["flags"].as_array().cloned().unwrap_or_default();
        let flags = flags.iter().filter_map(|flag| flag.as_str());
        let id = vlan["vlan"].to_string();
        [id.as_str()]
            .into_iter()
            .chain(flags)
            .collect::<Vec<_>>()
            .join(" ")
    };
    vlans.iter().map(words).collect()
}

fn native(id: u16) -> String {
    format!("{id} PVID Egress Untagged")
}

fn name(link: &Value) -> String {
    link["ifname"].as_str().unwrap_or_default().to_owned()
}

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

/// A network on `cni0` whose pods have addresses from 10.10.0.`first` on.
fn network(host: &Host, first: u8, patch: Value) -> Network {
    let config = json!({
        "name": format!("net{first}"),
        "ipam": {"rangeStart": format!("10.10.0.{first}"), "rangeEnd": format!("10.10.0.{}", first + 9)},
    });
    Network::new(host, bridge(merged(config, patch)))
}

#[track_caller]
fn join(host: &Host, network: &Network, name: &str) -> Pod {
    let pod = host.pod(name);
    network.add(&pod.attachment()).ok();
    pod
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

/// A dual-stack gateway in VLAN 100, with all that could be in its way.
fn gateway() -> Value {
    let ranges = json!([[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00:10::/64"}]]);
    bridge(json!({
        "vlan": 100, "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true,
        "ipam": {"subnet": null, "ranges": ranges}
    }))
}

fn global_addresses(link: &Value) -> Vec<String> {
    let addresses = link["addr_info"].as_array().cloned().unwrap_or_default();
    let global = addresses
        .iter()
        .filter(|address| address["scope"] == "global");
    global
        .map(|a| {
            format!(
                "{}/{}",
                a["local"].as_str().unwrap_or_default(),
                a["prefixlen"]
            )
        })
        .collect()
}

/// The bridge port behind the gateway's device.
fn gateway_port(host: &Host) -> String {
    host.link("cni0.100")["link"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_gateway_of_a_vlan_has_a_device_of_its_own() {
    vm::where_able(able(), || {
        let scene = Scene::new(gateway());
        let result = scene.add();
        let device = scene.host.link("cni0.100");
        assert_eq!(global_addresses(&device), ["10.10.0.1/24", "fd00:10::1/64"]);
        assert!(global_addresses(&scene.host.link("cni0")).is_empty());
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

/// Kernels before 6.2 do not return a link that they have made (NLM_F_ECHO); it has to be asked for.
#[test]
fn an_older_kernel_serves_a_pod_all_the_same() {
    vm::where_able(false, || {
        let config = bridge(json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}));
        let scene = Scene::shared(config);
        let world = Uplink::of(&scene.host);
        let before = scene.dump();
        let result = scene.add();
        let (port, eth0) = (scene.port(), scene.pod.link("eth0"));
        assert_eq!(result["interfaces"][1]["name"], port["ifname"]);
        assert_eq!(result["interfaces"][1]["mac"], port["address"]);
        assert_eq!(result["interfaces"][2]["mac"], eth0["address"]);
        assert_eq!(result["ips"][0]["address"], "10.10.0.3/24");
        assert_eq!(global_addresses(&eth0), ["10.10.0.3/24"]);
        let seen = scene.pod.seen_by(world.outside.place(), Uplink::OUTSIDE[0]);
        assert_eq!(seen.unwrap(), Uplink::HOST[0]);
        scene.network.check(&scene.eth0()).silent();
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
        assert_eq!(
            scene.network.result(&scene.eth0()),
            None,
            "DEL makes the runtime forget"
        );
    });
}
