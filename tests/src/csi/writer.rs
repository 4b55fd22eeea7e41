//! A pod that never stops writing, in an order that shows in what was taken of it whether it was taken at one moment.

use crate::place::Place;
use crate::wait::eventually;
use rustix::fs::{Mode, OFlags, fdatasync, fsync, open};
use rustix::io::pwrite;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The length of a record in bytes.
const RECORD: usize = 4096;

/// A database of sorts. It writes record 1 to each of its files (or raw devices) in their order, then record 2 and so on,
/// and begins none before the one before is on disk. So at any moment the files hold records from 1 without a gap, and a
/// file as many as the one before it, or one less.
#[derive(Debug)]
pub struct Writer {
    written: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Starts to write to files of a place. Those that are not there are made.
    pub fn start(place: &Place, files: &[PathBuf]) -> Self {
        let (written, enough) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (place, files) = (place.clone(), files.to_vec());
        let (count, until) = (Arc::clone(&written), Arc::clone(&enough));
        let thread = std::thread::spawn(move || place.run(|| write(&files, &count, &until)));
        let writer = Self {
            written,
            enough,
            thread: Some(thread),
        };
        writer.goes_on();
        writer
    }

    /// How many records are on disk in all of its files.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Fails the test unless it writes some more within five seconds.
    #[track_caller]
    pub fn goes_on(&self) {
        let before = self.written();
        eventually("the writer goes on", || self.written() > before + 3);
    }

    /// Ends it, and tells how many records it has written to each file.
    #[track_caller]
    pub fn stop(mut self) -> u64 {
        self.enough.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("it runs");
        let ended = thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ended.unwrap_or_else(|e| panic!("the writer: {e}"));
        self.written()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may hang in a filesystem that is frozen, which is the test's to tell.
        self.enough.store(true, Ordering::SeqCst);
    }
}

fn write(files: &[PathBuf], written: &AtomicU64, enough: &AtomicBool) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let files = files
        .iter()
        .map(|file| open(file, flags, Mode::RUSR | Mode::WUSR))
        .collect::<Result<Vec<OwnedFd>, _>>()?;
    files.iter().try_for_each(fsync)?;
    let mut number = 0_u64;
    while !enough.load(Ordering::SeqCst) {
        let record = record(number + 1);
        for file in &files {
            let length = pwrite(file, &record, number * RECORD as u64)?;
            assert_eq!(length, RECORD, "a record was written in part");
            fdatasync(file)?;
        }
        number += 1;
        written.store(number, Ordering::SeqCst);
    }
    Ok(())
}

fn record(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(RECORD / 8)
}

/// How many records a file of a place holds. One that is torn, missing, or there although one before it is not, is a
/// failed test: then the file was not taken at one moment.
#[track_caller]
pub fn records(place: &Place, file: impl AsRef<Path>) -> u64 {
    let file = file.as_ref();
    let read = place.run(|| fs::read(file));
    let bytes = read.unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
    let mut found = 0;
    let mut after = false;
    let nothing = record(0);
    for (number, there) in (1_u64..).zip(bytes.chunks(RECORD)) {
        if !after && *there == record(number)[..there.len()] {
            found = number;
        } else {
            // Space that no record has reached yet.
            assert!(
                *there == nothing[..there.len()],
                "{}: after {found} records something else at {number}",
                file.display()
            );
            after = true;
        }
    }
    found
}
