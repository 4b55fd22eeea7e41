//! The driver's store: a file that was cut or damaged anywhere opens or is refused, never a panic, and what opens can be
//! read to the end and changed.
//!
//! An input is a list of damages to a good store: eight bytes each, of which three say where. Nothing touches a disk.

#![no_main]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use csi_hostpath::record::{Group, Snapshot, Volume};
use csi_hostpath::store::{Change, Store};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};

fuzz_target!(|damages: &[u8]| {
    let mut content = GOOD.clone();
    for damage in damages.chunks_exact(8) {
        let [kind, a, b, c, bytes @ ..] = damage else {
            return;
        };
        let place = usize::from_be_bytes([0, 0, 0, 0, 0, *a, *b, *c]);
        harm(&mut content, *kind, place, bytes);
    }
    let (_file, path) = holding(&content);
    match Store::open(&path) {
        Ok(store) => use_up(&store),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// Cuts the file at `place`, or writes there; the header is as large a target as the rest.
fn harm(content: &mut Vec<u8>, kind: u8, place: usize, bytes: &[u8]) {
    const HEADER: usize = 320;
    let reach = if kind & 1 == 0 { HEADER } else { content.len() };
    let Some(place) = place.checked_rem(reach) else {
        return;
    };
    if kind & 0xe == 0xe {
        content.truncate(place);
    } else {
        content
            .iter_mut()
            .skip(place)
            .zip(bytes)
            .for_each(|(byte, new)| *byte = *new);
    }
}

/// A file in memory of that content, and the path that leads to it.
fn holding(content: &[u8]) -> (File, PathBuf) {
    let file = memfd_create("store", MemfdFlags::CLOEXEC).map(File::from);
    let Ok(mut file) = file else {
        panic!("no memory for a file");
    };
    assert!(file.write_all(content).is_ok());
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

/// Whatever is in it can be read, and a change is made or refused.
fn use_up(store: &Store) {
    let volumes = store.volumes(None, None);
    for volume in volumes.map(|part| part.items).unwrap_or_default() {
        let _ = store.volume_named(&volume.name);
        let _ = store.snapshots(Some(&volume.id), None, Some(1));
        let _ = store.promised(&volume.pool);
        let _ = store.commit(vec![Change::DropVolume(volume.id)]);
    }
    let _ = store.snapshots(None, None, None);
    let _ = store.group_named("group");
    let _ = store.commit(changes(100));
}

fn changes(number: u32) -> Vec<Change> {
    let volume = Volume {
        id: format!("vol-{number:032x}"),
        name: format!("pvc-{number}"),
        pool: "default".into(),
        size: 1 << 30,
        ..Volume::default()
    };
    let snapshot = Snapshot {
        id: format!("snap-{number:032x}"),
        source: volume.id.clone(),
        pool: "default".into(),
        ..Snapshot::default()
    };
    let group = Group {
        id: "group-1".into(),
        name: "group".into(),
        snapshots: vec![snapshot.id.clone()],
        ..Group::default()
    };
    vec![
        Change::PutVolume(volume),
        Change::PutSnapshot(snapshot),
        Change::PutGroup(group),
    ]
}

/// A store as a crash leaves it. Made beside this program, where nobody else is.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| match good() {
    Ok(content) => content,
    Err(error) => panic!("{error}"),
});

fn good() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let path = std::env::current_exe()?.with_extension(std::process::id().to_string());
    let store = Store::open(&path)?;
    let filled = (0..20).try_for_each(|number| store.commit(changes(number)));
    let content = fs::read(&path);
    fs::remove_file(&path)?;
    filled?;
    Ok(content?)
}
