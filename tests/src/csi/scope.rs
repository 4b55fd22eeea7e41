//! What the kernel has beneath a directory of a node: mounts, and loop devices over files there.

use crate::place::Place;
use crate::wait::{PATIENCE, eventually};
use rustix::mount::{UnmountFlags, unmount};
use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A mount, as /proc/self/mountinfo tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Where.
    pub target: PathBuf,
    /// The directory of its filesystem that is seen there.
    pub root: PathBuf,
    /// `ext4`, `xfs` ...
    pub filesystem: String,
    /// Its device, for most filesystems.
    pub source: String,
    /// The mount's own options, such as `rw,nosuid`.
    pub options: String,
    /// The filesystem's options.
    pub superblock_options: String,
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, root) = (self.target.display(), self.root.display());
        let (filesystem, options) = (&self.filesystem, &self.options);
        write!(
            f,
            "{target}: {filesystem} {} at {root} ({options})",
            self.source
        )
    }
}

/// A bound loop device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loop {
    /// `/dev/loop3`.
    pub device: PathBuf,
    /// The file behind it.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether it goes when nobody has it open.
    pub autoclear: bool,
    /// Whether it goes around the page cache of its file.
    pub direct: bool,
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, file) = (self.device.display(), self.file.display());
        let access = if self.read_only {
            "read-only"
        } else {
            "writable"
        };
        write!(f, "{device} over {file}, {access}, {} bytes", self.size)
    }
}

/// A directory of a place, and what the kernel has beneath it. Its path is not used by any other test, so that loop
/// devices, which all tests share, can be told apart by the files behind them.
#[derive(Debug, Clone)]
pub struct Scope {
    place: Place,
    dir: PathBuf,
}

impl Scope {
    pub(crate) fn new(place: &Place, dir: impl Into<PathBuf>) -> Self {
        Self {
            place: place.clone(),
            dir: dir.into(),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The place.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The mounts at the directory and beneath it, each after those that it covers or lies on.
    pub fn mounts(&self) -> Vec<Mount> {
        let table = self
            .place
            .run(|| std::fs::read("/proc/thread-self/mountinfo"));
        let table = table.expect("read the mount table");
        table
            .split(|byte| *byte == b'\n')
            .filter_map(parse_mount)
            .filter(|mount| mount.target.starts_with(&self.dir))
            .collect()
    }

    /// The loop devices over files beneath the directory, also over deleted ones.
    pub fn loops(&self) -> Vec<Loop> {
        let mut loops: Vec<Loop> = self.place.run(|| {
            let devices = std::fs::read_dir("/sys/block").into_iter().flatten();
            let names = devices.flatten().map(|entry| entry.file_name());
            names.filter_map(|name| read_loop(name.to_str()?)).collect()
        });
        loops.retain(|device| device.file.starts_with(&self.dir));
        loops.sort();
        loops
    }

    /// Fails the test unless there are no loop devices over files beneath the directory, or none before long: one that
    /// somebody else looks at just then goes when it is closed.
    #[track_caller]
    pub fn has_no_loops(&self) {
        eventually("its loop devices go", || self.loops().is_empty());
    }

    /// Every path beneath the directory, relative to it, sorted. What is mounted beneath is not entered.
    pub fn files(&self) -> Vec<PathBuf> {
        let mounts = self.mounts().into_iter().map(|mount| mount.target);
        let mounted: BTreeSet<PathBuf> = mounts.filter(|target| *target != self.dir).collect();
        let mut found = Vec::new();
        let mut ahead = vec![self.dir.clone()];
        self.place.run(|| {
            while let Some(dir) = ahead.pop() {
                // A directory may go while it is looked at.
                for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                    let path = entry.path();
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    found.extend(path.strip_prefix(&self.dir).map(Path::to_owned));
                    if is_dir && !mounted.contains(&path) {
                        ahead.push(path);
                    }
                }
            }
        });
        found.sort();
        found
    }

    /// Detaches the loop devices over files beneath the directory. What is still open goes when it is closed.
    pub fn detach(&self) {
        for device in self.loops() {
            let device = device.device.display();
            self.place
                .succeeds(&format!("losetup --detach {device} 2>/dev/null"));
        }
    }

    /// Takes everything away that the kernel has beneath the directory: detaches loop devices, thaws and unmounts
    /// filesystems. What does not go, for all [`PATIENCE`], is returned, described.
    pub fn release(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mounts, loops) = (self.mounts(), self.loops());
            if mounts.is_empty() && loops.is_empty() {
                return Vec::new();
            }
            if Instant::now() > deadline {
                let mounts = mounts.iter().map(Mount::to_string);
                return mounts.chain(loops.iter().map(Loop::to_string)).collect();
            }
            self.detach();
            // A frozen filesystem stays when it is unmounted, and keeps its device.
            for mount in mounts.iter().filter(|m| m.source.starts_with("/dev/loop")) {
                let target = mount.target.display();
                self.place
                    .succeeds(&format!("fsfreeze --unfreeze '{target}' 2>/dev/null"));
            }
            self.unmount(&mounts);
        }
    }

    /// Unmounts, newest first. What is busy may be free a moment later, when the kernel has let go of a loop device.
    fn unmount(&self, mounts: &[Mount]) {
        let busy = self.place.run(|| {
            let targets = mounts.iter().rev().map(|mount| &mount.target);
            targets
                .filter(|target| unmount(*target, UnmountFlags::NOFOLLOW).is_err())
                .count()
        });
        if busy > 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let path = |field: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(unescape(field)));
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    Some(Mount {
        root: path(fields.get(3)?),
        target: path(fields.get(4)?),
        options: text(fields.get(5)?),
        filesystem: text(fields.get(dash + 1)?),
        source: text(fields.get(dash + 2)?),
        superblock_options: text(fields.get(dash + 3)?),
    })
}

/// Undoes `\040` and its like, as mountinfo writes spaces, tabs, newlines and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, others @ ..] = rest {
        let code = others.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &others[3..];
            }
            None => {
                plain.push(*first);
                rest = others;
            }
        }
    }
    plain
}

/// The loop device of that name, when it is bound.
fn read_loop(name: &str) -> Option<Loop> {
    let sysfs = Path::new("/sys/block").join(name);
    let read = |file: &str| std::fs::read_to_string(sysfs.join(file)).ok();
    let set = |file: &str| read(file).is_some_and(|value| value.trim() == "1");
    let file = std::fs::read(sysfs.join("loop/backing_file")).ok()?;
    let file = file.strip_suffix(b"\n").unwrap_or(&file);
    let sectors: u64 = read("size")?.trim().parse().ok()?;
    Some(Loop {
        device: Path::new("/dev").join(name),
        file: PathBuf::from(std::ffi::OsString::from_vec(file.to_vec())),
        size: sectors * 512,
        read_only: set("ro"),
        autoclear: set("loop/autoclear"),
        direct: set("loop/dio"),
    })
}
