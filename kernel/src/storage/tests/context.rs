use super::*;
use crate::storage::loopdev::{self, Options};
use crate::storage::mounts::tests::{dir, entry, look, open, place, unmounted};
use crate::storage::mounts::{device as device_of, is_readonly};
use crate::storage::scratch::{image, inside, patiently};
use std::fs;

#[test]
fn a_filesystem_is_mounted_from_its_device() {
    for (kind, mib, options) in [
        (
            "ext4",
            16,
            &[("commit", Some("7")), ("nodelalloc", None)][..],
        ),
        ("xfs", 320, &[("nouuid", None)]),
        ("btrfs", 128, &[]),
    ] {
        inside(move |folder| {
            let (file, _) = image(folder, mib, Some(kind));
            let autoclear = Options {
                autoclear: true,
                ..Options::default()
            };
            let device = loopdev::attach(&file, &autoclear).unwrap();
            let made = new_filesystem(kind, &device.path(), options, false).unwrap();
            let target = dir(folder, "target");
            made.attach(open(&target), &target).unwrap();
            let entry = entry(&target);
            assert_eq!(entry.fstype, kind);
            assert_eq!(Path::new(&entry.source), device.path());
            for (key, _) in options {
                let shown = entry.super_options.to_str().unwrap();
                assert!(shown.contains(key), "{shown}");
            }
            fs::write(target.join("file"), "content").unwrap();
            let on = device_of(&look(&target), &target).unwrap().unwrap();
            assert_eq!(loopdev::is_loop(on), Some(device.number));
            assert!(unmounted(&place(&target)));
            // A second time, to read only.
            let made = patiently(|| new_filesystem(kind, &device.path(), options, true));
            made.attach(open(&target), &target).unwrap();
            assert!(is_readonly(open(&target), &target).unwrap());
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "content");
            assert!(unmounted(&place(&target)));
        });
    }
}

#[test]
fn a_readonly_mount_beside_a_writable_one_is_readonly_or_refused() {
    for (kind, mib) in [("ext4", 16), ("xfs", 320), ("btrfs", 128)] {
        inside(move |folder| {
            let (file, _) = image(folder, mib, Some(kind));
            let autoclear = Options {
                autoclear: true,
                ..Options::default()
            };
            let device = loopdev::attach(&file, &autoclear).unwrap();
            let _writable = new_filesystem(kind, &device.path(), &[], false).unwrap();
            match new_filesystem(kind, &device.path(), &[], true) {
                Ok(readonly) => assert!(is_readonly(&readonly, folder).unwrap(), "{kind}"),
                Err(refused) => assert_eq!(refused.errno(), Errno::BUSY, "{refused}"),
            }
        });
    }
}

#[test]
fn a_filesystem_in_memory_lies_on_no_device() {
    inside(|folder| {
        let target = dir(folder, "target");
        let made = new_filesystem("tmpfs", Path::new("/dev/null"), &[], false).unwrap();
        made.attach(open(&target), &target).unwrap();
        assert_eq!(device_of(&look(&target), &target).unwrap(), None);
    });
}

#[test]
fn a_refusal_has_the_filesystems_own_words() {
    inside(|folder| {
        let (file, _) = image(folder, 16, Some("ext4"));
        let autoclear = Options {
            autoclear: true,
            ..Options::default()
        };
        let device = loopdev::attach(&file, &autoclear).unwrap();
        let mounting = |kind, options: &[_]| new_filesystem(kind, &device.path(), options, false);
        let refused = mounting("ext4", &[("nonsense", None)])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("nonsense"), "{refused}");
        assert!(
            refused.contains(&device.path().display().to_string()),
            "{refused}"
        );
        let refused = mounting("xfs", &[]).unwrap_err();
        assert!(refused.to_string().contains("xfs"), "{refused}");
        let refused = mounting("no-such-filesystem", &[]).unwrap_err();
        assert_eq!(refused.errno(), Errno::NODEV);
        assert!(
            refused.to_string().contains("this kernel has no"),
            "{refused}"
        );
        let nowhere = new_filesystem("ext4", &folder.join("gone"), &[], false).unwrap_err();
        assert!(nowhere.to_string().contains("gone"), "{nowhere}");
    });
}
