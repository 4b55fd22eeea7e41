//! Directories of the driver whose size project quotas enforce, from creation to deletion.

use super::{MACHINE, MIB, SLACK, about, fill_there, grow, made, publish, put_away};
use kernel::storage::project::{self, Usage};
use proto::csi::{CreateVolumeRequest, VolumeUsage};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use testkit::eventually;
use tonic::{Code, Status};

/// A scene on each filesystem that enforces project quotas, one after the other.
fn scenes() -> impl Iterator<Item = Scene> {
    PoolKind::PROJECTS.into_iter().map(Scene::on)
}

/// A directory of 8 MiB, as it is made when nobody says how.
fn eight(name: &str) -> CreateVolumeRequest {
    create_volume(name).size(8 << 20)
}

fn data(scene: &Scene, pv: &Pv) -> PathBuf {
    let volumes = scene.pool.path().join("volumes");
    volumes.join(&pv.volume.volume_id).join("data")
}

/// The project that a volume's directory counts under.
fn project_of(scene: &Scene, pv: &Pv) -> u32 {
    let data = data(scene, pv);
    let read = || project::of(File::open(&data).unwrap(), &data).unwrap();
    scene.node.run(read).unwrap()
}

fn usage(scene: &Scene, project: u32) -> Usage {
    let pool = scene.pool.path();
    let read = || project::usage(File::open(pool).unwrap(), pool, project).unwrap();
    scene.node.run(read)
}

/// Every project of the pool that has files or a limit.
fn projects(scene: &Scene) -> BTreeSet<u32> {
    let pool = scene.pool.path().display();
    let report = scene
        .node
        .sh(&format!("xfs_quota -x -f -c 'report -p -n -N -b' {pool}"));
    let ids = report.lines().filter_map(|line| {
        let id = line.split_whitespace().next()?;
        id.strip_prefix('#')?.parse().ok()
    });
    ids.filter(|id| *id != 0).collect()
}

fn stats(scene: &Scene, pv: &Pv) -> [VolumeUsage; 2] {
    let stats = scene.kubelet.stats(pv, "pod").unwrap();
    stats.usage.try_into().unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, with: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(with), "{status:?}");
}

#[test]
fn a_directory_takes_no_more_than_its_size_and_tells_what_it_takes() {
    MACHINE.where_able(false, || {
        for scene in scenes() {
            let (one, other) = (made(&scene, eight("one")), made(&scene, eight("other")));
            let path = publish(&scene, &one, "pod");
            let mount = scene.node.mount_at(&path).unwrap();
            assert_eq!(
                Some(mount.filesystem.as_str()),
                scene.pool.kind().filesystem()
            );
            assert_eq!(scene.node.loops(), []);
            let project = project_of(&scene, &one);
            for mib in [8, 12] {
                if mib > 8 {
                    grow(&scene, &one, "pod", 12);
                }
                let size = fill_there(&scene, &path.join("file"), 20);
                assert!(about(size, mib), "{size} of {mib} MiB");
                let used = usage(&scene, project);
                assert!(used.bytes <= mib * MIB, "{used:?}");
                let [bytes, inodes] = stats(&scene, &one);
                assert_eq!(bytes.total.unsigned_abs(), mib * MIB);
                assert_eq!(bytes.used.unsigned_abs(), used.bytes);
                assert!(bytes.available.unsigned_abs() <= SLACK, "{bytes:?}");
                assert_eq!(inodes.used, 2, "the directory and a file: {inodes:?}");
            }
            assert_ne!(project_of(&scene, &other), project);
            let neighbour = publish(&scene, &other, "pod");
            assert_eq!(fill_there(&scene, &neighbour.join("file"), 4), 4 * MIB);
            put_away(&scene, &one, "pod");
            put_away(&scene, &other, "pod");
        }
    });
}

#[test]
fn what_a_directory_may_still_take_is_never_more_than_its_pool_has() {
    MACHINE.where_able(false, || {
        let scene = Scene::on(PoolKind::XfsProjects);
        let pv = made(&scene, create_volume("pvc-1").size(3 * GIB));
        publish(&scene, &pv, "pod");
        let pool = scene.pool.path().display();
        let others = format!("busybox fallocate -l {} {pool}/other", 2 * GIB);
        scene.node.sh(&others);
        let [bytes, _] = stats(&scene, &pv);
        assert!(bytes.available < 2 * GIB, "{bytes:?}");
        put_away(&scene, &pv, "pod");
    });
}

