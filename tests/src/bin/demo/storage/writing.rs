//! What pods do with their volumes: they write.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testkit::{Place, eventually};

const CHUNK: usize = 1 << 20;
/// One record of a journal.
const RECORD: usize = 4096;

/// Writes until the kernel refuses more. Returns how many bytes went in, and the refusal.
pub fn until_refused(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::create(path)?;
    let mut written = 0;
    loop {
        match file.write(&content(written, CHUNK)) {
            Ok(bytes) => written += bytes as u64,
            Err(full) if full.kind() == ErrorKind::StorageFull => {
                file.sync_all()?;
                return Ok((written, full.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Adds `bytes` to a file.
pub fn more(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    let begin = file.metadata()?.len();
    for at in (begin..begin + bytes).step_by(CHUNK) {
        file.write_all(&content(at, CHUNK))?;
    }
    file.sync_all()
}

/// Bytes that tell where they belong: each eight of them are the offset at which they lie.
fn content(offset: u64, length: usize) -> Vec<u8> {
    let words = (offset / 8..).take(length / 8);
    words.flat_map(u64::to_le_bytes).collect()
}

/// How many more bytes fit into a filesystem.
pub fn room(path: &Path) -> io::Result<u64> {
    let filesystem = rustix::fs::statvfs(path)?;
    Ok(filesystem.f_bavail * filesystem.f_frsize)
}

/// The length of a file of a place.
pub fn length(place: &Place, path: &Path) -> u64 {
    let metadata = place.run(|| std::fs::metadata(path));
    metadata.expect("the length of a file").len()
}

/// Somebody who adds records to a journal and waits for each until it is on disk, as databases do.
pub struct Writer {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<Duration>>,
}

#[derive(Default)]
struct Shared {
    records: AtomicU64,
    enough: AtomicBool,
}

impl Writer {
    /// Starts a journal.
    pub fn start(place: &Place, path: PathBuf) -> Self {
        let shared = Arc::<Shared>::default();
        let (place, writers) = (place.clone(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || place.run(|| writers.write(&path)));
        Self { shared, thread }
    }

    /// How many records are on disk.
    pub fn records(&self) -> u64 {
        self.shared.records.load(Ordering::SeqCst)
    }

    /// The same in bytes.
    pub fn on_disk(&self) -> u64 {
        self.records() * RECORD as u64
    }

    /// Waits until so many records are on disk.
    pub fn wait_for(&self, records: u64) {
        eventually("the journal grows", || {
            self.thread.is_finished() || self.records() >= records
        });
        assert!(!self.thread.is_finished(), "the journal has ended");
    }

    /// Ends the journal. Returns its length in bytes, and the longest time that a record took.
    pub fn stop(self) -> (u64, Duration) {
        self.shared.enough.store(true, Ordering::SeqCst);
        let longest = self
            .thread
            .join()
            .expect("the writer")
            .expect("writing the journal");
        (
            self.shared.records.load(Ordering::SeqCst) * RECORD as u64,
            longest,
        )
    }
}

impl Shared {
    fn write(&self, path: &Path) -> io::Result<Duration> {
        let mut file = File::create(path)?;
        let mut longest = Duration::ZERO;
        while !self.enough.load(Ordering::SeqCst) {
            let begun = Instant::now();
            let at = self.records.load(Ordering::SeqCst) * RECORD as u64;
            file.write_all(&content(at, RECORD))?;
            file.sync_data()?;
            longest = longest.max(begun.elapsed());
            self.records.fetch_add(1, Ordering::SeqCst);
        }
        Ok(longest)
    }
}
