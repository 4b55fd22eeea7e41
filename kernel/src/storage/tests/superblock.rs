use super::*;
use crate::storage::loopdev::{self, Options};
use crate::storage::mounts::new_filesystem;
use crate::storage::scratch::{image, inside, run};
use proptest::prelude::*;
use rustix::fs::{Mode, OFlags, openat};
use std::io::Write;

/// An image that was just formatted, and its UUID. mkfs.btrfs refuses one that it finds on any device.
fn fresh(folder: &Path, kind: Kind) -> (File, [u8; 16]) {
    let (file, path) = image(folder, 320, None);
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let uuid = uuid.trim();
    match kind {
        Kind::Ext4 => run("mkfs.ext4", &["-q", "-U", uuid], &path),
        Kind::Xfs => run("mkfs.xfs", &["-q", "-m", &format!("uuid={uuid}")], &path),
        Kind::Btrfs => run("mkfs.btrfs", &["-q", "-U", uuid], &path),
    }
    let number = u128::from_str_radix(&uuid.replace('-', ""), 16).unwrap();
    (file, number.to_be_bytes())
}

fn found(file: &File) -> Option<Found> {
    probe_file(file, Path::new("image")).unwrap()
}

#[test]
fn filesystems_are_known_as_they_are_made() {
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Btrfs] {
        let folder = tempfile::tempdir().unwrap();
        let (image, uuid) = fresh(folder.path(), kind);
        let expected = Found {
            kind,
            size: 320 << 20,
            uuid,
            errors: false,
            needs_recovery: false,
        };
        assert_eq!(found(&image), Some(expected));
    }
}

#[test]
fn the_filesystem_made_last_counts() {
    const KINDS: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];
    for (before, after) in KINDS
        .iter()
        .flat_map(|kind| KINDS.map(|after| (*kind, after)))
    {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = fresh(folder.path(), before);
        let path = folder.path().join("image");
        match after {
            Kind::Ext4 => run("mkfs.ext4", &["-q", "-F"], &path),
            Kind::Xfs => run("mkfs.xfs", &["-q", "-f"], &path),
            Kind::Btrfs => run("mkfs.btrfs", &["-q", "-f"], &path),
        }
        assert_eq!(
            found(&file).map(|found| found.kind),
            Some(after),
            "{before:?} before"
        );
    }
}

#[test]
fn what_has_no_filesystem_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = image(folder.path(), 1, None);
    assert_eq!(found(&file), None);
    file.set_len(3).unwrap();
    assert_eq!(found(&file), None);
    file.set_len(0).unwrap();
    assert_eq!(found(&file), None);
    let unreadable = probe_file(&File::open(folder.path()).unwrap(), Path::new("folder"));
    assert_eq!(
        unreadable.unwrap_err().to_string(),
        "read folder: Is a directory"
    );
}

#[test]
fn a_mounted_ext4_has_a_journal_to_replay() {
    inside(|folder| {
        let (image, _) = fresh(folder, Kind::Ext4);
        let autoclear = Options {
            autoclear: true,
            ..Options::default()
        };
        let device = loopdev::attach(&image, &autoclear).unwrap();
        let mounted = new_filesystem("ext4", &device.path(), &[], false).unwrap();
        let flags = OFlags::CREATE | OFlags::RDWR;
        let mut file = File::from(openat(&mounted, "file", flags, Mode::RWXU).unwrap());
        file.write_all(b"content").unwrap();
        file.sync_all().unwrap();
        rustix::fs::syncfs(&file).unwrap();
        let mounted = found(&image).unwrap();
        assert!(mounted.needs_recovery && !mounted.errors, "{mounted:?}");
    });
}

#[test]
fn a_damaged_ext4_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (image, _) = fresh(folder.path(), Kind::Ext4);
    let path = folder.path().join("image");
    run("debugfs", &["-w", "-R", "set_super_value state 2"], &path);
    assert!(found(&image).unwrap().errors);
    run("debugfs", &["-w", "-R", "set_super_value state 1"], &path);
    assert!(!found(&image).unwrap().errors);
}

#[test]
fn a_size_beyond_all_bounds_is_no_filesystem() {
    let at = |start: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        start[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let mut start = vec![0; PROBED];
    at(&mut start, 0, b"XFSB");
    at(&mut start, 4, &4096_u32.to_be_bytes());
    at(&mut start, 8, &(1_u64 << 51).to_be_bytes());
    assert_eq!(probe(&start).map(|found| found.size), Some(1 << 63));
    at(&mut start, 8, &(1_u64 << 52).to_be_bytes());
    assert_eq!(probe(&start), None);
    let mut start = vec![0; PROBED];
    at(&mut start, 1024 + 0x38, b"\x53\xEF");
    at(&mut start, 1024 + 0x60, &[0x80]);
    at(&mut start, 1024 + 0x18, &[2]);
    at(&mut start, 1024 + 0x150, &(1_u32 << 19).to_le_bytes());
    assert_eq!(probe(&start).map(|found| found.size), Some(1 << 63));
    at(&mut start, 1024 + 0x150, &(1_u32 << 20).to_le_bytes());
    assert_eq!(probe(&start), None);
    for shift in [7, 22, 32, u8::MAX] {
        at(&mut start, 1024 + 0x18, &[shift]);
        at(&mut start, 1024 + 0x150, &[0; 4]);
        assert_eq!(probe(&start), None, "blocks of 1024 << {shift}");
    }
}

/// A start that says it is a filesystem, and is random otherwise.
fn marked() -> impl Strategy<Value = Vec<u8>> {
    const MARKS: [(usize, &[u8]); 3] = [
        (1024 + 0x38, b"\x53\xEF"),
        (0, b"XFSB"),
        (0x1_0040, b"_BHRfS_M"),
    ];
    let start = proptest::collection::vec(any::<u8>(), 2048);
    (start, 0..MARKS.len(), 0..=PROBED).prop_map(|(random, mark, length)| {
        let mut start: Vec<u8> = random.iter().copied().cycle().take(PROBED).collect();
        let (at, mark) = MARKS[mark];
        start[at..at + mark.len()].copy_from_slice(mark);
        start.truncate(length);
        start
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(start in marked()) {
        if let Some(found) = probe(&start) {
            let marked = match found.kind {
                Kind::Ext4 => start[1024 + 0x38..].starts_with(b"\x53\xEF"),
                Kind::Xfs => start.starts_with(b"XFSB"),
                Kind::Btrfs => start[0x1_0040..].starts_with(b"_BHRfS_M"),
            };
            prop_assert!(marked);
        }
    }
}
