//! Volumes made of others, as far as a controller sees them.

use super::{FOREIGN, listed, made, small};
use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Answer, PoolKind, Scene};
use tonic::Code;

#[test]
fn cv_06_cv_07_a_copy_is_what_its_source_is() {
    let scene = Scene::on(PoolKind::Xfs);
    let client = &scene.client;
    let device = made(client, create_volume("device").block().size(MIB)).volume_id;
    let image = made(
        client,
        create_volume("image").size(16 * MIB).filesystem("ext4"),
    )
    .volume_id;
    let snapshot = client
        .create_snapshot(create_snapshot("s", &device))
        .unwrap();
    let snapshot = snapshot.snapshot.unwrap().snapshot_id;
    let new = |name: &str| create_volume(name).block();
    // A copy of any size is as large as its source, and one of another size is that large.
    let rows = [
        (new("clone").cloning(&device), MIB),
        (new("restore").restoring(&snapshot), MIB),
        (new("large clone").cloning(&device).size(3 * MIB), 3 * MIB),
        (
            new("large restore").restoring(&snapshot).size(3 * MIB),
            3 * MIB,
        ),
        (create_volume("mount").cloning(&image), 16 * MIB),
        (
            create_volume("limited").cloning(&image).limit(GIB),
            16 * MIB,
        ),
    ];
    for (request, size) in rows {
        let copy = made(client, request.clone());
        assert_eq!(copy.capacity_bytes, size, "{}", request.name);
        assert_eq!(copy.content_source, request.volume_content_source);
        assert_eq!(made(client, request), copy);
    }

    let before = listed(client);
    let leaks = scene.leaks();
    let invalid = Code::InvalidArgument;
    let no_source = CreateVolumeRequest {
        volume_content_source: Some(VolumeContentSource::default()),
        ..new("v")
    };
    let rows = [
        (
            new("v").cloning(&device).size(MIB - 4096),
            Code::OutOfRange,
            "cannot hold",
        ),
        (
            new("v").cloning(&device).limit(MIB - 1),
            Code::OutOfRange,
            "",
        ),
        (
            new("v").restoring(&snapshot).size(4096),
            Code::OutOfRange,
            "cannot hold",
        ),
        (create_volume("v").cloning(&device), invalid, "raw device"),
        (
            create_volume("v").restoring(&snapshot),
            invalid,
            "raw device",
        ),
        (new("v").cloning(&image), invalid, "filesystem"),
        (
            create_volume("v").cloning(&image).filesystem("xfs"),
            invalid,
            "ext4",
        ),
        (
            new("v")
                .cloning(&device)
                .parameter("kind", "unenforced-directory"),
            invalid,
            "kind image",
        ),
        (new("v").cloning(""), invalid, "volume_id"),
        (new("v").restoring(""), invalid, "snapshot_id"),
        (no_source, invalid, "volume_content_source"),
        // A snapshot is no volume.
        (new("v").cloning(&snapshot), Code::NotFound, "volume"),
        (new("v").restoring(&device), Code::NotFound, "snapshot"),
    ];
    for (request, code, names) in rows {
        let call = format!("{request:?}");
        client.create_volume(request).refused(call, code, names);
    }
    for id in FOREIGN {
        client
            .create_volume(new("v").cloning(id))
            .refused(id, Code::NotFound, "does not exist");
        client
            .create_volume(new("v").restoring(id))
            .refused(id, Code::NotFound, "does not exist");
    }
    assert_eq!(listed(client), before);
    leaks.assert_none();
}

#[test]
fn dv_03_a_snapshot_outlives_its_volume() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let client = &scene.client;
        let volume = made(client, small("v")).volume_id;
        let taken = client
            .create_snapshot(create_snapshot("s", &volume))
            .unwrap();
        let snapshot = taken.snapshot.unwrap();
        super::delete(client, &volume);
        let snapshots = client
            .list_snapshots(list_snapshots(0, ""))
            .unwrap()
            .entries;
        assert_eq!(snapshots.len(), 1, "{pool:?}");
        assert_eq!(snapshots[0].snapshot.as_ref(), Some(&snapshot), "{pool:?}");
        made(client, small("restored").restoring(&snapshot.snapshot_id));
    }
}
