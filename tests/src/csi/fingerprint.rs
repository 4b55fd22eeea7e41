//! Whether a directory is what it was: everything that a good copy keeps.

use crate::dump::Diff;
use crate::place::Place;
use rustix::fs::{SeekFrom, lgetxattr, llistxattr, major, minor, seek};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What a directory holds: of each path its kind, mode, owner, modification time, links, size, content, holes, target,
/// device and extended attributes (with ACLs and capabilities). What a filesystem decides for itself is left out: inode
/// numbers, the size of directories, times of access and change, SELinux labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    entries: BTreeMap<String, Value>,
}

impl Fingerprint {
    /// Looks at a directory of a place, itself included.
    #[track_caller]
    pub fn of(place: &Place, dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        let entries = place.run(|| entries(dir));
        let entries = entries.unwrap_or_else(|e| panic!("look at {}: {e}", dir.display()));
        Self { entries }
    }

    /// All of it as one number, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        let text = format!("{:?}", self.entries);
        hex(&Sha256::digest(text.as_bytes()))
    }

    /// What `later` has otherwise.
    pub fn diff(&self, later: &Self) -> Diff {
        Diff::between(&self.entries, &later.entries)
    }

    /// Fails the test, with the differences, unless `later` is the same.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        let diff = self.diff(later);
        assert!(diff.is_empty(), "not the same tree:\n{diff}");
    }
}

fn entries(dir: &Path) -> io::Result<BTreeMap<String, Value>> {
    let mut first_link = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for path in paths(dir)? {
        let name = format!(
            "{:?}",
            if path == Path::new("") {
                Path::new(".")
            } else {
                &path
            }
        );
        let metadata = fs::symlink_metadata(dir.join(&path))?;
        let mut entry = describe(&dir.join(&path), &metadata)?;
        if metadata.nlink() > 1 && !metadata.is_dir() {
            let inode = (metadata.dev(), metadata.ino());
            let first = first_link.entry(inode).or_insert_with(|| name.clone());
            entry.insert("linked with".to_owned(), json!(first));
        }
        entries.insert(name, Value::Object(entry));
    }
    Ok(entries)
}

/// Every path beneath a directory, relative to it, in an order that depends on names alone. The first is empty: the
/// directory itself.
pub(super) fn paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if dir.join(&path).symlink_metadata()?.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(dir.join(&path))? {
                names.push(entry?.file_name());
            }
            names.sort();
            found.extend(names.iter().map(|name| path.join(name)));
        }
    }
    Ok(found)
}

fn describe(path: &Path, metadata: &Metadata) -> io::Result<Map<String, Value>> {
    let kind = metadata.file_type();
    let mut entry = Map::new();
    let mut say = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    say("mode", json!(format!("{:o}", metadata.mode() & 0o7777)));
    say(
        "owner",
        json!(format!("{}:{}", metadata.uid(), metadata.gid())),
    );
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    say("modified", json!(format!("{seconds}.{nanoseconds:09}")));
    say("attributes", attributes(path)?);
    if kind.is_file() {
        say("kind", json!("file"));
        say("size", json!(metadata.len()));
        let mut file = File::open(path)?;
        say("has holes", json!(has_holes(&file, metadata.len())?));
        say("sha256", json!(content(&mut file)?));
    } else if kind.is_dir() {
        say("kind", json!("directory"));
    } else if kind.is_symlink() {
        say("kind", json!("symbolic link"));
        say("target", json!(format!("{:?}", fs::read_link(path)?)));
    } else if kind.is_fifo() || kind.is_socket() {
        say(
            "kind",
            json!(if kind.is_fifo() { "fifo" } else { "socket" }),
        );
    } else {
        let name = if kind.is_block_device() {
            "block"
        } else {
            "character"
        };
        let device = metadata.rdev();
        say("kind", json!(format!("{name} device")));
        say(
            "device",
            json!(format!("{}:{}", major(device), minor(device))),
        );
    }
    Ok(entry)
}

fn content(file: &mut File) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(file, &mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Whether a file has a hole before its end.
fn has_holes(file: &File, size: u64) -> io::Result<bool> {
    if size == 0 {
        return Ok(false);
    }
    let hole = seek(file, SeekFrom::Hole(0))?;
    seek(file, SeekFrom::Start(0))?;
    Ok(hole < size)
}

fn attributes(path: &Path) -> io::Result<Value> {
    let mut names = vec![0; 65536];
    let length = llistxattr(path, &mut names[..])?;
    let mut found = Map::new();
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() || name == b"security.selinux" {
            continue;
        }
        let mut value = vec![0; 65536];
        let length = match lgetxattr(path, OsStr::from_bytes(name), &mut value[..]) {
            Err(Errno::NODATA) => continue,
            length => length?,
        };
        let name = String::from_utf8_lossy(name).into_owned();
        found.insert(name, json!(value[..length].escape_ascii().to_string()));
    }
    Ok(Value::Object(found))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
