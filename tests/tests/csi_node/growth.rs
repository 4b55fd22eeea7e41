//! Growth: real, while pods use the volume where the kernel can, and never a byte beyond what was allowed.

use proto::csi::ControllerExpandVolumeRequest;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene, Setup};
use tonic::Code;

use crate::{
    BTRFS, DIRECTORY, EXT4, RAW, Sort, UNENFORCED, XFS, can, enforced, give_back, id, refused, sh,
    spare,
};

/// Promises a volume a size, and returns the one that it was given, and whether the node has something to do.
fn promise(scene: &Scene, request: ControllerExpandVolumeRequest) -> (i64, bool) {
    let promised = scene.client.controller_expand_volume(request).unwrap();
    (promised.capacity_bytes, promised.node_expansion_required)
}

/// What the pod sees: of a filesystem its size, of a directory what stats tell, of a device its end.
fn seen(scene: &Scene, sort: Sort, pv: &Pv, pod: &str) -> i64 {
    let path = scene.kubelet.target_path(pv, pod);
    if sort.raw {
        return sh(scene, "blockdev --getsize64 $1", &path).parse().unwrap();
    }
    if sort.kind == "directory" {
        return scene.kubelet.stats(pv, pod).unwrap().usage[0].total;
    }
    let blocks = sh(scene, "stat -f -c '%b %S' $1", &path);
    let (blocks, size) = blocks.split_once(' ').unwrap();
    blocks.parse::<i64>().unwrap() * size.parse::<i64>().unwrap()
}

/// Writes what has to survive, at a pod's path, and keeps its checksum.
fn sum(scene: &Scene, sort: Sort, pv: &Pv, write: bool) -> String {
    let path = scene.kubelet.target_path(pv, "pod-1");
    let file = if sort.raw { "$1" } else { "$1/file" };
    if write {
        let dd =
            format!("dd if=/dev/urandom of={file} bs=1M count=8 conv=fsync,notrunc status=none");
        sh(scene, &dd, &path);
    }
    sh(scene, &format!("head -c 8M {file} | sha256sum"), &path)
}

/// Whether the pod can have one file of so many bytes, or reach so far into its device.
fn takes(scene: &Scene, sort: Sort, pv: &Pv, bytes: i64) -> bool {
    let path = scene.kubelet.target_path(pv, "pod-1");
    let script = if sort.raw {
        format!(
            "dd if=/dev/zero of=$1 bs=4096 count=1 seek={} conv=fsync status=none",
            bytes / 4096 - 1
        )
    } else {
        format!("fallocate -l {bytes} $1/more && rm $1/more")
    };
    can(scene, &script, &path)
}

