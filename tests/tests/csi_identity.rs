//! The driver as a process and as a service: how it starts, ends and is found, who it says it is (G-01 to G-04, I-01 to
//! I-04, K-01 to K-07).

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use proto::csi::plugin_capability::Type;
use proto::csi::plugin_capability::service::Type as Service;
use proto::csi::plugin_capability::volume_expansion::Type as Expansion;
use proto::csi::*;
use testkit::csi::{Client, Kubelet, Node, PoolDisk, PoolKind, Scene, Setup};
use testkit::{at_once, eventually};
use tonic::Code;

/// Plugin capabilities by the names that the specification gives them.
fn offered(client: &Client) -> BTreeSet<&'static str> {
    let answer = client.get_plugin_capabilities(GetPluginCapabilitiesRequest {});
    let name = |capability: PluginCapability| match capability.r#type.unwrap() {
        Type::Service(service) => Service::try_from(service.r#type).unwrap().as_str_name(),
        Type::VolumeExpansion(growth) => Expansion::try_from(growth.r#type).unwrap().as_str_name(),
    };
    let capabilities = answer.unwrap().capabilities;
    let count = capabilities.len();
    let names: BTreeSet<_> = capabilities.into_iter().map(name).collect();
    assert_eq!(names.len(), count, "one is offered twice: {names:?}");
    names
}

fn is_ready(client: &Client) -> bool {
    let probe = client.probe(ProbeRequest {});
    probe.unwrap().ready != Some(false)
}

#[test]
fn it_says_who_it_is() {
    let scene = Scene::with(PoolKind::Plain, |setup| setup.named("disks.example.org"));
    let info = scene
        .client
        .get_plugin_info(GetPluginInfoRequest {})
        .unwrap();
    assert_eq!(info.name, "disks.example.org");
    assert!(!info.vendor_version.is_empty());
    eventually("the driver is ready", || is_ready(&scene.client));
}

#[test]
fn flags_decide_what_it_offers() {
    let usual = ["CONTROLLER_SERVICE", "GROUP_CONTROLLER_SERVICE"];
    let with = |more: &[&'static str]| usual.iter().chain(more).copied().collect::<BTreeSet<_>>();
    let mut scene = Scene::on(PoolKind::Plain);
    let topology = "VOLUME_ACCESSIBILITY_CONSTRAINTS";
    assert_eq!(offered(&scene.client), with(&[topology, "ONLINE"]));
    scene.driver.start_with(|setup| {
        setup
            .flag("enable-topology", "false")
            .flag("enable-volume-expansion", "false")
            .flag("enable-snapshot-metadata", "true")
    });
    assert_eq!(offered(&scene.client), with(&["SNAPSHOT_METADATA_SERVICE"]));
}

#[test]
fn every_mode_offers_the_same_and_serves_its_part() {
    let mut scene = Scene::on(PoolKind::Plain);
    let all = offered(&scene.client);
    let served = |scene: &Scene| {
        let unless_unknown = |code: Option<Code>| code != Some(Code::Unimplemented);
        let controller = ControllerGetCapabilitiesRequest {};
        let controller = scene.client.controller_get_capabilities(controller);
        let node = scene
            .client
            .node_get_capabilities(NodeGetCapabilitiesRequest {});
        [
            controller.err().map(|s| s.code()),
            node.err().map(|s| s.code()),
        ]
        .map(unless_unknown)
    };
    assert_eq!(served(&scene), [true, true]);
    for (mode, serves) in [("controller", [true, false]), ("node", [false, true])] {
        scene.driver.start_with(|setup| setup.flag("mode", mode));
        assert_eq!(offered(&scene.client), all, "{mode}");
        assert_eq!(served(&scene), serves, "{mode}");
    }
}

#[test]
fn it_tells_where_the_node_is() {
    let scene = Scene::with(PoolKind::Plain, |setup| {
        setup.flag("nodeid", "worker-3").flag("attach-limit", "7")
    });
    let info = scene.client.node_get_info(NodeGetInfoRequest {}).unwrap();
    assert_eq!(
        (info.node_id.as_str(), info.max_volumes_per_node),
        ("worker-3", 7)
    );
    let segments = info.accessible_topology.unwrap().segments;
    let key = "topology.hostpath.hawser.io/node".to_owned();
    assert_eq!(segments, [(key, "worker-3".to_owned())].into());
}

#[test]
fn kubelet_registers_it() {
    let mut scene = Scene::on(PoolKind::Plain);
    let (info, node) = scene.kubelet.register().unwrap();
    assert_eq!(
        (info.r#type.as_str(), info.name.as_str()),
        ("CSIPlugin", "hostpath.hawser.io")
    );
    assert_eq!(
        info.endpoint,
        scene.driver.setup().socket().display().to_string()
    );
    assert_eq!(info.supported_versions, ["1.0.0"]);
    assert_eq!(node.node_id, "node-1");
    let registry = scene.node.kubelet_dir().join("plugins_registry");
    assert_eq!(scene.node.list(&registry), ["hostpath.hawser.io-reg.sock"]);
    scene.driver.stop();
    assert!(
        scene.node.list(&registry).is_empty(),
        "kubelet would still see it"
    );
}

#[test]
fn it_registers_under_a_kubelet_directory_that_is_a_link() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Plain, 0);
    let link = node.root().join("link");
    node.sh(&format!("ln -s kubelet {}", link.display()));
    let setup = Setup::on(&node, pool.path()).flag("kubelet-dir", &link.display().to_string());
    let driver = setup.start();
    let client = Client::on(node.place(), driver.setup().socket());
    let kubelet = Kubelet::new(
        node.place(),
        node.kubelet_dir(),
        driver.setup().name(),
        &client,
    );
    kubelet.register().unwrap();
}

