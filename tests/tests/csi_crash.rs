//! A crash at any moment: the driver is killed in front of every system call with which a call of CSI changes something.
//! After the next start the same call completes and the data is whole, or, without a repeat, the opposite calls take all
//! away that there was. Nothing is left either way: no mount, loop device or file, and no filesystem frozen.
//!
//! A first call lists the moments. Those are tried that leave something else than the one before, this one in the one way
//! and the next in the other; with the variable `HAWSER_CRASH_ALL` set, all of them in both ways.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]
#![allow(clippy::print_stdout, reason = "the story of a failed test")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proto::csi::*;
use testkit::csi::{Leaks, PoolKind, Pv, Scene, Tripwire, requests::*};
use tonic::{Code, Status};

/// How long the driver may be busy with what it does in the background.
const PATIENCE: Duration = Duration::from_secs(20);
const POD: &str = "pod";

type Shape = fn(CreateVolumeRequest) -> CreateVolumeRequest;

/// What a call works on.
struct Case {
    /// Different in each round.
    name: String,
    shape: Shape,
    /// Volumes that the pod uses, or may use.
    volumes: Vec<Pv>,
}

/// A call that is to survive a crash.
struct Sweep {
    pool: PoolKind,
    /// Of the volumes that it is about.
    shape: Shape,
    /// What is there before.
    before: fn(&World, &mut Case),
    call: fn(&World, &mut Case) -> Result<(), Status>,
    /// What is seen to be so when the call has succeeded.
    after: fn(&World, &mut Case),
    /// What can be done instead of a repeat, before all is taken back.
    instead: fn(&World, &mut Case),
}

/// What is done after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Repeat,
    Opposite,
}

struct World {
    scene: Scene,
}

/// What pods keep.
fn precious() -> Vec<u8> {
    b"precious".repeat(9000)
}

/// Calls again as long as the driver is busy with the object.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Status>) -> Result<T, Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(busy) if busy.code() == Code::Aborted && Instant::now() < deadline => {
                thread::yield_now();
            }
            outcome => return outcome,
        }
    }
}

/// Calls again until what was asked for is ready.
fn until_ready<T>(
    call: impl Fn() -> Result<T, Status>,
    ready: fn(&T) -> bool,
) -> Result<T, Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let made = patiently(&call)?;
        if ready(&made) {
            return Ok(made);
        }
        assert!(Instant::now() < deadline, "never ready");
    }
}

fn is_block(pv: &Pv) -> bool {
    pv.capability == block()
}

impl World {
    /// Makes a volume and adds it to the case.
    fn make(
        &self,
        case: &mut Case,
        change: impl Fn(CreateVolumeRequest) -> CreateVolumeRequest,
    ) -> Result<Pv, Status> {
        let name = format!("{}-{}", case.name, case.volumes.len());
        let request = change((case.shape)(create_volume(&name)));
        let volume = patiently(|| self.scene.client.create_volume(request.clone()))?
            .volume
            .unwrap();
        let capability = request.volume_capabilities[0].clone();
        let pv = Pv::of(&name, &volume).used_as(capability);
        case.volumes.push(pv.clone());
        Ok(pv)
    }

    /// Where the pod has its data.
    fn file(&self, pv: &Pv) -> PathBuf {
        let target = self.scene.kubelet.target_path(pv, POD);
        if is_block(pv) {
            target
        } else {
            target.join("precious")
        }
    }

