//! `bridge` ADD: the links in the pod and on the host, key by key, and what is said about them.

use serde_json::{Value, json};
use testkit::{Dump, Scene, addresses, bridge, eventually, merged, unlike_the_reference};

const NEWER: &str = "Debian's reference is older than this key";

fn has_flag(link: &Value, flag: &str) -> bool {
    link["flags"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|set| set == flag)
}

#[test]
fn a_plain_pod_gets_an_address_and_del_takes_all_of_it_back() {
    let scene = Scene::shared(bridge(json!({})));
    let before = scene.dump();

    let result = scene.add();
    let eth0 = scene.pod.link("eth0");
    assert_eq!(addresses(&eth0), ["10.10.0.3/24"]);
    assert!(
        has_flag(&eth0, "UP") && has_flag(&scene.port(), "UP"),
        "{eth0}"
    );
    assert!(scene.pod.ping("10.10.0.2"));
    assert_eq!(
        result["ips"],
        json!([{"address": "10.10.0.3/24", "gateway": "10.10.0.1", "interface": 2}])
    );

    scene.network.check(&scene.eth0()).silent();
    scene.network.del(&scene.eth0()).silent();
    before.assert_same(&scene.dump());
}

#[test]
fn the_result_lists_bridge_host_end_and_pod_end_as_the_kernel_has_them() {
    let scene = Scene::new(bridge(json!({"isGateway": true})));
    let result = scene.add();
    let (port, eth0, cni0) = (
        scene.port(),
        scene.pod.link("eth0"),
        scene.host.link("cni0"),
    );
    let rows = [
        (0, "cni0", &cni0, None),
        (1, port["ifname"].as_str().unwrap(), &port, None),
        (2, "eth0", &eth0, Some(scene.pod.path())),
    ];
    for (index, name, link, sandbox) in rows {
        let interface = &result["interfaces"][index];
        assert_eq!(
            (&interface["name"], &interface["mac"]),
            (&json!(name), &link["address"]),
            "{result}"
        );
        let named = interface["sandbox"].as_str().unwrap_or_default();
        assert_eq!(
            named,
            sandbox.map_or(String::new(), |path| path.display().to_string())
        );
    }
    assert!(
        port["ifname"].as_str().unwrap().starts_with("veth"),
        "{port}"
    );
    assert_eq!(port["master"], "cni0");
}

#[test]
fn the_host_end_is_labelled_with_its_attachment() {
    unlike_the_reference("its host ends have random names and no label", || {
        let scene = Scene::new(bridge(json!({})));
        scene.add();
        assert_eq!(scene.port()["ifalias"], "podnet/a/eth0");
    });
}

#[test]
fn a_port_has_no_ipv6_of_its_own() {
    unlike_the_reference("its ports announce themselves to the pod", || {
        let scene = Scene::new(bridge(json!({})));
        scene.add();
        let of_link = |link: Value| link["addr_info"].as_array().map_or(0, Vec::len);
        // The kernel gives link-local addresses to all links that go up together.
        let eth0 = || of_link(scene.pod.link("eth0"));
        eventually("the pod has its own and the kernel's", || eth0() == 2);
        assert_eq!(of_link(scene.port()), 0);
    });
}

/// So many that a procfs of its own is quicker than the one there is; and where it can have none, that one serves.
#[test]
fn among_many_links_sysctls_are_set_as_well() {
    unlike_the_reference("it looks for them in /proc, however long", || {
        let scene = Scene::new(bridge(json!({"isGateway": true})));
        let links = "yes 'link add type veth' | head -n 210 | ip -batch -";
        scene.host.sh(links);
        let trace = scene.host.scratch("trace");
        let trace = trace.to_str().unwrap();
        let strace = ["strace", "-f", "-o", trace, "-e", "trace=fsopen"];
        let refusing = ["-e", "inject=fsopen:error=EPERM"];
        for refused in [false, true] {
            let refusing = if refused { &refusing[..] } else { &[] };
            let strace = [&strace[..], refusing].concat();
            let add = scene.network.first("ADD", &scene.eth0()).under(&strace);
            let result = add.run().ok();
            let calls = scene.host.read(trace).unwrap();
            assert!(calls.contains("fsopen(\"proc\""), "{calls}");
            assert_eq!(calls.contains("EPERM"), refused, "{calls}");
            scene.network.remember(&scene.eth0(), Some(result));
            scene.network.check(&scene.eth0()).silent();
            scene.network.del(&scene.eth0()).silent();
        }
    });
}

#[test]
fn an_mtu_is_that_of_bridge_and_both_ends() {
    let scene = Scene::new(bridge(json!({"mtu": 1400})));
    scene.add();
    for link in [
        scene.host.link("cni0"),
        scene.port(),
        scene.pod.link("eth0"),
    ] {
        assert_eq!(link["mtu"], 1400, "{link}");
    }
}

