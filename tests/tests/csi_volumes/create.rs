//! What can be made, and what cannot: names, uses, sizes.

use super::{listed, made, small};
use proto::csi::volume_capability::AccessMode;
use proto::csi::*;
use std::collections::{BTreeMap, BTreeSet};
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Pv, Scene};
use tonic::Code;

/// Refuses each request with its code, for a reason that names the third of a row.
#[track_caller]
fn all_refused<const N: usize>(client: &Client, rows: [(CreateVolumeRequest, Code, &str); N]) {
    for (request, code, names) in rows {
        let call = format!("{request:?}");
        client.create_volume(request).refused(call, code, names);
    }
}

#[test]
fn cv_01_a_name_and_a_use_are_required() {
    let scene = Scene::on(PoolKind::Plain);
    let leaks = scene.leaks();
    let with = |capability: VolumeCapability| create_volume("v").used_as(capability);
    let no_use = CreateVolumeRequest {
        volume_capabilities: Vec::new(),
        ..create_volume("v")
    };
    let no_type = VolumeCapability {
        access_type: None,
        ..mount()
    };
    let no_mode = VolumeCapability {
        access_mode: None,
        ..mount()
    };
    let mut second_is_bad = create_volume("v");
    second_is_bad.volume_capabilities.push(no_mode.clone());
    all_refused(
        &scene.client,
        [
            (create_volume(""), "name"),
            (no_use, "volume_capabilities"),
            (with(no_type), "neither block nor mount"),
            (with(no_mode), "access_mode"),
            (with(mount().mode(Mode::Unknown)), "access_mode"),
            (second_is_bad, "volume_capabilities[1]"),
        ]
        .map(|(request, names)| (request, Code::InvalidArgument, names)),
    );
    assert!(listed(&scene.client).is_empty());
    leaks.assert_none();
}

#[test]
fn cv_02_what_a_volume_cannot_be_is_said_when_it_is_made() {
    let scene = Scene::on(PoolKind::Xfs);
    let leaks = scene.leaks();
    let new = || create_volume("v").size(16 * MIB);
    let both = |first: VolumeCapability, second: VolumeCapability| CreateVolumeRequest {
        volume_capabilities: vec![first, second],
        ..new()
    };
    let mode = Some(AccessMode { mode: 99 });
    let unknown_mode = VolumeCapability {
        access_mode: mode,
        ..mount()
    };
    let kind = |kind: &str| new().parameter("kind", kind);
    all_refused(
        &scene.client,
        [
            (
                new().mode(Mode::MultiNodeSingleWriter),
                "one node's own disk",
            ),
            (
                new().mode(Mode::MultiNodeMultiWriter),
                "one node's own disk",
            ),
            (new().used_as(unknown_mode), "99"),
            (new().filesystem("ntfs"), "ext4, xfs or btrfs"),
            (new().filesystem("../ext4"), "ext4, xfs or btrfs"),
            (both(mount(), block()), "both block and mount"),
            (
                both(mount().filesystem("xfs"), mount().filesystem("ext4")),
                "several fs_type",
            ),
            (new().group(1000), "--enable-volume-mount-group"),
            (new().flag("bind"), "mount_flags[0]"),
            (new().flag("ro").flag("errors=panic"), "mount_flags[1]"),
            (kind("unenforced-directory").flag("discard"), "mount_flags"),
            (kind("directory").block(), "kind image"),
            (
                kind("directory").parameter("provisioning", "thick"),
                "kind image",
            ),
            (kind("unenforced-directory").filesystem("btrfs"), "fs_type"),
            (kind("Image"), "unenforced-directory"),
            (new().parameter("kynd", "image"), "kind, pool, provisioning"),
            (new().parameter("pool", "../../etc"), "pool"),
            (new().parameter("provisioning", "fat"), "thin or thick"),
        ]
        .map(|(request, names)| (request, Code::InvalidArgument, names)),
    );
    // It is no fault of the request, so another node may have better luck.
    all_refused(
        &scene.client,
        [
            (kind("directory"), "quota"),
            (new().parameter("pool", "no-such"), "no-such"),
        ]
        .map(|(request, names)| (request, Code::ResourceExhausted, names)),
    );
    assert!(listed(&scene.client).is_empty());
    leaks.assert_none();
}

