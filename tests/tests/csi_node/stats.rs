//! How full a volume is, and how it is: its own figures, not the pool's.

use std::path::Path;

use proto::csi::volume_usage::Unit;
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::Code;

use crate::{
    DIRECTORY, EXT4, RAW, Sort, UNENFORCED, enforced, give_back, id, published, refused, sh, spare,
    unpublish_at,
};

/// What is told in one unit.
fn told(answer: &NodeGetVolumeStatsResponse, unit: Unit) -> Option<&VolumeUsage> {
    let mut usage = answer.usage.iter().filter(|usage| usage.unit() == unit);
    let only = usage.next();
    assert!(usage.next().is_none(), "told twice: {answer:?}");
    only
}

fn bytes(answer: &NodeGetVolumeStatsResponse) -> &VolumeUsage {
    told(answer, Unit::Bytes).unwrap()
}

/// Whether a sort counts its inodes: btrfs makes them as it needs them.
fn has_inodes(sort: Sort) -> bool {
    matches!(sort.filesystem, "ext4" | "xfs")
}

fn figures_are_its_own(pool: PoolKind) {
    let scene = Scene::on(pool);
    for sort in enforced(pool).into_iter().filter(|sort| !sort.raw) {
        let pv = scene.volume(sort.request("pvc-1"));
        let neighbour = scene.volume(sort.request("pvc-2"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        scene.kubelet.publish(&neighbour, "pod-2").unwrap();
        let stats = |pv, pod| scene.kubelet.stats(pv, pod).unwrap();
        // btrfs counts a new directory, too, when it commits it.
        sh(&scene, "sync -f $1", &path);
        let (before, other) = (stats(&pv, "pod-1"), stats(&neighbour, "pod-2"));
        let size = sort.mib * MIB;
        assert!(bytes(&before).total <= size, "{sort:?}: {before:?}");
        assert!(
            bytes(&before).total >= size / 10 * 7,
            "{sort:?}: {before:?}"
        );
        assert!(
            bytes(&before).available <= bytes(&before).total,
            "{sort:?}: {before:?}"
        );

        sh(
            &scene,
            "head -c 8M /dev/urandom > $1/large; for n in 1 2 3 4 5; do echo > $1/$n; done; sync -f $1",
            &path,
        );
        let after = stats(&pv, "pod-1");
        let grown = bytes(&after).used - bytes(&before).used;
        assert!((8 * MIB..9 * MIB).contains(&grown), "{sort:?}: {grown}");
        let less = bytes(&before).available - bytes(&after).available;
        assert!((7 * MIB..10 * MIB).contains(&less), "{sort:?}: {less}");
        assert_eq!(
            told(&after, Unit::Inodes).is_some(),
            has_inodes(sort),
            "{sort:?}: {after:?}"
        );
        if let (Some(before), Some(after)) =
            (told(&before, Unit::Inodes), told(&after, Unit::Inodes))
        {
            assert_eq!(after.used - before.used, 6, "{sort:?}");
            assert_eq!(after.used + after.available, after.total, "{sort:?}");
        }
        assert_eq!(
            bytes(&stats(&neighbour, "pod-2")).used,
            bytes(&other).used,
            "{sort:?}"
        );
        assert!(!after.volume_condition.unwrap().abnormal, "{sort:?}");
        give_back(&scene, &pv, &["pod-1"]);
        give_back(&scene, &neighbour, &["pod-2"]);
    }
}

#[test]
fn ng_01_figures_on_ext4_are_the_volumes_own() {
    figures_are_its_own(PoolKind::Ext4);
}

#[test]
fn ng_01_figures_on_xfs_are_the_volumes_own() {
    figures_are_its_own(PoolKind::Xfs);
}

#[test]
fn ng_01_figures_on_btrfs_are_the_volumes_own() {
    figures_are_its_own(PoolKind::Btrfs);
}

#[test]
fn ng_01_of_a_raw_device_and_of_an_unenforced_directory_the_size_is_told() {
    let scene = Scene::on(PoolKind::Ext4);
    for sort in [RAW, UNENFORCED] {
        let pv = scene.volume(sort.request("pvc-1"));
        scene.kubelet.publish(&pv, "pod-1").unwrap();
        let answer = scene.kubelet.stats(&pv, "pod-1").unwrap();
        let total = VolumeUsage {
            total: sort.mib * MIB,
            unit: Unit::Bytes.into(),
            ..VolumeUsage::default()
        };
        assert_eq!(answer.usage, [total], "{sort:?}");
        assert!(!answer.volume_condition.unwrap().abnormal, "{sort:?}");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

#[test]
fn ng_01_where_the_volume_is_not() {
    let scene = Scene::on(PoolKind::Btrfs);
    for sort in [EXT4, DIRECTORY, RAW] {
        let pv = scene.volume(sort.request("pvc-1"));
        let other = scene.volume(sort.request("pvc-2"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        scene.kubelet.publish(&other, "pod-2").unwrap();
        let ask = |id: &str, path: &Path| scene.client.node_get_volume_stats(stats(id, path));
        ask(id(&pv), &path).unwrap();
        ask(id(&pv), &scene.kubelet.staging_path(&pv)).unwrap();
        let nowhere = spare(&scene, "nowhere");
        let wrong = [
            (id(&other), path.clone()),
            (id(&pv), scene.kubelet.target_path(&other, "pod-2")),
            (id(&pv), nowhere.clone()),
            (id(&pv), nowhere.join("at/all")),
            (id(&pv), path.join("below")),
            (id(&pv), path.parent().unwrap().to_owned()),
            (id(&pv), scene.pool.path().to_owned()),
            (id(&pv), "/".into()),
            (id(&pv), "/proc/self/root".into()),
        ];
        for (id, path) in wrong {
            let answer = ask(id, &path);
            assert!(answer.is_err(), "{sort:?} {}: {answer:?}", path.display());
            refused(answer, Code::NotFound, "");
        }
        give_back(&scene, &pv, &["pod-1"]);
        give_back(&scene, &other, &["pod-2"]);
        refused(ask(id(&pv), &path), Code::NotFound, id(&pv));
    }
}

fn condition(scene: &Scene, pv: &Pv, path: &Path) -> VolumeCondition {
    let answer = scene.client.node_get_volume_stats(stats(id(pv), path));
    answer.unwrap().volume_condition.unwrap()
}

#[test]
fn ng_01_conditions_tell_what_is_wrong() {
    // What happens to a volume, and what is told of it.
    let cases = [
        (EXT4, "umount $1", "not at"),
        (DIRECTORY, "umount $1", "not at"),
        (RAW, "umount $1", "not at"),
        (EXT4, "mount -o remount,bind,ro $1", "written"),
        (EXT4, "mount -o remount,ro $1", "written"),
    ];
    let scene = Scene::on(PoolKind::Btrfs);
    for (sort, trouble, words) in cases {
        let pv = scene.volume(sort.request("pvc-1"));
        let target = published(&scene, &pv);
        assert!(!condition(&scene, &pv, &target).abnormal, "{sort:?}");
        sh(&scene, trouble, &target);
        let told = condition(&scene, &pv, &target);
        assert!(
            told.abnormal && told.message.contains(words),
            "{trouble}: {told:?}"
        );
        assert!(told.message.contains(id(&pv)), "{told:?}");
        // A new pod has it well again.
        unpublish_at(&scene, &pv, &target).unwrap();
        scene.kubelet.unstage(&pv).unwrap();
        published(&scene, &pv);
        assert!(!condition(&scene, &pv, &target).abnormal, "{trouble}");
        unpublish_at(&scene, &pv, &target).unwrap();
        give_back(&scene, &pv, &[]);
    }
}
