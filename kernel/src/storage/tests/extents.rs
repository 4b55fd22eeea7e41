use super::*;
use crate::storage::clone::reflink;
use crate::storage::scratch::{filesystem, inside};
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, openat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn unnamed(directory: impl AsFd) -> File {
    let flags = OFlags::TMPFILE | OFlags::RDWR;
    openat(directory, ".", flags, Mode::RWXU).unwrap().into()
}

fn on(kinds: &'static [(&str, u64)], test: fn(&OwnedFd, &str)) {
    inside(move |folder| {
        for (kind, mib) in kinds {
            test(&filesystem(folder, *mib, kind), kind);
        }
    });
}

const SHARING: &[(&str, u64)] = &[("xfs", 320), ("btrfs", 160)];
const ALL: &[(&str, u64)] = &[("ext4", 64), ("xfs", 320), ("btrfs", 160)];

fn extent(logical: u64, physical: u64, length: u64, flags: u32) -> Extent {
    Extent {
        logical,
        physical,
        length,
        flags,
    }
}

#[test]
fn data_is_told_from_holes_and_from_what_is_set_aside() {
    on(ALL, |root, kind| {
        let file = unnamed(root);
        fallocate(&file, FallocateFlags::empty(), 4 * MIB, MIB).unwrap();
        file.write_all_at(&vec![1; 1 << 20], MIB).unwrap();
        file.write_all_at(&[2; 4096], 4 * MIB + 512 * KIB).unwrap();
        file.set_len(9 * MIB).unwrap();
        // Not written out yet: FIEMAP has to see to that.
        let extents = of(&file).unwrap();
        let data = vec![(MIB, MIB), (4 * MIB + 512 * KIB, 4096)];
        assert_eq!(allocated(&extents, 9 * MIB), data, "{kind}");
        assert!(extents.iter().any(Extent::is_unwritten), "{kind}");
        assert!(!extents.iter().any(Extent::is_shared), "{kind}");
        assert_eq!(allocated(&extents, MIB + 5), [(MIB, 5)], "{kind}");
    });
}

#[test]
fn a_file_in_many_pieces_is_told_completely() {
    on(ALL, |root, kind| {
        let file = unnamed(root);
        let pieces: Vec<_> = (0..1500).map(|n| (n * 128 * KIB, 4 * KIB)).collect();
        for (offset, _) in &pieces {
            file.write_all_at(&[3; 4096], *offset).unwrap();
        }
        let extents = of(&file).unwrap();
        assert!(extents.len() > 1000, "{kind}");
        assert_eq!(allocated(&extents, u64::MAX), pieces, "{kind}");
    });
}

#[test]
fn an_empty_file_has_none() {
    on(ALL, |root, kind| {
        assert_eq!(of(unnamed(root)).unwrap(), [], "{kind}");
    });
}

#[test]
fn what_was_written_after_the_cut_is_changed() {
    on(SHARING, |root, kind| {
        let (volume, base, target) = (unnamed(root), unnamed(root), unnamed(root));
        volume.write_all_at(&vec![1; 8 << 20], 0).unwrap();
        volume.set_len(32 * MIB).unwrap();
        assert!(reflink(&volume, &base).unwrap());
        assert!(of(&base).unwrap().iter().all(Extent::is_shared), "{kind}");

        volume.write_all_at(&[2; 8192], 3 * MIB).unwrap();
        volume.write_all_at(&[2; 4096], 16 * MIB).unwrap();
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&volume, punch, 6 * MIB, 64 * KIB).unwrap();
        assert!(reflink(&volume, &target).unwrap());

        let (base, target) = (of(&base).unwrap(), of(&target).unwrap());
        let written = vec![(3 * MIB, 8192), (6 * MIB, 64 * KIB), (16 * MIB, 4096)];
        assert_eq!(changed(&base, &target, 32 * MIB), written, "{kind}");
        assert_eq!(changed(&target, &target, 32 * MIB), [], "{kind}");
        assert_eq!(changed(&base, &target, 6 * MIB + 1)[1], (6 * MIB, 1));
    });
}

#[test]
fn compressed_extents_are_the_same_or_changed_as_a_whole() {
    let base = [extent(0, 500, 128, 0x8), extent(128, 900, 128, 0x8)];
    let target = [extent(0, 500, 64, 0x8), extent(64, 7000, 64, 0), base[1]];
    assert_eq!(changed(&base, &base, 999), []);
    assert_eq!(changed(&base, &target, 999), [(0, 128)]);
}