    fn publish(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.publish(pv, POD)).map(drop)
    }

    fn unpublish(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.unpublish(pv, POD))
    }

    fn unstage(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.unstage(pv))
    }

    fn write(&self, pv: &Pv) {
        let file = self.file(pv);
        self.scene.node.run(|| {
            let file = File::options().write(true).create(!is_block(pv)).open(file);
            let mut file = file.unwrap();
            file.write_all(&precious()).unwrap();
            file.sync_all().unwrap();
        });
    }

    /// Sees that a pod finds in the volume what was written to it, or to what it was copied from.
    fn assert_whole(&self, pv: &Pv) {
        self.publish(pv).unwrap();
        let mut found = vec![0; precious().len()];
        let file = self.file(pv);
        self.scene
            .node
            .run(|| File::open(file).unwrap().read_exact(&mut found).unwrap());
        assert!(found == precious(), "{} has lost its data", pv.name);
    }

    /// Sees that writes to what is mounted go through: nothing is frozen.
    fn assert_thawed(&self, case: &Case) {
        for pv in &case.volumes {
            let target = self.scene.kubelet.target_path(pv, POD);
            if is_block(pv) || self.scene.node.mount_at(&target).is_none() {
                continue;
            }
            let place = self.scene.node.place().clone();
            let target = target.display().to_string();
            let script = format!("cd {target} && echo > more && sync -f . && rm more");
            let (done, written) = mpsc::channel();
            // A thread that a frozen filesystem holds is let go when the node is dropped.
            thread::spawn(move || done.send(place.succeeds(&script)));
            assert_eq!(
                written.recv_timeout(PATIENCE),
                Ok(true),
                "a write to {target}"
            );
        }
    }

    /// Everything that takes back, by an orchestrator that has forgotten what it did before.
    fn take_back(&self, case: &Case) {
        let client = &self.scene.client;
        for pv in &case.volumes {
            self.unpublish(pv).unwrap();
            if !pv.inline {
                self.unstage(pv).unwrap();
            }
        }
        for group in self.groups() {
            patiently(|| client.delete_volume_group_snapshot(delete_group(&group))).unwrap();
        }
        for snapshot in self.snapshots() {
            patiently(|| client.delete_snapshot(delete_snapshot(&snapshot.snapshot_id))).unwrap();
        }
        for id in self.volumes() {
            patiently(|| client.delete_volume(delete_volume(&id))).unwrap();
        }
    }

    fn volumes(&self) -> Vec<String> {
        let list = self.scene.client.list_volumes(list_volumes(0, "")).unwrap();
        list.entries
            .into_iter()
            .map(|entry| entry.volume.unwrap().volume_id)
            .collect()
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        let list = self
            .scene
            .client
            .list_snapshots(list_snapshots(0, ""))
            .unwrap();
        list.entries
            .into_iter()
            .map(|entry| entry.snapshot.unwrap())
            .collect()
    }

    fn groups(&self) -> Vec<VolumeGroupSnapshot> {
        let mut groups: Vec<VolumeGroupSnapshot> = Vec::new();
        for snapshot in self.snapshots() {
            let id = snapshot.group_snapshot_id.clone();
            match groups
                .iter_mut()
                .find(|group| group.group_snapshot_id == id)
            {
                _ if id.is_empty() => {}
                Some(group) => group.snapshots.push(snapshot),
                None => groups.push(VolumeGroupSnapshot {
                    group_snapshot_id: id,
                    snapshots: vec![snapshot],
                    ..VolumeGroupSnapshot::default()
                }),
            }
        }
        groups
    }
}

impl Sweep {
    /// The moments to try: in front of the calls that were met, and after them.
    fn moments(calls: &[String]) -> Vec<(usize, Then)> {
        let numbers = 1..calls.len() + 2;
        if std::env::var_os("HAWSER_CRASH_ALL").is_some() {
            let both = |number| [(number, Then::Repeat), (number, Then::Opposite)];
            return numbers.flat_map(both).collect();
        }
        // Half a commit of the store is none, and what is not written to the disk yet outlives a process.
        let is_dull = |number: usize| {
            let call = calls.get(number - 1).map(String::as_str);
            matches!(call, Some("pwrite64" | "fsync" | "fdatasync"))
        };
        let telling =
            numbers.filter(|number| !is_dull(*number) || *number == 1 || !is_dull(number - 1));
        let ways = [Then::Opposite, Then::Repeat].into_iter().cycle();
        telling.zip(ways).collect()
    }

