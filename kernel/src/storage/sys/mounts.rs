//! mount_setattr(2), Linux 5.12.

use nix::libc;
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct mount_attr`.
#[repr(C)]
pub struct Change {
    /// MOUNT_ATTR_* to set.
    pub set: u64,
    /// MOUNT_ATTR_* to clear.
    pub clear: u64,
    /// MS_PRIVATE and its like; 0 to leave the propagation as it is.
    pub propagation: u64,
    user_namespace: u64,
}

impl Change {
    /// A change of attributes and propagation.
    pub const fn new(set: u64, clear: u64, propagation: u64) -> Self {
        Self {
            set,
            clear,
            propagation,
            user_namespace: 0,
        }
    }
}

/// Changes the mount that `fd` is the root of.
pub fn set_attributes(fd: BorrowedFd<'_>, change: &Change) -> Result<(), Errno> {
    // SAFETY: the path is a string that ends with zero, the struct is initialised and its size is told; the kernel reads
    // both and keeps neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(change),
            size_of::<Change>(),
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
