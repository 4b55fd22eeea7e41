//! Many callers at once, callers that go away, and a driver that ends in the middle (G-10, G-11, CV-11).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use proto::csi::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use testkit::at_once;
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, Driver, Leaks, Node, PoolDisk, PoolKind, Pv, Scene, Setup};
use tonic::{Code, Status};

/// How long something that is being worked on may go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a call as a sidecar does: again and again while the answer is that somebody works on it, or that time is up.
fn settled<T>(mut call: impl FnMut() -> Result<T, Status>) -> Result<T, Status> {
    let begun = Instant::now();
    loop {
        let answer = call();
        let goes_on = |code| {
            matches!(
                code,
                Code::Aborted | Code::DeadlineExceeded | Code::Unavailable
            )
        };
        match answer {
            Err(status) if goes_on(status.code()) && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            answer => return answer,
        }
    }
}

/// The ids of all volumes.
fn listed(client: &Client) -> BTreeSet<String> {
    let entries = client.list_volumes(list_volumes(0, "")).unwrap().entries;
    entries
        .into_iter()
        .map(|entry| entry.volume().unwrap().volume_id)
        .collect()
}

/// A raw device of the least size.
fn small(name: &str) -> CreateVolumeRequest {
    create_volume(name).block().size(4096)
}

/// A volume for each name, of several sorts.
fn request(name: usize) -> CreateVolumeRequest {
    let request = create_volume(&format!("v-{name}"));
    match name % 4 {
        0 => request.block().size(4096),
        1 => request.block().size(MIB).parameter("provisioning", "thick"),
        2 => request.size(MIB).parameter("kind", "unenforced-directory"),
        _ => request.size(16 * MIB).filesystem("ext4"),
    }
}

const NAMES: usize = 8;
const CALLERS: usize = 200;

#[test]
fn cv_11_g_11_of_200_creations_at_once_each_name_gets_one_volume() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let leaks = scene.leaks();
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| (number % NAMES, scene.client.clone()))
            .collect();
        let answers = at_once(&callers, |(name, caller)| {
            let first = caller.create_volume(request(*name));
            // Whoever works on it already is waited for, and nothing else goes wrong.
            if let Err(status) = &first {
                assert_eq!(status.code(), Code::Aborted, "{status}");
            }
            (
                *name,
                settled(|| caller.create_volume(request(*name)))
                    .unwrap()
                    .volume
                    .unwrap(),
            )
        });
        let mut volumes = BTreeMap::new();
        for (name, volume) in answers {
            let id = volume.volume_id;
            let known = volumes.entry(name).or_insert_with(|| id.clone());
            assert_eq!(*known, id, "{pool:?}: volume {name} was made twice");
        }
        let ids = volumes.values().cloned().collect();
        assert_eq!(listed(&scene.client), ids, "{pool:?}");
        assert_eq!(ids.len(), NAMES, "{pool:?}");

        at_once(&callers, |(name, caller)| {
            let id = &volumes[name];
            settled(|| caller.delete_volume(delete_volume(id))).unwrap();
        });
        assert!(listed(&scene.client).is_empty(), "{pool:?}");
        leaks.assert_none();
    }
}

#[test]
fn cv_11_dv_01_creations_and_deletions_in_any_order_come_to_one_volume_or_none() {
    let scene = Scene::on(PoolKind::Xfs);
    let leaks = scene.leaks();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| (number, scene.client.clone()))
        .collect();
    at_once(&callers, |(number, caller)| {
        let name = number % NAMES;
        let created = settled(|| caller.create_volume(request(name))).unwrap();
        let id = created.volume.unwrap().volume_id;
        match number / NAMES % 4 {
            0 => drop(settled(|| caller.delete_volume(delete_volume(&id))).unwrap()),
            1 => {
                let copy = create_snapshot(&format!("s-{number}"), &id);
                match settled(|| caller.create_snapshot(copy.clone())) {
                    Ok(taken) => {
                        let id = taken.snapshot.unwrap().snapshot_id;
                        settled(|| caller.delete_snapshot(delete_snapshot(&id))).unwrap();
                    }
                    // Somebody else has deleted it.
                    Err(status) => assert_eq!(status.code(), Code::NotFound, "{status}"),
                }
            }
            2 => match settled(|| caller.controller_expand_volume(expand(&id, 32 * MIB))) {
                Ok(grown) => assert_eq!(grown.capacity_bytes, 32 * MIB),
                Err(status) => assert_eq!(status.code(), Code::NotFound, "{status}"),
            },
            _ => drop(listed(caller)),
        }
    });
    let left = at_once(&callers, |(number, caller)| {
        let name = number % NAMES;
        (
            name,
            settled(|| caller.create_volume(request(name)))
                .unwrap()
                .volume
                .unwrap()
                .volume_id,
        )
    });
    let left: BTreeSet<(usize, String)> = left.into_iter().collect();
    assert_eq!(left.len(), NAMES, "{left:#?}");
    let ids: BTreeSet<String> = left.into_iter().map(|(_, id)| id).collect();
    assert_eq!(listed(&scene.client), ids);
    for id in &ids {
        scene.client.delete_volume(delete_volume(id)).unwrap();
    }
    leaks.assert_none();
}

/// A raw device full of bytes that no filesystem leaves out, and the sum of them.
fn full(scene: &Scene, size: i64) -> (Pv, String) {
    let volume = scene
        .client
        .create_volume(create_volume("source").block().size(size));
    let pv = Pv::of("source", &volume.unwrap().volume.unwrap()).block();
    let device = scene.kubelet.publish(&pv, "pod").unwrap();
    scene.node.sh(&format!(
        "head -c {size} /dev/urandom > {}",
        device.display()
    ));
    let sum = sum(scene, &pv);
    scene.kubelet.unpublish(&pv, "pod").unwrap();
    scene.kubelet.unstage(&pv).unwrap();
    (pv, sum)
}

