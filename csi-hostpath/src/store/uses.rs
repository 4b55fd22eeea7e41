//! How volumes are used on this node: the part of a record that a process has to leave to the next one, and the machine
//! to nobody.
//!
//! Mounts, devices and freezes end with the machine. So this is written without waiting for the disk, which makes up most
//! of a stage or a publish otherwise, and what an earlier boot wrote counts for nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prost::Message;

use super::Error;
use crate::access::Mode;
use crate::record::{Published, Staged, Volume};

/// The folder beside the store's file. A volume in use has a file in it, `<id>.0` and `<id>.1` by turns. No file is written
/// twice or replaced: for that filesystems write to the disk at once what would be lost, and here nothing would.
const FOLDER: &str = "uses";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How a volume is used, as its file has it.
#[derive(Clone, PartialEq, Message)]
struct Use {
    /// The boot in which it is.
    #[prost(string, tag = "1")]
    boot: String,
    #[prost(message, optional, tag = "2")]
    staged: Option<Staged>,
    #[prost(message, repeated, tag = "3")]
    published: Vec<Published>,
    #[prost(bool, tag = "4")]
    frozen: bool,
    /// It grows with each change.
    #[prost(uint64, tag = "5")]
    version: u64,
    /// Always set. It comes last, and is missing where the process ended before the file was whole.
    #[prost(bool, tag = "15")]
    whole: bool,
}

impl Use {
    /// Whether it is whole, and as [`Volume::is_understood`].
    fn is_understood(&self) -> bool {
        let staged = self.staged.iter().map(|staged| staged.mode);
        let mut modes = staged.chain(self.published.iter().map(|published| published.mode));
        self.whole && modes.all(Mode::is_valid)
    }
}

/// Every volume in use.
pub(super) struct Uses {
    folder: PathBuf,
    boot: String,
    known: RwLock<BTreeMap<String, Use>>,
}

impl Uses {
    /// The uses of the store at `store`, as this boot has them. Those of an earlier one are removed.
    pub(super) fn open(store: &Path) -> Result<Self, Error> {
        let folder = store.with_file_name(FOLDER);
        // Without it, records hold all.
        let _ = fs::DirBuilder::new().mode(0o700).create(&folder);
        let boot = fs::read_to_string(BOOT_ID);
        let boot = boot.map_err(|error| Error::io(Path::new(BOOT_ID), &error))?;
        let boot = boot.trim().to_owned();
        Ok(Self {
            known: RwLock::new(known(&folder, &boot)?),
            folder,
            boot,
        })
    }

    /// Completes a record with how the volume is used. One that is known to be used in no way keeps what its record says.
    pub(super) fn complete(&self, volume: Volume) -> Volume {
        match self.known().get(&volume.id) {
            Some(usage) => Volume {
                staged: usage.staged.clone(),
                published: usage.published.clone(),
                frozen: usage.frozen,
                ..volume
            },
            None => volume,
        }
    }

    /// Writes down how a volume is used. Calls about one volume come one after the other.
    pub(super) fn write(&self, volume: &Volume) -> Result<(), Error> {
        let before = self.known().get(&volume.id).map(|usage| usage.version);
        let mut usage = Use {
            boot: self.boot.clone(),
            staged: volume.staged.clone(),
            published: volume.published.clone(),
            frozen: volume.frozen,
            version: before.unwrap_or_default(),
            whole: true,
        };
        if self.known().get(&volume.id) == Some(&usage) {
            return Ok(());
        }
        usage.version += 1;
        let path = self.folder.join(file(&volume.id, usage.version));
        if let Err(error) = write(&path, &usage.encode_to_vec()) {
            let _ = fs::remove_file(&path);
            return Err(Error::io(&path, &error));
        }
        self.change().insert(volume.id.clone(), usage);
        // One that stays is removed by the next process. If it is taken for the last there, the mount table knows better.
        let _ = before.map(|before| fs::remove_file(self.folder.join(file(&volume.id, before))));
        Ok(())
    }

    /// Forgets how a volume is used, if anything is known of it.
    pub(super) fn forget(&self, volume: &str) -> Result<(), Error> {
        let last = self.known().get(volume).map(|usage| usage.version);
        if let Some(version) = last {
            remove(&self.folder.join(file(volume, version)))?;
            self.change().remove(volume);
        }
        Ok(())
    }

    /// What is known. No code that could panic runs while it is locked, so a poisoned one is as good as any.
    fn known(&self) -> RwLockReadGuard<'_, BTreeMap<String, Use>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Use>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record without how the volume is used.
pub(super) fn without(volume: &Volume) -> Volume {
    Volume {
        staged: None,
        published: Vec::new(),
        frozen: false,
        ..volume.clone()
    }
}

/// What lies in the folder of this boot, the last of each volume. The rest is removed.
fn known(folder: &Path, boot: &str) -> Result<BTreeMap<String, Use>, Error> {
    let mut known: BTreeMap<String, Use> = BTreeMap::new();
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = match entries {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(known),
        entries => entries.map_err(|error| Error::io(folder, &error))?,
    };
    for entry in entries {
        let path = entry.path();
        let content = fs::read(&path).map_err(|error| Error::io(&path, &error))?;
        let usage = Use::decode(content.as_slice()).ok();
        let usage = usage.filter(|usage| usage.boot == boot && usage.is_understood());
        let Some((volume, usage)) = volume(&entry.file_name()).zip(usage) else {
            remove(&path)?;
            continue;
        };
        let older = match known.get(&volume).map(|other| other.version) {
            Some(other) if other > usage.version => Some(usage.version),
            other => {
                known.insert(volume.clone(), usage);
                other
            }
        };
        if let Some(older) = older {
            remove(&folder.join(file(&volume, older)))?;
        }
    }
    Ok(known)
}

fn file(volume: &str, version: u64) -> String {
    format!("{volume}.{}", version % 2)
}

/// The volume that a file's name tells.
fn volume(file: &OsStr) -> Option<String> {
    let (volume, _) = file.to_str()?.rsplit_once('.')?;
    Some(volume.to_owned())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(content)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}