fn grows(pool: PoolKind) {
    let scene = Scene::on(pool);
    for sort in enforced(pool).into_iter().filter(|sort| *sort != EXT4) {
        let pv = scene.volume(sort.request("pvc-1"));
        scene.kubelet.publish(&pv, "pod-1").unwrap();
        let before = seen(&scene, sort, &pv, "pod-1");
        let written = sum(&scene, sort, &pv, true);
        assert!(!takes(&scene, sort, &pv, before + 8 * MIB), "{sort:?}");
        let larger = (sort.mib + 64) * MIB;
        assert_eq!(
            promise(&scene, expand(id(&pv), larger)),
            (larger, true),
            "{sort:?}"
        );
        assert_eq!(
            seen(&scene, sort, &pv, "pod-1"),
            before,
            "{sort:?}: only promised"
        );

        let grown = scene.kubelet.expand(&pv, "pod-1", larger).unwrap();
        assert_eq!(grown.capacity_bytes, larger, "{sort:?}");
        let after = seen(&scene, sort, &pv, "pod-1");
        let more = after - before;
        assert!(
            (56 * MIB..=64 * MIB).contains(&more) && after <= larger,
            "{sort:?}: {more}"
        );
        assert!(takes(&scene, sort, &pv, before + 8 * MIB), "{sort:?}");
        assert_eq!(sum(&scene, sort, &pv, false), written, "{sort:?}");

        // Big enough is fine, both here and there.
        assert_eq!(
            scene
                .kubelet
                .expand(&pv, "pod-1", larger)
                .unwrap()
                .capacity_bytes,
            larger
        );
        assert_eq!(
            promise(&scene, expand(id(&pv), larger)),
            (larger, false),
            "{sort:?}"
        );
        scene.kubelet.unpublish(&pv, "pod-1").unwrap();
        scene.kubelet.unstage(&pv).unwrap();
        scene.kubelet.publish(&pv, "pod-1").unwrap();
        assert_eq!(seen(&scene, sort, &pv, "pod-1"), after, "{sort:?}");
        assert_eq!(sum(&scene, sort, &pv, false), written, "{sort:?}");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

#[test]
fn ne_01_volumes_on_ext4_grow_in_use() {
    grows(PoolKind::Ext4);
}

#[test]
fn ne_01_volumes_on_xfs_grow_in_use() {
    grows(PoolKind::Xfs);
}

#[test]
fn ne_01_volumes_on_btrfs_grow_in_use() {
    grows(PoolKind::Btrfs);
}

/// The same driver without CAP_SYS_RESOURCE, which the kernel asks for before it grows a mounted ext4.
fn without_sys_resource(scene: &Scene, setup: Setup) -> Setup {
    let wrapper = scene.node.root().join("without-sys-resource");
    let executable = setup.executable().display().to_string();
    let drop = "--bounding-set=-sys_resource --inh-caps=-sys_resource";
    scene.node.write(
        &wrapper,
        &format!("#!/bin/sh\nexec setpriv {drop} {executable} \"$@\"\n"),
    );
    scene.node.sh(&format!("chmod +x {}", wrapper.display()));
    setup.running(wrapper)
}

#[test]
fn ne_01_ext4_grows_when_it_is_staged_next() {
    let mut scene = Scene::on(PoolKind::Xfs);
    let weaker = without_sys_resource(&scene, scene.driver.setup().clone());
    scene.driver.start_with(|_| weaker);
    let pv = scene.volume(EXT4.request("pvc-1"));
    scene.kubelet.publish(&pv, "pod-1").unwrap();
    let before = seen(&scene, EXT4, &pv, "pod-1");
    let written = sum(&scene, EXT4, &pv, true);
    let larger = 2 * EXT4.mib * MIB;
    assert_eq!(promise(&scene, expand(id(&pv), larger)), (larger, true));
    for _ in 0..2 {
        let answer = scene.kubelet.expand(&pv, "pod-1", larger);
        refused(answer, Code::FailedPrecondition, "CAP_SYS_RESOURCE");
    }
    assert_eq!(seen(&scene, EXT4, &pv, "pod-1"), before);
    assert_eq!(sum(&scene, EXT4, &pv, false), written);
    assert!(
        promise(&scene, expand(id(&pv), larger)).1,
        "it is still due"
    );
    let condition = scene.kubelet.stats(&pv, "pod-1").unwrap().volume_condition;
    assert!(
        !condition.unwrap().abnormal,
        "growth that is due is no illness"
    );

    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    scene.kubelet.unstage(&pv).unwrap();
    scene.kubelet.publish(&pv, "pod-1").unwrap();
    assert!(seen(&scene, EXT4, &pv, "pod-1") > before + larger / 3);
    assert_eq!(sum(&scene, EXT4, &pv, false), written);
    assert_eq!(
        scene
            .kubelet
            .expand(&pv, "pod-1", larger)
            .unwrap()
            .capacity_bytes,
        larger
    );
    give_back(&scene, &pv, &["pod-1"]);
}

#[test]
fn ne_01_what_was_promised_while_unused_is_there_when_it_is_used() {
    for pool in [PoolKind::Ext4, PoolKind::Btrfs] {
        let scene = Scene::on(pool);
        for sort in enforced(pool) {
            let pv = scene.volume(sort.request("pvc-1"));
            scene.kubelet.publish(&pv, "pod-1").unwrap();
            let before = seen(&scene, sort, &pv, "pod-1");
            scene.kubelet.unpublish(&pv, "pod-1").unwrap();
            scene.kubelet.unstage(&pv).unwrap();
            promise(&scene, expand(id(&pv), (sort.mib + 64) * MIB));
            scene.kubelet.publish(&pv, "pod-1").unwrap();
            let more = seen(&scene, sort, &pv, "pod-1") - before;
            assert!((48 * MIB..=64 * MIB).contains(&more), "{sort:?}: {more}");
            give_back(&scene, &pv, &["pod-1"]);
        }
    }
}

#[test]
fn ne_01_limits_are_kept() {
    let scene = Scene::on(PoolKind::Btrfs);
    for sort in [RAW, DIRECTORY, XFS, BTRFS] {
        let pv = scene.volume(sort.request("pvc-1"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let wish = |required, limit| {
            let request = node_expand(id(&pv), &path).size(required).limit(limit);
            scene.client.node_expand_volume(request)
        };
        let size = sort.mib * MIB;
        refused(wish(1, size - 1), Code::OutOfRange, id(&pv));
        refused(wish(size + 1, size + 2), Code::OutOfRange, "");
        assert_eq!(wish(1, size).unwrap().capacity_bytes, size, "big enough");
        let most = size + 8 * MIB + 700;
        let grown = wish(size + 8 * MIB + 1, most).unwrap().capacity_bytes;
        assert!(
            (size + 8 * MIB + 1..=most).contains(&grown),
            "{sort:?}: {grown}"
        );
        assert!(seen(&scene, sort, &pv, "pod-1") <= most, "{sort:?}");
        refused(wish(2 << 40, 0), Code::OutOfRange, "");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

#[test]
fn ne_01_what_cannot_be_grown() {
    let scene = Scene::on(PoolKind::Ext4);
    for sort in [RAW, UNENFORCED] {
        let pv = scene.volume(sort.request("pvc-1"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let request = || node_expand(id(&pv), &path).size(2 * sort.mib * MIB);
        let other = if sort.raw { mount() } else { block() };
        let answer = scene.client.node_expand_volume(request().used_as(other));
        refused(answer, Code::InvalidArgument, "volume_capability");
        let nowhere = node_expand(id(&pv), spare(&scene, "nowhere"));
        refused(
            scene.client.node_expand_volume(nowhere),
            Code::NotFound,
            "nowhere",
        );
        // Without a range: what was promised, which is what there is.
        let same = scene.client.node_expand_volume(node_expand(id(&pv), &path));
        assert_eq!(same.unwrap().capacity_bytes, sort.mib * MIB);
        scene.client.node_expand_volume(request()).unwrap();
        give_back(&scene, &pv, &["pod-1"]);
    }
    let switched_off = Scene::with(PoolKind::Ext4, |setup| {
        setup.flag("enable-volume-expansion", "false")
    });
    let answer = switched_off
        .client
        .node_expand_volume(node_expand("vol-1", "/path"));
    refused(answer, Code::Unimplemented, "NodeExpandVolume");
}
