//! Trouble around a volume: a pool that cannot be written, programs that are missing, a pool that is full. Clear errors,
//! nothing half-made, and the same call finishes the work once the trouble is over.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use proto::csi::{ProbeRequest, VolumeCondition};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use testkit::eventually;
use tonic::Code;

use crate::{BTRFS, DIRECTORY, EXT4, RAW, Sort, XFS, can, give_back, id, open, refused, sh};

/// Lets a pool be written no more. A deleted file that its loop device holds for another moment keeps it from that.
fn protect(scene: &Scene, pool: &Path) {
    let script = "sync -f $1; mount -o remount,ro $1";
    eventually("the pool is read-only", || can(scene, script, pool));
}

fn read_only(kind: PoolKind, sorts: &[Sort]) {
    let scene = Scene::with_other(PoolKind::Ext4, kind, 1 << 30);
    let other = scene.other.as_ref().unwrap().path();
    for sort in sorts {
        let request = |name| sort.request(name).parameter("pool", "other");
        let pv = scene.volume(request("pvc-1"));
        protect(&scene, other);
        let made = scene.client.create_volume(request("pvc-2"));
        refused(made, Code::FailedPrecondition, "ead-only");
        refused(
            scene.kubelet.stage(&pv),
            Code::FailedPrecondition,
            "ead-only",
        );
        scene.node.beneath(other).has_no_loops();
        let deleted = scene.client.delete_volume(delete_volume(id(&pv)));
        refused(deleted, Code::FailedPrecondition, "ead-only");

        sh(&scene, "mount -o remount,rw $1", other);
        let second = scene.volume(request("pvc-2"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        assert!(
            can(&scene, "test -b $1 || echo > $1/file", &path),
            "{sort:?}"
        );
        give_back(&scene, &pv, &["pod-1"]);
        scene.delete(&second);
    }
}

#[test]
fn a_pool_that_cannot_be_written_is_told() {
    read_only(PoolKind::Ext4, &[EXT4, RAW]);
}

#[test]
fn a_btrfs_pool_that_cannot_be_written_is_told() {
    read_only(PoolKind::Btrfs, &[EXT4, RAW, DIRECTORY]);
}

/// Hides a program from the driver.
fn hide(scene: &Scene, program: &str) -> String {
    let path = scene
        .node
        .sh(&format!("readlink -f $(command -v {program})"));
    scene.node.sh(&format!("mount --bind /dev/null {path}"));
    path
}

#[test]
fn a_program_that_is_missing_is_named() {
    let cases = [
        (EXT4, "mkfs.ext4", "e2fsprogs"),
        (XFS, "mkfs.xfs", "xfsprogs"),
        (BTRFS, "mkfs.btrfs", "btrfs-progs"),
    ];
    for (sort, program, package) in cases {
        // Anew for each: of a volume that was deleted the last pieces go in the background.
        let scene = Scene::on(PoolKind::Xfs);
        let leaks = scene.leaks();
        let hidden = hide(&scene, program);
        let answer = scene.client.create_volume(sort.request("pvc-1"));
        refused(answer.clone(), Code::FailedPrecondition, program);
        refused(answer, Code::FailedPrecondition, package);
        leaks.assert_none();
        let inline = Pv::inline("scratch", &[("size", "300Mi")]).filesystem(sort.filesystem);
        refused(
            scene.kubelet.publish(&inline, "pod-1"),
            Code::FailedPrecondition,
            program,
        );
        scene.node.sh(&format!("umount --lazy {hidden}"));
        scene.kubelet.publish(&inline, "pod-1").unwrap();
        scene.kubelet.unpublish(&inline, "pod-1").unwrap();
        let pv = scene.volume(sort.request("pvc-1"));
        scene.client.delete_volume(delete_volume(id(&pv))).unwrap();
    }
}

/// An ext4 that found errors in itself is checked before it is mounted again.
#[test]
fn ns_01_a_missing_check_keeps_a_damaged_volume_unmounted() {
    let scene = Scene::on(PoolKind::Xfs);
    let pv = scene.volume(EXT4.request("pvc-1"));
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    sh(&scene, "echo kept > $1/file; sync -f $1", &path);
    let device = scene.node.mount_at(&path).unwrap().source;
    let name = device.trim_start_matches("/dev/");
    scene
        .node
        .sh(&format!("echo test > /sys/fs/ext4/{name}/trigger_fs_error"));
    let told = scene
        .kubelet
        .stats(&pv, "pod-1")
        .unwrap()
        .volume_condition
        .unwrap();
    assert!(
        told.abnormal && told.message.contains("restart the pod"),
        "{told:?}"
    );
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    scene.kubelet.unstage(&pv).unwrap();

    let hidden = hide(&scene, "e2fsck");
    for _ in 0..2 {
        refused(scene.kubelet.stage(&pv), Code::FailedPrecondition, "e2fsck");
        assert!(
            scene
                .node
                .mount_at(scene.kubelet.staging_path(&pv))
                .is_none()
        );
        scene.node.beneath(scene.pool.path()).has_no_loops();
    }
    scene.node.sh(&format!("umount --lazy {hidden}"));
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    assert!(can(&scene, "grep -q kept $1/file && echo > $1/new", &path));
    let told = scene
        .kubelet
        .stats(&pv, "pod-1")
        .unwrap()
        .volume_condition
        .unwrap();
    assert!(!told.abnormal, "{told:?}");
    give_back(&scene, &pv, &["pod-1"]);
}

/// Takes all that a pool has left.
fn exhaust(scene: &Scene) {
    let script = "cd $1; for unit in 16M 1M 64K 4K; do n=0; while fallocate -l $unit ballast-$unit-$n 2>/dev/null; do \
        n=$((n + 1)); done; rm -f ballast-$unit-$n; done; sync -f .";
    sh(scene, script, scene.pool.path());
}

/// Writes so much that the pool, too, would have to hold more.
fn writes(scene: &Scene, sort: Sort, path: &Path) -> std::io::Result<()> {
    let file = if sort.raw {
        path.to_owned()
    } else {
        path.join("large")
    };
    let mut how = OpenOptions::new();
    let mut file = open(scene, &file, how.write(true).create(!sort.raw))?;
    file.write_all(&vec![7; 12 << 20])?;
    file.sync_all()
}

fn condition(scene: &Scene, pv: &Pv) -> VolumeCondition {
    let answer = scene.kubelet.stats(pv, "pod-1").unwrap();
    answer.volume_condition.unwrap()
}

fn fills_up(kind: PoolKind, sorts: &[Sort]) {
    let scene = Scene::on(kind);
    for &sort in sorts {
        let pv = scene.volume(sort.request("pvc-1"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        exhaust(&scene);

        // The pod hears of it when it writes.
        assert!(writes(&scene, sort, &path).is_err(), "{sort:?}");
        let told = condition(&scene, &pv);
        assert!(
            told.abnormal && told.message.contains("pool default is full"),
            "{sort:?}: {told:?}"
        );
        let made = scene.client.create_volume(RAW.request("pvc-2"));
        refused(made, Code::ResourceExhausted, "default");
        let probe = scene.client.probe(ProbeRequest {}).unwrap();
        assert!(probe.ready != Some(false), "{sort:?}");
        // What makes room works without any.
        give_back(&scene, &pv, &["pod-1"]);
        sh(&scene, "rm $1/ballast-*; sync -f $1", scene.pool.path());

        let pv = scene.volume(sort.request("pvc-3"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        writes(&scene, sort, &path).unwrap();
        let told = condition(&scene, &pv);
        assert!(!told.abnormal, "{sort:?}: {told:?}");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

#[test]
fn ng_01_a_full_ext4_pool_is_told() {
    fills_up(PoolKind::Ext4, &[EXT4, RAW]);
}

#[test]
fn ng_01_a_full_xfs_pool_is_told() {
    fills_up(PoolKind::Xfs, &[EXT4, RAW, XFS]);
}

#[test]
fn ng_01_a_full_btrfs_pool_is_told() {
    fills_up(PoolKind::Btrfs, &[EXT4, RAW, DIRECTORY]);
}
