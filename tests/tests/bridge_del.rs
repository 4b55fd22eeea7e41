//! `bridge` DEL: it cleans by identity, whatever is missing or has changed since ADD, as often as it is called
//! (DEL-1..5).

use serde_json::json;
use testkit::{Attachment, Dump, Network, Scene, Stub, bridge, everything, unlike_the_reference};

/// ADD with `everything`, then a DEL that something was done to; the state must be as before the ADD, and stay so.
#[track_caller]
fn leaves_nothing(change: impl FnOnce(Scene) -> (Scene, Attachment)) {
    let scene = Scene::shared(everything(json!({})));
    let before = scene.dump();
    scene.add();
    let (scene, attachment) = change(scene);
    for _ in 0..2 {
        scene.network.del(&attachment).silent();
        // A removed pod has no state of its own any more.
        let after = if scene.host.run(|| scene.pod.path().exists()) {
            scene.dump()
        } else {
            break;
        };
        before.assert_same(&after);
    }
    if !scene.host.run(|| scene.pod.path().exists()) {
        scene.network.del(&attachment).silent();
        let left = Dump::of(&scene.host);
        let lines: Vec<_> = before
            .diff(&left)
            .lines()
            .iter()
            .filter(|l| !is_the_pods_own(l))
            .cloned()
            .collect();
        assert!(lines.is_empty(), "something was left: {lines:#?}");
    }
}

/// What is gone because the pod is gone.
fn is_the_pods_own(line: &str) -> bool {
    line.starts_with("- a ") || line.ends_with("/run/netns/a")
}

fn unchanged(scene: Scene) -> (Scene, Attachment) {
    let attachment = scene.eth0();
    (scene, attachment)
}

#[test]
fn twice() {
    leaves_nothing(unchanged);
}

#[test]
fn without_the_previous_result() {
    leaves_nothing(|scene| {
        scene.network.remember(&scene.eth0(), None);
        unchanged(scene)
    });
}

#[test]
fn with_a_previous_result_that_is_out_of_date() {
    for (place, value) in [
        ("/ips/0/address", "10.10.0.77/24"),
        ("/interfaces/2/mac", "02:00:00:00:00:77"),
    ] {
        leaves_nothing(|scene| {
            let mut result = scene.network.result(&scene.eth0()).unwrap();
            *result.pointer_mut(place).unwrap() = json!(value);
            scene.network.remember(&scene.eth0(), Some(result));
            unchanged(scene)
        });
    }
}

#[test]
fn with_an_empty_namespace() {
    unlike_the_reference(
        "without CNI_NETNS it leaves masquerade and anti-spoofing rules",
        || {
            leaves_nothing(|scene| {
                let attachment = scene.eth0().netns("");
                (scene, attachment)
            });
        },
    );
}

#[test]
fn with_a_vanished_namespace() {
    unlike_the_reference(
        "without the namespace it leaves masquerade and anti-spoofing rules",
        || {
            leaves_nothing(|scene| {
                scene.pod.remove();
                unchanged(scene)
            });
        },
    );
}

#[test]
fn with_a_namespace_path_that_is_something_else_now() {
    unlike_the_reference("it opens the namespace and gives up", || {
        leaves_nothing(|scene| {
            let path = scene.host.scratch("file");
            scene.host.write(&path, "");
            let attachment = scene.eth0().netns(&path.to_string_lossy());
            (scene, attachment)
        });
    });
}

#[test]
fn with_another_pods_namespace_the_other_pod_is_left_alone() {
    unlike_the_reference(
        "it deletes whatever is called eth0 in the namespace it is given",
        || {
            let scene = Scene::new(everything(json!({})));
            let other = scene.join("other");
            let before = scene.dump().and(&[&other]);
            scene.add();
            scene
                .network
                .del(&scene.eth0().netns(&other.path().to_string_lossy()))
                .silent();
            before.assert_same(&scene.dump().and(&[&other]));
            scene.network.check(&other.attachment()).silent();
        },
    );
}

#[test]
fn with_the_interface_gone() {
    unlike_the_reference(
        "it leaves masquerade rules when it finds no addresses",
        || {
            leaves_nothing(|scene| {
                scene.pod.sh("ip link del eth0");
                unchanged(scene)
            });
        },
    );
}

#[test]
fn with_the_interface_renamed() {
    unlike_the_reference("it looks for the old name in the pod", || {
        leaves_nothing(|scene| {
            scene
                .pod
                .sh("ip link set eth0 down; ip link set eth0 name other");
            unchanged(scene)
        });
    });
}