/// The sum of what is on a raw device.
fn sum(scene: &Scene, pv: &Pv) -> String {
    let device = scene.kubelet.target_path(pv, "pod");
    scene
        .node
        .sh(&format!("sync; sha256sum < {}", device.display()))
}

/// What is on a device that nobody uses.
fn content(scene: &Scene, volume: &Volume) -> String {
    let pv = Pv::of("copy", volume).block();
    scene.kubelet.publish(&pv, "pod").unwrap();
    let sum = sum(scene, &pv);
    scene.kubelet.unpublish(&pv, "pod").unwrap();
    scene.kubelet.unstage(&pv).unwrap();
    sum
}

/// Clones a volume as somebody whose patience ends in the middle, who meets `meanwhile`, and who then comes again.
fn interrupted(meanwhile: impl FnOnce(&Client, &mut Driver)) {
    let mut scene = Scene::on(PoolKind::Ext4);
    let (source, before) = full(&scene, 256 * MIB);
    let leaks = Leaks::of(&scene.node, &[&scene.pool]);
    let id = source.volume.volume_id.clone();
    let copy = || create_volume("copy").block().cloning(&id);
    let hasty = scene.client.clone().within(Duration::from_millis(20));
    let gone = hasty.create_volume(copy()).unwrap_err();
    assert_eq!(gone.code(), Code::DeadlineExceeded, "{gone}");
    meanwhile(&scene.client, &mut scene.driver);
    let made = settled(|| scene.client.create_volume(copy()))
        .unwrap()
        .volume
        .unwrap();
    let again = scene.client.create_volume(copy()).unwrap().volume;
    assert_eq!(again.as_ref(), Some(&made));
    assert_eq!(
        listed(&scene.client),
        [id.clone(), made.volume_id.clone()].into()
    );
    assert_eq!(content(&scene, &made), before);
    scene
        .client
        .delete_volume(delete_volume(&made.volume_id))
        .unwrap();
    leaks.assert_none();
}

#[test]
fn g_10_who_gave_up_comes_again_and_finds_the_same_volume() {
    interrupted(|_, _| {});
}

#[test]
fn g_10_cv_11_a_driver_that_is_killed_in_the_middle_makes_one_volume_later() {
    interrupted(|_, driver| driver.crash());
}

#[test]
fn g_10_cv_11_a_driver_that_is_stopped_in_the_middle_makes_one_volume_later() {
    interrupted(|_, driver| driver.restart());
}

/// A filesystem that nothing can be written to for a while: whoever tries, waits.
struct Frozen<'a> {
    node: &'a Node,
    disk: &'a PoolDisk,
}

impl<'a> Frozen<'a> {
    fn new(node: &'a Node, disk: &'a PoolDisk) -> Self {
        node.sh(&format!("fsfreeze --freeze {}", disk.path().display()));
        Self { node, disk }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let path = self.disk.path().display();
        self.node.sh(&format!("fsfreeze --unfreeze {path}"));
    }
}

#[test]
fn g_11_what_is_worked_on_does_not_hold_up_the_rest() {
    let node = Node::new();
    let disks = ["pool", "slow"].map(|name| PoolDisk::named(&node, name, PoolKind::Ext4, 1 << 30));
    let slow = format!("slow={}", disks[1].path().display());
    let driver = Setup::on(&node, disks[0].path())
        .flag("pool", &slow)
        .start();
    let client = Client::on(node.place(), driver.setup().socket());
    let source = client
        .create_volume(small("source"))
        .unwrap()
        .volume
        .unwrap()
        .volume_id;
    let leaks = Leaks::of(&node, &[&disks[0], &disks[1]]);
    let copy = || {
        create_volume("copy")
            .block()
            .cloning(&source)
            .parameter("pool", "slow")
    };

    let frozen = Frozen::new(&node, &disks[1]);
    let hasty = client.clone().within(Duration::from_millis(20));
    let gone = hasty.create_volume(copy()).unwrap_err();
    assert_eq!(gone.code(), Code::DeadlineExceeded, "{gone}");
    let other = client
        .create_volume(small("other"))
        .unwrap()
        .volume
        .unwrap()
        .volume_id;
    client.controller_get_volume(get_volume(&other)).unwrap();
    client
        .get_capacity(GetCapacityRequest::default().parameter("pool", "slow"))
        .unwrap();
    client.delete_volume(delete_volume(&other)).unwrap();
    client.probe(ProbeRequest {}).unwrap();
    assert_eq!(listed(&client), [source.clone()].into());
    // It goes on without its caller, and is neither begun twice nor robbed of its source.
    let again = client.create_volume(copy());
    again.refused("the same", Code::Aborted, "\"copy\"");
    client
        .create_volume(small("copy"))
        .refused("the name", Code::Aborted, "\"copy\"");
    client
        .delete_volume(delete_volume(&source))
        .refused("the source", Code::Aborted, &source);

    drop(frozen);
    let made = settled(|| client.create_volume(copy()))
        .unwrap()
        .volume
        .unwrap();
    assert_eq!(
        listed(&client),
        [source.clone(), made.volume_id.clone()].into()
    );
    client
        .delete_volume(delete_volume(&made.volume_id))
        .unwrap();
    leaks.assert_none();
}
