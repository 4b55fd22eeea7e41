//! Snapshots: how they are asked for, listed and deleted, that each is of one moment, and what happens while bytes have
//! to be copied for one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use proto::csi::{ListSnapshotsRequest, Snapshot};
use rustix::process::{Pid, Signal, kill_process};
use testkit::csi::requests::*;
use testkit::csi::{PoolDisk, PoolKind, Pv, Scene, Writer, records};
use testkit::eventually;
use tonic::Code;

/// An id that nothing has.
const NOBODY: &str = "0123456789abcdef0123456789abcdef";

/// Every page of a list, `most` entries each.
fn pages(scene: &Scene, most: i32, filter: impl Fn(&mut ListSnapshotsRequest)) -> Vec<Snapshot> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let mut request = list_snapshots(most, &token);
        filter(&mut request);
        let page = scene.client.list_snapshots(request).unwrap();
        assert!(most == 0 || page.entries.len() <= usize::try_from(most).unwrap());
        all.extend(
            page.entries
                .into_iter()
                .map(|entry| entry.snapshot.unwrap()),
        );
        token = page.next_token;
        if token.is_empty() {
            return all;
        }
    }
}

fn ids(snapshots: &[Snapshot]) -> Vec<&str> {
    snapshots
        .iter()
        .map(|snapshot| snapshot.snapshot_id.as_str())
        .collect()
}

#[test]
fn cs_01_ds_01_gs_01_what_is_wrong_is_refused() {
    let scene = Scene::on(PoolKind::Xfs);
    let volume = scene.volume(create_volume("volume").size(8 * MIB).block());
    let id = &volume.volume.volume_id;
    let creates = [
        (create_snapshot("", id), Code::InvalidArgument),
        (create_snapshot("s", ""), Code::InvalidArgument),
        (create_snapshot("bell \u{7}", id), Code::InvalidArgument),
        (create_snapshot(&"n".repeat(129), id), Code::InvalidArgument),
        (
            create_snapshot("s", id).parameter("unknown", "1"),
            Code::InvalidArgument,
        ),
        (
            create_snapshot("s", &format!("vol-{NOBODY}")),
            Code::NotFound,
        ),
        (create_snapshot("s", "../../etc"), Code::NotFound),
    ];
    for (request, code) in creates {
        let refused = scene.client.create_snapshot(request.clone()).unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused}");
    }
    let refused = scene
        .client
        .delete_snapshot(delete_snapshot(""))
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    for unknown in [&format!("snap-{NOBODY}"), "../../etc", "snap-1", id] {
        scene
            .client
            .delete_snapshot(delete_snapshot(unknown))
            .unwrap();
        let refused = scene
            .client
            .get_snapshot(get_snapshot(unknown))
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{unknown}: {refused}");
    }
    let refused = scene.client.get_snapshot(get_snapshot("")).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(pages(&scene, 0, |_| {}).is_empty());
}

#[test]
fn cs_01_cs_03_one_snapshot_a_name() {
    let mut scene = Scene::on(PoolKind::Xfs);
    let volume = scene.volume(create_volume("volume").size(8 * MIB).block());
    let other = scene.volume(create_volume("other").size(8 * MIB).block());
    let before = scene.pool.files();
    let request = create_snapshot("snapshot", &volume.volume.volume_id);
    let taken = scene.snapshot("snapshot", &volume);
    assert_eq!(taken.source_volume_id, volume.volume.volume_id);
    assert_eq!(taken.size_bytes, 8 * MIB);
    assert_eq!(taken.group_snapshot_id, "");
    let age = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let created = u64::try_from(taken.creation_time.unwrap().seconds).unwrap();
    assert!(age.abs_diff(created) < 60, "created {created}, it is {age}");

    let again = |scene: &Scene| scene.client.create_snapshot(request.clone()).unwrap();
    assert_eq!(again(&scene).snapshot.as_ref(), Some(&taken));
    scene.driver.crash();
    assert_eq!(again(&scene).snapshot.as_ref(), Some(&taken));
    let got = scene.client.get_snapshot(get_snapshot(&taken.snapshot_id));
    assert_eq!(got.unwrap().snapshot.as_ref(), Some(&taken));

    let unlike = create_snapshot("snapshot", &other.volume.volume_id);
    let refused = scene.client.create_snapshot(unlike).unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");

    scene.forget(&taken);
    scene.forget(&taken);
    eventually("its files go", || scene.pool.files() == before);
    let renewed = scene.snapshot("snapshot", &other);
    assert_ne!(renewed.snapshot_id, taken.snapshot_id);
}

