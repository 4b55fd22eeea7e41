//! The state directory: there, and ours alone.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

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
            .map_err(|error| format!("state directory {name}: {error}"))?;
        let mut lock = open(&path.join("lock"))
            .map_err(|error| format!("state directory {name}: lock file: {error}"))?;
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
}