#[test]
fn cv_02_every_mode_of_a_single_node_is_served() {
    let scene = Scene::on(PoolKind::Plain);
    let modes = [
        Mode::SingleNodeWriter,
        Mode::SingleNodeReaderOnly,
        Mode::MultiNodeReaderOnly,
        Mode::SingleNodeSingleWriter,
        Mode::SingleNodeMultiWriter,
    ];
    for mode in modes {
        made(&scene.client, small(mode.as_str_name()).mode(mode));
    }
    let mut all = small("all of them");
    all.volume_capabilities = modes.map(|mode| block().mode(mode)).into();
    made(&scene.client, all);
}

/// What comes of a range: a size in bytes, or a refusal.
type Sized = Result<i64, Code>;

#[test]
fn cv_03_a_size_lies_within_its_range() {
    let scene = Scene::with(PoolKind::Xfs, |setup| setup.flag("max-volume-size", "2Gi"));
    let impossible = Err(Code::OutOfRange);
    let invalid = Err(Code::InvalidArgument);
    let half = MIB / 2;
    // Whether it is a raw device, the least and the greatest size; 0 is what says nothing.
    let rows: [(bool, i64, i64, Sized); 22] = [
        (true, 3 * half, 0, Ok(3 * half)),
        (true, 1, 0, Ok(4096)),
        (true, 4096, 4096, Ok(4096)),
        (true, 4097, 0, Ok(8192)),
        (true, 4097, 8192, Ok(8192)),
        // A device is made of sectors.
        (true, 4097, 8191, Ok(4608)),
        (true, 4097, 4607, impossible),
        (true, 1, 511, impossible),
        (true, 0, MIB, Ok(MIB)),
        (true, 0, MIB + 1, Ok(MIB)),
        (true, 0, i64::MAX, Ok(GIB)),
        (true, 2 * GIB, 0, Ok(2 * GIB)),
        (true, 2 * GIB + 1, 0, impossible),
        (true, i64::MAX, i64::MAX, impossible),
        // A filesystem has a least size.
        (false, 1, 0, Ok(16 * MIB)),
        (false, 1, 16 * MIB - 1, impossible),
        (false, 20 * MIB + 1, 0, Ok(20 * MIB + 4096)),
        (true, 0, 0, invalid),
        (true, -1, 0, invalid),
        (true, 0, -1, invalid),
        (true, i64::MIN, i64::MAX, invalid),
        (true, 2 * MIB, MIB, invalid),
    ];
    for (number, (is_block, least, most, expected)) in rows.into_iter().enumerate() {
        let request = create_volume(&format!("v-{number}"))
            .size(least)
            .limit(most);
        let request = if is_block { request.block() } else { request };
        let call = format!("from {least} to {most}");
        match (expected, scene.client.create_volume(request)) {
            (Ok(size), Ok(answer)) => {
                let volume = answer.volume.unwrap();
                assert_eq!(volume.capacity_bytes, size, "{call}");
                scene
                    .client
                    .delete_volume(delete_volume(&volume.volume_id))
                    .unwrap();
            }
            (Err(code), answer) => answer.refused(call, code, ""),
            (Ok(size), Err(refused)) => panic!("{call}: {refused}, and not {size}"),
        }
    }
    let any = made(&scene.client, create_volume("of any size").block());
    assert_eq!(any.capacity_bytes, GIB);
}

#[test]
fn cv_03_a_device_has_every_byte_that_was_promised() {
    let scene = Scene::on(PoolKind::Ext4);
    for (number, size) in [1, 4097, 3 * MIB / 2, 64 * MIB + 1].into_iter().enumerate() {
        let name = format!("pv-{number}");
        let volume = made(&scene.client, create_volume(&name).block().size(size));
        let pv = Pv::of(&name, &volume).block();
        let device = scene.kubelet.publish(&pv, "pod").unwrap();
        let bytes = scene
            .node
            .sh(&format!("blockdev --getsize64 {}", device.display()));
        assert_eq!(bytes, volume.capacity_bytes.to_string(), "asked for {size}");
        assert!(volume.capacity_bytes >= size);
        scene.kubelet.unpublish(&pv, "pod").unwrap();
        scene.kubelet.unstage(&pv).unwrap();
    }
}

