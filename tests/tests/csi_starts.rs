//! What can be wrong on a node when the driver starts: disks that are not mounted, full or read-only, another driver of its
//! name. Each is told with a way out, in the log and where kubelet reads why a container ended, and nothing is made in the
//! wrong place.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::{Path, PathBuf};

use proto::csi::CreateVolumeRequest;
use testkit::csi::requests::*;
use testkit::csi::{Node, PoolDisk, PoolKind, Scene, Setup};
use tonic::Code;

/// Takes a disk out of sight: what is there instead is an empty directory.
fn hide(node: &Node, path: &Path) {
    node.sh(&format!("mount -t tmpfs none {}", path.display()));
}

fn show(node: &Node, path: &Path) {
    node.sh(&format!("umount {}", path.display()));
}

/// Starts a driver that cannot start, and returns what it told kubelet.
#[track_caller]
fn told(node: &Node, setup: Setup) -> String {
    let log = node.root().join("termination-log");
    node.write(&log, "");
    let setup = setup.flag("termination-log", &log.display().to_string());
    let (status, said) = setup.fails();
    assert_eq!(status.code(), Some(1), "{said}");
    let told = node.read(&log).unwrap();
    assert!(said.contains(&format!("csi-hostpath: {told}\n")), "{said}");
    told
}

#[test]
fn a_state_directory_whose_disk_is_not_mounted_is_refused() {
    let mut scene = Scene::on(PoolKind::Ext4);
    let pv = scene.volume(create_volume("one").block().size(4 * MIB));
    scene.driver.stop();
    hide(&scene.node, scene.pool.path());
    let told = told(&scene.node, scene.driver.setup().clone());
    assert!(
        told.contains("is empty") && told.contains("mount its filesystem"),
        "{told}"
    );
    assert!(
        scene.node.list(scene.pool.path()).is_empty(),
        "nothing is made there"
    );
    show(&scene.node, scene.pool.path());
    scene.driver.start();
    scene.publish(&pv);
    scene.release(&pv);
    scene.delete(&pv);
}

/// A further pool.
struct Further {
    scene: Scene,
    path: PathBuf,
}

impl Further {
    fn new() -> Self {
        let scene = Scene::with_other(PoolKind::Ext4, PoolKind::Ext4, 1 << 30);
        let path = scene.other.as_ref().unwrap().path().to_owned();
        Self { scene, path }
    }

    fn request(name: &str) -> CreateVolumeRequest {
        create_volume(name)
            .block()
            .size(4 * MIB)
            .parameter("pool", "other")
    }
}

#[test]
fn a_pool_whose_disk_is_not_mounted_is_not_served_and_others_are() {
    let Further { mut scene, path } = Further::new();
    let pv = scene.volume(Further::request("there"));
    let id = pv.volume.volume_id.as_str();
    let device = scene.publish(&pv);
    scene
        .node
        .sh(&format!("echo precious > {}", device.display()));
    scene.release(&pv);
    scene.driver.stop();
    hide(&scene.node, &path);
    scene.driver.start();

    let refused = [
        scene.kubelet.stage(&pv),
        scene.client.delete_volume(delete_volume(id)).map(drop),
        scene
            .client
            .create_snapshot(create_snapshot("s", id))
            .map(drop),
    ];
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert!(
            refused.message().contains("Mount it and restart"),
            "{refused}"
        );
    }
    let volume = scene.client.controller_get_volume(get_volume(id)).unwrap();
    let condition = volume.status.unwrap().volume_condition.unwrap();
    assert!(condition.abnormal, "{condition:?}");
    // Another node may have it.
    let refused = scene
        .client
        .create_volume(Further::request("new"))
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(scene.node.list(&path).is_empty(), "nothing is made there");
    let here = scene.volume(create_volume("here").block().size(4 * MIB));
    scene.publish(&here);
    scene.release(&here);
    scene.delete(&here);

    scene.driver.stop();
    show(&scene.node, &path);
    scene.driver.start();
    let device = scene.publish(&pv);
    let found = scene.node.sh(&format!("head -n 1 {}", device.display()));
    assert_eq!(found, "precious");
    scene.release(&pv);
    scene.delete(&pv);
}

#[test]
fn a_disk_that_is_given_up_is_replaced_by_an_empty_marker() {
    let Further { mut scene, path } = Further::new();
    let lost = scene.volume(Further::request("lost"));
    scene.driver.stop();
    hide(&scene.node, &path);
    scene.node.write(path.join("identity"), "");
    scene.driver.start();
    let pv = scene.volume(Further::request("new"));
    scene.delete(&lost);
    scene.driver.restart();
    scene.publish(&pv);
    scene.release(&pv);
    scene.delete(&pv);
    scene.driver.stop();
    // The disk that it was is another one by now.
    show(&scene.node, &path);
    scene.driver.start();
    let refused = scene
        .client
        .create_volume(Further::request("new"))
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_refused() {
    let mut scene = Scene::on(PoolKind::Ext4);
    scene.driver.stop();
    let pool = scene.pool.path().display().to_string();
    scene.node.sh(&format!("mount -o remount,ro {pool}"));
    let told = told(&scene.node, scene.driver.setup().clone());
    assert!(
        told.contains(&pool) && told.contains("mount its filesystem for writing"),
        "{told}"
    );
    scene.node.sh(&format!("mount -o remount,rw {pool}"));
    scene.driver.start();
}

#[test]
fn a_first_start_on_a_full_disk_is_refused() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Ext4, 64 << 20);
    let dir = pool.path().display();
    node.sh(&format!(
        "dd if=/dev/zero of={dir}/fill bs=64k status=none || true; sync"
    ));
    let setup = Setup::on(&node, pool.path());
    let told = told(&node, setup.clone());
    assert!(
        told.contains(&dir.to_string()) && told.contains("make "),
        "{told}"
    );
    node.sh(&format!("rm {dir}/fill"));
    drop(setup.start());
}

#[test]
fn a_node_without_kubelet_is_refused() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Ext4, 64 << 20);
    let setup = Setup::on(&node, pool.path()).flag("kubelet-dir", "/nowhere/kubelet");
    let told = told(&node, setup);
    assert!(
        told.contains("/nowhere/kubelet") && told.contains("--kubelet-dir"),
        "{told}"
    );
}

#[test]
fn two_drivers_of_one_name_are_refused_by_the_first_one_s_process() {
    let scene = Scene::on(PoolKind::Ext4);
    let other = PoolDisk::named(&scene.node, "another", PoolKind::Ext4, 64 << 20);
    let setup = scene.driver.setup().clone();
    let elsewhere = scene
        .node
        .root()
        .join("elsewhere.sock")
        .display()
        .to_string();
    let holder = format!("(process {})", scene.driver.pid());
    let state = other.path().display().to_string();
    let second = [
        // The same state.
        setup.clone().flag("endpoint", &elsewhere),
        // Nothing but the name.
        setup
            .clone()
            .flag("endpoint", &elsewhere)
            .flag("statedir", &state),
        // Nothing but the socket.
        setup
            .named("another.driver")
            .flag(
                "endpoint",
                &scene.driver.setup().socket().display().to_string(),
            )
            .flag("statedir", &state),
    ];
    // Its kubelet knows the first.
    scene.kubelet.register().unwrap();
    for second in second {
        let told = told(&scene.node, second);
        assert!(told.contains(&holder) && told.contains("stop it"), "{told}");
    }
    scene.kubelet.register().unwrap();
}
