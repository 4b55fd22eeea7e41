//! A tree with everything that a filesystem can hold, and all that can be told of a tree.

use super::open;
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, Timespec, Timestamps, XattrFlags, fallocate, makedev,
    mknodat, utimensat,
};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

pub(super) fn set_mode(path: &Path, mode: u32) {
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

pub(super) fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// An access control list: owner, user 7, group, mask, others.
pub(super) fn acl(user: u16) -> Vec<u8> {
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
pub(super) fn zoo(root: &Path) {
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
pub(super) fn told(root: &Path) -> BTreeMap<PathBuf, String> {
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