#[test]
fn with_a_changed_configuration() {
    let changes = [
        everything(json!({"ipMasq": false, "macspoofchk": false})),
        everything(json!({"bridge": "cni9", "mtu": 1300})),
        everything(json!({"ipam": {"ranges": [[{"subnet": "10.99.0.0/24"}]]}})),
        everything(
            json!({"ipMasqBackend": "nftables", "isGateway": false, "isDefaultGateway": false}),
        ),
    ];
    unlike_the_reference(
        "it removes only what the configuration of today would have made",
        || {
            for config in changes {
                leaves_nothing(|scene| {
                    let network = scene.network.configured(config);
                    unchanged(Scene { network, ..scene })
                });
            }
        },
    );
}

#[test]
fn with_no_ranges_any_more() {
    unlike_the_reference(
        "its host-local insists on ranges also to release an address",
        || {
            leaves_nothing(|scene| {
                let network = scene
                    .network
                    .configured(everything(json!({"ipam": {"ranges": []}})));
                unchanged(Scene { network, ..scene })
            });
        },
    );
}

#[test]
fn without_the_bridge() {
    let scene = Scene::new(everything(json!({})));
    scene.add();
    scene.host.sh("ip link del cni0");
    scene.network.del(&scene.eth0()).silent();
    assert!(scene.pod.link("eth0").is_null() && scene.ports().is_empty());
    assert!(!Dump::of(&scene.host).mentions("/networks/podnet/10.10.0.2"));
}

#[test]
fn of_what_was_never_added() {
    let scene = Scene::shared(everything(json!({})));
    let before = scene.dump();
    scene.network.del(&scene.eth0()).silent();
    scene
        .network
        .del(&Attachment::new("nobody", "eth0", ""))
        .silent();
    before.assert_same(&scene.dump());
}

#[test]
fn on_a_host_without_anything() {
    let scene = Scene::new(everything(json!({})));
    scene.network.del(&scene.eth0()).silent();
    assert!(scene.host.link("cni0").is_null(), "a DEL makes no bridge");
}

#[test]
fn of_one_interface_leaves_the_other() {
    unlike_the_reference(
        "the interfaces of a container share one iptables chain, which it cannot delete",
        || {
            let scene = Scene::new(everything(json!({})));
            scene.add();
            let before = scene.dump();
            let second = scene.eth0().ifname("net1");
            scene.network.add(&second).ok();
            scene.network.del(&second).silent();
            before.assert_same(&scene.dump());
            scene.network.check(&scene.eth0()).silent();
        },
    );
}

#[test]
fn the_ipam_is_released_with_and_without_the_namespace() {
    for netns in ["/run/netns/a", "", "/run/netns/missing"] {
        let scene = Scene::new(bridge(json!({"ipam": {"type": "stub"}})));
        let stub = Stub::new(&scene.host, "stub", "");
        let network: Network = scene.network.searching(stub.dir());
        network.del(&scene.pod.attachment().netns(netns)).silent();
        assert_eq!(stub.calls(), ["DEL"]);
        assert!(
            stub.env("DEL").contains(&format!("CNI_NETNS={netns}")),
            "{:?}",
            stub.env("DEL")
        );
        assert!(stub.stdin("DEL").contains("\"subnet\":\"10.10.0.0/24\""));
    }
}

#[test]
fn an_ipam_that_cannot_release_is_reported_and_the_rest_is_gone() {
    let scene = Scene::shared(everything(json!({})));
    let failing = r#"echo '{"cniVersion":"1.0.0","code":111,"msg":"the store is locked"}'; exit 1"#;
    let stub = Stub::new(&scene.host, "host-local", failing);
    let before = scene.dump();
    scene.add();
    let network = scene.network.searching(stub.dir());
    let failure = network.del(&scene.pod.attachment()).refused(111);
    assert!(failure.msg.contains("the store is locked"), "{failure:?}");
    assert!(scene.pod.link("eth0").is_null());
    unlike_the_reference(
        "when the IPAM fails it leaves masquerade and anti-spoofing rules",
        || {
            let left = before.diff(&Dump::of(&scene.host).and(&[&scene.pod]));
            let reservation =
                |line: &String| line.starts_with("+ file /var/lib/cni/networks/podnet/");
            assert!(
                left.lines().iter().all(reservation),
                "more than the reservations is left:\n{left}"
            );
        },
    );
}
