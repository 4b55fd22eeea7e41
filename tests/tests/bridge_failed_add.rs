//! A failed `bridge` ADD leaves host, pod and IPAM as they were (ADD-4, ADD-6).

use serde_json::{Value, json};
use testkit::{Dump, Outcome, Scene, Stub, bridge, unlike_the_reference};

const STAYS: &str = "after a failure its pair stays behind, and what else it had made";

/// A scene with a pod on the bridge already, then the same network with `patch`, failing for the pod `a`. The state must
/// be the same before and after.
#[track_caller]
fn fails_without_a_trace(patch: Value, prepare: impl FnOnce(&Scene)) -> Outcome {
    let scene = Scene::shared(bridge(json!({})));
    fails_in(scene, patch, prepare)
}

#[track_caller]
fn fails_in(scene: Scene, patch: Value, prepare: impl FnOnce(&Scene)) -> Outcome {
    let scene = Scene {
        network: scene.network.configured(bridge(patch)),
        ..scene
    };
    prepare(&scene);
    let before = scene.dump();
    let outcome = scene.network.add(&scene.eth0());
    assert!(!outcome.succeeded(), "expected a failure:\n{outcome}");
    before.assert_same(&scene.dump());
    outcome
}

/// The same with an IPAM that is a script.
#[track_caller]
fn fails_with_ipam(script: &str, patch: Value) -> (Outcome, Stub) {
    let scene = Scene::shared(bridge(json!({})));
    let stub = Stub::new(&scene.host, "stub", script);
    let scene = Scene {
        network: scene.network.searching(stub.dir()),
        ..scene
    };
    let patch = testkit::merged(json!({"ipam": {"type": "stub"}}), patch);
    (fails_in(scene, patch, |_| {}), stub)
}

#[test]
fn an_interface_that_is_there_already() {
    let outcome = fails_without_a_trace(json!({}), |scene| {
        scene.pod.sh("ip link add eth0 type veth peer name other");
    });
    outcome.refused_naming(4, &["CNI_IFNAME", "eth0"]);
}

#[test]
fn a_bridge_name_that_is_another_kind_of_device() {
    let outcome = fails_without_a_trace(json!({"bridge": "wire"}), |scene| {
        scene.host.sh("ip link add wire type veth peer name other");
    });
    assert!(outcome.failed().mentions("wire"), "{outcome}");
    let outcome = fails_without_a_trace(json!({"bridge": "lo"}), |_| {});
    assert!(outcome.failed().mentions("lo"), "{outcome}");
}

#[test]
fn a_bridge_name_that_cannot_be() {
    for name in ["sixteen-letters-", "a/b", "..", "a b"] {
        fails_without_a_trace(json!({"bridge": name}), |_| {}).refused_naming(7, &["bridge", name]);
    }
}

#[test]
fn an_mtu_that_cannot_be() {
    unlike_the_reference("it leaves a bridge or a pair with another MTU", || {
        for mtu in [-1, 10, 100_000] {
            fails_without_a_trace(json!({"mtu": mtu}), |_| {})
                .refused_naming(7, &["mtu", &mtu.to_string()]);
        }
    });
}

#[test]
fn a_vlan_that_cannot_be() {
    unlike_the_reference("Debian's reference knows no vlanTrunk", || {
        let rows = [
            (json!({"vlan": 4095}), "vlan"),
            (json!({"vlanTrunk": [{"id": 0}]}), "vlanTrunk[0].id"),
            (
                json!({"vlanTrunk": [{"minID": 10, "maxID": 5}]}),
                "vlanTrunk[0]",
            ),
            (json!({"vlanTrunk": [{"minID": 10}]}), "vlanTrunk[0]"),
        ];
        for (patch, key) in rows {
            fails_without_a_trace(patch, |_| {}).refused_naming(7, &[key]);
        }
    });
}

#[test]
fn an_ipam_that_is_missing() {
    unlike_the_reference(STAYS, || {
        let outcome =
            fails_without_a_trace(json!({"ipam": {"type": "nowhere-to-be-found"}}), |_| {});
        let failure = outcome.failed();
        assert!(
            failure.mentions("nowhere-to-be-found") && failure.mentions("CNI_PATH"),
            "{failure:?}"
        );
    });
}

#[test]
fn an_ipam_that_is_a_path() {
    unlike_the_reference(STAYS, || {
        for path in ["../host-local", "/usr/lib/cni/host-local", "a/b"] {
            fails_without_a_trace(json!({"ipam": {"type": path}}), |_| {})
                .refused_naming(7, &[path]);
        }
    });
}

#[test]
fn an_ipam_that_refuses_keeps_its_code_and_is_released() {
    unlike_the_reference(
        "it does not call the IPAM's DEL when its ADD failed, and its pair stays (ADD-6)",
        || {
            let refuse = r#"[ $CNI_COMMAND = DEL ] && exit
            echo '{"cniVersion":"1.0.0","code":107,"msg":"no more addresses","details":"try a larger one"}'; exit 1"#;
            let (outcome, stub) = fails_with_ipam(refuse, json!({}));
            let failure = outcome.refused(107);
            assert!(
                failure.msg.contains("no more addresses")
                    && failure.details.contains("try a larger one"),
                "{failure:?}"
            );
            assert_eq!(stub.calls(), ["ADD", "DEL"]);
        },
    );
}

