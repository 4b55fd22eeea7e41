use super::*;
use crate::storage::scratch::{filesystem, inside, run};
use place::through;
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, IFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags,
    fallocate, ioctl_getflags, ioctl_setflags, makedev, mkdirat, mknodat, openat, utimensat,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

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

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn set_times(path: &Path, seconds: i64) {
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(seconds, 123_456_789),
        last_modification: time(seconds + 1, 987_654_321),
    };
    utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// An access control list: owner, user 7, group, mask, others.
fn acl(user: u16) -> Vec<u8> {
    let entry = |tag: u16, rights: u16, id: u32| {
        [tag.to_le_bytes(), rights.to_le_bytes()]
            .concat()
            .into_iter()
            .chain(id.to_le_bytes())
    };
    let nobody = u32::MAX;
    2_u32
        .to_le_bytes()
        .into_iter()
        .chain(entry(1, 6, nobody))
        .chain(entry(2, user, 7))
        .chain(entry(4, 4, nobody))
        .chain(entry(0x10, 6, nobody))
        .chain(entry(0x20, 0, nobody))
        .collect()
}

/// CAP_NET_BIND_SERVICE, permitted and effective.
fn capability() -> Vec<u8> {
    [0x0200_0001_u32, 1 << 10, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

/// One of everything.
fn zoo(root: &Path) {
    let node = |name: &str, kind, device| {
        mknodat(open(root), name, kind, Mode::RWXU, device).unwrap();
    };
    node("fifo", FileType::Fifo, 0);
    node("socket", FileType::Socket, 0);
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("loop", FileType::BlockDevice, makedev(7, 99));
    set_mode(&root.join("fifo"), 0o1642);
    lchown(root.join("socket"), Some(5), Some(6)).unwrap();

    symlink("nowhere/\n", root.join("link")).unwrap();
    lchown(root.join("link"), Some(8), Some(9)).unwrap();
    for (name, at) in [("link", 5), ("fifo", 6)] {
        set_attribute(&root.join(name), "trusted.hawser", b"mark");
        set_times(&root.join(name), at);
    }
    symlink("x".repeat(1000), root.join("far")).unwrap();
    files(root);
    names(&root.join("names"));
    directories(root);
    set_mode(root, 0o3751);
    chown(root, Some(11), Some(12)).unwrap();
    set_attribute(root, "user.root", b"1");
    set_times(root, 1_000_000_000);
}

fn files(root: &Path) {
    let file = |name: &str, content: &[u8]| {
        let path = root.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let program = file("program", b"#!");
    chown(&program, Some(1000), Some(1001)).unwrap();
    set_mode(&program, 0o6755);
    set_attribute(&program, "security.capability", &capability());
    let shared = file("shared", &[7; 70_000]);
    set_attribute(&shared, "system.posix_acl_access", &acl(6));
    set_attribute(&shared, "user.empty", b"");
    set_attribute(&shared, "user.long", &[b'v'; 500]);
    set_times(&shared, 999);
    set_mode(&file("unreadable", b"secret"), 0);
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(&[1; 9000], 30 << 20).unwrap();
    sparse.set_len(40 << 20).unwrap();
    fallocate(&sparse, FallocateFlags::KEEP_SIZE, 0, 1 << 20).unwrap();
}

fn names(root: &Path) {
    fs::create_dir(root).unwrap();
    for name in [
        &b"new\nline"[..],
        b"\xff\xfe",
        b" ",
        b"-rf",
        b"...",
        &[b'n'; 255],
    ] {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        fs::write(path.join(OsStr::from_bytes(name)), name).unwrap();
    }
}

fn directories(root: &Path) {
    let sticky = root.join("sticky");
    fs::create_dir_all(sticky.join("inner/empty")).unwrap();
    fs::write(sticky.join("before the rights"), b"x").unwrap();
    // A default list is inherited by what is made later, and must not be by the copy of what was made before.
    set_attribute(&sticky, "system.posix_acl_default", &acl(7));
    set_mode(&sticky, 0o3777);
    fs::hard_link(root.join("shared"), sticky.join("again")).unwrap();
    fs::hard_link(root.join("fifo"), sticky.join("inner/fifo")).unwrap();
    fs::hard_link(root.join("link"), sticky.join("inner/link")).unwrap();
    set_times(&sticky, 77);
    set_times(&sticky.join("inner"), 88);
}

/// All that is to be the same in a copy, by path.
fn told(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut inodes = HashMap::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(relative) = ahead.pop() {
        // The root is a link in /proc.
        let path = root.join(&relative);
        let path = if relative.as_os_str().is_empty() {
            path.join(".")
        } else {
            path
        };
        let stat = fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            ahead.extend(entries.map(|entry| relative.join(entry.unwrap().file_name())));
        }
        let first = inodes.entry(stat.ino()).or_insert(relative.clone());
        let text = format!(
            "{:o} {}:{} {:x} {} links, first {first:?} {}.{} {}.{} {:?} {:?}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.rdev(),
            stat.nlink(),
            stat.atime(),
            stat.atime_nsec(),
            stat.mtime(),
            stat.mtime_nsec(),
            attributes(&path),
            content(&path, &stat),
        );
        all.insert(relative, text);
        // Looking has moved the time of access.
        set_atime(&path, &stat);
    }
    all
}

fn set_atime(path: &Path, stat: &fs::Metadata) {
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(stat.atime(), stat.atime_nsec()),
        last_modification: time(stat.mtime(), stat.mtime_nsec()),
    };
    utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn attributes(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = Vec::with_capacity(65536);
    rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut names)).unwrap();
    let value = |name: &[u8]| {
        let name = OsStr::from_bytes(name);
        let mut value = Vec::with_capacity(65536);
        rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).unwrap();
        (name.to_owned(), value)
    };
    names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(value)
        .collect()
}

/// Repeated bytes are left out: a difference has to be printed.
fn content(path: &Path, stat: &fs::Metadata) -> String {
    let mut content = if stat.is_symlink() {
        fs::read_link(path).unwrap().into_os_string().into_vec()
    } else if stat.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    content.dedup();
    content.escape_ascii().to_string()
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