    fn run(&self) {
        let modifiable =
            |setup: testkit::csi::Setup| setup.flag("enable-controller-modify-volume", "true");
        let mut world = World {
            scene: Scene::with(self.pool, modifiable),
        };
        let calls = self.round(&mut world, "undisturbed", None);
        assert!(calls.len() > 2, "it changes more than {calls:?}");
        let moments = Self::moments(&calls);
        let mut killed = 0;
        for (round, moment) in moments.iter().enumerate() {
            let met = self.round(&mut world, &format!("round-{round}"), Some(*moment));
            killed += usize::from(met.len() == moment.0);
        }
        // How often a call is made differs a little from time to time.
        assert!(
            killed * 2 >= moments.len(),
            "only {killed} of {} moments came",
            moments.len()
        );
    }

    /// The call once, with or without a crash. Returns the system calls that were met.
    fn round(&self, world: &mut World, name: &str, crash: Option<(usize, Then)>) -> Vec<String> {
        let mut case = Case {
            name: name.to_owned(),
            shape: self.shape,
            volumes: Vec::new(),
        };
        let leaks = Leaks::of(&world.scene.node, &[&world.scene.pool]);
        (self.before)(world, &mut case);
        let (number, then) = crash.unwrap_or((0, Then::Repeat));
        let tripwire = Tripwire::before(&world.scene.driver, number);
        let outcome = (self.call)(world, &mut case);
        let calls = tripwire.calls();
        println!(
            "{name}: {then:?} after a crash at {number}: {}",
            calls.join(" ")
        );
        if crash.is_none() {
            outcome.unwrap();
        } else {
            world.scene.driver.crash();
        }
        match then {
            Then::Repeat => {
                if crash.is_some() {
                    (self.call)(world, &mut case).unwrap();
                }
                world.assert_thawed(&case);
                (self.after)(world, &mut case);
            }
            Then::Opposite => {
                world.assert_thawed(&case);
                (self.instead)(world, &mut case);
            }
        }
        world.take_back(&case);
        leaks.assert_none();
        calls
    }
}

fn directory(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.size(64 * MIB).parameter("kind", "directory")
}

fn unenforced(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(64 * MIB)
        .parameter("kind", "unenforced-directory")
}

fn ext4(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(64 * MIB)
        .parameter("kind", "image")
        .filesystem("ext4")
}

fn xfs(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(300 * MIB)
        .parameter("kind", "image")
        .filesystem("xfs")
}

fn raw(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.size(16 * MIB).block()
}

fn nothing(_: &World, _: &mut Case) {}

fn published(world: &World, case: &mut Case) {
    let pv = world.make(case, |request| request).unwrap();
    world.publish(&pv).unwrap();
    world.write(&pv);
}

fn two_published(world: &World, case: &mut Case) {
    published(world, case);
    published(world, case);
}

fn staged(world: &World, case: &mut Case) {
    published(world, case);
    world.unpublish(&case.volumes[0]).unwrap();
}

fn staged_for_reading(world: &World, case: &mut Case) {
    staged(world, case);
    case.volumes[0].readonly = true;
}

fn published_for_reading(world: &World, case: &mut Case) {
    staged_for_reading(world, case);
    world.publish(&case.volumes[0]).unwrap();
}

fn unstaged(world: &World, case: &mut Case) {
    staged(world, case);
    world.unstage(&case.volumes[0]).unwrap();
}

/// Growth of ext4 that has to wait until it is not mounted.
fn to_be_grown(world: &World, case: &mut Case) {
    unstaged(world, case);
    expand_to(world, case, 100).unwrap();
}

fn promised(world: &World, case: &mut Case) {
    published(world, case);
    expand_to(world, case, 400).unwrap();
}

fn with_snapshot(world: &World, case: &mut Case) {
    unstaged(world, case);
    take_snapshot(world, case).unwrap();
}

fn two_staged(world: &World, case: &mut Case) {
    two_published(world, case);
    for pv in &case.volumes {
        world.unpublish(pv).unwrap();
    }
}

