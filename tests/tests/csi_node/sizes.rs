//! A volume never takes a byte more than its size.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Scene};
use testkit::eventually;

use crate::{Sort, enforced, give_back, open};

/// Takes everything that a volume has, in one file. Returns how many bytes those were, and what the kernel said then.
fn fill(scene: &Scene, sort: Sort, path: &Path) -> (u64, Errno) {
    let path = if sort.raw {
        path.to_owned()
    } else {
        path.join("all")
    };
    let mut how = OpenOptions::new();
    let how = how.write(true).create(!sort.raw);
    let mut file = open(scene, &path, how).unwrap();
    // Of large volumes the greater part is only taken, not written.
    let taken = if sort.mib > 100 {
        sort.bytes() / 10 * 6
    } else {
        0
    };
    if taken > 0 {
        fallocate(&file, FallocateFlags::empty(), 0, taken).unwrap();
    }
    file.seek(SeekFrom::Start(taken)).unwrap();
    let mut bytes = taken;
    let mut chunk = vec![7; 1 << 20];
    loop {
        match file
            .write(&chunk)
            .and_then(|written| file.sync_data().map(|()| written))
        {
            Ok(written) => bytes += u64::try_from(written).unwrap(),
            Err(error) if chunk.len() > 4096 => {
                assert!(is_full(&error), "{sort:?} after {bytes} bytes: {error}");
                chunk.truncate(4096);
            }
            Err(error) => return (bytes, Errno::from_io_error(&error).unwrap()),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::DQUOT)
    )
}

fn holds(pool: PoolKind) {
    let scene = Scene::on(pool);
    let empty = scene.pool.used();
    for sort in enforced(pool) {
        let pv = scene.volume(sort.request("pvc-1"));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let (bytes, errno) = fill(&scene, sort, &path);
        assert!(bytes <= sort.bytes(), "{sort:?}: {bytes}");
        assert!(bytes >= sort.bytes() / 10 * 7, "{sort:?}: only {bytes}");
        let expected = if sort.kind == "directory" {
            Errno::DQUOT
        } else {
            Errno::NOSPC
        };
        assert_eq!(errno, expected, "{sort:?}");
        if sort.raw {
            assert_eq!(bytes, sort.bytes());
        }
        for device in scene.node.beneath(scene.pool.path()).loops() {
            assert_eq!(device.size, sort.bytes(), "{device}");
            let length = scene
                .node
                .sh(&format!("stat -c %s {}", device.file.display()));
            assert_eq!(length, sort.bytes().to_string(), "{sort:?}");
        }
        // The pool counts a little for itself, and frees in the background what was deleted before.
        eventually(&format!("{sort:?} takes its size"), || {
            scene.pool.used() <= empty + sort.bytes() + (4 << 20)
        });
        // Who is full is well.
        let stats = scene.kubelet.stats(&pv, "pod-1").unwrap();
        assert!(!stats.volume_condition.unwrap().abnormal, "{sort:?}");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

#[test]
fn a_volume_on_ext4_never_takes_more_than_its_size() {
    holds(PoolKind::Ext4);
}

#[test]
fn a_volume_on_xfs_never_takes_more_than_its_size() {
    holds(PoolKind::Xfs);
}

#[test]
fn a_volume_on_btrfs_never_takes_more_than_its_size() {
    holds(PoolKind::Btrfs);
}

/// What the reference cuts off at a mebibyte.
#[test]
fn a_raw_device_is_as_large_as_it_was_promised() {
    let scene = Scene::on(PoolKind::Xfs);
    for asked in [1, 4096, MIB - 1, MIB * 3 / 2, 10 * MIB + 1] {
        let made = scene
            .client
            .create_volume(create_volume("odd").size(asked).block());
        let made = made.unwrap().volume.unwrap();
        let pv = testkit::csi::Pv::of("odd", &made).block();
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let size = scene
            .node
            .sh(&format!("blockdev --getsize64 {}", path.display()));
        assert_eq!(size, made.capacity_bytes.to_string());
        assert!(made.capacity_bytes >= asked && made.capacity_bytes < asked + 4096);
        give_back(&scene, &pv, &["pod-1"]);
    }
}
