//! Inline volumes: made when their pod comes, gone when it goes (K-13).

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::Code;

use crate::{can, refused, sh, text};

fn attributes<'a>(size: &'a str, kind: &'a str) -> [(&'a str, &'a str); 2] {
    [("size", size), ("kind", kind)]
}

/// What can be had inline on a pool.
fn kinds(pool: PoolKind) -> &'static [&'static str] {
    if pool == PoolKind::Btrfs {
        &["image", "directory", "unenforced-directory"]
    } else {
        &["image", "unenforced-directory"]
    }
}

fn comes_and_goes(pool: PoolKind) {
    let mut scene = Scene::on(pool);
    for kind in kinds(pool) {
        let (before, empty) = (scene.node.mounts(), scene.pool.files());
        let pv = Pv::inline("scratch", &attributes("32Mi", kind));
        let first = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let second = scene.kubelet.publish(&pv, "pod-2").unwrap();
        scene.node.write(first.join("file"), "of the first");
        assert!(
            scene.node.list(&second).iter().all(|name| name != "file"),
            "each pod has its own"
        );
        if *kind != "unenforced-directory" {
            let total = scene.kubelet.stats(&pv, "pod-1").unwrap().usage[0].total;
            assert!((20 * MIB..=32 * MIB).contains(&total), "{kind}: {total}");
            assert!(!can(&scene, "fallocate -l 33M $1/large", &first), "{kind}");
        }
        scene.kubelet.restart().unwrap();
        scene.driver.crash();
        scene.kubelet.restart().unwrap();
        assert_eq!(text(&scene, first.join("file")), "of the first", "{kind}");
        let ids: Vec<_> = scene
            .client
            .list_volumes(list_volumes(0, ""))
            .unwrap()
            .entries;
        assert!(ids.is_empty(), "they belong to their pods: {ids:?}");

        scene.kubelet.unpublish(&pv, "pod-1").unwrap();
        assert!(scene.node.mount_at(&second).is_some());
        scene.kubelet.unpublish(&pv, "pod-2").unwrap();
        for pod in ["pod-1", "pod-2"] {
            let again = unpublish(&pv.handle(pod), scene.kubelet.target_path(&pv, pod));
            scene.client.node_unpublish_volume(again).unwrap();
        }
        assert_eq!(scene.node.mounts(), before, "{kind}");
        testkit::eventually("its bytes are gone", || scene.pool.files() == empty);
        scene.node.beneath(scene.pool.path()).has_no_loops();
        // The next pod of that name finds nothing.
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        assert!(!can(&scene, "test -e $1/file", &path), "{kind}");
        scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    }
}

#[test]
fn k_13_inline_volumes_on_ext4_come_and_go() {
    comes_and_goes(PoolKind::Ext4);
}

#[test]
fn k_13_inline_volumes_on_xfs_come_and_go() {
    comes_and_goes(PoolKind::Xfs);
}

#[test]
fn k_13_inline_volumes_on_btrfs_come_and_go() {
    comes_and_goes(PoolKind::Btrfs);
}

#[test]
fn k_13_after_a_reboot_an_inline_volume_is_what_it_was_or_goes() {
    let mut scene = Scene::on(PoolKind::Xfs);
    let pv = Pv::inline("scratch", &attributes("32Mi", "image"));
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    scene.kubelet.publish(&pv, "pod-2").unwrap();
    scene.node.write(path.join("file"), "kept");
    scene.reboot();
    // One pod starts again, the other was deleted meanwhile.
    scene.kubelet.publish(&pv, "pod-1").unwrap();
    assert_eq!(text(&scene, path.join("file")), "kept");
    scene.kubelet.unpublish(&pv, "pod-2").unwrap();
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    let volumes = scene.pool.path().join("volumes");
    testkit::eventually("nothing is left", || scene.node.list(&volumes).is_empty());
}

#[test]
fn k_13_what_an_inline_volume_cannot_be() {
    let scene = Scene::on(PoolKind::Ext4);
    let cases = [
        (Pv::inline("a", &[("size", "much")]), "size"),
        (Pv::inline("a", &[("sise", "1Mi")]), "sise"),
        (Pv::inline("a", &[("kind", "cloud")]), "cloud"),
        (Pv::inline("a", &[]).block(), "block"),
        (Pv::inline("a", &[]).filesystem("ntfs"), "ntfs"),
    ];
    for (pv, words) in cases {
        refused(
            scene.kubelet.publish(&pv, "pod-1"),
            Code::InvalidArgument,
            words,
        );
    }
    let elsewhere = Pv::inline("a", &[("pool", "none")]);
    let answer = scene.kubelet.publish(&elsewhere, "pod-1");
    refused(answer, Code::ResourceExhausted, "none");
    let huge = Pv::inline("a", &[("size", "1Pi")]);
    refused(scene.kubelet.publish(&huge, "pod-1"), Code::OutOfRange, "");
    let target = scene.kubelet.target_path(&huge, "pod-1");
    assert!(!can(&scene, "test -e $1", &target));
    assert!(
        scene
            .node
            .list(scene.pool.path().join("volumes"))
            .is_empty()
    );
    assert!(scene.node.list(scene.pool.path().join("making")).is_empty());

    // An id that kubelet never makes, and one of a volume that is staged.
    let staged = scene.volume(crate::EXT4.request("pvc-1"));
    for id in ["csi-short", "../../pool", crate::id(&staged)] {
        let request = publish(id, "", &target).context("csi.storage.k8s.io/ephemeral", "true");
        refused(
            scene.client.node_publish_volume(request),
            Code::InvalidArgument,
            "volume_id",
        );
    }
}

#[test]
fn k_13_readonly_and_filesystems_hold_inline_too() {
    let scene = Scene::on(PoolKind::Ext4);
    let pv = Pv::inline("scratch", &[("size", "300Mi")])
        .filesystem("xfs")
        .flag("noexec");
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    let mount = scene.node.mount_at(&path).unwrap();
    assert_eq!(mount.filesystem, "xfs");
    assert!(mount.options.contains("noexec"), "{mount}");
    sh(&scene, "echo > $1/file", &path);
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    let path = scene
        .kubelet
        .publish(&pv.clone().readonly(), "pod-1")
        .unwrap();
    assert!(!can(&scene, "echo > $1/file", &path));
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
}