#[test]
fn a_copy_counts_under_a_project_of_its_own_from_its_first_byte() {
    MACHINE.where_able(false, || {
        for scene in scenes() {
            let source = made(&scene, eight("source"));
            let id = source.volume.volume_id.as_str();
            let path = publish(&scene, &source, "pod");
            fill_there(&scene, &path.join("file"), 20);
            let snapshot = create_snapshot("snapshot", id);
            let written = scene.client.create_snapshot(snapshot.clone());
            refused(written, Code::FailedPrecondition, "unpublish it first");
            let written = scene.client.create_volume(eight("clone").cloning(id));
            refused(written, Code::FailedPrecondition, "unpublish it first");
            scene.kubelet.unpublish(&source, "pod").unwrap();

            let taken = scene.client.create_snapshot(snapshot).unwrap();
            let taken = taken.snapshot.unwrap().snapshot_id;
            eventually("the snapshot is ready", || {
                let got = scene.client.get_snapshot(get_snapshot(&taken)).unwrap();
                got.snapshot.unwrap().ready_to_use
            });
            let from = usage(&scene, project_of(&scene, &source));
            let requests = [
                eight("restored").restoring(&taken),
                eight("clone").cloning(id),
            ];
            let copies = requests.map(|request| made(&scene, request));
            for copy in &copies {
                let project = project_of(&scene, copy);
                let used = usage(&scene, project);
                assert!(used.bytes <= 8 * MIB, "{used:?}");
                assert_eq!((used.inodes, used.limit), (from.inodes, Some(8 * MIB)));
                assert!(used.bytes + SLACK >= from.bytes, "{used:?} of {from:?}");
                let path = publish(&scene, copy, "pod");
                fill_there(&scene, &path.join("file"), 20);
                fill_there(&scene, &path.join("more"), 20);
                let used = usage(&scene, project);
                assert!(used.bytes <= 8 * MIB, "{used:?}");
            }
            let all = [&source, &copies[0], &copies[1]];
            let distinct: BTreeSet<_> = all.map(|pv| project_of(&scene, pv)).into();
            assert_eq!(distinct.len(), 3);
        }
    });
}

#[test]
fn no_limit_outlives_its_directory() {
    MACHINE.where_able(false, || {
        for mut scene in scenes() {
            let kept = made(&scene, eight("kept"));
            let victim = project_of(&scene, &kept);
            let deleted = made(&scene, eight("deleted"));
            let path = publish(&scene, &deleted, "pod");
            fill_there(&scene, &path.join("file"), 2);

            // A copy that fails on its way: something is mounted in what it copies.
            let inside = data(&scene, &kept).join("inside");
            let inside = inside.display();
            scene
                .node
                .sh(&format!("mkdir {inside}; mount -t tmpfs none {inside}"));
            let copy = eight("copy").cloning(&kept.volume.volume_id);
            refused(scene.client.create_volume(copy), Code::Internal, "inside");
            scene.node.sh(&format!("umount {inside}; rmdir {inside}"));
            assert_eq!(projects(&scene).len(), 2, "those of the two volumes");

            // A pod with ill will: its directory counts under its neighbour's project.
            let steal = || project::assign(File::open(&path).unwrap(), &path, victim);
            scene.node.run(steal).unwrap();
            put_away(&scene, &deleted, "pod");

            // What a crash leaves of a creation and of a deletion.
            let dropped = made(&scene, eight("dropped"));
            scene.driver.kill();
            let pool = scene.pool.path();
            scene.node.run(|| {
                unfinished(pool);
                let id = &dropped.volume.volume_id;
                fs::rename(pool.join("volumes").join(id), pool.join("trash").join(id)).unwrap();
            });
            assert_eq!(projects(&scene).len(), 3);
            scene.driver.start();

            eventually("one project is left", || {
                projects(&scene) == [victim].into()
            });
            eventually("with its own directory alone", || {
                usage(&scene, victim).inodes == 1
            });
            assert_eq!(usage(&scene, victim).limit, Some(8 * MIB));
            put_away_unused(&scene, &kept);
            eventually("no project is left", || projects(&scene).is_empty());
        }
    });
}

