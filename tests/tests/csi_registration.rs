//! Kubelet knows the driver again after whatever order of restarts, and a pod with a volume notices none of them (K-01, K-04,
//! K-07, K-14).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::PathBuf;

use testkit::csi::requests::*;
use testkit::csi::{Client, Kubelet, Node, PoolDisk, PoolKind, Scene, Setup};

/// What happens to a node while a pod runs.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Kubelet starts anew: it empties its folder of registrations and repeats its calls.
    Kubelet,
    /// The driver is told to end, and started.
    Restart,
    /// The driver is killed, so that its sockets are left behind, and started.
    Crash,
    /// The driver is replaced by one with other flags, as an upgraded DaemonSet does it.
    Upgrade,
}
use Event::{Crash, Kubelet as KubeletAgain, Restart, Upgrade};

const EVENTS: [Event; 4] = [KubeletAgain, Restart, Crash, Upgrade];

fn registry(scene: &Scene) -> PathBuf {
    scene.node.kubelet_dir().join("plugins_registry")
}

fn happen(event: Event, scene: &mut Scene) {
    match event {
        KubeletAgain => {
            scene
                .node
                .sh(&format!("rm -f {}/*", registry(scene).display()));
        }
        Restart => scene.driver.restart(),
        Crash => scene.driver.crash(),
        Upgrade => {
            scene.driver.stop();
            scene
                .driver
                .start_with(|setup| setup.flag("attach-limit", "9"));
        }
    }
}

/// Kubelet waits for the driver's socket and registers it.
#[track_caller]
fn known_again(scene: &Scene, after: &str) {
    if let Err(refused) = scene.kubelet.register() {
        panic!("{after}: {refused}");
    }
    assert_eq!(
        scene.node.list(registry(scene)),
        ["hostpath.hawser.io-reg.sock"],
        "{after}"
    );
}

#[test]
fn k_04_kubelet_and_driver_restart_in_any_order() {
    let mut scene = Scene::on(PoolKind::Xfs);
    known_again(&scene, "the first start");
    let pv = scene.volume(create_volume("one").size(64 * MIB));
    let path = scene.publish(&pv);
    let file = path.join("file").display().to_string();
    scene.node.sh(&format!("echo begun > {file}"));
    let mounts = scene.node.mounts();
    for first in EVENTS {
        for second in EVENTS {
            happen(first, &mut scene);
            happen(second, &mut scene);
            let after = format!("{first:?}, {second:?}");
            known_again(&scene, &after);
            // Kubelet stages and publishes again what it has.
            scene.kubelet.restart().unwrap();
            assert_eq!(scene.node.mounts(), mounts, "{after}");
            scene.node.sh(&format!("echo '{after}' >> {file}"));
        }
    }
    let lines = scene.node.sh(&format!("wc -l < {file}"));
    assert_eq!(lines, (1 + EVENTS.len() * EVENTS.len()).to_string());
    scene.release(&pv);
    scene.delete(&pv);
}

#[test]
fn k_07_a_socket_that_nobody_answers_is_replaced() {
    let mut scene = Scene::on(PoolKind::Plain);
    scene.driver.kill();
    let left = scene.node.list(registry(&scene));
    assert_eq!(left, ["hostpath.hawser.io-reg.sock"], "nothing was left");
    scene.driver.start();
    known_again(&scene, "the start over a stale socket");
}

#[test]
fn k_02_another_kubelet_directory_is_told_to_kubelet() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Plain, 0);
    let dir = node.root().join("k0s/kubelet");
    node.sh(&format!(
        "mkdir -p {dir}/pods {dir}/plugins {dir}/plugins_registry {socket}",
        dir = dir.display(),
        socket = node.root().join("csi").display(),
    ));
    // As in a pod: the socket's folder is mounted elsewhere, and kubelet is told its own path.
    let setup = Setup::on(&node, pool.path()).flag("kubelet-dir", &dir.display().to_string());
    let told = dir.join("plugins/hostpath.hawser.io/csi.sock");
    let setup = setup.flag("kubelet-registration-path", &told.display().to_string());
    let driver = setup.start();
    let client = Client::on(node.place(), driver.setup().socket());
    let kubelet = Kubelet::new(node.place(), &dir, driver.setup().name(), &client);
    let found = kubelet.registry().get_info(Default::default()).unwrap();
    assert_eq!(found.endpoint, told.display().to_string());
    let other = node.list(node.kubelet_dir().join("plugins_registry"));
    assert!(other.is_empty(), "{other:?}");
}
