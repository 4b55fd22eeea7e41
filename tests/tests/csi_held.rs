//! Volumes that are held still while their bytes are copied, because their pool cannot share them: who notices, and what
//! becomes of a copy when its driver is killed or ended, or the room does not suffice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use proto::csi::{CreateVolumeRequest, Snapshot};
use rustix::process::{Pid, Signal, kill_process};
use testkit::csi::requests::*;
use testkit::csi::{Client, PoolDisk, PoolKind, Pv, Scene, Writer, records};
use testkit::eventually;
use tonic::{Code, Status};

fn image(name: &str) -> CreateVolumeRequest {
    create_volume(name)
        .size(128 * MIB)
        .filesystem("ext4")
        .parameter("kind", "image")
}

/// All snapshots.
fn listed(scene: &Scene) -> Vec<Snapshot> {
    let listed = scene.client.list_snapshots(list_snapshots(0, "")).unwrap();
    let entries = listed.entries.into_iter();
    entries.map(|entry| entry.snapshot.unwrap()).collect()
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
        // Thick: on a full pool a thin one's own writes fail, which is another matter.
        let volume = scene.volume(
            image("busy")
                .parameter("pool", "other")
                .parameter("provisioning", "thick"),
        );
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
    fn stop_in_copy(&self) -> thread::JoinHandle<Result<Snapshot, Status>> {
        let request = create_snapshot("snapshot", self.id());
        self.stop_in_copy_of(|caller| Ok(caller.create_snapshot(request)?.snapshot.unwrap()))
    }

    /// The same with another call.
    fn stop_in_copy_of<T: Send + 'static>(
        &self,
        call: impl FnOnce(Client) -> Result<T, Status> + Send + 'static,
    ) -> thread::JoinHandle<Result<T, Status>> {
        let caller = self.scene.client.clone();
        let call = thread::spawn(move || call(caller));
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

    /// The end of a test: the volume can be taken away.
    fn end(self) {
        self.writer.stop();
        self.scene.release(&self.volume);
        self.scene.delete(&self.volume);
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
    fn assert_holds(&self, snapshot: &Snapshot, possible: RangeInclusive<u64>) {
        let restored = create_volume("restored").restoring(&snapshot.snapshot_id);
        self.assert_has(&self.scene.volume(restored), possible);
    }

    /// The same of a copy, which is deleted then.
    fn assert_has(&self, copy: &Pv, possible: RangeInclusive<u64>) {
        let path = self.scene.publish(copy);
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
        self.scene.release(copy);
        self.scene.delete(copy);
    }
}

/// Whether an image in a directory of objects has bytes.
fn is_being_copied(making: &Path) -> bool {
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
    assert_eq!(listed(scene), std::slice::from_ref(&taken));

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
    let target = scene.kubelet.target_path(&copied.volume, "pod-of-busy");
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
    copied.end();
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
    let ready = copied.ready(&listed(&copied.scene)[0].snapshot_id);
    copied.writer.goes_on();
    let again = create_snapshot("snapshot", copied.id());
    let again = copied.scene.client.create_snapshot(again).unwrap();
    assert_eq!(again.snapshot, Some(ready.clone()));
    copied.assert_holds(&ready, before..=at_cut + 1);
    copied.scene.forget(&ready);
    copied.end();
}

#[test]
fn gg_02_a_driver_that_is_killed_in_a_group_s_copy_makes_all_of_it_anew() {
    let mut copied = Copied::new();
    let other = copied
        .scene
        .volume(image("other").parameter("pool", "other"));
    let path = copied.scene.publish(&other);
    copied.scene.node.write(path.join("file"), "content");
    let before = copied.writer.written();
    let request = create_group("group", &[copied.id(), &other.volume.volume_id]);
    let again = request.clone();
    let call = copied.stop_in_copy_of(|caller| caller.create_volume_group_snapshot(request));
    let at_cut = copied.writer.written();
    copied.scene.driver.kill();
    call.join().unwrap().unwrap_err();

    copied.scene.driver.start();
    for member in listed(&copied.scene) {
        copied.ready(&member.snapshot_id);
    }
    copied.writer.goes_on();
    // Written to the other, which was held still as well.
    copied.scene.node.write(path.join("file"), "changed");
    let group = copied
        .scene
        .client
        .create_volume_group_snapshot(again)
        .unwrap();
    let group = group.group_snapshot.unwrap();
    assert!(
        group.ready_to_use && group.snapshots.len() == 2,
        "{group:?}"
    );
    copied.assert_holds(&group.snapshots[0], before..=at_cut + 1);
    let restored = create_volume("of the other").restoring(&group.snapshots[1].snapshot_id);
    let restored = copied.scene.volume(restored);
    let found = copied.scene.publish(&restored).join("file");
    assert_eq!(copied.scene.node.read(found).unwrap(), "content");
    copied.scene.release(&restored);
    copied.scene.release(&other);
    copied.end();
}

/// A filesystem that was frozen for a group stays nobody's: when the group cannot be copied anew because other members cannot
/// be frozen again, it is thawed all the same.
#[test]
fn gg_02_a_group_that_cannot_be_held_still_again_lets_its_members_go() {
    let mut copied = Copied::new();
    // Several, so that some are likely to have their turn before the one that is written.
    let others = ["one", "two", "three", "four"]
        .map(|name| copied.scene.volume(image(name).parameter("pool", "other")));
    let paths = others.each_ref().map(|other| copied.scene.publish(other));
    let members = others.iter().map(|other| other.volume.volume_id.as_str());
    let members: Vec<_> = [copied.id()].into_iter().chain(members).collect();
    let request = create_group("group", &members);
    let again = request.clone();
    let call = copied.stop_in_copy_of(|caller| caller.create_volume_group_snapshot(request));
    copied.scene.driver.kill();
    call.join().unwrap().unwrap_err();
    for path in &paths {
        let path = path.display();
        copied.scene.node.sh(&format!(
            "fsfreeze --unfreeze {path}; xfs_io -x -c shutdown {path}"
        ));
    }

    copied.scene.driver.start();
    copied.writer.goes_on();
    let told = copied.scene.client.create_volume_group_snapshot(again);
    told.unwrap_err();
    assert!(listed(&copied.scene).is_empty());
    others.iter().for_each(|other| copied.scene.release(other));
    copied.end();
}

/// Nobody waits for a clone after a restart, so its source is let go and nothing stays of it.
#[test]
fn cv_07_a_driver_that_is_killed_in_a_clone_lets_its_source_go() {
    let mut copied = Copied::new();
    let files = copied.slow().files();
    let request = create_volume("clone").cloning(copied.id());
    let again = request.clone();
    let call = copied.stop_in_copy_of(|caller| caller.create_volume(request));
    copied.scene.driver.kill();
    call.join().unwrap().unwrap_err();

    copied.scene.driver.start();
    copied.writer.goes_on();
    eventually("nothing stays of the clone", || {
        copied.slow().files() == files
    });
    let before = copied.writer.written();
    let clone = copied.scene.volume(again);
    let after = copied.writer.written();
    copied.assert_has(&clone, before..=after + 1);
    copied.end();
}

#[test]
fn cv_07_a_driver_that_is_ended_in_a_clone_lets_its_source_go() {
    let mut copied = Copied::new();
    let files = copied.slow().files();
    let request = create_volume("clone").cloning(copied.id());
    let call = copied.stop_in_copy_of(|caller| caller.create_volume(request));
    copied.signal(Signal::TERM);
    copied.signal(Signal::CONT);
    let refused = call.join().unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(copied.scene.driver.stop().success());
    copied.writer.goes_on();
    assert_eq!(copied.slow().files(), files);
    copied.scene.driver.start();
    copied.end();
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
    copied.end();
}

#[test]
fn cs_01_without_room_nothing_is_left_and_the_volume_goes_on() {
    let copied = Copied::in_pool_of(320 << 20);
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
    assert!(listed(scene).is_empty());
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
    copied.end();
}