#[test]
fn an_ipam_that_misbehaves() {
    unlike_the_reference(STAYS, || {
        let rows = [
            (
                "kills itself",
                "[ $CNI_COMMAND = DEL ] || kill -KILL $$",
                "stub",
            ),
            (
                "fails without a word",
                "[ $CNI_COMMAND = DEL ] || exit 7",
                "stub",
            ),
            (
                "fails with garbage",
                "[ $CNI_COMMAND = DEL ] || { echo oh no; exit 1; }",
                "stub",
            ),
            ("succeeds with garbage", "echo '{\"cniVersion\":'", "stub"),
            ("succeeds without a word", "true", "stub"),
            (
                "gives no address",
                r#"echo '{"cniVersion":"1.0.0","ips":[]}'"#,
                "stub",
            ),
            (
                "gives a broken address",
                r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.10.0/33"}]}'"#,
                "10.10.0/33",
            ),
            (
                "answers in a strange version",
                r#"echo '{"cniVersion":"9.0.0","ips":[]}'"#,
                "9.0.0",
            ),
        ];
        for (what, script, named) in rows {
            let (outcome, stub) = fails_with_ipam(script, json!({}));
            let failure = outcome.failed();
            assert!(failure.mentions(named), "an IPAM that {what}: {failure:?}");
            assert_eq!(stub.calls(), ["ADD", "DEL"], "an IPAM that {what}");
        }
    });
}

#[test]
fn what_goes_wrong_after_the_ipam_releases_the_address() {
    unlike_the_reference(STAYS, || {
        let unreachable =
            json!({"ipam": {"routes": [{"dst": "192.168.0.0/24", "gw": "172.16.0.1"}]}});
        let outcome = fails_without_a_trace(unreachable, |_| {});
        let failure = outcome.failed();
        assert!(
            failure.mentions("192.168.0.0/24") && failure.mentions("172.16.0.1"),
            "{failure:?}"
        );
    });
}

#[test]
fn what_goes_wrong_with_masquerade_and_anti_spoofing_on() {
    unlike_the_reference(STAYS, || {
        let everything = json!({"ipMasq": true, "macspoofchk": true, "isGateway": true});
        let scene = Scene::shared(bridge(everything.clone()));
        let unreachable =
            json!({"ipam": {"routes": [{"dst": "192.168.0.0/24", "gw": "172.16.0.1"}]}});
        fails_in(scene, testkit::merged(everything, unreachable), |_| {});
    });
}

#[test]
fn an_address_that_is_taken() {
    unlike_the_reference(STAYS, || {
        let scene = Scene::shared(bridge(json!({})));
        let before = scene.dump();
        let failure = scene
            .network
            .add(&scene.eth0().args("IP=10.10.0.2"))
            .failed();
        assert!(
            failure.mentions("10.10.0.2") && failure.mentions("keeper"),
            "{failure:?}"
        );
        before.assert_same(&scene.dump());
    });
}

#[test]
fn the_configurations_that_host_local_refuses() {
    unlike_the_reference(STAYS, || {
        let two_sets = json!([[{"subnet": "10.20.0.0/24"}], [{"subnet": "10.20.0.0/16"}]]);
        let mixed = json!([[{"subnet": "10.20.0.0/24"}, {"subnet": "fd00::/64"}]]);
        let rows = [
            ("too small", json!({"subnet": "10.20.0.0/31"})),
            ("host bits", json!({"subnet": "10.20.0.1/24"})),
            ("overlapping", json!({"subnet": null, "ranges": two_sets})),
            ("mixed families", json!({"subnet": null, "ranges": mixed})),
            ("none", json!({"subnet": null})),
            (
                "unreadable resolvConf",
                json!({"resolvConf": "/run/missing"}),
            ),
        ];
        for (_, ipam) in rows {
            fails_without_a_trace(json!({"ipam": ipam}), |_| {});
        }
    });
}

#[test]
fn a_failure_on_an_empty_host_leaves_the_pod_empty() {
    unlike_the_reference(STAYS, || {
        let scene = Scene::new(bridge(
            json!({"ipMasq": true, "ipam": {"type": "nowhere-to-be-found"}}),
        ));
        let before = Dump::of(&scene.host).and(&[&scene.pod]);
        scene.network.add(&scene.eth0()).failed();
        assert!(scene.ports().is_empty());
        let after = scene.dump();
        let own: Vec<_> = before
            .diff(&after)
            .lines()
            .iter()
            .filter(|line| line[2..].starts_with("a "))
            .cloned()
            .collect();
        assert!(own.is_empty(), "{own:?}");
    });
}
