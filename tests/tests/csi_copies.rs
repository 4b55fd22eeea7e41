//! Volumes made of snapshots and of volumes: everything in them survives, they are as large as they are asked for, and
//! they are never what their source is not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::Path;

use proto::csi::CreateVolumeRequest;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene, Tree};
use tonic::Code;

/// A sort of volume with a filesystem: its name, its `kind`, its filesystem, and its size in MiB.
type Sort = (&'static str, &'static str, &'static str, i64);

const IMAGES: [Sort; 3] = [
    ("ext4", "image", "ext4", 64),
    ("xfs", "image", "xfs", 300),
    ("btrfs", "image", "btrfs", 256),
];
const UNENFORCED: Sort = ("unenforced", "unenforced-directory", "", 64);
const DIRECTORY: Sort = ("directory", "directory", "", 64);

/// What a pool offers. Quotas of XFS and ext4 need a kernel of their own.
fn sorts(pool: PoolKind) -> Vec<Sort> {
    let directory = (pool == PoolKind::Btrfs).then_some(DIRECTORY);
    IMAGES
        .into_iter()
        .chain([UNENFORCED])
        .chain(directory)
        .collect()
}

/// Whether copies are taken of volumes of a sort while pods write to them.
fn is_taken_in_use(pool: PoolKind, sort: Sort) -> bool {
    sort.1 == "image" || pool == PoolKind::Btrfs
}

fn request(name: &str, (_, kind, filesystem, mib): Sort) -> CreateVolumeRequest {
    let request = create_volume(name).size(mib * MIB).parameter("kind", kind);
    match filesystem {
        "" => request,
        filesystem => request.filesystem(filesystem),
    }
}

/// A request for a copy, which takes its class and size from its source.
fn copy(name: &str, source: &Pv) -> CreateVolumeRequest {
    create_volume(name).used_as(source.capability.clone())
}

/// What `df` tells a pod of its volume, in bytes.
fn visible(scene: &Scene, path: &Path) -> i64 {
    let blocks = scene
        .node
        .sh(&format!("stat -f -c '%b %S' {}", path.display()));
    let numbers: Vec<i64> = blocks.split(' ').map(|n| n.parse().unwrap()).collect();
    numbers[0] * numbers[1]
}

/// CS-01, CV-07, DV-03: a tree goes through a snapshot, a restore, a clone, and a clone of that, each of them outliving
/// what it was made of.
fn trees_survive(pool: PoolKind) {
    let scene = Scene::on(pool);
    let leaks = scene.leaks();
    for sort in sorts(pool) {
        let name = sort.0;
        let source = scene.volume(request(name, sort));
        let tree = Tree::plant(scene.node.place(), scene.publish(&source).join("tree"));
        if !is_taken_in_use(pool, sort) {
            scene.release(&source);
        }
        let snapshot = scene.snapshot(name, &source);
        assert_eq!(snapshot.source_volume_id, source.volume.volume_id);
        if is_taken_in_use(pool, sort) {
            scene.release(&source);
        }
        scene.delete(&source);

        let restored = copy(&format!("{name}-restored"), &source).restoring(&snapshot.snapshot_id);
        let restored = scene.volume(restored);
        assert_eq!(restored.volume.capacity_bytes, sort.3 * MIB, "{name}");
        assert!(restored.volume.content_source.is_some(), "{name}");
        scene.forget(&snapshot);
        tree.assert_survives_at(scene.publish(&restored).join("tree"));
        if !is_taken_in_use(pool, sort) {
            scene.release(&restored);
        }

        let cloned = copy(&format!("{name}-cloned"), &source).cloning(&restored.volume.volume_id);
        let cloned = scene.volume(cloned);
        if is_taken_in_use(pool, sort) {
            scene.release(&restored);
        }
        scene.delete(&restored);
        let again = copy(&format!("{name}-again"), &source).cloning(&cloned.volume.volume_id);
        let again = scene.volume(again);
        scene.delete(&cloned);
        tree.assert_survives_at(scene.publish(&again).join("tree"));
        scene.release(&again);
        scene.delete(&again);
    }
    leaks.assert_none();
}

#[test]
fn cv_07_dv_03_trees_survive_copies_on_ext4() {
    trees_survive(PoolKind::Ext4);
}

#[test]
fn cv_07_dv_03_trees_survive_copies_on_xfs() {
    trees_survive(PoolKind::Xfs);
}

#[test]
fn cv_07_dv_03_trees_survive_copies_on_btrfs() {
    trees_survive(PoolKind::Btrfs);
}

/// CV-06: a larger copy is larger for its pod, a smaller one is refused.
fn sizes(pool: PoolKind) {
    let scene = Scene::on(pool);
    for sort in sorts(pool) {
        let (name, kind, _, mib) = sort;
        let source = scene.volume(request(name, sort));
        let path = scene.publish(&source);
        scene.node.write(path.join("file"), name);
        let small = visible(&scene, &path);
        scene.release(&source);
        let snapshot = scene.snapshot(name, &source);
        let from = [
            copy(&format!("{name}-restored"), &source).restoring(&snapshot.snapshot_id),
            copy(&format!("{name}-cloned"), &source).cloning(&source.volume.volume_id),
        ];
        for request in from {
            let smaller = [
                request.clone().size((mib - 1) * MIB),
                request.clone().limit((mib - 1) * MIB),
            ];
            for smaller in smaller {
                let refused = scene.client.create_volume(smaller).unwrap_err();
                assert_eq!(refused.code(), Code::OutOfRange, "{name}: {refused}");
            }
            let large = 4 * mib * MIB;
            let larger = scene.volume(request.size(large));
            assert_eq!(larger.volume.capacity_bytes, large, "{name}");
            let path = scene.publish(&larger);
            assert_eq!(scene.node.read(path.join("file")).unwrap(), name);
            let seen = visible(&scene, &path);
            match kind {
                // Nobody enforces it: it is as large as the pool.
                "unenforced-directory" => assert!(seen > large),
                // The pool's disk is seen, its limit is told by the driver.
                "directory" => assert_eq!(limit(&scene, &larger), large),
                _ => assert!(seen > small * 3, "{name}: {seen} after {small}"),
            }
            scene.release(&larger);
            scene.delete(&larger);
        }
    }
}

/// The size of which the driver's own figures are.
fn limit(scene: &Scene, pv: &Pv) -> i64 {
    let stats = scene.kubelet.stats(pv, &format!("pod-of-{}", pv.name));
    stats.unwrap().usage[0].total
}

#[test]
fn cv_06_sizes_of_copies_on_ext4() {
    sizes(PoolKind::Ext4);
}

#[test]
fn cv_06_sizes_of_copies_on_xfs() {
    sizes(PoolKind::Xfs);
}

#[test]
fn cv_06_sizes_of_copies_on_btrfs() {
    sizes(PoolKind::Btrfs);
}

#[test]
fn cv_06_a_larger_raw_copy_begins_with_its_source_and_goes_on_with_zeros() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let source = scene.volume(create_volume("source").size(8 * MIB).block());
        let device = scene.publish(&source);
        scene.node.sh(&format!(
            "yes content | head -c {} | dd of={} iflag=fullblock bs=1M conv=fsync status=none",
            8 * MIB,
            device.display()
        ));
        scene.release(&source);
        let snapshot = scene.snapshot("snapshot", &source);
        let from = [
            copy("restored", &source).restoring(&snapshot.snapshot_id),
            copy("cloned", &source).cloning(&source.volume.volume_id),
        ];
        for request in from {
            let copied = scene.volume(request.size(12 * MIB));
            let device = scene.publish(&copied);
            scene.node.sh(&format!(
                "yes content | head -c {} > {root}/expected; truncate -s {} {root}/expected; cmp {} {root}/expected",
                8 * MIB,
                12 * MIB,
                device.display(),
                root = scene.node.root().display(),
            ));
            scene.release(&copied);
        }
    }
}

