use super::*;
use crate::storage::scratch::{filesystem, inside};
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{FallocateFlags, fallocate};
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const MIB: u64 = 1 << 20;

fn on_each(test: fn(&OwnedFd, &str)) {
    inside(move |folder| {
        for (kind, mib) in [("ext4", 96), ("xfs", 320), ("btrfs", 160)] {
            test(&filesystem(folder, mib, kind), kind);
        }
    });
}

fn unnamed(directory: impl AsFd) -> File {
    let flags = OFlags::TMPFILE | OFlags::RDWR;
    openat(directory, ".", flags, Mode::RWXU).unwrap().into()
}

/// Bytes that no filesystem takes for a hole.
fn noise(length: u64, seed: u64) -> Vec<u8> {
    (0..length / 8)
        .flat_map(|at| {
            (at + seed)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .to_le_bytes()
        })
        .collect()
}

fn content(file: &File) -> Vec<u8> {
    let mut all = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut all, 0).unwrap();
    all
}

fn segments(file: &File) -> Vec<Range<u64>> {
    let size = file.metadata().unwrap().len();
    Segments::of(file.as_fd(), size)
        .map(Result::unwrap)
        .collect()
}

#[test]
fn a_reflink_has_the_content_and_takes_no_room() {
    on_each(|root, kind| {
        let (from, to) = (unnamed(root), unnamed(root));
        from.write_all_at(&noise(8 * MIB, 1), MIB).unwrap();
        from.set_len(12 * MIB).unwrap();
        let can = kind != "ext4";
        assert_eq!(reflink(&from, &to).unwrap(), can, "{kind}");
        assert_eq!(can_reflink(root), can, "{kind}");
        if can {
            assert!(content(&to) == content(&from), "{kind}");
        }
        let elsewhere = tempfile::tempfile().unwrap();
        assert!(!reflink(&from, elsewhere).unwrap(), "{kind}");
    });
}

#[test]
fn what_is_asked_whether_it_can_reflink_stays_empty() {
    on_each(|root, _| {
        can_reflink(root);
        let names = rustix::fs::Dir::read_from(root).unwrap();
        let left = names
            .map(|entry| entry.unwrap().file_name().to_owned())
            .filter(|name| ![c".", c"..", c"lost+found"].contains(&name.as_c_str()));
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn a_copy_has_data_and_holes_where_they_were() {
    on_each(|root, kind| {
        let (from, to) = (unnamed(root), unnamed(root));
        from.write_all_at(&noise(5 * MIB + 8, 1), 3 * MIB).unwrap();
        from.write_all_at(b"alone", 20 * MIB).unwrap();
        // Set aside, not written.
        fallocate(&from, FallocateFlags::empty(), 32 * MIB, 4 * MIB).unwrap();
        from.set_len(40 * MIB + 1).unwrap();
        from.sync_all().unwrap();
        to.write_all_at(&noise(50 * MIB, 2), 0).unwrap();

        let before = segments(&from);
        // What was set aside and read is in memory, and still no data.
        let all = content(&from);
        copy_sparse(&from, &to, &|_| true).unwrap();
        assert_eq!(segments(&to), before, "{kind}");
        let taken = to.metadata().unwrap().blocks() * 512;
        assert!(content(&to) == all, "{kind}");
        assert!(taken < 7 * MIB, "{kind}: {taken}");
    });
}

#[test]
fn a_copy_goes_from_one_filesystem_to_another() {
    inside(|folder| {
        let root = filesystem(folder, 64, "ext4");
        // One that does not tell its extents.
        let other = File::open("/dev/shm").unwrap();
        for (from, to) in [
            (unnamed(&root), unnamed(&other)),
            (unnamed(&other), unnamed(&root)),
        ] {
            from.write_all_at(&noise(9 * MIB, 1), MIB).unwrap();
            from.set_len(20 * MIB).unwrap();
            copy_sparse(&from, &to, &|_| true).unwrap();
            assert_eq!(segments(&to), segments(&from));
            assert!(content(&to) == content(&from));
        }
    });
}

#[test]
fn a_copy_tells_how_far_it_is_and_stops_when_told() {
    on_each(|root, kind| {
        let (from, to) = (unnamed(root), unnamed(root));
        from.write_all_at(&noise(20 * MIB, 1), 0).unwrap();
        from.write_all_at(&noise(10 * MIB, 2), 50 * MIB).unwrap();
        let told = Cell::new(0);
        copy_sparse(&from, &to, &|done| {
            assert!(told.replace(done) < done, "{kind}");
            true
        })
        .unwrap();
        assert_eq!(told.get(), 30 * MIB, "{kind}");

        let asked = Cell::new(0);
        let stopped = copy_sparse(&from, &to, &|_| asked.replace(asked.get() + 1) < 1);
        assert_eq!(stopped.unwrap_err().errno(), Errno::CANCELED, "{kind}");
        assert_eq!(asked.get(), 2, "{kind}: asked on after it was told to stop");
        let copied = to.metadata().unwrap().blocks() * 512;
        assert!(copied <= 9 * MIB, "{kind}: {copied}");
    });
}

#[test]
fn a_copy_does_not_stay_in_memory() {
    inside(|folder| {
        let root = filesystem(folder, 256, "ext4");
        let (from, to) = (unnamed(&root), unnamed(&root));
        from.write_all_at(&noise(64 * MIB, 1), 0).unwrap();
        copy_sparse(&from, &to, &|_| true).unwrap();
        let cached = cached_pages(&to);
        assert!(cached * 4096 <= 2 * CHUNK, "{cached} pages");
    });
}

/// As `fincore` sees it.
fn cached_pages(file: &File) -> u64 {
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        std::os::fd::AsRawFd::as_raw_fd(file)
    );
    let ran = std::process::Command::new("fincore")
        .args(["--noheadings", "--output", "PAGES", &path])
        .output()
        .unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    text.trim().parse().expect("a number of pages")
}

#[test]
fn any_pattern_of_data_and_holes_survives() {
    inside(|folder: &Path| {
        let root = filesystem(folder, 96, "ext4");
        let pieces = proptest::collection::vec((0_u64..6000, 1_u64..300), 0..12);
        TestRunner::new(Config::with_cases(24))
            .run(&(pieces, 0_u64..6500), |(pieces, kib)| {
                let (from, to) = (unnamed(&root), unnamed(&root));
                for (seed, (at, length)) in pieces.into_iter().enumerate() {
                    let data = noise(length * 1024, seed as u64);
                    from.write_all_at(&data, at * 1024).unwrap();
                }
                from.set_len(kib * 1024 + 7).unwrap();
                copy_sparse(&from, &to, &|_| true).unwrap();
                assert_eq!(segments(&to), segments(&from));
                assert!(content(&to) == content(&from));
                Ok(())
            })
            .unwrap();
    });
}