#[test]
fn results_of_1_1_0_tell_the_mtu() {
    unlike_the_reference("the mtu of interfaces is in none of its results", || {
        let scene = Scene::new(bridge(json!({"cniVersion": "1.1.0", "mtu": 1400})));
        let result = scene.add();
        for interface in result["interfaces"].as_array().unwrap() {
            assert_eq!(interface["mtu"], 1400, "{result}");
        }
    });
}

#[test]
fn flags_of_the_port_are_set_and_only_when_asked_for() {
    let rows = [
        ("hairpinMode", "hairpin", None),
        ("portIsolation", "isolated", Some(NEWER)),
    ];
    for (key, flag, difference) in rows {
        for wanted in [true, false] {
            let behaviour = || {
                let scene = Scene::new(bridge(json!({(key): wanted})));
                scene.add();
                assert_eq!(
                    scene.port()["linkinfo"]["info_slave_data"][flag],
                    wanted,
                    "{key}"
                );
            };
            match difference {
                Some(why) if wanted => unlike_the_reference(why, behaviour),
                _ => behaviour(),
            }
        }
    }
}

#[test]
fn promiscuous_mode_is_the_bridges() {
    let scene = Scene::new(bridge(json!({"promiscMode": true})));
    scene.add();
    assert!(has_flag(&scene.host.link("cni0"), "PROMISC"));
    scene.network.check(&scene.eth0()).silent();
}

#[test]
fn hairpin_and_promiscuous_mode_exclude_each_other() {
    let scene = Scene::new(bridge(json!({"hairpinMode": true, "promiscMode": true})));
    let before = scene.dump();
    scene
        .network
        .add(&scene.eth0())
        .refused_naming(7, &["hairpinMode", "promiscMode"]);
    before.assert_same(&scene.dump());
}

#[test]
fn without_ipam_the_pod_gets_a_link_and_no_address() {
    for ipam in [
        Value::Null,
        json!({"type": null, "subnet": null}),
        json!({"type": "", "subnet": null}),
    ] {
        let scene = Scene::shared(bridge(json!({"ipam": ipam})));
        let before = scene.dump();
        let result = scene.add();
        assert!(
            result["ips"].as_array().is_none_or(Vec::is_empty),
            "{result}"
        );
        let eth0 = scene.pod.link("eth0");
        assert!(
            addresses(&eth0).is_empty() && has_flag(&eth0, "UP"),
            "{eth0}"
        );
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
    }
}

#[test]
fn check_accepts_a_pod_without_ipam() {
    unlike_the_reference(
        "its CHECK asks for an IPAM plugin where there is none",
        || {
            let scene = Scene::new(bridge(json!({"ipam": null})));
            scene.add();
            scene.network.check(&scene.eth0()).silent();
        },
    );
}

#[test]
fn a_mac_comes_from_the_most_specific_place() {
    let (in_runtime, in_args, in_env) = (
        "02:00:00:00:00:01",
        "02:00:00:00:00:02",
        "02:00:00:00:00:03",
    );
    let rows = [
        (Some(in_runtime), Some(in_args), Some(in_env), in_runtime),
        (None, Some(in_args), Some(in_env), in_args),
        (None, None, Some(in_env), in_env),
    ];
    for (runtime, args, env, expected) in rows {
        let capability = if runtime.is_some() {
            json!({"mac": true})
        } else {
            Value::Null
        };
        let patch = json!({"capabilities": capability, "args": {"cni": {"mac": args}}});
        let scene = Scene::new(bridge(patch));
        let env = env.map_or(String::new(), |mac| format!("IgnoreUnknown=1;MAC={mac}"));
        let attachment = scene.eth0().args(&env).offering(json!({"mac": runtime}));
        let result = scene.network.add(&attachment).ok();
        assert_eq!(scene.pod.link("eth0")["address"], expected);
        assert_eq!(result["interfaces"][2]["mac"], expected);
        scene.network.check(&attachment).silent();
    }
}

#[test]
fn a_mac_among_the_arguments_is_no_matter_of_the_ipams() {
    unlike_the_reference(
        "its host-local rejects the bridge's own argument MAC",
        || {
            let scene = Scene::new(bridge(json!({})));
            let attachment = scene.eth0().args("MAC=02:00:00:00:00:03");
            scene.network.add(&attachment).ok();
            assert_eq!(scene.pod.link("eth0")["address"], "02:00:00:00:00:03");
            scene.network.check(&attachment).silent();
            scene.network.del(&attachment).silent();
        },
    );
}

#[test]
fn a_mac_that_is_none_is_refused() {
    for mac in ["02:00:00:00:00", "nonsense", "02:00:00:00:00:gg"] {
        let scene = Scene::new(bridge(json!({"args": {"cni": {"mac": mac}}})));
        let before = scene.dump();
        scene
            .network
            .add(&scene.eth0())
            .refused_naming(7, &["mac", mac]);
        if !testkit::reference_under_test() {
            before.assert_same(&scene.dump());
        }
    }
}

#[test]
fn a_disabled_container_interface_stays_down() {
    unlike_the_reference(NEWER, || {
        let scene = Scene::shared(bridge(
            json!({"disableContainerInterface": true, "ipam": null}),
        ));
        let before = scene.dump();
        scene.add();
        assert!(!has_flag(&scene.pod.link("eth0"), "UP"));
        scene.network.check(&scene.eth0()).silent();
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
    });
}