fn with_group(world: &World, case: &mut Case) {
    two_staged(world, case);
    take_group(world, case).unwrap();
}

fn inline(case: &mut Case, kind: &str) {
    let attributes = [("size", "64Mi"), ("kind", kind)];
    case.volumes.push(Pv::inline(&case.name, &attributes));
}

fn inline_image(_: &World, case: &mut Case) {
    inline(case, "image");
}

fn inline_directory(_: &World, case: &mut Case) {
    inline(case, "directory");
}

fn used_inline_image(world: &World, case: &mut Case) {
    inline_image(world, case);
    used(world, case);
}

fn used_inline_directory(world: &World, case: &mut Case) {
    inline_directory(world, case);
    used(world, case);
}

fn create(world: &World, case: &mut Case) -> Result<(), Status> {
    world.make(case, |request| request).map(drop)
}

fn restore(world: &World, case: &mut Case) -> Result<(), Status> {
    let snapshot = world.snapshots().pop().unwrap().snapshot_id;
    world
        .make(case, |request| request.restoring(&snapshot))
        .map(drop)
}

fn clone(world: &World, case: &mut Case) -> Result<(), Status> {
    let source = case.volumes[0].volume.volume_id.clone();
    world
        .make(case, |request| request.cloning(&source))
        .map(drop)
}

fn delete(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = delete_volume(&case.volumes[0].volume.volume_id);
    patiently(|| world.scene.client.delete_volume(request.clone())).map(drop)
}

fn staged_again(world: &World, case: &mut Case) {
    stage(world, case).unwrap();
    whole(world, case);
}

fn stage(world: &World, case: &mut Case) -> Result<(), Status> {
    patiently(|| world.scene.kubelet.stage(&case.volumes[0]))
}

fn publish(world: &World, case: &mut Case) -> Result<(), Status> {
    world.publish(&case.volumes[0])
}

fn unpublish(world: &World, case: &mut Case) -> Result<(), Status> {
    world.unpublish(&case.volumes[0])
}

fn unstage(world: &World, case: &mut Case) -> Result<(), Status> {
    world.unstage(&case.volumes[0])
}

fn expand_to(world: &World, case: &mut Case, mib: i64) -> Result<(), Status> {
    let request = expand(&case.volumes[0].volume.volume_id, mib * MIB);
    patiently(|| world.scene.client.controller_expand_volume(request.clone())).map(drop)
}

fn expand_both(world: &World, case: &mut Case) -> Result<(), Status> {
    expand_to(world, case, 400)?;
    patiently(|| world.scene.kubelet.expand(&case.volumes[0], POD, 400 * MIB)).map(drop)
}

fn reserve(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = modify(&case.volumes[0].volume.volume_id).mutable("provisioning", "thick");
    patiently(|| world.scene.client.controller_modify_volume(request.clone())).map(drop)
}

fn give_back(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = modify(&case.volumes[0].volume.volume_id).mutable("provisioning", "thin");
    patiently(|| world.scene.client.controller_modify_volume(request.clone())).map(drop)
}

fn take_snapshot(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = create_snapshot(&case.name, &case.volumes[0].volume.volume_id);
    let take = || world.scene.client.create_snapshot(request.clone());
    until_ready(take, |taken| taken.snapshot.as_ref().unwrap().ready_to_use).map(drop)
}

fn remove_snapshot(world: &World, _: &mut Case) -> Result<(), Status> {
    let Some(snapshot) = world.snapshots().pop() else {
        return Ok(());
    };
    let request = delete_snapshot(&snapshot.snapshot_id);
    patiently(|| world.scene.client.delete_snapshot(request.clone())).map(drop)
}

