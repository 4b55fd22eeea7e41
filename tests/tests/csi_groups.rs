//! Groups of snapshots: of one moment, whole or not at all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use proto::csi::{CreateVolumeRequest, VolumeGroupSnapshot};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene, Writer, records};
use testkit::eventually;
use tonic::Code;

/// An id that nothing has.
const NOBODY: &str = "0123456789abcdef0123456789abcdef";

fn raw(name: &str) -> CreateVolumeRequest {
    create_volume(name).size(4 * MIB).block()
}

fn image(name: &str) -> CreateVolumeRequest {
    create_volume(name)
        .size(64 * MIB)
        .parameter("kind", "image")
        .filesystem("ext4")
}

fn ids<'a>(volumes: &[&'a Pv]) -> Vec<&'a str> {
    volumes
        .iter()
        .map(|pv| pv.volume.volume_id.as_str())
        .collect()
}

/// A group that is ready.
#[track_caller]
fn take(scene: &Scene, name: &str, volumes: &[&Pv]) -> VolumeGroupSnapshot {
    let taken = scene
        .client
        .create_volume_group_snapshot(create_group(name, &ids(volumes)));
    let group = taken.unwrap().group_snapshot.unwrap();
    assert!(group.ready_to_use, "{group:?}");
    group
}

fn listed(scene: &Scene) -> usize {
    scene
        .client
        .list_snapshots(list_snapshots(0, ""))
        .unwrap()
        .entries
        .len()
}

#[test]
fn gg_01_gg_03_gg_06_a_group_and_its_members() {
    for pool in PoolKind::FILESYSTEMS {
        let mut scene = Scene::on(pool);
        let (one, two) = (scene.volume(raw("one")), scene.volume(image("two")));
        let group = take(&scene, "group", &[&one, &two]);
        assert_eq!(group.snapshots.len(), 2);
        for (member, volume) in group.snapshots.iter().zip([&one, &two]) {
            assert_eq!(member.group_snapshot_id, group.group_snapshot_id);
            assert_eq!(member.source_volume_id, volume.volume.volume_id);
            assert_eq!(member.size_bytes, volume.volume.capacity_bytes);
            assert_eq!(member.creation_time, group.creation_time);
            assert!(member.ready_to_use);
            let got = scene
                .client
                .get_snapshot(get_snapshot(&member.snapshot_id))
                .unwrap();
            assert_eq!(got.snapshot.as_ref(), Some(member));
            let refused = scene
                .client
                .delete_snapshot(delete_snapshot(&member.snapshot_id));
            assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        }
        assert_eq!(listed(&scene), 2);

        // The order of volumes, and of members, does not matter.
        let again = create_group("group", &ids(&[&two, &one]));
        let again = scene.client.create_volume_group_snapshot(again).unwrap();
        assert_eq!(again.group_snapshot.as_ref(), Some(&group));
        let mut get = get_group(&group);
        get.snapshot_ids.reverse();
        let got = scene.client.get_volume_group_snapshot(get.clone()).unwrap();
        assert_eq!(got.group_snapshot.as_ref(), Some(&group));
        scene.driver.crash();
        let got = scene.client.get_volume_group_snapshot(get).unwrap();
        assert_eq!(got.group_snapshot.as_ref(), Some(&group));

        // A member is a snapshot as others are.
        let member = &group.snapshots[1];
        let restored = create_volume("restored").restoring(&member.snapshot_id);
        let restored = scene.volume(restored);
        scene.publish(&restored);
        scene.release(&restored);
        scene.delete(&restored);
        scene.delete(&one);
        scene.delete(&two);
        let mut delete = delete_group(&group);
        delete.snapshot_ids.reverse();
        scene
            .client
            .delete_volume_group_snapshot(delete.clone())
            .unwrap();
        scene.client.delete_volume_group_snapshot(delete).unwrap();
        assert_eq!(listed(&scene), 0);
        let refused = scene
            .client
            .get_volume_group_snapshot(get_group(&group))
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        let snapshots = scene.pool.path().join("snapshots");
        assert!(scene.node.list(snapshots).is_empty());
    }
}

