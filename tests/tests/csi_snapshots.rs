//! Snapshots: how they are asked for, listed and deleted, and that each is of one moment.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::path::PathBuf;

use proto::csi::{ListSnapshotsRequest, Snapshot};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene, Writer, records};
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