fn take_group(world: &World, case: &mut Case) -> Result<(), Status> {
    let ids: Vec<_> = case
        .volumes
        .iter()
        .map(|pv| pv.volume.volume_id.as_str())
        .collect();
    let request = create_group(&case.name, &ids);
    let take = || {
        world
            .scene
            .client
            .create_volume_group_snapshot(request.clone())
    };
    until_ready(take, |taken| {
        taken.group_snapshot.as_ref().unwrap().ready_to_use
    })
    .map(drop)
}

fn remove_group(world: &World, _: &mut Case) -> Result<(), Status> {
    let Some(group) = world.groups().pop() else {
        return Ok(());
    };
    patiently(|| {
        world
            .scene
            .client
            .delete_volume_group_snapshot(delete_group(&group))
    })
    .map(drop)
}

fn used(world: &World, case: &mut Case) {
    world.publish(&case.volumes[0]).unwrap();
    world.write(&case.volumes[0]);
}

fn whole(world: &World, case: &mut Case) {
    case.volumes.iter().for_each(|pv| world.assert_whole(pv));
}

/// A volume of which there was one, and is none.
fn gone(world: &World, _: &mut Case) {
    assert_eq!(world.volumes(), Vec::<String>::new());
}

fn grown(world: &World, case: &mut Case) {
    whole(world, case);
    let script = format!(
        "stat -f -c %b {}",
        world
            .scene
            .kubelet
            .target_path(&case.volumes[0], POD)
            .display()
    );
    let blocks: i64 = world.scene.node.sh(&script).parse().unwrap();
    assert!(blocks * 4096 > 310 * MIB, "it has {blocks} blocks");
}

/// Everything that was snapshotted can be had back.
fn restorable(world: &World, case: &mut Case) {
    for snapshot in world.snapshots() {
        let id = snapshot.snapshot_id;
        let copy = world.make(case, |request| request.restoring(&id)).unwrap();
        world.assert_whole(&copy);
    }
    whole(world, case);
}

fn no_snapshots(world: &World, case: &mut Case) {
    assert_eq!(world.snapshots(), Vec::new());
    whole(world, case);
}

macro_rules! sweeps {
    ($($name:ident: $pool:ident, $shape:ident, $before:ident, $call:ident, $after:ident, $instead:ident;)+) => {
        $(#[test]
        fn $name() {
            Sweep { pool: PoolKind::$pool, shape: $shape, before: $before, call: $call, after: $after, instead: $instead }.run();
        })+
    };
}

