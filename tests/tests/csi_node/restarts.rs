//! Restarts of kubelet, of the driver and of the machine: pods do not notice the first two, and come back after the third.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::Code;

use crate::{EXT4, RAW, Sort, UNENFORCED, enforced, give_back, id, open, refused, sh, spare, text};

/// Every sort of a pool in use by a pod that has a file open.
fn in_use(scene: &Scene, pool: PoolKind) -> Vec<(Sort, Pv, File)> {
    let sorts = enforced(pool).into_iter().chain([UNENFORCED]);
    let used = sorts.enumerate().map(|(number, sort)| {
        let pv = scene.volume(sort.request(&format!("pvc-{number}")));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let path = if sort.raw { path } else { path.join("file") };
        let mut how = OpenOptions::new();
        let mut file = open(scene, &path, how.read(true).write(true).create(!sort.raw)).unwrap();
        file.write_all(b"before ").unwrap();
        (sort, pv, file)
    });
    used.collect()
}

fn goes_on(pool: PoolKind) {
    let mut scene = Scene::on(pool);
    let leaks = {
        // Kubelet's own directories come and go with volumes.
        let used = in_use(&scene, pool);
        let (mounts, loops) = (scene.node.mounts(), scene.node.loops());
        scene.driver.crash();
        assert_eq!(
            (scene.node.mounts(), scene.node.loops()),
            (mounts.clone(), loops.clone())
        );
        scene
            .driver
            .start_with(|setup| setup.flag("attach-limit", "9"));
        scene.kubelet.restart().unwrap();
        assert_eq!(scene.node.mounts(), mounts);
        for (sort, pv, mut file) in used {
            file.write_all(b"after").unwrap();
            file.sync_all().unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut read = [0; 12];
            file.read_exact(&mut read).unwrap();
            assert_eq!(&read, b"before after", "{sort:?}");
            let stats = scene.kubelet.stats(&pv, "pod-1").unwrap();
            assert!(!stats.volume_condition.unwrap().abnormal, "{sort:?}");
            drop(file);
            give_back(&scene, &pv, &["pod-1"]);
        }
        scene.node.loops()
    };
    let in_pool = leaks
        .iter()
        .filter(|device| device.file.starts_with(scene.pool.path()));
    assert_eq!(in_pool.count(), 0, "{leaks:?}");
}

#[test]
fn k_14_pods_on_ext4_do_not_notice_a_restart() {
    goes_on(PoolKind::Ext4);
}

#[test]
fn k_14_pods_on_xfs_do_not_notice_a_restart() {
    goes_on(PoolKind::Xfs);
}

#[test]
fn k_14_pods_on_btrfs_do_not_notice_a_restart() {
    goes_on(PoolKind::Btrfs);
}

fn comes_back(pool: PoolKind) {
    let mut scene = Scene::on(pool);
    let used = in_use(&scene, pool);
    for (_, _, file) in &used {
        file.sync_all().unwrap();
    }
    let used: Vec<_> = used.into_iter().map(|(sort, pv, _)| (sort, pv)).collect();
    scene.reboot();
    scene.node.beneath(scene.pool.path()).has_no_loops();
    for (sort, pv) in &used {
        // Nothing is made of the empty directory that staging left.
        let early = scene.kubelet.publish_unstaged(pv, "pod-1");
        refused(early, Code::FailedPrecondition, "stage");
        let target = scene.kubelet.target_path(pv, "pod-1");
        assert!(scene.node.mount_at(&target).is_none(), "{sort:?}");
        let path = scene.kubelet.publish(pv, "pod-1").unwrap();
        let word = if sort.raw {
            sh(&scene, "head -c 7 $1", &path)
        } else {
            text(&scene, path.join("file"))
        };
        assert_eq!(word.trim_end(), "before", "{sort:?}");
    }
    scene.reboot();
    // These pods are gone: kubelet clears away what it remembers, and nothing is mounted any more.
    for (_, pv) in &used {
        give_back(&scene, pv, &["pod-1"]);
    }
}

#[test]
fn k_14_after_a_reboot_pods_on_ext4_have_their_data() {
    comes_back(PoolKind::Ext4);
}

#[test]
fn k_14_after_a_reboot_pods_on_xfs_have_their_data() {
    comes_back(PoolKind::Xfs);
}

#[test]
fn k_14_after_a_reboot_pods_on_btrfs_have_their_data() {
    comes_back(PoolKind::Btrfs);
}

/// After a reboot a volume may be wanted in another way than before.
#[test]
fn k_14_after_a_reboot_a_volume_can_be_used_otherwise() {
    let mut scene = Scene::on(PoolKind::Xfs);
    let pv = scene.volume(EXT4.request("pvc-1"));
    scene.kubelet.publish(&pv, "pod-1").unwrap();
    scene.reboot();
    let otherwise = pv.mode(Mode::SingleNodeSingleWriter).flag("noatime");
    scene.kubelet.publish(&otherwise, "pod-2").unwrap();
    give_back(&scene, &otherwise, &["pod-2", "pod-1"]);
}

/// The loop device of a raw volume.
fn device(scene: &Scene) -> testkit::csi::Loop {
    let devices = scene.node.beneath(scene.pool.path()).loops();
    assert_eq!(devices.len(), 1, "{devices:?}");
    devices.into_iter().next().unwrap()
}

#[test]
fn ng_01_ns_01_a_device_that_vanished_is_told_and_replaced() {
    let scene = Scene::on(PoolKind::Xfs);
    let pv = scene.volume(RAW.request("pvc-1"));
    scene.kubelet.stage(&pv).unwrap();
    let staging = scene.kubelet.staging_path(&pv);
    // Not by kubelet, which would pin the device.
    let target = spare(&scene, "target");
    let published = || {
        let request = publish(id(&pv), &staging, &target).used_as(pv.capability.clone());
        scene.client.node_publish_volume(request).map(drop)
    };
    published().unwrap();
    sh(
        &scene,
        "printf word | dd of=$1 conv=fsync,notrunc status=none",
        &target,
    );
    let lost = device(&scene).device;
    sh(&scene, "losetup --detach $1", &lost);
    scene.node.beneath(scene.pool.path()).has_no_loops();

    for path in [&staging, &target] {
        let answer = scene
            .client
            .node_get_volume_stats(stats(id(&pv), path))
            .unwrap();
        let condition = answer.volume_condition.unwrap();
        assert!(condition.abnormal, "{condition:?}");
        assert!(condition.message.contains(id(&pv)), "{condition:?}");
    }
    refused(published(), Code::FailedPrecondition, "stage");
    // The number of the lost device is taken, so that the volume gets another one.
    let stranger = scene.node.root().join("stranger");
    sh(&scene, "truncate -s 1M $1", &stranger);
    scene.node.sh(&format!(
        "losetup {} {} || true",
        lost.display(),
        stranger.display()
    ));
    scene.kubelet.stage(&pv).unwrap();
    published().unwrap();
    assert_eq!(sh(&scene, "head -c 4 $1", &target), "word");
    let answer = scene
        .client
        .node_get_volume_stats(stats(id(&pv), &target))
        .unwrap();
    assert!(!answer.volume_condition.unwrap().abnormal);

    sh(&scene, "losetup --detach $1", &device(&scene).device);
    scene
        .client
        .node_unpublish_volume(unpublish(id(&pv), &target))
        .unwrap();
    assert!(scene.node.mount_at(&target).is_none() && !scene.node.run(|| target.exists()));
    give_back(&scene, &pv, &[]);
}
