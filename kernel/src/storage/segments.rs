//! Where a file has data: what lies between its holes.

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// The ranges of a file that hold data, ascending and apart. Space that was set aside and never written is a hole,
/// unless it was read and is still in memory. Moves the file's offset.
pub(super) struct Segments<'a> {
    file: BorrowedFd<'a>,
    at: u64,
    end: u64,
}

impl<'a> Segments<'a> {
    /// Those that begin before `size`, cut off there.
    pub(super) const fn of(file: BorrowedFd<'a>, size: u64) -> Self {
        Self {
            file,
            at: 0,
            end: size,
        }
    }

    fn find(&mut self) -> Result<Option<Range<u64>>, Errno> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = match seek(self.file, SeekFrom::Data(self.at)) {
            Ok(start) if start < self.end => start,
            // The rest is a hole.
            Ok(_) | Err(Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let end = match seek(self.file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(self.end),
            // The file has become shorter meanwhile.
            Err(Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        Ok(Some(start..end))
    }
}

impl Iterator for Segments<'_> {
    type Item = Result<Range<u64>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.find();
        self.at = match &found {
            Ok(Some(segment)) => segment.end,
            Ok(None) | Err(_) => self.end,
        };
        found.transpose()
    }
}
