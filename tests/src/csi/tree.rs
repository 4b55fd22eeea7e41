//! A directory that is hard to copy.

use super::fingerprint::Fingerprint;
use crate::place::Place;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, lsetxattr,
    makedev, mknodat, setxattr, utimensat,
};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What bytes may make a file name hard to handle: quotes, a newline, a leading dash, an end of options, no UTF-8.
const NAMES: [&[u8]; 7] = [
    b"a b",
    b"new\nline",
    b"-rf",
    b"--",
    b"quote'\"`$(x)",
    b"\xff\xfe",
    "umlaut \u{e4} \u{1f5c4}".as_bytes(),
];

/// `user::rw- user:1001:r-- group::r-- mask::r-- other::---`, as the kernel keeps an access ACL.
const ACL: [u8; 44] = [
    2, 0, 0, 0, // version
    1, 0, 6, 0, 255, 255, 255, 255, // user::
    2, 0, 4, 0, 233, 3, 0, 0, // user:1001
    4, 0, 4, 0, 255, 255, 255, 255, // group::
    16, 0, 4, 0, 255, 255, 255, 255, // mask::
    32, 0, 0, 0, 255, 255, 255, 255, // other::
];

/// CAP_NET_BIND_SERVICE, permitted and effective, as the kernel keeps capabilities of a file.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A demanding directory tree: a sparse file, hard links, extended attributes, an ACL, a capability, devices, a fifo, a
/// socket's odd mode, symbolic links that lead nowhere, empty directories, odd names, times in nanoseconds.
#[derive(Debug)]
pub struct Tree {
    place: Place,
    dir: PathBuf,
    planted: Fingerprint,
}

impl Tree {
    /// Makes the tree at `dir`, which must not exist. It takes about a mebibyte.
    pub fn plant(place: &Place, dir: impl Into<PathBuf>) -> Self {
        let (place, dir) = (place.clone(), dir.into());
        place
            .run(|| plant(&dir))
            .unwrap_or_else(|e| panic!("plant a tree at {}: {e}", dir.display()));
        let planted = Fingerprint::of(&place, &dir);
        Self {
            place,
            dir,
            planted,
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it was when it was made.
    pub const fn planted(&self) -> &Fingerprint {
        &self.planted
    }

    /// Fails the test unless the tree at `dir` is as this one was when it was made.
    #[track_caller]
    pub fn assert_survives_at(&self, dir: impl AsRef<Path>) {
        self.planted.assert_same(&Fingerprint::of(&self.place, dir));
    }
}

fn plant(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir)?;
    contents(dir)?;
    links(dir)?;
    attributes(dir)?;
    special_files(dir)?;
    odd_names(&dir.join("names"))?;
    times(dir)
}

fn contents(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("empty"), "")?;
    fs::write(dir.join("small"), "small\n")?;
    let numbers: Vec<u8> = (0u32..65536).flat_map(u32::to_le_bytes).collect();
    fs::write(dir.join("large"), numbers)?;
    let sparse = File::create(dir.join("sparse"))?;
    sparse.set_len(64 << 20)?;
    sparse.write_all_at(b"in the middle of a hole", 32 << 20)?;
    sparse.sync_all()?;
    fs::create_dir_all(dir.join("empty dir/below"))?;
    let secret = dir.join("secret");
    fs::write(&secret, "only root\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400))?;
    let owned = dir.join("owned");
    fs::write(&owned, "somebody's\n")?;
    let (user, group) = (Uid::from_raw(1001), Gid::from_raw(2002));
    chownat(CWD, &owned, Some(user), Some(group), AtFlags::empty())?;
    // After the owner: changing that clears it.
    fs::set_permissions(&owned, fs::Permissions::from_mode(0o6755))?;
    let shared = dir.join("shared");
    fs::create_dir(&shared)?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o3777))
}

fn links(dir: &Path) -> io::Result<()> {
    fs::hard_link(dir.join("small"), dir.join("small too"))?;
    fs::create_dir(dir.join("links"))?;
    fs::hard_link(dir.join("small"), dir.join("links/small three"))?;
    symlink("../small", dir.join("links/near"))?;
    symlink("/nowhere/at all", dir.join("links/dangling"))?;
    symlink("/etc", dir.join("links/outside"))?;
    symlink("circle", dir.join("links/circle"))
}

fn attributes(dir: &Path) -> io::Result<()> {
    let file = dir.join("attributes");
    fs::write(&file, "attributes\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    setxattr(&file, "user.text", b"text", XattrFlags::empty())?;
    setxattr(&file, "user.binary", b"\0\xff\n=", XattrFlags::empty())?;
    setxattr(&file, "trusted.root", b"only", XattrFlags::empty())?;
    setxattr(&file, "system.posix_acl_access", &ACL, XattrFlags::empty())?;
    let inherited = dir.join("inherited");
    fs::create_dir(&inherited)?;
    setxattr(&inherited, "user.of a directory", b"", XattrFlags::empty())?;
    setxattr(
        &inherited,
        "system.posix_acl_default",
        &ACL,
        XattrFlags::empty(),
    )?;
    let program = dir.join("program");
    fs::write(&program, "#!/bin/true\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    setxattr(
        &program,
        "security.capability",
        &CAPABILITY,
        XattrFlags::empty(),
    )?;
    let link = dir.join("links/with attribute");
    symlink("nowhere", &link)?;
    Ok(lsetxattr(
        &link,
        "trusted.of a link",
        b"1",
        XattrFlags::empty(),
    )?)
}

fn special_files(dir: &Path) -> io::Result<()> {
    let dir = dir.join("special");
    fs::create_dir(&dir)?;
    let mode = Mode::from_raw_mode(0o600);
    let files = [
        ("fifo", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("disk", FileType::BlockDevice, makedev(253, 7)),
    ];
    for (name, kind, device) in files {
        mknodat(CWD, dir.join(name), kind, mode, device)?;
    }
    Ok(())
}

fn odd_names(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir)?;
    for name in NAMES {
        fs::write(dir.join(OsStr::from_bytes(name)), name)?;
    }
    fs::write(dir.join("n".repeat(255)), "long\n")?;
    let mut deep = dir.to_owned();
    for _ in 0..30 {
        deep.push("deeper");
    }
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("file"), "deep\n")
}

/// Gives everything a time of its own, children before their directory.
fn times(dir: &Path) -> io::Result<()> {
    let mut at = Timespec {
        tv_sec: 1_000_000_000,
        tv_nsec: 123_456_789,
    };
    for path in super::fingerprint::paths(dir)?.iter().rev() {
        at.tv_sec += 1;
        at.tv_nsec = (at.tv_nsec + 1_000_003) % 1_000_000_000;
        let times = Timestamps {
            last_access: at,
            last_modification: at,
        };
        utimensat(CWD, dir.join(path), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