/// CV-07: what a source is not, its copies are not either; and a source that is not there makes no copy.
#[test]
fn cv_07_copies_are_of_their_source_s_kind() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let image = scene.volume(request("image", IMAGES[0]));
        let raw = scene.volume(create_volume("raw").size(8 * MIB).block());
        let directory = scene.volume(request("directory", UNENFORCED));
        let leaks = scene.leaks();
        let wanted = |source: &Pv| {
            let snapshot = scene.snapshot(&source.name, source);
            let id = source.volume.volume_id.clone();
            [
                create_volume("copy").restoring(&snapshot.snapshot_id),
                create_volume("copy").cloning(&id),
            ]
        };
        let (of_image, of_raw, of_directory) = (wanted(&image), wanted(&raw), wanted(&directory));
        let rows = [
            (
                &of_image,
                "a raw device of a filesystem",
                create_volume("copy").block(),
            ),
            (
                &of_directory,
                "a raw device of a directory",
                create_volume("copy").block(),
            ),
            (
                &of_raw,
                "a filesystem of a raw device",
                create_volume("copy"),
            ),
            (
                &of_raw,
                "the same, named",
                create_volume("copy").filesystem("ext4"),
            ),
            (
                &of_image,
                "another filesystem",
                create_volume("copy").filesystem("xfs"),
            ),
            (
                &of_image,
                "a directory of an image",
                create_volume("copy").parameter("kind", "unenforced-directory"),
            ),
            (
                &of_directory,
                "an image of a directory",
                create_volume("copy").parameter("kind", "image"),
            ),
            (
                &of_directory,
                "a thick directory",
                create_volume("copy").parameter("provisioning", "thick"),
            ),
        ];
        for (sources, what, wanted) in rows {
            for source in sources {
                let mut request = wanted.clone();
                request
                    .volume_content_source
                    .clone_from(&source.volume_content_source);
                let refused = scene.client.create_volume(request).unwrap_err();
                assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused}");
            }
        }
        let gone = "0123456789abcdef0123456789abcdef";
        for request in [
            create_volume("copy").restoring(&format!("snap-{gone}")),
            create_volume("copy").cloning(&format!("vol-{gone}")),
            create_volume("copy").restoring("../../etc"),
            create_volume("copy").cloning("../../etc"),
        ] {
            let refused = scene.client.create_volume(request).unwrap_err();
            assert_eq!(refused.code(), Code::NotFound, "{refused}");
        }
        for snapshot in scene
            .client
            .list_snapshots(list_snapshots(0, ""))
            .unwrap()
            .entries
        {
            scene.forget(&snapshot.snapshot.unwrap());
        }
        leaks.assert_none();
    }
}