#[test]
fn a_disabled_container_interface_cannot_have_addresses() {
    unlike_the_reference(NEWER, || {
        let scene = Scene::new(bridge(json!({"disableContainerInterface": true})));
        let before = scene.dump();
        scene
            .network
            .add(&scene.eth0())
            .refused_naming(7, &["disableContainerInterface", "ipam"]);
        before.assert_same(&scene.dump());
    });
}

#[test]
fn the_bridges_mac_stays_while_pods_come_and_go() {
    unlike_the_reference(
        "the MAC of a bridge without an address is always that of its lowest port",
        || {
            let scene = Scene::new(bridge(json!({})));
            let mac = || scene.host.link("cni0")["address"].clone();
            let pods: Vec<_> = (0..8)
                .map(|n| (scene.join(&format!("p{n}")), mac()))
                .collect();
            for (pod, _) in &pods {
                scene.network.del(&pod.attachment()).ok();
            }
            assert!(
                pods.iter().all(|(_, seen)| *seen == mac()),
                "{pods:?}, now {}",
                mac()
            );
        },
    );
}

#[test]
fn a_bridge_of_the_operators_is_used_as_it_is() {
    let scene = Scene::new(bridge(json!({"mtu": 1400})));
    scene
        .host
        .sh("ip link add cni0 address 02:00:00:00:00:07 type bridge");
    scene.add();
    let cni0 = scene.host.link("cni0");
    assert_eq!(
        (&cni0["address"], has_flag(&cni0, "UP")),
        (&json!("02:00:00:00:00:07"), true)
    );
    assert_eq!(scene.port()["master"], "cni0");
}

#[test]
fn a_pod_may_have_several_interfaces_on_one_network() {
    let scene = Scene::new(bridge(json!({})));
    scene.add();
    let second = scene.eth0().ifname("net1");
    scene.network.add(&second).ok();
    assert_eq!(addresses(&scene.pod.link("net1")), ["10.10.0.3/24"]);
    scene.network.del(&second).silent();
    assert!(scene.pod.link("net1").is_null());
    assert_eq!(addresses(&scene.pod.link("eth0")), ["10.10.0.2/24"]);
    scene.network.check(&scene.eth0()).silent();
}

#[test]
fn a_second_add_is_refused_and_changes_nothing() {
    for masquerade in [false, true] {
        let scene = Scene::new(bridge(
            json!({"isDefaultGateway": true, "ipMasq": masquerade}),
        ));
        scene.add();
        let before = scene.dump();
        scene.network.add(&scene.eth0()).refused(4);
        before.assert_same(&scene.dump());
        scene.network.check(&scene.eth0()).silent();
    }
}

#[test]
fn a_second_add_for_another_namespace_is_refused_and_changes_nothing() {
    unlike_the_reference("it leaves a stray pair behind", || {
        let scene = Scene::new(bridge(json!({"isDefaultGateway": true, "ipMasq": true})));
        scene.add();
        let other = scene.host.pod("other");
        let dump = || scene.dump().and(&[&other]);
        let before: Dump = dump();
        scene
            .network
            .add(&scene.eth0().netns(&other.path().to_string_lossy()))
            .failed();
        before.assert_same(&dump());
    });
}

#[test]
fn long_ids_and_names_fit() {
    let scene = Scene::shared(bridge(json!({"ipMasq": true, "name": "n".repeat(100)})));
    let before = scene.dump();
    let mut attachment = scene.eth0().ifname("fifteen-letters");
    attachment.id = "0123456789abcdef".repeat(8);
    scene.network.add(&attachment).ok();
    scene.network.check(&attachment).silent();
    scene.network.del(&attachment).silent();
    before.assert_same(&scene.dump());
}

#[test]
fn vlans_are_set_or_refused_clearly() {
    unlike_the_reference(
        "where the kernel has no VLAN filtering it says `operation not supported` and leaves a pair",
        || {
            for patch in [
                json!({"vlan": 100}),
                json!({"vlanTrunk": [{"id": 5}, {"minID": 10, "maxID": 12}]}),
            ] {
                let scene = Scene::shared(bridge(json!({})));
                let able = scene.host.succeeds(
                    "ip link add probe type bridge vlan_filtering 1 && ip link del probe",
                );
                let key = patch
                    .as_object()
                    .and_then(|fields| fields.keys().next())
                    .unwrap()
                    .clone();
                let config = bridge(merged(patch, json!({"bridge": "cni1", "name": "vlans"})));
                let scene = Scene {
                    network: scene.network.configured(config),
                    ..scene
                };
                let before = scene.dump();
                if able {
                    scene.add();
                    assert_eq!(
                        scene.host.json("bridge -j vlan")[0]["ifname"],
                        scene.port()["ifname"]
                    );
                } else {
                    scene.network.add(&scene.eth0()).refused_naming(2, &[&key]);
                    before.assert_same(&scene.dump());
                }
            }
        },
    );
}