/// Of calls that come at once, one takes the snapshot and the others are told to come again, or the result.
#[test]
fn cs_01_calls_at_once_take_one_snapshot() {
    let scene = Scene::on(PoolKind::Ext4);
    let volume = scene.volume(create_volume("volume").size(16 * MIB).block());
    let request = create_snapshot("snapshot", &volume.volume.volume_id);
    let callers: Vec<_> = (0..8).map(|_| scene.client.clone()).collect();
    let answers = testkit::at_once(&callers, |caller| caller.create_snapshot(request.clone()));
    for answer in answers {
        if let Err(refused) = answer {
            assert_eq!(refused.code(), Code::Aborted, "{refused}");
        }
    }
    scene.snapshot("snapshot", &volume);
    assert_eq!(pages(&scene, 0, |_| {}).len(), 1);
}

#[test]
fn ls_01_dv_03_lists_are_whole_in_pages_and_filtered() {
    let mut scene = Scene::on(PoolKind::Btrfs);
    let volumes: Vec<_> = ["one", "two"]
        .map(|name| scene.volume(create_volume(name).size(4 * MIB).block()))
        .into();
    for number in 0..7 {
        scene.snapshot(&format!("s{number}"), &volumes[number % 2]);
    }
    let all = pages(&scene, 0, |_| {});
    assert_eq!(all.len(), 7);
    for most in [1, 2, 3, 6, 7, 8] {
        assert_eq!(pages(&scene, most, |_| {}), all, "pages of {most}");
    }
    // The last page says so, also when it is full.
    let full = scene.client.list_snapshots(list_snapshots(7, "")).unwrap();
    assert_eq!(full.next_token, "");

    let one = &volumes[0].volume.volume_id;
    let of_one = pages(&scene, 2, |request| {
        request.source_volume_id.clone_from(one)
    });
    let expected: Vec<_> = all
        .iter()
        .filter(|s| s.source_volume_id == *one)
        .cloned()
        .collect();
    assert_eq!(expected.len(), 4);
    assert_eq!(of_one, expected);
    let first = all[0].snapshot_id.clone();
    let by_id = pages(&scene, 0, |request| request.snapshot_id.clone_from(&first));
    assert_eq!(ids(&by_id), [&first]);

    let other = if all[0].source_volume_id == *one {
        &volumes[1]
    } else {
        &volumes[0]
    };
    let other = other.volume.volume_id.clone();
    let nothing: [(&str, &str); 5] = [
        (&format!("snap-{NOBODY}"), ""),
        ("../../etc", ""),
        ("", &format!("vol-{NOBODY}")),
        ("", "../../etc"),
        (&first, &other),
    ];
    for (snapshot, source) in nothing {
        let found = pages(&scene, 0, |request| {
            request.snapshot_id = snapshot.to_owned();
            request.source_volume_id = source.to_owned();
        });
        assert!(found.is_empty(), "{snapshot} of {source}: {found:?}");
    }
    for (request, code) in [
        (list_snapshots(-1, ""), Code::InvalidArgument),
        (list_snapshots(1, "3"), Code::Aborted),
        (list_snapshots(1, "-1"), Code::Aborted),
        (list_snapshots(1, "4294967297"), Code::Aborted),
    ] {
        let refused = scene.client.list_snapshots(request).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }

    // The snapshot that a page ended with may go before the next page is asked for.
    let page = scene.client.list_snapshots(list_snapshots(3, "")).unwrap();
    scene.forget(&all[2]);
    let rest = scene
        .client
        .list_snapshots(list_snapshots(0, &page.next_token))
        .unwrap();
    let rest: Vec<_> = rest
        .entries
        .into_iter()
        .map(|entry| entry.snapshot.unwrap())
        .collect();
    assert_eq!(ids(&rest), ids(&all[3..]));

    // Snapshots outlive their volumes, and the driver.
    volumes.iter().for_each(|volume| scene.delete(volume));
    scene.driver.crash();
    assert_eq!(pages(&scene, 0, |_| {}).len(), 6);
    let left = pages(&scene, 0, |request| {
        request.source_volume_id.clone_from(one);
    });
    let expected = expected.iter().filter(|snapshot| **snapshot != all[2]);
    assert!(left.iter().eq(expected));
}

