//! The state directory: there, ours alone, and the one that it was.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tracing::warn;

use crate::excerpt::excerpt;

/// The store's file in the state directory.
pub const STORE: &str = "state.redb";

/// A hold on a state directory, until it is dropped or the process ends.
#[derive(Debug)]
pub struct StateDir {
    _lock: File,
}

impl StateDir {
    /// Takes the directory at `path` for this process, made 0700 if it is not there.
    pub fn take(path: &Path) -> Result<Self, String> {
        let name = path.display();
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(path)
            .map_err(|error| format!("state directory {name}: {error}{}", advice(&error)))?;
        let mut lock = open(&path.join("lock")).map_err(|error| {
            let advice = advice(&error);
            format!("state directory {name}: lock file: {error}{advice}")
        })?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(format!(
                    "state directory {name} is used by another driver{}, stop it or choose another --statedir",
                    holder(&mut lock)
                ));
            }
            Err(error) => return Err(format!("state directory {name}: lock: {error}")),
        }
        // Only for the message above: who cannot write it holds the lock all the same.
        let _ = sign(&mut lock);
        Ok(Self { _lock: lock })
    }
}

/// A note on where the state is, among kubelet's files about the driver, which lie on the node's own disk. By it a state
/// directory whose disk is not mounted is told from one at a first start: volumes would seem lost, and new ones would land
/// on the disk beneath.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
}

impl Note {
    /// The note of the driver `name`, beneath kubelet's directory.
    pub fn new(kubelet_dir: &Path, name: &str) -> Self {
        Self {
            path: kubelet_dir
                .join("plugins")
                .join(name)
                .join("state-directory"),
        }
    }

    /// Refuses a state directory without a store, if there was one before.
    pub fn check(&self, statedir: &Path) -> Result<(), String> {
        if statedir.join(STORE).exists() {
            return Ok(());
        }
        let Ok(before) = fs::read_to_string(&self.path) else {
            return Ok(());
        };
        Err(format!(
            "state directory {} is empty, and this driver has kept its state in {} before: mount its filesystem; or, to start \
             with no volumes known, remove {}",
            statedir.display(),
            excerpt(before.trim()),
            self.path.display()
        ))
    }

    /// Notes that the state is in `statedir`. Where that fails, only the check is lost.
    pub fn write(&self, statedir: &Path) {
        let text = format!("{}\n", statedir.display());
        if fs::read_to_string(&self.path).is_ok_and(|found| found == text) {
            return;
        }
        let written = self.folder().and_then(|()| fs::write(&self.path, text));
        if let Err(error) = written {
            warn!(path = %self.path.display(), %error, "no note of the state directory");
        }
    }

    fn folder(&self) -> io::Result<()> {
        let Some(folder) = self.path.parent() else {
            return Ok(());
        };
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o750).recursive(true).create(folder)
    }
}

/// What can be done about an error of the kernel, as the end of a sentence.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => ": mount its filesystem for writing",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room on its filesystem",
        ErrorKind::PermissionDenied => ": the driver has to run as root",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ": something else is there, move it or choose another --statedir"
        }
        _ => "",
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())
}

/// Who holds the lock, as far as it has said so.
fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(20).read_to_string(&mut pid) {
        Ok(1..) => format!(" (process {pid})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_driver_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let held = StateDir::take(&path).unwrap();
        let refused = StateDir::take(&path).unwrap_err();
        let holder = format!("another driver (process {})", std::process::id());
        assert!(refused.contains(&holder), "{refused}");
        drop(held);
        StateDir::take(&path).unwrap();
    }

    #[test]
    fn an_empty_state_directory_is_taken_at_the_first_start_only() {
        let place = tempfile::tempdir().unwrap();
        let note = Note::new(place.path(), "a.driver");
        let state = place.path().join("state");
        note.check(&state).unwrap();
        fs::create_dir(&state).unwrap();
        fs::write(state.join(STORE), "a store").unwrap();
        note.write(&state);
        note.check(&state).unwrap();

        fs::remove_file(state.join(STORE)).unwrap();
        let refused = note.check(&state).unwrap_err();
        assert!(refused.contains("mount its filesystem"), "{refused}");
        let moved = note.check(&place.path().join("elsewhere")).unwrap_err();
        assert!(moved.contains(&state.display().to_string()), "{moved}");
        fs::remove_file(place.path().join("plugins/a.driver/state-directory")).unwrap();
        note.check(&state).unwrap();
    }
}
