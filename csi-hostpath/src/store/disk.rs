//! The file beneath redb.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// A file that owns the room for twice its length, which is how it grows. New objects are refused when there is no room
/// for more; volumes that are there can then still be used and dropped. Its lock is the owner's business.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    /// Whether it may grow without taking room for the next time.
    thrifty: Arc<AtomicBool>,
}

impl Disk {
    /// The file, with its room taken as far as there is any.
    pub(super) fn new(file: File, thrifty: Arc<AtomicBool>) -> io::Result<Self> {
        let disk = Self { file, thrifty };
        // Without it nothing is lost yet.
        let _ = disk.take_room(disk.len()?);
        Ok(disk)
    }

    fn take_room(&self, length: u64) -> io::Result<()> {
        let room = length.saturating_mul(2).max(1);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, room) {
            Err(Errno::OPNOTSUPP) => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if length > self.len()? && !self.thrifty.load(Ordering::Relaxed) {
            self.take_room(length)?;
            return self.file.set_len(length);
        }
        self.file.set_len(length)?;
        // Cutting a file short gives up what it owned beyond.
        let _ = self.take_room(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