#[test]
fn only_root_may_call_it() {
    let scene = Scene::on(PoolKind::Plain);
    let socket = scene.driver.setup().socket();
    let mode = scene.node.sh(&format!("stat -c %a {}", socket.display()));
    assert_eq!(mode, "600");
}

#[test]
fn it_ends_when_told_and_leaves_no_socket() {
    let mut scene = Scene::on(PoolKind::Plain);
    let socket = scene.driver.setup().socket();
    let status = scene.driver.stop();
    assert!(status.success(), "{status}");
    assert!(!scene.node.run(|| socket.exists()));
    let absent = scene.client.clone().within(Duration::from_secs(1));
    let absent = absent.probe(ProbeRequest {}).unwrap_err();
    assert_eq!(absent.code(), Code::Unavailable);
}

#[test]
fn it_starts_again_over_what_a_crash_left() {
    let mut scene = Scene::on(PoolKind::Plain);
    let socket = scene.driver.setup().socket();
    for _ in 0..5 {
        scene.driver.kill();
        assert!(scene.node.run(|| socket.exists()), "nothing was left");
        scene.driver.start();
        scene
            .client
            .get_plugin_info(GetPluginInfoRequest {})
            .unwrap();
    }
    scene.driver.restart();
    eventually("the driver is ready", || is_ready(&scene.client));
}

#[test]
fn a_second_driver_on_the_same_state_is_refused() {
    let scene = Scene::on(PoolKind::Plain);
    let second = Setup::on(&scene.node, scene.pool.path()).named("second.hawser.io");
    let (status, said) = second.fails();
    assert!(!status.success());
    let state = scene.pool.path().display().to_string();
    assert!(
        said.contains(&state),
        "the state directory is not named: {said}"
    );
    assert!(is_ready(&scene.client), "the first one suffers");
}

#[test]
fn what_cannot_work_ends_it_at_once() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Plain, 0);
    let setup = || Setup::on(&node, pool.path());
    let cases = [
        (setup().without("nodeid"), "--nodeid"),
        (setup().flag("drivername", "no_such.name"), "no_such.name"),
        (
            setup().flag("kubelet-dir", "/nowhere/kubelet"),
            "/nowhere/kubelet",
        ),
        (setup().flag("endpoint", "tcp://0.0.0.0:9999"), "tcp"),
        (setup().flag("max-volume-size", "many"), "many"),
        (setup().flag("no-such-flag", "1"), "--no-such-flag"),
    ];
    for (setup, names) in cases {
        let before = node
            .read(node.root().join("driver.log"))
            .unwrap_or_default();
        let (status, said) = setup.fails();
        let said = said.strip_prefix(before.as_str()).unwrap_or(&said);
        assert!(!status.success(), "{names}");
        assert!(said.contains(names), "no {names} in {said:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn many_callers_are_answered_at_once() {
    let scene = Scene::on(PoolKind::Plain);
    let callers = vec![scene.client.clone(); 32];
    at_once(&callers, |caller| {
        for _ in 0..50 {
            caller.get_plugin_info(GetPluginInfoRequest {}).unwrap();
        }
    });
}