/// CV-04, CV-05: a copy has one name and one source.
#[test]
fn cv_04_cv_05_a_copy_that_is_asked_for_again_is_the_same() {
    for pool in PoolKind::FILESYSTEMS {
        let mut scene = Scene::on(pool);
        let (one, other) = (
            scene.volume(request("one", IMAGES[0])),
            scene.volume(request("other", IMAGES[0])),
        );
        let (of_one, of_other) = (scene.snapshot("one", &one), scene.snapshot("other", &other));
        let restoring = copy("restored", &one).restoring(&of_one.snapshot_id);
        let cloning = copy("cloned", &one).cloning(&one.volume.volume_id);
        let restored = scene.volume(restoring.clone());
        let cloned = scene.volume(cloning.clone());
        for (name, request, made) in [
            ("restored", restoring, restored),
            ("cloned", cloning, cloned),
        ] {
            assert_eq!(scene.volume(request.clone()).volume, made.volume);
            scene.driver.crash();
            assert_eq!(scene.volume(request.clone()).volume, made.volume);
            // Nor does it matter what has become of its source meanwhile.
            for unlike in [
                copy(name, &one),
                copy(name, &one).restoring(&of_other.snapshot_id),
                copy(name, &one).cloning(&other.volume.volume_id),
            ] {
                let refused = scene.client.create_volume(unlike).unwrap_err();
                assert_eq!(refused.code(), Code::AlreadyExists, "{name}: {refused}");
            }
        }
        scene.forget(&of_one);
        scene.delete(&one);
        let volumes = scene.client.list_volumes(list_volumes(0, "")).unwrap();
        assert_eq!(volumes.entries.len(), 3, "other, restored, cloned");
    }
}

/// Copies of XFS and btrfs have to be told apart by the kernel when their source is mounted as well.
#[test]
fn copies_of_one_filesystem_are_mounted_at_the_same_time() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        for sort in IMAGES {
            let name = sort.0;
            let source = scene.volume(request(name, sort));
            let path = scene.publish(&source);
            scene.node.write(path.join("file"), "source");
            let snapshot = scene.snapshot(name, &source);
            let copies = [1, 2].map(|number| {
                let request = copy(&format!("{name}-{number}"), &source);
                scene.volume(request.restoring(&snapshot.snapshot_id))
            });
            for pv in &copies {
                let path = scene.publish(pv);
                assert_eq!(scene.node.read(path.join("file")).unwrap(), "source");
                scene.node.write(path.join("file"), &pv.name);
                scene.node.sh(&format!("sync -f {}", path.display()));
            }
            assert_eq!(scene.node.read(path.join("file")).unwrap(), "source");
            for pv in copies.iter().chain([&source]) {
                scene.release(pv);
                let path = scene.publish(pv);
                let expected = if pv == &source { "source" } else { &pv.name };
                assert_eq!(scene.node.read(path.join("file")).unwrap(), expected);
                scene.release(pv);
            }
        }
    }
}
