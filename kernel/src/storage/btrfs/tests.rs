use super::super::scratch::{self, run};
use super::super::sys::btrfs as sys;
use super::*;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

/// Runs a test in a new filesystem that nobody else sees and that ends with it.
fn on_btrfs(test: impl FnOnce(&Scratch) + Send + 'static) {
    scratch::inside(|folder| {
        let (_, image) = scratch::image(folder, 1024, Some("btrfs"));
        let point = folder.join("mounted");
        fs::create_dir(&point).unwrap();
        // Space is given back at commits.
        let options = ["-o", "loop,commit=1", path(&image)];
        run("mount", &options, &point);
        let root = File::open(&point).unwrap();
        test(&Scratch { point, root });
    });
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A mounted filesystem.
struct Scratch {
    point: PathBuf,
    root: File,
}

impl Scratch {
    fn volume(&self, name: &str) -> File {
        create_subvolume(&self.root, &self.point, name).unwrap();
        self.open(name)
    }

    fn snapshot(&self, source: &File, name: &str, readonly: bool) -> File {
        snapshot(source, &self.root, &self.point, name, readonly).unwrap();
        self.open(name)
    }

    fn remove(&self, name: &str) {
        remove_subvolume(&self.root, &self.point, name).unwrap();
        assert!(!self.point.join(name).exists());
    }

    fn open(&self, name: &str) -> File {
        File::open(self.point.join(name)).unwrap()
    }

    fn enable_quota(&self) {
        enable_quota(&self.root, &self.point).unwrap();
    }

    fn limit(&self, volume: &File, mib: Option<u64>) {
        limit(volume, &self.point, mib.map(|mib| mib * MIB)).unwrap();
    }

    fn usage(&self, volume: &File) -> Usage {
        sync(&self.root, &self.point).unwrap();
        usage(volume, &self.point).unwrap()
    }

    /// Appends to a file until it is `mib` large or no more fits. Returns its size in MiB, whole ones only.
    fn fill(&self, name: &str, mib: u64) -> u64 {
        let path = self.point.join(name);
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        let block = vec![0x5a; 1 << 20];
        while file.metadata().unwrap().len() < mib * MIB {
            match file.write_all(&block).and_then(|()| file.sync_data()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::QuotaExceeded => break,
                Err(error) => panic!("{error}"),
            }
        }
        file.metadata().unwrap().len() / MIB
    }

    /// Waits until removed subvolumes are gone to their last block.
    fn clean(&self) {
        run("btrfs", &["subvolume", "sync"], &self.point);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.point);
    }
}

/// A range of MiB, in bytes.
fn mib(range: std::ops::Range<u64>) -> std::ops::Range<u64> {
    range.start * MIB..range.end * MIB
}

#[test]
fn a_limit_stops_at_its_size_and_can_grow_and_go() {
    on_btrfs(|scratch| {
        scratch.enable_quota();
        let volume = scratch.volume("volume");
        for _ in 0..2 {
            scratch.limit(&volume, Some(32));
        }
        assert!((30..=32).contains(&scratch.fill("volume/file", 100)));
        let used = scratch.usage(&volume);
        assert_eq!(used.limit, Some(32 * MIB));
        assert!(mib(30..33).contains(&used.referenced), "{used:?}");
        assert_eq!(used.referenced, used.exclusive);

        scratch.limit(&volume, Some(64));
        assert!((62..=64).contains(&scratch.fill("volume/file", 100)));
        scratch.limit(&volume, None);
        assert_eq!(scratch.fill("volume/file", 100), 100);
        let used = scratch.usage(&volume);
        assert_eq!(used.limit, None);
        assert!(mib(100..102).contains(&used.referenced), "{used:?}");
    });
}

