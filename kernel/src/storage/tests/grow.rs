use super::*;
use crate::storage::loopdev::{Device, Options, attach};
use crate::storage::mounts::new_filesystem;
use crate::storage::scratch::{image, inside, run};
use rustix::fs::{Mode, OFlags, fstatvfs, openat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// A filesystem on a device, with room behind it.
struct Volume {
    file: File,
    device: Device,
    root: OwnedFd,
}

impl Volume {
    fn new(folder: &Path, mib: u64, kind: &str) -> Self {
        Self::on(image(folder, mib, Some(kind)).0, kind)
    }

    fn on(file: File, kind: &str) -> Self {
        let options = Options {
            autoclear: true,
            ..Options::default()
        };
        let device = attach(&file, &options).unwrap();
        let mount = new_filesystem(kind, &device.path(), &[], false).unwrap();
        let root = openat(&mount, ".", OFlags::RDONLY, Mode::empty()).unwrap();
        Self { file, device, root }
    }

    fn enlarge(&self, mib: u64) {
        self.file.set_len(mib * MIB).unwrap();
        self.device.refresh_size().unwrap();
    }

    fn size(&self) -> u64 {
        let told = fstatvfs(&self.root).unwrap();
        told.f_blocks * told.f_frsize
    }
}

/// The line of /proc that lists what this process may.
fn effective() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
}

#[test]
fn permission_is_what_the_kernel_says() {
    assert_eq!(may_resize_ext4(), effective() & 1 << 24 != 0);
}

#[test]
fn ext4_grows_where_it_is_permitted() {
    inside(|folder| {
        let volume = Volume::new(folder, 64, "ext4");
        let before = volume.size();
        assert_eq!(ext4_online(&volume.root, 64 * MIB).unwrap(), Online::Grown);
        assert_eq!(ext4_online(&volume.root, 32 * MIB).unwrap(), Online::Grown);
        assert_eq!(volume.size(), before);
        volume.enlarge(128);
        let outcome = ext4_online(&volume.root, 128 * MIB).unwrap();
        if may_resize_ext4() {
            assert_eq!(outcome, Online::Grown);
            assert!(volume.size() > before + 50 * MIB);
            assert_eq!(ext4_online(&volume.root, 128 * MIB).unwrap(), Online::Grown);
        } else {
            assert_eq!(outcome, Online::NotPermitted);
            assert_eq!(volume.size(), before);
        }
    });
}

#[test]
fn ext4_that_was_grown_offline_needs_no_permission() {
    inside(|folder| {
        let (file, path) = image(folder, 64, Some("ext4"));
        file.set_len(96 * MIB).unwrap();
        run("resize2fs", &[], &path);
        let volume = Volume::on(file, "ext4");
        assert_eq!(ext4_online(&volume.root, 96 * MIB).unwrap(), Online::Grown);
        // Part of a block more is nothing more.
        let outcome = ext4_online(&volume.root, 96 * MIB + 512).unwrap();
        assert_eq!(outcome, Online::Grown);
    });
}

#[test]
fn xfs_grows_and_stays() {
    inside(|folder| {
        let volume = Volume::new(folder, 320, "xfs");
        let before = volume.size();
        xfs(&volume.root, 320 * MIB).unwrap();
        xfs(&volume.root, 100 * MIB).unwrap();
        assert_eq!(volume.size(), before);
        volume.enlarge(500);
        for _ in 0..2 {
            xfs(&volume.root, 500 * MIB).unwrap();
            assert_eq!(volume.size(), before + 180 * MIB);
        }
        let refused = xfs(&volume.root, 5000 * MIB).unwrap_err();
        let doing = format!("grow XFS to {} bytes: ", 5000 * MIB);
        assert!(refused.to_string().starts_with(&doing), "{refused}");
    });
}

#[test]
fn btrfs_grows_and_stays() {
    inside(|folder| {
        let volume = Volume::new(folder, 320, "btrfs");
        let before = volume.size();
        btrfs(&volume.root).unwrap();
        assert_eq!(volume.size(), before);
        volume.enlarge(500);
        for _ in 0..2 {
            btrfs(&volume.root).unwrap();
            assert_eq!(volume.size(), before + 180 * MIB);
        }
    });
}

#[test]
fn another_filesystem_is_refused() {
    inside(|folder| {
        let folder = File::open(folder).unwrap();
        for refused in [
            xfs(&folder, 1 << 40).unwrap_err(),
            btrfs(&folder).unwrap_err(),
        ] {
            assert_eq!(refused.errno(), Errno::NOTTY, "{refused}");
        }
    });
}
