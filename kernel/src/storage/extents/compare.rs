//! Files that share nothing, compared byte by byte.

use super::ranges::{Ranges, aligned};
use crate::storage::Error;
use crate::storage::segments::Segments;
use rustix::io::{Errno, pread};
use std::fs::File;
use std::iter::Peekable;
use std::os::fd::{AsFd, BorrowedFd};

/// What is compared, and told, as one.
const BLOCK: usize = 64 << 10;
/// How much is read at once.
const READ: usize = 16 * BLOCK;

/// Where the content of `target`, a file of `size` bytes, differs from that of `base`, in blocks of 64 KiB. Only where one
/// of them has data they are read. Moves the offsets of both.
pub fn changed_content(base: &File, target: &File, size: u64) -> Result<Vec<(u64, u64)>, Error> {
    compare(base.as_fd(), target.as_fd(), size)
        .map_err(|errno| Error::new("compare two files", errno))
}

fn compare(
    base: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    size: u64,
) -> Result<Vec<(u64, u64)>, Errno> {
    let mut differing = Ranges::default();
    let (mut old, mut new) = (vec![0; READ], vec![0; READ]);
    for (offset, length) in data(base, target, size)? {
        let end = offset + length;
        for at in (offset..end).step_by(READ) {
            let length = usize::try_from(end - at).map_or(READ, |left| left.min(READ));
            let (old, new) = (&mut old[..length], &mut new[..length]);
            fill(base, old, at)?;
            fill(target, new, at)?;
            let mut block = at;
            for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
                let end = block + old.len() as u64;
                if old != new {
                    differing.add(block, end);
                }
                block = end;
            }
        }
    }
    Ok(differing.0)
}

/// Blocks in which either file has data.
fn data(base: BorrowedFd<'_>, target: BorrowedFd<'_>, size: u64) -> Result<Vec<(u64, u64)>, Errno> {
    let mut either = Ranges::default();
    let mut base = Segments::of(base, size).peekable();
    let mut target = Segments::of(target, size).peekable();
    while let Some(segment) = first(&mut base, &mut target) {
        let segment = segment?;
        either.add(segment.start, segment.end);
    }
    Ok(aligned(&either.0, BLOCK as u64, size))
}

/// The one of both that begins first; errors come before everything.
fn first<'a>(
    one: &mut Peekable<Segments<'a>>,
    other: &mut Peekable<Segments<'a>>,
) -> Option<<Segments<'a> as Iterator>::Item> {
    match (one.peek(), other.peek()) {
        (Some(Ok(a)), Some(Ok(b))) if b.start < a.start => other.next(),
        (Some(Ok(_)), Some(Err(_))) | (None, Some(_)) => other.next(),
        _ => one.next(),
    }
}

/// Reads up to the buffer's end; beyond the file's end are zeros.
fn fill(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<(), Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match pread(file, &mut buffer[filled..], at + filled as u64)? {
            0 => {
                buffer[filled..].fill(0);
                break;
            }
            read => filled += read,
        }
    }
    Ok(())
}