#[test]
fn gg_02_gg_04_gg_05_what_is_wrong_is_refused_and_leaves_nothing() {
    for pool in [PoolKind::Ext4, PoolKind::Xfs] {
        let scene = Scene::on(pool);
        let volumes = ["one", "two", "three"].map(|name| scene.volume(raw(name)));
        let all = ids(&volumes.each_ref());
        let (one, two) = (all[0], all[1]);
        let missing = format!("vol-{NOBODY}");
        let leaks = scene.leaks();
        let creates = [
            (create_group("", &[one]), Code::InvalidArgument),
            (create_group("group", &[]), Code::InvalidArgument),
            (create_group("group", &[one, ""]), Code::InvalidArgument),
            (
                create_group("group", &[one, two, one]),
                Code::InvalidArgument,
            ),
            (create_group("bell \u{7}", &[one]), Code::InvalidArgument),
            (
                create_group("group", &[one]).parameter("unknown", "1"),
                Code::InvalidArgument,
            ),
            (create_group("group", &[one, &missing]), Code::NotFound),
            (
                create_group("group", &[one, two, "../../etc"]),
                Code::NotFound,
            ),
        ];
        for (request, code) in creates {
            let refused = scene
                .client
                .create_volume_group_snapshot(request.clone())
                .unwrap_err();
            assert_eq!(refused.code(), code, "{request:?}: {refused}");
        }
        assert_eq!(listed(&scene), 0);
        leaks.assert_none();

        let group = take(&scene, "group", &[&volumes[0], &volumes[1]]);
        for other in [vec![one], vec![one, all[2]], all.clone()] {
            let unlike = create_group("group", &other);
            let refused = scene
                .client
                .create_volume_group_snapshot(unlike)
                .unwrap_err();
            assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
        }
        let alone = scene.snapshot("alone", &volumes[2]).snapshot_id;
        let members = get_group(&group).snapshot_ids;
        let not_these = [
            vec![],
            vec![members[0].clone()],
            vec![members[0].clone(), alone.clone()],
            vec![members[0].clone(), members[1].clone(), alone],
            vec![members[0].clone(), "../../etc".to_owned()],
        ];
        for snapshot_ids in not_these {
            let mut delete = delete_group(&group);
            delete.snapshot_ids.clone_from(&snapshot_ids);
            let refused = scene
                .client
                .delete_volume_group_snapshot(delete)
                .unwrap_err();
            assert_eq!(
                refused.code(),
                Code::InvalidArgument,
                "{snapshot_ids:?}: {refused}"
            );
            let mut get = get_group(&group);
            get.snapshot_ids.clone_from(&snapshot_ids);
            let refused = scene.client.get_volume_group_snapshot(get).unwrap_err();
            assert_eq!(
                refused.code(),
                Code::InvalidArgument,
                "{snapshot_ids:?}: {refused}"
            );
        }
        for unknown in [&format!("group-{NOBODY}"), "../../etc"] {
            let mut other = group.clone();
            unknown.clone_into(&mut other.group_snapshot_id);
            scene
                .client
                .delete_volume_group_snapshot(delete_group(&other))
                .unwrap();
            let refused = scene
                .client
                .get_volume_group_snapshot(get_group(&other))
                .unwrap_err();
            assert_eq!(refused.code(), Code::NotFound, "{refused}");
        }
        let nameless = VolumeGroupSnapshot {
            group_snapshot_id: String::new(),
            ..group.clone()
        };
        let refused = [
            scene
                .client
                .delete_volume_group_snapshot(delete_group(&nameless))
                .map(drop),
            scene
                .client
                .get_volume_group_snapshot(get_group(&nameless))
                .map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        }
        assert_eq!(listed(&scene), 3, "all are as they were");
    }
}