#[test]
fn g_13_a_name_may_hold_what_people_write() {
    let scene = Scene::on(PoolKind::Plain);
    let whole = ["ü".repeat(64), "🦀".repeat(32), "n".repeat(128)];
    let odd = [
        "..",
        "/",
        "/etc/passwd",
        "../../volumes",
        "a b\tc\nd\re",
        "'; reboot; $(reboot) `reboot`",
        "%n%s%00",
        "vol-00000000000000000000000000000000",
        "\u{a0}\u{202e}\u{feff}",
        " ",
        // Composed and decomposed are two names.
        "\u{e9}",
        "e\u{301}",
        "Pvc",
        "pvc",
    ];
    let names: BTreeSet<&str> = odd
        .into_iter()
        .chain(whole.iter().map(String::as_str))
        .collect();
    let ids: BTreeMap<&str, String> = names
        .iter()
        .map(|name| (*name, made(&scene.client, small(name)).volume_id))
        .collect();
    let distinct: BTreeSet<&String> = ids.values().collect();
    assert_eq!(distinct.len(), names.len(), "names are taken for others");
    for (name, id) in &ids {
        assert_eq!(made(&scene.client, small(name)).volume_id, *id, "{name:?}");
    }
    assert_eq!(listed(&scene.client).len(), names.len());
}

#[test]
fn g_13_a_name_holds_no_control_characters_and_at_most_128_bytes() {
    let scene = Scene::on(PoolKind::Plain);
    let leaks = scene.leaks();
    let forbidden = [0..=8, 0xb..=0xc, 0xe..=0x1f, 0x7f..=0x9f];
    let characters = forbidden.into_iter().flatten().filter_map(char::from_u32);
    for character in characters {
        let answer = scene.client.create_volume(small(&format!("a{character}b")));
        answer.refused(format!("{character:?}"), Code::InvalidArgument, "name");
    }
    for long in [
        "n".repeat(129),
        format!("n{}", "ü".repeat(64)),
        "n".repeat(300),
    ] {
        let answer = scene.client.create_volume(small(&long));
        answer.refused(long.len(), Code::InvalidArgument, "128 bytes");
    }
    leaks.assert_none();
}

#[test]
fn cv_10_g_16_g_17_a_volume_is_told_in_one_way_by_every_call() {
    let scene = Scene::on(PoolKind::Btrfs);
    let source = made(&scene.client, small("source"));
    let hush = "csi.storage.k8s.io/pvc/name";
    // A request, and the kind that it comes to on btrfs.
    let rows = [
        (
            create_volume("directory").size(MIB).parameter(hush, "data"),
            "directory",
        ),
        (create_volume("image").size(MIB).filesystem("ext4"), "image"),
        (small("device").parameter("provisioning", "thick"), "image"),
        (small("clone").cloning(&source.volume_id), "image"),
    ];
    let mut ids = BTreeSet::from([source.volume_id.clone()]);
    for (request, kind) in rows {
        let volume = made(&scene.client, request.clone());
        let id = volume.volume_id.clone();
        assert!(ids.insert(id.clone()), "{id} is issued twice");
        assert!((1..=128).contains(&id.len()), "{id}");
        assert!(volume.capacity_bytes >= request.capacity_range.unwrap().required_bytes);
        assert_eq!(volume.content_source, request.volume_content_source);
        let context = [("kind", kind), ("pool", "default")];
        let context = context.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(volume.volume_context, context.into());
        let segment = (
            "topology.hostpath.hawser.io/node".to_owned(),
            "node-1".to_owned(),
        );
        let segments = [segment].into();
        assert_eq!(volume.accessible_topology, [Topology { segments }]);

        assert_eq!(made(&scene.client, request), volume);
        let found = scene.client.controller_get_volume(get_volume(&id)).unwrap();
        assert_eq!(found.volume.as_ref(), Some(&volume));
        let entries = listed(&scene.client).into_iter();
        let entry = entries
            .map(|entry| entry.volume().unwrap())
            .find(|entry| entry.volume_id == id);
        assert_eq!(entry, Some(volume));
    }
}
