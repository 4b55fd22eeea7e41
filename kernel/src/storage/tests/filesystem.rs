use super::*;
use crate::storage::beneath::Root;
use crate::storage::loopdev::{self, Options};
use crate::storage::mounts::{Attributes, clone_tree, new_filesystem};
use crate::storage::scratch::{image, inside};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountFlags, mount};
use std::io::Write;

#[test]
fn kinds_are_told_apart() {
    for (name, mib, kind) in [
        ("ext4", 16, Kind::Ext),
        ("xfs", 320, Kind::Xfs),
        ("btrfs", 128, Kind::Btrfs),
    ] {
        inside(move |folder| {
            let (file, _) = image(folder, mib, Some(name));
            let autoclear = Options {
                autoclear: true,
                ..Options::default()
            };
            let device = loopdev::attach(&file, &autoclear).unwrap();
            let made = new_filesystem(name, &device.path(), &[], false).unwrap();
            let facts = of(&made, folder).unwrap();
            assert_eq!(facts.kind, kind);
            assert_eq!(facts.space.inodes.is_none(), kind == Kind::Btrfs);
            assert!(!facts.readonly);
            let size = mib << 20;
            assert!((size / 2..=size).contains(&facts.space.total), "{facts:?}");
            assert!(facts.space.available <= facts.space.free, "{facts:?}");
            assert!(facts.space.free < facts.space.total, "{facts:?}");
            // ext4 keeps some for root; btrfs writes much of it twice.
            let kept = facts.space.free - facts.space.available;
            assert_eq!(kept > 0, kind != Kind::Xfs, "{facts:?}");
        });
    }
}

#[test]
fn what_is_written_is_no_longer_free() {
    inside(|folder| {
        mount(
            "none",
            folder,
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=8m,nr_inodes=100"),
        )
        .unwrap();
        let root = Root::open(folder).unwrap();
        let before = of(&root, folder).unwrap();
        assert_eq!(before.kind, Kind::Tmpfs);
        assert_eq!(
            (before.space.total, before.space.available),
            (8 << 20, 8 << 20)
        );
        let inodes = before.space.inodes.unwrap();
        assert_eq!((inodes.total, inodes.free), (100, 99));
        let mut file = root.create_file("file", 0o600).unwrap();
        file.write_all(&[1; 1 << 20]).unwrap();
        let after = of(&root, folder).unwrap();
        assert_eq!(after.space.available, 7 << 20);
        assert_eq!(after.space.inodes.unwrap().free, 98);
    });
}

#[test]
fn a_readonly_mount_of_a_writable_filesystem_is_readonly() {
    inside(|folder| {
        let root = Root::open(folder).unwrap();
        let clone = clone_tree(&root, folder).unwrap();
        let readonly = Attributes {
            readonly: true,
            ..Attributes::default()
        };
        clone.set(&readonly).unwrap();
        assert!(of(&clone, folder).unwrap().readonly);
        assert!(!of(&root, folder).unwrap().readonly);
    });
}

#[test]
fn others_are_known_by_their_number() {
    let proc = openat(rustix::fs::CWD, "/proc", OFlags::PATH, Mode::empty()).unwrap();
    assert_eq!(
        of(proc, Path::new("/proc")).unwrap().kind,
        Kind::Other(0x9fa0)
    );
    let (reader, _writer) = std::io::pipe().unwrap();
    assert!(matches!(
        of(reader, Path::new("pipe")).unwrap().kind,
        Kind::Other(_)
    ));
}