/// CS-02: what a snapshot holds is of one moment, however busy its volume is.
fn one_moment(pool: PoolKind, requests: Vec<proto::csi::CreateVolumeRequest>) {
    let scene = Scene::on(pool);
    for request in requests {
        let volume = scene.volume(request);
        let path = scene.publish(&volume);
        let files = files_of(&volume, path);
        let writer = Writer::start(scene.node.place(), &files);
        for round in 0..3 {
            let name = format!("{}-{round}", volume.name);
            writer.goes_on();
            let before = writer.written();
            let snapshot = scene.snapshot(&name, &volume);
            let after = writer.written();
            let restored = create_volume(&name)
                .restoring(&snapshot.snapshot_id)
                .used_as(volume.capability.clone());
            let restored = scene.volume(restored);
            let path = scene.publish(&restored);
            let files = files_of(&restored, path);
            let found: Vec<_> = files
                .iter()
                .map(|file| records(scene.node.place(), file))
                .collect();
            // One record may be on its way.
            let possible = before..=after + 1;
            assert!(
                found.iter().all(|found| possible.contains(found)),
                "{name}: {found:?}, {possible:?}"
            );
            assert!(found[0] - found[found.len() - 1] <= 1, "{name}: {found:?}");
            scene.release(&restored);
            scene.delete(&restored);
        }
        writer.goes_on();
        writer.stop();
        scene.release(&volume);
    }
}

/// What a writer writes of a volume at a path: the device, or two files that it has to keep in step.
fn files_of(pv: &Pv, path: PathBuf) -> Vec<PathBuf> {
    if pv.capability == block() {
        vec![path]
    } else {
        vec![path.join("first"), path.join("second")]
    }
}

fn image(filesystem: &str, mib: i64) -> proto::csi::CreateVolumeRequest {
    create_volume(filesystem)
        .size(mib * MIB)
        .filesystem(filesystem)
        .parameter("kind", "image")
}

fn images() -> Vec<proto::csi::CreateVolumeRequest> {
    vec![image("ext4", 64), image("xfs", 300), image("btrfs", 256)]
}

#[test]
fn cs_02_of_one_moment_on_ext4() {
    one_moment(PoolKind::Ext4, images());
}

#[test]
fn cs_02_of_one_moment_on_xfs() {
    let raw = create_volume("raw").size(256 * MIB).block();
    one_moment(PoolKind::Xfs, images().into_iter().chain([raw]).collect());
}

#[test]
fn cs_02_of_one_moment_on_btrfs() {
    let others = [
        create_volume("raw").size(256 * MIB).block(),
        create_volume("directory")
            .size(64 * MIB)
            .parameter("kind", "directory"),
        create_volume("unenforced").parameter("kind", "unenforced-directory"),
    ];
    one_moment(
        PoolKind::Btrfs,
        images().into_iter().chain(others).collect(),
    );
}