/// A directory with a limit, that was to become a volume.
fn unfinished(pool: &Path) {
    let data = pool.join("making/vol-00000000000000000000000000000001/data");
    fs::create_dir_all(&data).unwrap();
    let directory = File::open(&data).unwrap();
    let project = project::free_project(&directory, &data).unwrap();
    project::assign(&directory, &data, project).unwrap();
    project::limit(&directory, &data, project, MIB).unwrap();
}

fn put_away_unused(scene: &Scene, pv: &Pv) {
    let gone = delete_volume(&pv.volume.volume_id);
    scene.client.delete_volume(gone).unwrap();
}

#[test]
fn limits_outlive_kubelet_the_driver_and_the_machine() {
    MACHINE.where_able(false, || {
        for mut scene in scenes() {
            let pv = made(&scene, eight("pvc-1"));
            let path = publish(&scene, &pv, "pod");
            let full = fill_there(&scene, &path.join("file"), 20);
            scene.kubelet.restart().unwrap();
            scene.driver.crash();
            assert!(fill_there(&scene, &path.join("more"), 1) <= SLACK);
            scene.reboot();
            let path = scene.kubelet.publish(&pv, "pod").unwrap();
            assert_eq!(fill_there(&scene, &path.join("file"), 20), full);
            put_away(&scene, &pv, "pod");
            eventually("no project is left", || projects(&scene).is_empty());
        }
    });
}

#[test]
fn an_inline_volume_has_a_limit_as_long_as_its_pod_lives() {
    MACHINE.where_able(false, || {
        for scene in scenes() {
            let leaks = scene.leaks();
            let pv = Pv::inline("scratch", &[("size", "8Mi")]);
            let path = publish(&scene, &pv, "pod");
            let size = fill_there(&scene, &path.join("file"), 20);
            assert!(about(size, 8), "{size}");
            assert_eq!(projects(&scene).len(), 1);
            put_away(&scene, &pv, "pod");
            leaks.assert_none();
            eventually("no project is left", || projects(&scene).is_empty());
        }
    });
}

#[test]
fn a_pool_that_lost_its_quotas_says_so_instead_of_serving_without() {
    MACHINE.where_able(false, || {
        for mut scene in scenes() {
            let (pv, other) = (made(&scene, eight("pvc-1")), made(&scene, eight("pvc-2")));
            let id = pv.volume.volume_id.as_str();
            let path = publish(&scene, &pv, "pod");
            reboot_mounting(&mut scene, "defaults");
            let lost = "mount its filesystem with project quotas";
            refused(
                scene.kubelet.publish(&pv, "pod"),
                Code::FailedPrecondition,
                lost,
            );
            assert_eq!(scene.node.mount_at(&path), None);
            let copy = eight("copy").cloning(id);
            refused(
                scene.client.create_volume(copy),
                Code::FailedPrecondition,
                lost,
            );
            let new = eight("new").parameter("kind", "directory");
            refused(
                scene.client.create_volume(new),
                Code::ResourceExhausted,
                lost,
            );
            let image = made(&scene, create_volume("image").size(32 << 20));
            publish(&scene, &image, "pod");
            put_away(&scene, &image, "pod");
            put_away_unused(&scene, &other);

            reboot_mounting(&mut scene, "prjquota");
            let path = publish(&scene, &pv, "pod");
            assert!(about(fill_there(&scene, &path.join("file"), 20), 8));
            put_away(&scene, &pv, "pod");
        }
    });
}

/// Reboots the node, which mounts the pool with other options then.
fn reboot_mounting(scene: &mut Scene, options: &str) {
    scene.driver.kill();
    scene.kubelet.lose_mounts();
    scene.node.beneath(scene.pool.path()).detach();
    scene.pool.remount(options);
    scene.node.pretend_reboot();
    scene.driver.start();
}
