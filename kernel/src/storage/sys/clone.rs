//! sync_file_range(2).

use nix::libc::{
    SYNC_FILE_RANGE_WAIT_AFTER, SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, off64_t,
    sync_file_range,
};
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

/// Has what is dirty in the range written, and returns at once.
pub fn begin_writing(file: impl AsFd, range: &Range<u64>) -> Result<(), Errno> {
    call(file, range, SYNC_FILE_RANGE_WRITE)
}

/// Has what is dirty in the range written, and waits for it.
pub fn finish_writing(file: impl AsFd, range: &Range<u64>) -> Result<(), Errno> {
    let all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    call(file, range, all)
}

fn call(file: impl AsFd, range: &Range<u64>, flags: u32) -> Result<(), Errno> {
    let start = off64_t::try_from(range.start).map_err(|_| Errno::FBIG)?;
    let length = off64_t::try_from(range.end - range.start).map_err(|_| Errno::FBIG)?;
    let file = file.as_fd().as_raw_fd();
    // SAFETY: it takes numbers only, and the descriptor is borrowed for as long as the call lasts.
    match unsafe { sync_file_range(file, start, length, flags) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
