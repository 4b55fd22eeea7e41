//! Losses of power: what the driver answered is so afterwards, whatever the pool's filesystem still held in memory.

use std::path::Path;

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use testkit::eventually;
use tonic::Code;

use crate::{DIRECTORY, Sort, UNENFORCED, can, enforced, give_back, id, refused, sh, text};

/// Whether a volume takes one file of so many megabytes, which goes again.
fn takes(scene: &Scene, path: &Path, mib: i64) -> bool {
    let script = format!("dd if=/dev/zero of=$1/all bs=1M count={mib} conv=fsync status=none");
    let took = can(scene, &script, path);
    sh(scene, "rm -f $1/all; sync -f $1", path);
    took
}

fn is_well(scene: &Scene, pv: &Pv) -> bool {
    let answer = scene.client.controller_get_volume(get_volume(id(pv)));
    let condition = answer.unwrap().status.unwrap().volume_condition.unwrap();
    !condition.abnormal
}

/// Volumes that pods wrote to, volumes that nobody used yet, all made a moment ago.
fn outlives(pool: PoolKind) {
    let mut scene = Scene::on(pool);
    let sorts: Vec<Sort> = enforced(pool).into_iter().chain([UNENFORCED]).collect();
    let of = |name: &str, sort: &Sort| {
        let name = format!("{name}-{}-{}", sort.kind, sort.filesystem);
        scene.volume(sort.request(&name))
    };
    let used: Vec<Pv> = sorts.iter().map(|sort| of("used", sort)).collect();
    for (sort, pv) in sorts.iter().zip(&used).filter(|(sort, _)| !sort.raw) {
        let path = scene.kubelet.publish(pv, "pod-1").unwrap();
        let write = "printf before > $1/file && sync $1/file && printf lost > $1/lost";
        sh(&scene, write, &path);
        assert!(is_well(&scene, pv), "{sort:?}");
    }
    let unused: Vec<Pv> = sorts.iter().map(|sort| of("unused", sort)).collect();
    scene.lose_power();
    for (sort, pv) in sorts.iter().zip(&unused) {
        assert!(is_well(&scene, pv), "{sort:?}");
        let path = scene.kubelet.publish(pv, "pod-1").unwrap();
        if sort.kind == "directory" {
            assert_eq!(sh(&scene, "stat -c %a $1; ls $1", &path), "755", "{sort:?}");
            assert!(!takes(&scene, &path, sort.mib + 1), "{sort:?}");
        }
        give_back(&scene, pv, &["pod-1"]);
    }
    for (sort, pv) in sorts.iter().zip(&used) {
        assert!(is_well(&scene, pv), "{sort:?}");
        let path = scene.kubelet.publish(pv, "pod-1").unwrap();
        if !sort.raw {
            assert_eq!(text(&scene, path.join("file")), "before", "{sort:?}");
        }
        give_back(&scene, pv, &["pod-1"]);
    }
}

#[test]
fn cv_01_volumes_on_ext4_outlive_a_loss_of_power() {
    outlives(PoolKind::Ext4);
}

#[test]
fn cv_01_volumes_on_xfs_outlive_a_loss_of_power() {
    outlives(PoolKind::Xfs);
}

#[test]
fn cv_01_volumes_on_btrfs_outlive_a_loss_of_power() {
    outlives(PoolKind::Btrfs);
}

/// Its limit is set after it was copied, or has grown, and is not on disk by that alone.
#[test]
fn limits_outlive_a_loss_of_power() {
    let mut scene = Scene::on(PoolKind::Btrfs);
    let source = scene.volume(DIRECTORY.request("source"));
    let path = scene.kubelet.publish(&source, "pod-1").unwrap();
    scene.node.write(path.join("file"), "precious");
    let snapshot = scene
        .client
        .create_snapshot(create_snapshot("s", id(&source)));
    let snapshot = snapshot.unwrap().snapshot.unwrap().snapshot_id;
    let restored = DIRECTORY
        .request("restored")
        .size(64 * MIB)
        .restoring(&snapshot);
    let restored = scene.volume(restored);
    let larger = 48 * MIB;
    scene
        .client
        .controller_expand_volume(expand(id(&source), larger))
        .unwrap();
    scene.kubelet.expand(&source, "pod-1", larger).unwrap();
    scene.lose_power();
    let path = scene.kubelet.publish(&source, "pod-1").unwrap();
    assert!(takes(&scene, &path, 40) && !takes(&scene, &path, 49));
    let path = scene.kubelet.publish(&restored, "pod-2").unwrap();
    assert_eq!(text(&scene, path.join("file")), "precious");
    assert!(takes(&scene, &path, 40) && !takes(&scene, &path, 65));
}

/// A btrfs pool with a directory that the driver has settled.
fn settled() -> (Scene, Pv) {
    let scene = Scene::with(PoolKind::Btrfs, |setup| setup.flag("log-level", "debug"));
    let pv = scene.volume(DIRECTORY.request("pvc-1"));
    eventually("it is settled", || scene.driver.log().contains("settled"));
    (scene, pv)
}

#[test]
fn what_was_settled_is_on_disk() {
    let (mut scene, pv) = settled();
    scene.lose_power();
    assert!(is_well(&scene, &pv));
    assert!(!scene.driver.log().contains("made anew"));
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    assert!(!takes(&scene, &path, DIRECTORY.mib + 1));
}

/// What is known to be on disk and is gone was lost in another way: nobody may take an empty directory for it.
#[test]
fn what_was_settled_is_not_made_anew() {
    let (mut scene, pv) = settled();
    scene.driver.kill();
    let home = scene.pool.path().join("volumes").join(id(&pv));
    sh(
        &scene,
        "btrfs -q subvolume delete $1/data && rmdir $1",
        &home,
    );
    scene.driver.start();
    assert!(!is_well(&scene, &pv));
    refused(scene.kubelet.publish(&pv, "pod-1"), Code::Internal, id(&pv));
    scene.kubelet.unstage(&pv).unwrap();
    scene.delete(&pv);
}