/// What a pool can only copy, and nobody can hold still, is refused while a pod may write to it.
#[test]
fn cs_01_what_cannot_be_held_still_is_refused_while_it_is_written() {
    let unenforced = || create_volume("unenforced").parameter("kind", "unenforced-directory");
    let raw = || create_volume("raw").size(8 * MIB).block();
    let rows = [
        (PoolKind::Ext4, vec![unenforced(), raw()]),
        (PoolKind::Xfs, vec![unenforced()]),
    ];
    for (pool, requests) in rows {
        let scene = Scene::on(pool);
        for request in requests {
            let volume = scene.volume(request);
            scene.publish(&volume);
            let leaks = scene.leaks();
            let id = &volume.volume.volume_id;
            let name = &volume.name;
            let snapshot = scene.client.create_snapshot(create_snapshot(name, id));
            let clone = create_volume("clone")
                .cloning(id)
                .used_as(volume.capability.clone());
            let clone = scene.client.create_volume(clone);
            for refused in [snapshot.unwrap_err(), clone.unwrap_err()] {
                assert_eq!(
                    refused.code(),
                    Code::FailedPrecondition,
                    "{name}: {refused}"
                );
                assert!(refused.message().contains("unpublish"), "{refused}");
            }
            leaks.assert_none();
            scene.release(&volume);
            scene.snapshot(name, &volume);

            // Whoever only reads is not in the way.
            let reader = volume.clone().readonly();
            scene.publish(&reader);
            scene.snapshot(&format!("{name}-read"), &volume);
            scene.release(&reader);
        }
    }
}

/// A node with a further pool on ext4, where a mounted image has to be copied while it is held still, and a volume on it
/// that a pod writes to. The driver's own state lies elsewhere, so the further pool can be held up without it.
struct Copied {
    writer: Writer,
    volume: Pv,
    path: PathBuf,
    scene: Scene,
}

impl Copied {
    fn new() -> Self {
        Self::in_pool_of(GIB.unsigned_abs())
    }

    fn in_pool_of(size: u64) -> Self {
        let scene = Scene::with_other(PoolKind::Ext4, PoolKind::Ext4, size);
        let volume = scene.volume(image("ext4", 128).parameter("pool", "other"));
        let path = scene.publish(&volume);
        // Enough that a copy is not over before it can be held up.
        scene.node.sh(&format!(
            "dd if=/dev/urandom of={} bs=1M count=80 conv=fsync status=none",
            path.join("ballast").display()
        ));
        let writer = Writer::start(
            scene.node.place(),
            &[path.join("first"), path.join("second")],
        );
        Self {
            writer,
            volume,
            path,
            scene,
        }
    }

    fn slow(&self) -> &PoolDisk {
        self.scene.other.as_ref().unwrap()
    }