/// GG-02: over two volumes with a filesystem each, to which one database writes in order.
fn one_moment(pool: PoolKind) {
    let scene = Scene::on(pool);
    let volumes = ["log", "table"].map(|name| scene.volume(image(name)));
    let files = volumes.each_ref().map(|pv| scene.publish(pv).join("file"));
    let writer = Writer::start(scene.node.place(), &files);
    for round in 0..4 {
        let name = format!("group-{round}");
        writer.goes_on();
        let before = writer.written();
        // In either order of asking.
        let mut asked = volumes.each_ref();
        if round % 2 == 1 {
            asked.reverse();
        }
        let group = take(&scene, &name, &asked);
        let possible = before..=writer.written() + 1;
        let found = volumes.each_ref().map(|volume| {
            let of_volume = |source: &str| source == volume.volume.volume_id;
            let member = group
                .snapshots
                .iter()
                .find(|m| of_volume(&m.source_volume_id))
                .unwrap();
            let restored =
                create_volume(&format!("{name}-{}", volume.name)).restoring(&member.snapshot_id);
            let restored = scene.volume(restored);
            let found = records(scene.node.place(), scene.publish(&restored).join("file"));
            scene.release(&restored);
            scene.delete(&restored);
            found
        });
        assert!(
            found.iter().all(|found| possible.contains(found)),
            "{found:?}, {possible:?}"
        );
        let [log, table] = found;
        assert!(
            log == table || log == table + 1,
            "{log} in the log, {table} in the table"
        );
    }
    writer.goes_on();
    writer.stop();
    volumes.iter().for_each(|volume| scene.release(volume));
}

#[test]
fn gg_02_of_one_moment_on_ext4() {
    one_moment(PoolKind::Ext4);
}

#[test]
fn gg_02_of_one_moment_on_xfs() {
    one_moment(PoolKind::Xfs);
}

#[test]
fn gg_02_of_one_moment_on_btrfs() {
    one_moment(PoolKind::Btrfs);
}

/// Several volumes that cannot be held still have no moment in common while they are written; one of them with others that
/// can has.
#[test]
fn gg_02_volumes_that_cannot_be_held_still_together_are_refused() {
    for pool in [PoolKind::Xfs, PoolKind::Btrfs] {
        let scene = Scene::on(pool);
        let volumes = [raw("one"), raw("two"), image("three")].map(|request| scene.volume(request));
        let paths = volumes.each_ref().map(|pv| scene.publish(pv));
        let [one, two, three] = volumes.each_ref();
        let leaks = scene.leaks();
        let request = create_group("group", &ids(&[one, two, three]));
        let refused = scene
            .client
            .create_volume_group_snapshot(request)
            .unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        leaks.assert_none();
        assert_eq!(listed(&scene), 0);
        // Nothing stays frozen.
        scene.node.write(paths[2].join("file"), "content");

        take(&scene, "mixed", &[one, three]);
        scene.release(two);
        take(&scene, "all", &[one, two, three]);
        scene.release(one);
        scene.release(three);
    }
}

/// A member for which there is no room takes the others with it.
#[test]
fn gg_02_a_group_without_room_leaves_nothing() {
    let scene = Scene::with_other(PoolKind::Xfs, PoolKind::Ext4, 64 << 20);
    let here = scene.volume(image("here"));
    let there = scene.volume(raw("there").size(32 * MIB).parameter("pool", "other"));
    let device = scene.publish(&there);
    let fill = format!(
        "dd if=/dev/urandom of={} bs=1M count=32 conv=fsync status=none",
        device.display()
    );
    scene.node.sh(&fill);
    scene.release(&there);
    let path = scene.publish(&here);
    let leaks = scene.leaks();
    let request = create_group("group", &ids(&[&here, &there]));
    let refused = scene
        .client
        .create_volume_group_snapshot(request.clone())
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    leaks.assert_none();
    assert_eq!(listed(&scene), 0);
    scene.node.write(path.join("file"), "it goes on");
    scene.release(&here);
}

/// Deleting takes away all members, also when the driver dies while it does so.
#[test]
fn gg_04_a_group_that_is_deleted_is_gone_for_good() {
    let mut scene = Scene::on(PoolKind::Xfs);
    let volumes = ["one", "two", "three"].map(|name| scene.volume(raw(name)));
    let files = scene.pool.files();
    for round in 0..3 {
        let group = take(&scene, &format!("group-{round}"), &volumes.each_ref());
        scene
            .client
            .delete_volume_group_snapshot(delete_group(&group))
            .unwrap();
        scene.driver.crash();
        assert_eq!(listed(&scene), 0);
        eventually("its files go", || scene.pool.files() == files);
    }
}
