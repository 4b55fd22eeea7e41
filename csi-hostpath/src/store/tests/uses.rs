//! How volumes are used, which lies beside the store's file.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::*;
use crate::access::Mode;
use crate::record::{Published, Staged};

/// A volume as it is staged, published and frozen.
fn used() -> Volume {
    Volume {
        staged: Some(Staged {
            path: "/staging".into(),
            flags: vec!["noatime".into()],
            mode: Mode::SingleNodeWriter.into(),
        }),
        published: vec![Published {
            target: "/target".into(),
            mode: Mode::SingleNodeWriter.into(),
            ..Published::default()
        }],
        frozen: true,
        ..volume(1)
    }
}

/// A store with that volume.
fn in_use() -> Fresh {
    let fresh = Fresh::new();
    let put = |volume| fresh.store.commit(vec![Change::PutVolume(volume)]).unwrap();
    put(volume(1));
    put(used());
    fresh
}

/// The file of every other version, from the first one on or from the second.
fn file(fresh: &Fresh, turn: u8) -> PathBuf {
    let folder = fresh.path().with_file_name("uses");
    folder.join(format!("{}.{}", used().id, 1 - turn))
}

fn files(fresh: &Fresh) -> usize {
    let folder = fresh.path().with_file_name("uses");
    fs::read_dir(folder).unwrap().count()
}

fn found(fresh: &Fresh) -> Volume {
    fresh.store.volume(&used().id).unwrap().unwrap()
}

#[test]
fn a_use_outlives_the_process_and_waits_for_no_disk() {
    let fresh = in_use();
    let commits = |fresh: &Fresh| fresh.store.shared.file.commits.load(Ordering::SeqCst);
    assert_eq!(commits(&fresh), 1, "the volume alone is made durable");
    let named = fresh.store.volume_named(&used().name).unwrap();
    let listed = fresh.store.volumes(None, None).unwrap().items;
    assert_eq!((named, listed), (Some(used()), vec![used()]));
    let fresh = fresh.reopened();
    assert_eq!(found(&fresh), used());
    fresh
        .store
        .commit(vec![Change::PutVolume(volume(1))])
        .unwrap();
    assert_eq!(found(&fresh), volume(1));
    assert_eq!(files(&fresh), 0);
    assert_eq!(commits(&fresh), 0);
    assert_eq!(found(&fresh.reopened()), volume(1));
}

#[test]
fn what_is_durable_changes_beside_it() {
    let fresh = in_use();
    let grown = Volume {
        size: 2 << 30,
        ..used()
    };
    fresh
        .store
        .commit(vec![Change::PutVolume(grown.clone())])
        .unwrap();
    let fresh = fresh.reopened();
    assert_eq!(found(&fresh), grown);
    fresh
        .store
        .commit(vec![Change::DropVolume(grown.id)])
        .unwrap();
    assert_eq!(files(&fresh), 0);
}

#[test]
fn another_boot_knows_no_use() {
    let fresh = in_use();
    let mut others = fs::read(file(&fresh, 0)).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim().as_bytes();
    let at = others.windows(36).position(|part| part == boot);
    others[at.unwrap()] ^= 1;
    fs::write(file(&fresh, 0), others).unwrap();
    let fresh = fresh.reopened();
    assert_eq!(found(&fresh), volume(1));
    assert_eq!(files(&fresh), 0);
}

#[test]
fn the_last_that_is_whole_counts() {
    let mut fresh = in_use();
    let first = fs::read(file(&fresh, 0)).unwrap();
    let last = Volume {
        frozen: false,
        ..used()
    };
    fresh
        .store
        .commit(vec![Change::PutVolume(last.clone())])
        .unwrap();
    assert_eq!(files(&fresh), 1);
    // As a process leaves it that ends between two versions, or within one.
    for leftover in [&first[..], &first[..first.len() - 1], b""] {
        fs::write(file(&fresh, 0), leftover).unwrap();
        fresh = fresh.reopened();
        assert_eq!((found(&fresh), files(&fresh)), (last.clone(), 1));
    }
    fresh.store.commit(vec![Change::PutVolume(used())]).unwrap();
    assert_eq!(found(&fresh.reopened()), used());
}

#[test]
fn where_it_cannot_be_written_it_is_part_of_the_record() {
    let fresh = Fresh::new();
    let put = |fresh: &Fresh, volume| fresh.store.commit(vec![Change::PutVolume(volume)]).unwrap();
    put(&fresh, volume(1));
    fs::create_dir(file(&fresh, 0)).unwrap();
    put(&fresh, used());
    fs::remove_dir(file(&fresh, 0)).unwrap();
    let fresh = fresh.reopened();
    assert_eq!(found(&fresh), used());
    // It leaves the record when it can.
    let other = Volume {
        published: Vec::new(),
        ..used()
    };
    put(&fresh, other.clone());
    assert_eq!((found(&fresh), files(&fresh)), (other, 1));
    // Nor does an older one that could be written count then.
    fs::create_dir(file(&fresh, 1)).unwrap();
    put(&fresh, used());
    assert_eq!(found(&fresh), used());
    fs::remove_dir(file(&fresh, 1)).unwrap();
    assert_eq!(files(&fresh), 0);
    let fresh = fresh.reopened();
    assert_eq!(found(&fresh), used());
    put(&fresh, volume(1));
    assert_eq!(found(&fresh.reopened()), volume(1));
}