    fn id(&self) -> &str {
        &self.volume.volume.volume_id
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.scene.driver.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks for a snapshot in the background, and stops the driver's process as soon as bytes are being copied.
    fn stop_in_copy(&self) -> thread::JoinHandle<Result<Snapshot, tonic::Status>> {
        let caller = self.scene.client.clone();
        let request = create_snapshot("snapshot", self.id());
        let call = thread::spawn(move || {
            let taken = caller.create_snapshot(request)?;
            Ok(taken.snapshot.unwrap())
        });
        let making = self.slow().path().join("making");
        let deadline = Instant::now() + Duration::from_secs(10);
        self.scene.node.run(|| {
            while !is_being_copied(&making) {
                assert!(
                    Instant::now() < deadline && !call.is_finished(),
                    "no copy is made"
                );
                thread::yield_now();
            }
        });
        self.signal(Signal::STOP);
        call
    }

    /// Lets the driver go on, with the copy held up until [`Self::let_go`].
    fn hold_up(&self) {
        self.pool("fsfreeze --freeze");
        self.signal(Signal::CONT);
    }

    fn let_go(&self) {
        self.pool("fsfreeze --unfreeze");
    }

    fn pool(&self, command: &str) {
        self.scene
            .node
            .sh(&format!("{command} {}", self.slow().path().display()));
    }

    /// The snapshot, once it is ready.
    fn ready(&self, id: &str) -> Snapshot {
        let get = || {
            self.scene
                .client
                .get_snapshot(get_snapshot(id))
                .unwrap()
                .snapshot
                .unwrap()
        };
        eventually("the snapshot is ready", || get().ready_to_use);
        get()
    }

    /// Fails unless the snapshot has what was written up to some record, the same in both files.
    fn assert_holds(&self, snapshot: &Snapshot, possible: std::ops::RangeInclusive<u64>) {
        let restored = create_volume("restored")
            .restoring(&snapshot.snapshot_id)
            .used_as(self.volume.capability.clone());
        let restored = self.scene.volume(restored);
        let path = self.scene.publish(&restored);
        let place = self.scene.node.place();
        let found = ["first", "second"].map(|file| records(place, path.join(file)));
        assert!(
            found.iter().all(|found| possible.contains(found)),
            "{found:?}, {possible:?}"
        );
        assert!(found[0] - found[1] <= 1, "{found:?}");
        self.scene.node.sh(&format!(
            "cmp {} {}",
            path.join("ballast").display(),
            self.path.join("ballast").display()
        ));
        self.scene.release(&restored);
        self.scene.delete(&restored);
    }
}

/// Whether an image in a directory of objects has bytes.
fn is_being_copied(making: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let objects = std::fs::read_dir(making).into_iter().flatten().flatten();
    let images = objects.map(|object| object.path().join("image"));
    images
        .filter_map(|image| image.metadata().ok())
        .any(|metadata| metadata.blocks() > 0)
}

#[test]
fn cs_02_a_copy_that_takes_long_holds_up_only_its_volume() {
    let copied = Copied::new();
    let scene = &copied.scene;
    let before = copied.writer.written();
    let call = copied.stop_in_copy();
    let at_cut = copied.writer.written();
    copied.hold_up();
    let taken = call.join().unwrap().unwrap();
    assert!(!taken.ready_to_use);

    // Progress is told by repeats, and by whoever asks.
    let id = taken.snapshot_id.clone();
    let again = scene
        .client
        .create_snapshot(create_snapshot("snapshot", copied.id()));
    assert_eq!(again.unwrap().snapshot.unwrap(), taken);
    let got = scene.client.get_snapshot(get_snapshot(&id)).unwrap();
    assert_eq!(got.snapshot.unwrap(), taken);
    assert_eq!(pages(scene, 0, |_| {}), std::slice::from_ref(&taken));

    // Nothing is restored from it yet, and it stays.
    let restore = create_volume("early")
        .restoring(&id)
        .used_as(copied.volume.capability.clone());
    let refused = scene.client.create_volume(restore).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let refused = scene
        .client
        .delete_snapshot(delete_snapshot(&id))
        .unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused}");

    // Calls about its volume come again, none of them waits.
    let quick = scene.client.clone().within(Duration::from_secs(5));
    let target = scene.kubelet.target_path(&copied.volume, "pod-of-ext4");
    let refusals = [
        quick
            .node_unpublish_volume(unpublish(copied.id(), &target))
            .map(drop),
        quick
            .node_expand_volume(node_expand(copied.id(), &target))
            .map(drop),
        quick.delete_volume(delete_volume(copied.id())).map(drop),
        quick
            .controller_expand_volume(expand(copied.id(), GIB))
            .map(drop),
        quick
            .create_snapshot(create_snapshot("another", copied.id()))
            .map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Aborted, "{refused}");
    }
    // Others are served, in the pool of the state.
    let other = scene.volume(
        create_volume("other")
            .size(64 * MIB)
            .parameter("kind", "image"),
    );
    let path = scene.publish(&other);
    scene.node.write(path.join("file"), "content");
    scene.snapshot("of the other", &other);
    scene.release(&other);
    scene.delete(&other);
    assert_eq!(copied.writer.written(), at_cut, "it is held still");

    copied.let_go();
    let ready = copied.ready(&id);
    assert_eq!(ready.creation_time, taken.creation_time);
    copied.writer.goes_on();
    copied.assert_holds(&ready, before..=at_cut + 1);
    scene.forget(&ready);
    scene.release_after(copied.writer, &copied.volume);
}

