//! FIFREEZE, FITHAW and FITRIM (linux/fs.h).

use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Updater, ioctl, opcode};
use std::ffi::c_int;
use std::os::fd::AsFd;

const FIFREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<c_int>(b'X', 120);
const FITRIM: Opcode = opcode::read_write::<Range>(b'X', 121);

/// `struct fstrim_range`, in bytes.
#[repr(C)]
struct Range {
    start: u64,
    len: u64,
    minimum: u64,
}

/// EBUSY when it is frozen already.
pub fn freeze(fd: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FIFREEZE ignores its argument.
    unsafe { ioctl(fd, NoArg::<FIFREEZE>::new()) }
}

/// EINVAL when it is not frozen.
pub fn thaw(fd: impl AsFd) -> Result<(), Errno> {
    // SAFETY: FITHAW ignores its argument.
    unsafe { ioctl(fd, NoArg::<FITHAW>::new()) }
}

/// Discards all that is free and tells how many bytes that was.
pub fn trim(fd: impl AsFd) -> Result<u64, Errno> {
    let mut range = Range {
        start: 0,
        len: u64::MAX,
        minimum: 0,
    };
    // SAFETY: FITRIM reads and writes a `fstrim_range`, which is initialised and outlives the call.
    unsafe { ioctl(fd, Updater::<FITRIM, Range>::new(&mut range)) }?;
    Ok(range.len)
}