#[test]
fn a_snapshot_of_a_full_volume_shares_it_and_is_independent() {
    on_btrfs(|scratch| {
        scratch.enable_quota();
        let volume = scratch.volume("volume");
        scratch.limit(&volume, Some(32));
        scratch.fill("volume/file", 100);
        let copy = scratch.snapshot(&volume, "copy", false);
        let frozen = scratch.snapshot(&volume, "frozen", true);
        assert_eq!(
            scratch.usage(&copy).limit,
            Some(32 * MIB),
            "it has its source's limit"
        );
        for one in [&volume, &copy, &frozen] {
            let used = scratch.usage(one);
            assert!(mib(30..33).contains(&used.referenced), "{used:?}");
            assert!(used.exclusive < MIB, "{used:?}");
        }

        scratch.limit(&copy, Some(64));
        assert!((62..=64).contains(&scratch.fill("copy/file", 100)));
        fs::remove_file(scratch.point.join("volume/file")).unwrap();
        let size = |name| fs::metadata(scratch.point.join(name)).unwrap().len() / MIB;
        assert!(size("frozen/file") < 33 && size("copy/file") > 60);
        assert!(scratch.usage(&volume).referenced < MIB);
        let written = fs::write(scratch.point.join("frozen/file"), "");
        assert_eq!(written.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        // What is made from a snapshot is writable.
        let restored = scratch.snapshot(&frozen, "restored", false);
        scratch.limit(&restored, None);
        fs::write(scratch.point.join("restored/new"), "").unwrap();
    });
}

#[test]
fn a_removed_subvolume_leaves_neither_space_nor_quota_group() {
    on_btrfs(|scratch| {
        scratch.enable_quota();
        let volume = scratch.volume("volume");
        scratch.fill("volume/file", 100);
        let id = sys::tree_of(volume.as_fd()).unwrap();
        let used = || {
            let stat = rustix::fs::statvfs(&scratch.point).unwrap();
            (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        };
        scratch.usage(&volume);
        let before = used();
        drop(volume);
        for _ in 0..2 {
            scratch.remove("volume");
        }
        scratch.clean();
        sync(&scratch.root, &scratch.point).unwrap();
        assert!(used() + 99 * MIB < before, "{} of {before}", used());
        assert_eq!(tree::counted(scratch.root.as_fd(), id).unwrap(), None);
    });
}

#[test]
fn subvolumes_inside_go_with_it_wherever_they_hide() {
    on_btrfs(|scratch| {
        scratch.enable_quota();
        let (kept, volume) = (scratch.volume("kept"), scratch.volume("volume"));
        symlink(&scratch.point, scratch.point.join("volume/away")).unwrap();
        // More than one search finds.
        for n in 0..100 {
            let name = format!("{n}{}", "n".repeat(200));
            create_subvolume(&volume, &scratch.point, name).unwrap();
        }
        // Deeper than a path can say.
        let mut dir = volume.as_fd().try_clone_to_owned().unwrap();
        for _ in 0..20 {
            let name = "d".repeat(250);
            mkdirat(&dir, &name, Mode::RWXU).unwrap();
            dir = openat(&dir, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        create_subvolume(&dir, Path::new("deep"), "deep").unwrap();
        // Read-only all the way.
        let inside = |parent: &File, name| {
            create_subvolume(parent, &scratch.point, name).unwrap();
            File::from(openat(parent, name, OFlags::DIRECTORY, Mode::empty()).unwrap())
        };
        let outer = inside(&volume, "outer");
        let middle = inside(&outer, "middle");
        snapshot(&kept, &middle, &scratch.point, "inner", true).unwrap();
        let inner = scratch.open("volume/outer/middle/inner");
        for one in [&middle, &outer, &volume] {
            set_readonly(one, &scratch.point, true).unwrap();
        }
        let ids = [&inner, &middle, &outer, &volume].map(|one| sys::tree_of(one.as_fd()).unwrap());
        drop((inner, middle, outer, volume, dir));
        scratch.remove("volume");
        scratch.clean();
        for id in ids {
            assert_eq!(tree::counted(scratch.root.as_fd(), id).unwrap(), None);
            assert_eq!(tree::nested(scratch.root.as_fd(), id).unwrap(), []);
        }
        assert!(is_subvolume(scratch.open("kept"), &scratch.point).unwrap());
    });
}

#[test]
fn only_subvolumes_are_removed() {
    on_btrfs(|scratch| {
        let volume = scratch.volume("volume");
        fs::create_dir(scratch.point.join("directory")).unwrap();
        symlink("volume", scratch.point.join("link")).unwrap();
        fs::create_dir(scratch.point.join("mounted")).unwrap();
        let paths = ["volume", "mounted"].map(|name| scratch.point.join(name));
        run("mount", &["--bind", path(&paths[0])], &paths[1]);
        for (name, errno) in [
            ("directory", Errno::INVAL),
            ("link", Errno::LOOP),
            ("mounted", Errno::XDEV),
            ("..", Errno::XDEV),
        ] {
            let refused = remove_subvolume(&scratch.root, &scratch.point, name).unwrap_err();
            assert_eq!(refused.errno(), errno, "{refused}");
        }
        assert!(is_subvolume(&volume, &scratch.point).unwrap());
        for other in ["directory", "."] {
            let is = is_subvolume(scratch.open(other), &scratch.point).unwrap();
            assert_eq!(is, other == ".", "{other}");
        }
        let outside = File::open("/").unwrap();
        assert!(!is_subvolume(&outside, Path::new("/")).unwrap());
    });
}

#[test]
fn read_only_comes_and_goes() {
    on_btrfs(|scratch| {
        let volume = scratch.volume("volume");
        for readonly in [true, true, false, false] {
            set_readonly(&volume, &scratch.point, readonly).unwrap();
            let written = fs::write(scratch.point.join("volume/file"), "");
            assert_eq!(written.is_err(), readonly);
        }
    });
}

#[test]
fn without_quotas_all_but_limits_works() {
    on_btrfs(|scratch| {
        let volume = scratch.volume("volume");
        assert_eq!(quota_state(&volume, &scratch.point).unwrap(), Quota::Off);
        for refused in [
            limit(&volume, &scratch.point, Some(MIB)).unwrap_err(),
            usage(&volume, &scratch.point).unwrap_err(),
        ] {
            assert_eq!(refused.errno(), Errno::NOTCONN);
            assert!(refused.to_string().contains("quotas are off"), "{refused}");
        }
        scratch.snapshot(&volume, "copy", false);
        scratch.remove("volume");
    });
}

#[test]
fn quotas_count_what_was_there_before_them() {
    on_btrfs(|scratch| {
        let volume = scratch.volume("volume");
        scratch.fill("volume/file", 20);
        for _ in 0..2 {
            scratch.enable_quota();
            assert_eq!(
                quota_state(&volume, &scratch.point).unwrap(),
                Quota::Qgroups
            );
        }
        let used = usage(&volume, &scratch.point).unwrap();
        assert!(mib(20..21).contains(&used.referenced), "{used:?}");
    });
}

#[test]
fn counting_that_the_kernel_gave_up_is_taken_up_again() {
    on_btrfs(|scratch| {
        scratch.enable_quota();
        let volume = scratch.volume("volume");
        scratch.fill("volume/file", 20);
        scratch.snapshot(&volume, "copy", false);
        let qgroup = format!("0/{}", sys::tree_of(volume.as_fd()).unwrap());
        // A parent's count cannot be guessed from one that shares.
        run("btrfs", &["qgroup", "create", "1/1"], &scratch.point);
        let assign = ["qgroup", "assign", "--no-rescan", &qgroup, "1/1"];
        run("btrfs", &assign, &scratch.point);
        let inconsistent = || {
            let flags = tree::quota_flags(scratch.root.as_fd()).unwrap().unwrap();
            flags & (1 << 2) != 0
        };
        sync(&scratch.root, &scratch.point).unwrap();
        assert!(inconsistent());
        scratch.enable_quota();
        assert!(!inconsistent());
    });
}

#[test]
fn simple_quotas_are_told_apart_and_stay() {
    on_btrfs(|scratch| {
        sys::quota_control(scratch.root.as_fd(), sys::ENABLE_SIMPLE).unwrap();
        scratch.enable_quota();
        assert_eq!(
            quota_state(&scratch.root, &scratch.point).unwrap(),
            Quota::Simple
        );
        let volume = scratch.volume("volume");
        scratch.limit(&volume, Some(32));
        assert!((30..=32).contains(&scratch.fill("volume/file", 100)));
        assert_eq!(scratch.usage(&volume).limit, Some(32 * MIB));
    });
}

#[test]
fn names_are_names() {
    on_btrfs(|scratch| {
        let long = "x".repeat(256);
        for (name, errno) in [
            ("", Errno::INVAL),
            ("a\0b", Errno::INVAL),
            (&long, Errno::NAMETOOLONG),
        ] {
            let refused = create_subvolume(&scratch.root, &scratch.point, name).unwrap_err();
            assert_eq!(refused.errno(), errno, "{refused}");
        }
        create_subvolume(&scratch.root, &scratch.point, &long[1..]).unwrap();
        let again = create_subvolume(&scratch.root, &scratch.point, &long[1..]).unwrap_err();
        assert_eq!(again.errno(), Errno::EXIST);
    });
}
