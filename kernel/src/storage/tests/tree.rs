mod zoo;

use super::*;
use crate::storage::scratch::{filesystem, inside, run};
use place::through;
use rustix::fs::{
    FileType, IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, mkdirat, mknodat, openat,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use zoo::{acl, set_attribute, set_mode, told, zoo};

const GO_ON: &dyn Fn() -> bool = &|| false;

fn on_each(test: fn(&Path, &str)) {
    inside(move |folder| {
        for (kind, mib) in [("ext4", 128), ("xfs", 320), ("btrfs", 160)] {
            let root = filesystem(folder, mib, kind);
            test(&through(&root), kind);
        }
    });
}

fn directory(path: &Path) -> OwnedFd {
    fs::create_dir(path).unwrap();
    open(path)
}

fn open(path: &Path) -> OwnedFd {
    OwnedFd::from(File::open(path).unwrap())
}

#[test]
fn everything_survives_a_copy() {
    on_each(|base, kind| {
        let from = directory(&base.join("from"));
        zoo(&base.join("from"));
        let before = told(&base.join("from"));
        for (name, reflink) in [("shared", true), ("copied", false)] {
            let expected = told(&base.join("from"));
            let path = base.join(name);
            let to = directory(&path);
            // What the pool's own rights would leave to its entries.
            set_attribute(&path, "system.posix_acl_default", &acl(7));
            copy(&from, &to, reflink, GO_ON).unwrap();
            let sparse = fs::metadata(path.join("sparse")).unwrap().blocks() * 512;
            assert!(reflink || sparse < 1 << 20, "{kind}: {sparse}");
            same(&expected, &told(&path), &format!("{kind} {name}"));
        }
        let without_links = |mut all: BTreeMap<PathBuf, String>| {
            // There is no way to read a link without moving its time of access.
            all.retain(|place, _| !base.join("from").join(place).is_symlink());
            all
        };
        let after = told(&base.join("from"));
        same(&without_links(before), &without_links(after), "the source");
    });
}

fn same(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>, what: &str) {
    assert!(before.keys().eq(after.keys()), "{what}");
    for (place, text) in before {
        assert_eq!(text, &after[place], "{what}: {}", place.display());
    }
}

/// Directories in one another, `depth` of them with long names, and the innermost.
fn deep(top: OwnedFd, depth: usize) -> OwnedFd {
    let name = "d".repeat(200);
    (0..depth).fold(top, |here, _| {
        mkdirat(&here, &name, Mode::RWXU).unwrap();
        openat(&here, &name, OFlags::DIRECTORY, Mode::empty()).unwrap()
    })
}

fn innermost(top: OwnedFd) -> (usize, OwnedFd) {
    let name = "d".repeat(200);
    let mut here = top;
    let mut depth = 0;
    while let Ok(next) = openat(&here, &name, OFlags::DIRECTORY, Mode::empty()) {
        (here, depth) = (next, depth + 1);
    }
    (depth, here)
}

#[test]
fn depth_has_no_limit() {
    inside(|folder| {
        let root = filesystem(folder, 320, "xfs");
        let base = through(&root);
        let from = directory(&base.join("from"));
        let bottom = deep(from.try_clone().unwrap(), 3000);
        fs::write(through(&bottom).join("file"), b"deep down").unwrap();
        fs::hard_link(
            through(&bottom).join("file"),
            through(&bottom).join("other"),
        )
        .unwrap();

        let to = directory(&base.join("to"));
        copy(&from, &to, true, GO_ON).unwrap();
        let (depth, bottom) = innermost(to);
        assert_eq!(depth, 3000);
        let file = through(&bottom).join("other");
        assert_eq!(fs::read(&file).unwrap(), b"deep down");
        assert_eq!(fs::metadata(&file).unwrap().nlink(), 2);
        drop(bottom);

        remove(&root, "from").unwrap();
        remove(&root, "to").unwrap();
        assert_eq!(fs::read_dir(&base).unwrap().count(), 0);
    });
}

#[test]
fn width_has_no_limit() {
    inside(|folder| {
        let root = filesystem(folder, 128, "ext4");
        let base = through(&root);
        let from = directory(&base.join("from"));
        for number in 0..9000 {
            mkdirat(&from, number.to_string(), Mode::RWXU).unwrap();
        }
        let to = directory(&base.join("to"));
        copy(&from, &to, false, GO_ON).unwrap();
        assert_eq!(fs::read_dir(base.join("to")).unwrap().count(), 9000);
        remove(&root, "to").unwrap();
        assert!(!base.join("to").exists());
    });
}

#[test]
fn what_is_mounted_in_a_tree_is_neither_copied_nor_removed() {
    inside(|folder| {
        let tree = folder.join("tree");
        let mounted = tree.join("a/mounted\n");
        fs::create_dir_all(&mounted).unwrap();
        mount("none", &mounted, "tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(mounted.join("kept"), b"x").unwrap();
        set_mode(&mounted, 0o700);

        let to = directory(&folder.join("to"));
        let refused = copy(open(&tree), &to, false, GO_ON).unwrap_err();
        assert_eq!(refused.errno(), Errno::BUSY);
        assert!(
            refused.to_string().starts_with("copy a/mounted\\n: "),
            "{refused}"
        );
        let refused = remove(open(folder), "tree").unwrap_err();
        assert_eq!(refused.errno(), Errno::BUSY);
        assert!(
            refused
                .to_string()
                .starts_with("remove tree/a/mounted\\n: "),
            "{refused}"
        );
        let refused = remove(open(&tree.join("a")), "mounted\n").unwrap_err();
        assert_eq!(refused.errno(), Errno::BUSY);

        chown_group(open(&tree), 77, GO_ON).unwrap();
        assert_eq!(fs::metadata(&tree).unwrap().gid(), 77);
        let inside = fs::metadata(&mounted).unwrap();
        assert_eq!((inside.gid(), inside.mode() & 0o7777), (0, 0o700));
        assert!(mounted.join("kept").exists());
    });
}

#[test]
fn a_file_that_is_a_mount_point_stays_also() {
    inside(|folder| {
        fs::create_dir(folder.join("tree")).unwrap();
        for name in ["source", "tree/target"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let target = folder.join("tree/target");
        rustix::mount::mount_bind(folder.join("source"), &target).unwrap();
        let to = directory(&folder.join("to"));
        for refused in [
            remove(open(folder), "tree").unwrap_err(),
            copy(open(&folder.join("tree")), &to, false, GO_ON).unwrap_err(),
        ] {
            assert_eq!(refused.errno(), Errno::BUSY);
            assert!(refused.to_string().contains("target: "), "{refused}");
        }
        assert_eq!(fs::read(folder.join("source")).unwrap(), b"source");
    });
}

#[test]
fn removal_takes_everything_and_follows_nothing() {
    on_each(|base, kind| {
        let parent = open(base);
        directory(&base.join("tree"));
        zoo(&base.join("tree"));
        fs::create_dir(base.join("other")).unwrap();
        fs::write(base.join("other/kept"), b"x").unwrap();
        symlink("../other", base.join("tree/way out")).unwrap();
        symlink("other", base.join("way")).unwrap();
        for name in ["tree", "way", "never there"] {
            remove(&parent, name).unwrap();
            assert!(
                fs::symlink_metadata(base.join(name)).is_err(),
                "{kind} {name}"
            );
        }
        assert!(base.join("other/kept").exists(), "{kind}");
    });
}

#[test]
fn what_is_immutable_is_removed_also() {
    on_each(|base, kind| {
        let protect = |name: &str, flags| {
            let file = open(&base.join(name));
            let all = ioctl_getflags(&file).unwrap() | flags;
            ioctl_setflags(&file, all).unwrap();
        };
        fs::create_dir_all(base.join("tree/fixed/inner")).unwrap();
        fs::create_dir_all(base.join("tree/growing/inner")).unwrap();
        for name in [
            "alone",
            "tree/fixed/file",
            "tree/growing/file",
            "tree/fixed/free",
        ] {
            fs::write(base.join(name), b"x").unwrap();
        }
        protect("alone", IFlags::IMMUTABLE);
        protect("tree/fixed/file", IFlags::IMMUTABLE | IFlags::APPEND);
        protect("tree/fixed/inner", IFlags::IMMUTABLE);
        protect("tree/fixed", IFlags::IMMUTABLE);
        protect("tree/growing/file", IFlags::APPEND);
        protect("tree/growing", IFlags::APPEND);
        protect("tree", IFlags::IMMUTABLE);
        for name in ["alone", "tree"] {
            remove(open(base), name).unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert!(!base.join(name).exists(), "{kind} {name}");
        }
    });
}

#[test]
fn subvolumes_in_a_tree_are_removed_and_their_content_copied() {
    inside(|folder| {
        let root = filesystem(folder, 160, "btrfs");
        // The program does not see our descriptors under the same name.
        let base = PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            std::os::fd::AsRawFd::as_raw_fd(&root)
        ));
        fs::create_dir(base.join("tree")).unwrap();
        run(
            "btrfs",
            &["-q", "subvolume", "create"],
            &base.join("tree/inner"),
        );
        fs::write(base.join("tree/inner/file"), b"x").unwrap();
        let to = directory(&base.join("to"));
        copy(open(&base.join("tree")), &to, true, GO_ON).unwrap();
        assert_eq!(fs::read(base.join("to/inner/file")).unwrap(), b"x");
        remove(&root, "tree").unwrap();
        assert!(!base.join("tree").exists());
    });
}

#[test]
fn a_group_gets_what_kubelet_would_give_it() {
    on_each(|base, kind| {
        let top = directory(&base.join("top"));
        let at = |name: &str| base.join("top").join(name);
        fs::create_dir(at("dir")).unwrap();
        set_mode(&at("dir"), 0o1700);
        for (name, mode) in [("plain", 0o604), ("program", 0o4711), ("closed", 0)] {
            fs::write(at(name), b"x").unwrap();
            set_mode(&at(name), mode);
        }
        fs::write(base.join("outside"), b"x").unwrap();
        set_mode(&base.join("outside"), 0o600);
        symlink("../outside", at("link")).unwrap();
        mknodat(&top, "fifo", FileType::Fifo, Mode::RUSR, 0).unwrap();
        set_mode(&at("fifo"), 0o600);
        let is = |name: &str| {
            let stat = fs::symlink_metadata(at(name)).unwrap();
            (stat.gid(), stat.mode() & 0o7777)
        };

        chown_group(&top, 500, GO_ON).unwrap();
        for (name, mode) in [
            ("dir", 0o3770),
            ("plain", 0o664),
            ("program", 0o4771),
            ("closed", 0o660),
            ("fifo", 0o660),
            ("link", 0o777),
            (".", 0o2775),
        ] {
            assert_eq!(is(name), (500, mode), "{kind} {name}");
        }
        let outside = fs::metadata(base.join("outside")).unwrap();
        assert_eq!(
            (outside.gid(), outside.mode() & 0o7777),
            (0, 0o600),
            "{kind}"
        );

        // As it should be at the top: nothing beneath is looked at.
        set_mode(&at("plain"), 0o600);
        chown_group(&top, 500, GO_ON).unwrap();
        assert_eq!(is("plain"), (500, 0o600), "{kind}");
        set_mode(&at("."), 0o755);
        chown_group(&top, 500, GO_ON).unwrap();
        assert_eq!(is("plain"), (500, 0o660), "{kind}");
    });
}

#[test]
fn work_stops_when_told() {
    inside(|folder| {
        let from = directory(&folder.join("from"));
        let file = File::create(folder.join("from/large")).unwrap();
        file.write_all_at(&vec![1; 32 << 20], 0).unwrap();
        fs::write(folder.join("from/small"), b"x").unwrap();
        let asked = Cell::new(0);
        let to = directory(&folder.join("to"));
        let stopped = copy(&from, &to, false, &|| asked.replace(asked.get() + 1) >= 4);
        assert_eq!(stopped.unwrap_err().errno(), Errno::CANCELED);
        assert_eq!(asked.get(), 5);
        let stopped = chown_group(&from, 5, &|| true).unwrap_err();
        assert_eq!(stopped.errno(), Errno::CANCELED);
    });
}

#[test]
fn a_place_is_shown_whole_or_by_its_end() {
    let mut place = place::Place::default();
    assert_eq!(place.to_string(), ".");
    place.push(OsStr::new("a"));
    place.push(OsStr::from_bytes(b"\xff \n"));
    assert_eq!(place.to_string(), "a/\\xff \\n");
    place.pop();
    assert_eq!(place.to_string(), "a");
    for _ in 0..100 {
        place.push(OsStr::new("0123456789"));
    }
    assert!(place.to_string().starts_with("..."));
    assert!(place.to_string().len() < 410);
    (0..101).for_each(|_| place.pop());
    assert_eq!(place.bytes(), b"");
}