/// The end of a test with a writer.
trait Release {
    fn release_after(&self, writer: Writer, pv: &Pv);
}

impl Release for Scene {
    fn release_after(&self, writer: Writer, pv: &Pv) {
        writer.stop();
        self.release(pv);
        self.delete(pv);
    }
}

#[test]
fn cs_02_a_driver_that_is_killed_in_a_copy_makes_it_anew() {
    let mut copied = Copied::new();
    let before = copied.writer.written();
    let call = copied.stop_in_copy();
    let at_cut = copied.writer.written();
    copied.scene.driver.kill();
    call.join().unwrap().unwrap_err();
    assert!(copied.writer.written() <= at_cut + 1);

    copied.scene.driver.start();
    let listed = pages(&copied.scene, 0, |_| {});
    let ready = copied.ready(&listed[0].snapshot_id);
    copied.writer.goes_on();
    let again = create_snapshot("snapshot", copied.id());
    let again = copied.scene.client.create_snapshot(again).unwrap();
    assert_eq!(again.snapshot, Some(ready.clone()));
    copied.assert_holds(&ready, before..=at_cut + 1);
    copied.scene.forget(&ready);
    copied.scene.release_after(copied.writer, &copied.volume);
}

#[test]
fn cs_02_a_driver_that_is_ended_in_a_copy_lets_the_volume_go() {
    let mut copied = Copied::new();
    let call = copied.stop_in_copy();
    copied.hold_up();
    // No call is in flight any more, so that only the copy is left to be waited for.
    assert!(!call.join().unwrap().unwrap().ready_to_use);
    copied.signal(Signal::TERM);
    copied.let_go();
    assert!(copied.scene.driver.stop().success());
    copied.writer.goes_on();

    copied.scene.driver.start();
    let request = create_snapshot("snapshot", copied.id());
    let told = copied.scene.client.create_snapshot(request.clone());
    let told = told.unwrap_err();
    assert_eq!(told.code(), Code::Internal, "{told}");
    let before = copied.writer.written();
    let taken = copied.scene.client.create_snapshot(request).unwrap();
    let ready = copied.ready(&taken.snapshot.unwrap().snapshot_id);
    let after = copied.writer.written();
    copied.assert_holds(&ready, before..=after + 1);
    copied.scene.forget(&ready);
    copied.scene.release_after(copied.writer, &copied.volume);
}

#[test]
fn cs_01_without_room_nothing_is_left_and_the_volume_goes_on() {
    let copied = Copied::in_pool_of(192 << 20);
    let scene = &copied.scene;
    let leaks = scene.leaks();
    let files = copied.slow().files();
    let fill = copied.slow().path().join("fill");
    let request = create_snapshot("snapshot", copied.id());

    // It is seen before anything is copied.
    scene
        .node
        .sh(&format!("fallocate -l 50M {}", fill.display()));
    let refused = scene.client.create_snapshot(request.clone()).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    copied.writer.goes_on();
    scene.node.sh(&format!("rm {}", fill.display()));
    assert_eq!(copied.slow().files(), files);

    // The room goes while the copy is made.
    let call = copied.stop_in_copy();
    scene.node.sh(&format!(
        "dd if=/dev/zero of={} bs=1M status=none || true",
        fill.display()
    ));
    copied.signal(Signal::CONT);
    let refused = call.join().unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    copied.writer.goes_on();
    scene.node.sh(&format!("rm {}", fill.display()));
    assert!(pages(scene, 0, |_| {}).is_empty());
    eventually("what was copied goes", || copied.slow().files() == files);
    leaks.assert_none();

    // And then there is room.
    let before = copied.writer.written();
    let taken = scene
        .client
        .create_snapshot(request)
        .unwrap()
        .snapshot
        .unwrap();
    let ready = copied.ready(&taken.snapshot_id);
    assert!(before <= copied.writer.written());
    scene.forget(&ready);
    scene.release_after(copied.writer, &copied.volume);
}