sweeps! {
    // name: pool, volumes, before, call, after a repeat, instead of it
    create_directory: Btrfs, directory, nothing, create, used, nothing;
    create_unenforced: Ext4, unenforced, nothing, create, used, nothing;
    create_ext4: Ext4, ext4, nothing, create, used, nothing;
    create_xfs: Xfs, xfs, nothing, create, used, nothing;
    create_block: Xfs, raw, nothing, create, used, nothing;
    restore_directory: Btrfs, directory, with_snapshot, restore, whole, nothing;
    restore_directory_by_copying: Ext4, unenforced, with_snapshot, restore, whole, nothing;
    restore_image: Xfs, ext4, with_snapshot, restore, whole, nothing;
    restore_image_by_copying: Ext4, ext4, with_snapshot, restore, whole, nothing;
    clone_directory: Btrfs, directory, published, clone, whole, whole;
    clone_directory_by_copying: Ext4, unenforced, unstaged, clone, whole, whole;
    clone_image: Xfs, ext4, published, clone, whole, whole;
    clone_image_by_copying: Ext4, ext4, published, clone, whole, whole;
    clone_block: Xfs, raw, published, clone, whole, whole;
    delete_directory: Btrfs, directory, unstaged, delete, gone, nothing;
    delete_unenforced: Ext4, unenforced, unstaged, delete, gone, nothing;
    delete_image: Xfs, ext4, unstaged, delete, gone, nothing;
    stage_directory: Btrfs, directory, unstaged, stage, whole, nothing;
    stage_image: Xfs, ext4, unstaged, stage, whole, nothing;
    stage_image_that_grows: Ext4, ext4, to_be_grown, stage, whole, whole;
    stage_block: Xfs, raw, unstaged, stage, whole, nothing;
    publish_directory: Btrfs, directory, staged, publish, whole, nothing;
    publish_image: Xfs, xfs, staged, publish, whole, nothing;
    publish_block: Ext4, raw, staged, publish, whole, nothing;
    publish_block_for_reading: Ext4, raw, staged_for_reading, publish, whole, nothing;
    publish_inline_image: Xfs, ext4, inline_image, publish, used, nothing;
    publish_inline_directory: Btrfs, directory, inline_directory, publish, used, nothing;
    unpublish_directory: Btrfs, directory, published, unpublish, whole, whole;
    unpublish_image: Xfs, ext4, published, unpublish, whole, whole;
    unpublish_block: Ext4, raw, published, unpublish, whole, whole;
    unpublish_block_for_reading: Ext4, raw, published_for_reading, unpublish, whole, whole;
    unpublish_inline_image: Xfs, ext4, used_inline_image, unpublish, used, used;
    unpublish_inline_directory: Btrfs, directory, used_inline_directory, unpublish, used, used;
    unstage_directory: Btrfs, directory, staged, unstage, whole, staged_again;
    unstage_image: Xfs, xfs, staged, unstage, whole, staged_again;
    unstage_block: Ext4, raw, staged, unstage, whole, staged_again;
    expand_image: Xfs, xfs, published, expand_both, grown, whole;
    expand_what_was_promised: Xfs, xfs, promised, expand_both, grown, whole;
    expand_directory: Btrfs, directory, published, expand_both, whole, whole;
    expand_block: Ext4, raw, published, expand_both, whole, whole;
    reserve_space: Xfs, ext4, published, reserve, whole, whole;
    give_space_back: Ext4, raw, unstaged, give_back, whole, whole;
    snapshot_directory: Btrfs, directory, published, take_snapshot, restorable, whole;
    snapshot_directory_by_copying: Ext4, unenforced, unstaged, take_snapshot, restorable, whole;
    snapshot_image: Xfs, xfs, published, take_snapshot, restorable, whole;
    snapshot_image_by_copying: Ext4, ext4, published, take_snapshot, restorable, whole;
    snapshot_block: Xfs, raw, published, take_snapshot, restorable, whole;
    delete_snapshot_of_directory: Btrfs, directory, with_snapshot, remove_snapshot, no_snapshots, whole;
    delete_snapshot_of_image: Ext4, ext4, with_snapshot, remove_snapshot, no_snapshots, whole;
    group_of_images: Xfs, ext4, two_published, take_group, restorable, whole;
    group_of_images_by_copying: Ext4, ext4, two_published, take_group, restorable, whole;
    group_of_directories: Btrfs, directory, two_staged, take_group, restorable, whole;
    delete_group_of_images: Xfs, ext4, with_group, remove_group, no_snapshots, whole;
    delete_group_of_directories: Btrfs, directory, with_group, remove_group, no_snapshots, whole;
}

#[test]
fn a_reboot_ends_a_freeze() {
    let sweep = Sweep {
        pool: PoolKind::Xfs,
        shape: xfs,
        before: published,
        call: take_snapshot,
        after: nothing,
        instead: nothing,
    };
    let mut world = World {
        scene: Scene::on(sweep.pool),
    };
    let calls = sweep.round(&mut world, "undisturbed", None);
    let thaw = calls.iter().position(|call| call == "FITHAW").unwrap();
    let mut case = Case {
        name: "frozen".to_owned(),
        shape: xfs,
        volumes: Vec::new(),
    };
    published(&world, &mut case);
    let tripwire = Tripwire::before(&world.scene.driver, thaw + 1);
    take_snapshot(&world, &mut case).unwrap_err();
    assert_eq!(tripwire.calls(), calls[..=thaw]);
    world.scene.reboot();
    whole(&world, &mut case);
    expand_both(&world, &mut case).unwrap();
    grown(&world, &mut case);
    world.take_back(&case);
}
