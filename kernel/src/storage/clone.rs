//! A second file with the same content: sharing its blocks where the filesystem can, else by copying what is data.

use super::Error;
use super::extents;
use super::segments::Segments;
use super::sys::clone::{begin_writing, finish_writing};
use rustix::fs::{
    Advice, Mode, OFlags, copy_file_range, fadvise, fdatasync, fstat, ftruncate, ioctl_ficlone,
    openat,
};
use rustix::io::{Errno, pread, pwrite};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much is copied between two questions whether to go on, and how much of the copy may wait to be written: others
/// who sync a file wait for it, too. More is no faster.
const CHUNK: u64 = 1 << 20;

/// Gives `to`, which is empty and open for writing, the content of `from` by sharing its blocks (FICLONE). `false`: the
/// filesystem cannot, or the two files are on different ones.
pub fn reflink(from: impl AsFd, to: impl AsFd) -> Result<bool, Error> {
    match ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY) => Ok(false),
        Err(errno) => Err(Error::new("share a file's blocks", errno)),
    }
}

/// Whether files in the directory can share blocks. Two unnamed files try it; where they cannot be made, or the
/// filesystem is full, the answer is no.
pub fn can_reflink(directory: impl AsFd) -> bool {
    let unnamed = || -> Result<OwnedFd, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        openat(&directory, ".", flags, Mode::RUSR | Mode::WUSR)
    };
    let shared = || {
        let (from, to) = (unnamed()?, unnamed()?);
        // Sharing nothing would succeed in more places.
        pwrite(&from, b"hawser", 0)?;
        ioctl_ficlone(to, from)
    };
    shared().is_ok()
}

/// Gives `to` the content of `from` and nothing else, and has it on disk before it returns. Holes stay holes, and so does
/// space that was set aside and never written. May move the offset of `from`.
///
/// `go_on` is told after each megabyte at most how many bytes have been copied; when it says no, the error is ECANCELED and
/// `to` has a part. The copy does not stay in memory, and little of it waits to be written at any time.
pub fn copy_sparse(
    from: impl AsFd,
    to: impl AsFd,
    go_on: &dyn Fn(u64) -> bool,
) -> Result<(), Error> {
    copy_data(from.as_fd(), to.as_fd(), go_on)?;
    fdatasync(to).map_err(|errno| Error::new("write out a file's copy", errno))
}

/// [`copy_sparse`], without waiting for the last of it to be on disk; it is on its way.
pub(super) fn copy_data(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    go_on: &dyn Fn(u64) -> bool,
) -> Result<(), Error> {
    let refused = |errno| Error::new("copy a file", errno);
    let size = prepare(from, to).map_err(refused)?;
    let mut copying = Copying {
        from,
        to,
        go_on,
        done: 0,
        buffer: None,
        pending: Pending::new(),
    };
    for segment in data(from, size)? {
        let start = segment.start;
        copying
            .segment(segment)
            .map_err(|errno| Error::new(format!("copy a file's data from byte {start}"), errno))?;
    }
    copying.pending.begin(to).map_err(refused)
}

/// Makes `to` one hole of the length of `from`, which is the result.
fn prepare(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<u64, Errno> {
    let size = u64::try_from(fstat(from)?.st_size).map_err(|_| Errno::OVERFLOW)?;
    ftruncate(to, 0)?;
    ftruncate(to, size)?;
    Ok(size)
}

/// What has to be copied. Extents tell what was set aside and never written from data; looking for holes does not while
/// it is in memory because somebody has read it.
fn data(from: BorrowedFd<'_>, size: u64) -> Result<Vec<Range<u64>>, Error> {
    match extents::of(from) {
        Ok(extents) => Ok(extents::allocated(&extents, size)
            .into_iter()
            .map(|(offset, length)| offset..offset + length)
            .collect()),
        Err(error) if matches!(error.errno(), Errno::OPNOTSUPP | Errno::NOTTY) => {
            let segments: Result<_, _> = Segments::of(from, size).collect();
            segments.map_err(|errno| Error::new("find a file's data", errno))
        }
        Err(error) => Err(error),
    }
}

/// A copy being made.
struct Copying<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    go_on: &'a dyn Fn(u64) -> bool,
    /// Bytes copied.
    done: u64,
    /// Where the kernel does not copy from this file to that one, data goes through here.
    buffer: Option<Vec<u8>>,
    pending: Pending,
}

impl Copying<'_> {
    fn segment(&mut self, segment: Range<u64>) -> Result<(), Errno> {
        let mut at = segment.start;
        while at < segment.end {
            let copied = self.some(at, CHUNK.min(segment.end - at))?;
            if copied == 0 {
                // Somebody has cut the file off behind us.
                return Err(Errno::STALE);
            }
            self.pending.add(self.to, at..at + copied)?;
            at += copied;
            self.done += copied;
            if !(self.go_on)(self.done) {
                return Err(Errno::CANCELED);
            }
        }
        Ok(())
    }

    /// Copies up to `length` bytes and tells how many.
    fn some(&mut self, at: u64, length: u64) -> Result<u64, Errno> {
        let length = usize::try_from(length).map_err(|_| Errno::OVERFLOW)?;
        if self.buffer.is_none() {
            match copy_file_range(
                self.from,
                Some(&mut at.clone()),
                self.to,
                Some(&mut at.clone()),
                length,
            ) {
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {}
                copied => return copied.map(|copied| copied as u64),
            }
        }
        let buffer = self.buffer.get_or_insert_with(|| vec![0; 256 << 10]);
        let length = length.min(buffer.len());
        let read = pread(self.from, &mut buffer[..length], at)?;
        let mut written = 0;
        while written < read {
            written += pwrite(self.to, &buffer[written..read], at + written as u64)?;
        }
        Ok(read as u64)
    }
}

/// What of a copy is not on disk yet: one chunk is being filled, the one before is being written.
struct Pending {
    filling: Range<u64>,
    bytes: u64,
    writing: Option<Range<u64>>,
}

impl Pending {
    const fn new() -> Self {
        Self {
            filling: 0..0,
            bytes: 0,
            writing: None,
        }
    }

    /// Has what was copied last written.
    fn begin(&mut self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        match std::mem::take(&mut self.bytes) {
            0 => Ok(()),
            _ => begin_writing(file, &self.filling),
        }
    }

    /// Takes note of a range that was copied, which lies after all others.
    fn add(&mut self, file: BorrowedFd<'_>, copied: Range<u64>) -> Result<(), Errno> {
        if self.bytes == 0 {
            self.filling.start = copied.start;
        }
        self.filling.end = copied.end;
        self.bytes += copied.end - copied.start;
        if self.bytes < CHUNK {
            return Ok(());
        }
        self.begin(file)?;
        if let Some(writing) = self.writing.replace(self.filling.clone()) {
            finish_writing(file, &writing)?;
            // Written out, it would only push out of memory what others need.
            let length = NonZeroU64::new(writing.end - writing.start);
            fadvise(file, writing.start, length, Advice::DontNeed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/clone.rs"]
mod tests;