#[test]
fn an_extent_without_a_place_is_changed() {
    for flag in [0x2, 0x4, 0x100, 0x200, 0x400] {
        let one = [extent(0, 0, 100, flag | 0x8)];
        assert_eq!(changed(&one, &one, 50), [(0, 50)], "{flag:x}");
    }
}

#[test]
fn content_is_compared_where_there_is_data() {
    on(ALL, |root, kind| {
        let (base, target) = (unnamed(root), unnamed(root));
        for file in [&base, &target] {
            file.write_all_at(&vec![1; 3 << 20], MIB).unwrap();
            file.set_len(64 * MIB).unwrap();
        }
        // Zeros and a hole are the same.
        target.write_all_at(&[0; 65536], 32 * MIB).unwrap();
        assert_eq!(
            changed_content(&base, &target, 64 * MIB).unwrap(),
            [],
            "{kind}"
        );

        target.write_all_at(b"x", 2 * MIB + 70 * KIB).unwrap();
        target.write_all_at(b"x", 2 * MIB + 128 * KIB).unwrap();
        base.write_all_at(b"x", 40 * MIB - 1).unwrap();
        target.write_all_at(b"x", 64 * MIB + 5).unwrap();
        let block = 64 * KIB;
        let differing = [
            (2 * MIB + block, 2 * block),
            (40 * MIB - block, block),
            (64 * MIB, 6),
        ];
        let found = changed_content(&base, &target, 64 * MIB + 6).unwrap();
        assert_eq!(found, differing, "{kind}");
        assert_eq!(
            changed_content(&base, &target, 2 * MIB).unwrap(),
            [],
            "{kind}"
        );
    });
}

/// Extents as a filesystem could tell them: pieces and gaps, some places taken from another file with the same seed.
fn extents() -> impl Strategy<Value = Vec<Extent>> {
    let piece = (0_u64..4, 1_u64..6, 0_u64..3, 0_usize..8);
    vec(piece, 0..12).prop_map(|pieces| {
        let mut at = 0;
        let piece = |(gap, length, shift, kind): (u64, u64, u64, usize)| {
            let logical = at + gap;
            at = logical + length;
            let flags = [0, 0, 0, 0, UNWRITTEN, 0x8, 0x200, SHARED][kind];
            extent(logical, 100 * shift + logical, length, flags)
        };
        pieces.into_iter().map(piece).collect()
    })
}

/// What a byte is: nothing, a place, or a part of something whole.
#[derive(PartialEq)]
enum Byte {
    Hole,
    At(u64),
    Of(Extent),
    Unknown,
}

fn byte(extents: &[Extent], at: u64) -> Byte {
    let over = |extent: &&Extent| (extent.logical..extent.logical + extent.length).contains(&at);
    match extents.iter().find(over) {
        None => Byte::Hole,
        Some(extent) => match extent.flags {
            UNWRITTEN => Byte::Hole,
            0x8 => Byte::Of(*extent),
            0x200 => Byte::Unknown,
            _ => Byte::At(extent.physical + at - extent.logical),
        },
    }
}

/// The ranges of the bytes for which something is so.
fn ranges(size: u64, is_so: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for at in (0..size).filter(|at| is_so(*at)) {
        match found.last_mut() {
            Some((offset, length)) if *offset + *length == at => *length += 1,
            _ => found.push((at, 1)),
        }
    }
    found
}

proptest! {
    #[test]
    fn allocated_is_what_each_byte_says(extents in extents(), size in 0_u64..120) {
        let naive = ranges(size, |at| byte(&extents, at) != Byte::Hole);
        prop_assert_eq!(allocated(&extents, size), naive);
    }

    #[test]
    fn changed_is_what_each_byte_says(base in extents(), target in extents(), size in 0_u64..120) {
        let naive = ranges(size, |at| match (byte(&base, at), byte(&target, at)) {
            (Byte::Unknown, _) | (_, Byte::Unknown) => true,
            (old, new) => old != new,
        });
        prop_assert_eq!(changed(&base, &target, size), naive);
    }

    #[test]
    fn aligned_covers_each_byte_and_no_more_units(
        extents in extents(), unit in 1_u64..9, size in 0_u64..120,
    ) {
        let exact = allocated(&extents, size);
        let covered = |unit_of: u64| exact.iter().any(|(offset, length)| {
            (offset / unit..=(offset + length - 1) / unit).contains(&unit_of)
        });
        let naive = ranges(size, |at| covered(at / unit));
        prop_assert_eq!(aligned(&exact, unit, size), naive);
    }
}
