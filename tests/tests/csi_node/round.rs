//! The usual way in and out, for every sort of volume on every pool: at kubelet's paths, again after kubelet's restart, and
//! nothing is left.

use testkit::at_once;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Scene};
use tonic::{Code, Status};

use crate::{
    EXT4, RAW, Sort, UNENFORCED, enforced, give_back, id, published, sh, spare, text, unpublish_at,
};

/// Writes something at a pod's path, or finds it there.
fn leaves_word(scene: &Scene, sort: Sort, path: &std::path::Path) {
    let write = if sort.raw {
        "printf word | dd of=$1 conv=fsync,notrunc status=none"
    } else {
        "printf word > $1/file"
    };
    sh(scene, write, path);
}

fn finds_word(scene: &Scene, sort: Sort, path: &std::path::Path) {
    let word = if sort.raw {
        sh(scene, "head -c 4 $1", path)
    } else {
        text(scene, path.join("file"))
    };
    assert_eq!(word, "word", "{sort:?}");
}

fn in_and_out(pool: PoolKind) {
    let scene = Scene::on(pool);
    let leaks = scene.leaks();
    for sort in enforced(pool).into_iter().chain([UNENFORCED]) {
        let pv = scene.volume(sort.request("pvc-1"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let staged = scene.node.mount_at(scene.kubelet.staging_path(&pv));
        assert_eq!(staged.is_none(), sort.raw, "K-12: {staged:?}");
        leaves_word(&scene, sort, &path);

        let mounts = scene.node.mounts();
        scene.kubelet.restart().unwrap();
        scene.kubelet.restart().unwrap();
        assert_eq!(scene.node.mounts(), mounts, "K-14: {sort:?}");
        finds_word(&scene, sort, &path);

        scene.kubelet.unpublish(&pv, "pod-1").unwrap();
        let path = scene.kubelet.publish(&pv, "pod-2").unwrap();
        finds_word(&scene, sort, &path);
        scene.kubelet.unpublish(&pv, "pod-2").unwrap();
        scene.kubelet.unstage(&pv).unwrap();
        let path = scene.kubelet.publish(&pv, "pod-3").unwrap();
        finds_word(&scene, sort, &path);
        give_back(&scene, &pv, &["pod-3"]);
    }
    leaks.assert_none();
}

#[test]
fn ns_01_np_01_k_14_in_and_out_on_ext4() {
    in_and_out(PoolKind::Ext4);
}

#[test]
fn ns_01_np_01_k_14_in_and_out_on_xfs() {
    in_and_out(PoolKind::Xfs);
}

#[test]
fn ns_01_np_01_k_14_in_and_out_on_btrfs() {
    in_and_out(PoolKind::Btrfs);
}

#[test]
fn np_01_targets_are_made_for_root_alone() {
    let scene = Scene::on(PoolKind::Ext4);
    let sorts = [
        (EXT4, "directory", "directory 750"),
        (RAW, "block special file", "regular empty file 600"),
    ];
    for (sort, mounted, bare) in sorts {
        let pv = scene.volume(sort.request("pvc-1"));
        let target = published(&scene, &pv);
        assert_eq!(sh(&scene, "stat -c %F $1", &target), mounted);
        sh(&scene, "umount $1", &target);
        assert_eq!(sh(&scene, "stat -c '%F %a' $1", &target), bare);
        unpublish_at(&scene, &pv, &target).unwrap();
        give_back(&scene, &pv, &[]);
    }
}

/// Fails the test unless at least one call was answered well, and the others had to wait at most.
#[track_caller]
fn answered(answers: &[Result<(), Status>]) {
    let busy = |answer: &Result<(), Status>| matches!(answer, Err(status) if status.code() == Code::Aborted);
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
    assert!(
        answers.iter().all(|answer| answer.is_ok() || busy(answer)),
        "{answers:?}"
    );
}

#[test]
fn ns_01_np_03_many_callers_make_one_mount() {
    let scene = Scene::on(PoolKind::Xfs);
    for sort in [EXT4, RAW] {
        let pv = scene.volume(sort.request("pvc-1"));
        let (staging, target) = (spare(&scene, "staging"), spare(&scene, "target"));
        sh(&scene, "mkdir -p $1", &staging);
        let (mounts, id) = (scene.node.mounts().len(), id(&pv));
        let clients = vec![scene.client.clone(); 8];
        answered(&at_once(&clients, |client| {
            let request = stage(id, &staging).used_as(pv.capability.clone());
            client.node_stage_volume(request).map(drop)
        }));
        answered(&at_once(&clients, |client| {
            let request = publish(id, &staging, &target).used_as(pv.capability.clone());
            client.node_publish_volume(request).map(drop)
        }));
        let made = if sort.raw { 1 } else { 2 };
        assert_eq!(scene.node.mounts().len(), mounts + made, "{sort:?}");
        assert_eq!(
            scene.node.beneath(scene.pool.path()).loops().len(),
            1,
            "{sort:?}"
        );
        answered(&at_once(&clients, |client| {
            client
                .node_unpublish_volume(unpublish(id, &target))
                .map(drop)
        }));
        answered(&at_once(&clients, |client| {
            client.node_unstage_volume(unstage(id, &staging)).map(drop)
        }));
        assert_eq!(scene.node.mounts().len(), mounts, "{sort:?}");
        scene.delete(&pv);
    }
}
