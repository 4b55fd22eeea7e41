//! Projects of files (linux/fs.h), and quotas by quotactl_fd (linux/quota.h and dqblk_xfs.h).

use nix::libc;
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, ioctl, opcode};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

const FSGETXATTR: Opcode = opcode::read::<Attributes>(b'X', 31);
const FSSETXATTR: Opcode = opcode::write::<Attributes>(b'X', 32);
/// FS_XFLAG_PROJINHERIT: what is made in a directory belongs to its project.
pub const INHERIT: u32 = 0x200;

const PRJQUOTA: u32 = 2;
const Q_GETQUOTA: u32 = 0x80_0007;
const Q_SETQUOTA: u32 = 0x80_0008;
const Q_XGETQSTATV: u32 = (b'X' as u32) << 8 | 8;

/// FS_QUOTA_PDQ_ENFD: limits of projects are enforced.
pub const ENFORCED: u16 = 1 << 5;
/// The unit of limits, in bytes.
pub const BLOCK: u64 = 1024;

const QIF_BLIMITS: u32 = 1;
const FS_QSTATV_VERSION1: i8 = 1;

/// `struct fsxattr`.
#[repr(C)]
pub struct Attributes {
    pub flags: u32,
    extent_size: u32,
    extents: u32,
    pub project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `struct if_dqblk`: limits in blocks, 0 for none.
#[repr(C)]
#[derive(Default)]
pub struct Account {
    pub hard_limit: u64,
    soft_limit: u64,
    /// In bytes.
    pub space: u64,
    inode_hard_limit: u64,
    inode_soft_limit: u64,
    pub inodes: u64,
    times: [u64; 2],
    valid: u32,
}

/// `struct fs_quota_statv`.
#[repr(C)]
#[derive(Default)]
struct State {
    version: i8,
    padding: u8,
    flags: u16,
    in_core: u32,
    files: [[u64; 3]; 3],
    time_limits: [i32; 3],
    warn_limits: [u16; 4],
    more_padding: u32,
    reserved: [u64; 7],
}

const _: () = assert!(size_of::<Attributes>() == 28);
const _: () = assert!(size_of::<Account>() == 72 && size_of::<State>() == 160);

/// The attributes of a file or directory.
pub fn attributes(fd: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    // SAFETY: the opcode writes a `fsxattr`, which `Attributes` is.
    unsafe { ioctl(fd, Getter::<FSGETXATTR, Attributes>::new()) }
}

/// Changes them.
pub fn set_attributes(fd: BorrowedFd<'_>, attributes: Attributes) -> Result<(), Errno> {
    // SAFETY: the opcode reads a `fsxattr`, which `Attributes` is.
    unsafe { ioctl(fd, Setter::<FSSETXATTR, Attributes>::new(attributes)) }
}

/// FS_QUOTA_*. ENOSYS when the filesystem has no quotas or none is on.
pub fn state(fd: BorrowedFd<'_>) -> Result<u16, Errno> {
    let mut state = State {
        version: FS_QSTATV_VERSION1,
        ..State::default()
    };
    // SAFETY: the command reads and writes a `fs_quota_statv`, which `State` is.
    unsafe { quotactl(fd, Q_XGETQSTATV, 0, &mut state) }?;
    Ok(state.flags)
}

/// What is known of a project. XFS says ENOENT for one that it never saw.
pub fn account(fd: BorrowedFd<'_>, project: u32) -> Result<Account, Errno> {
    let mut account = Account::default();
    // SAFETY: the command writes an `if_dqblk`, which `Account` is.
    unsafe { quotactl(fd, Q_GETQUOTA, project, &mut account) }?;
    Ok(account)
}

/// Limits a project, in blocks; 0 is no limit.
pub fn set_limit(fd: BorrowedFd<'_>, project: u32, blocks: u64) -> Result<(), Errno> {
    let mut account = Account {
        hard_limit: blocks,
        valid: QIF_BLIMITS,
        ..Account::default()
    };
    // SAFETY: the command reads an `if_dqblk`, which `Account` is.
    unsafe { quotactl(fd, Q_SETQUOTA, project, &mut account) }
}

/// quotactl_fd (Linux 5.14) about the quotas of projects in the filesystem of `fd`.
///
/// # Safety
///
/// `T` must be what the command reads or writes.
unsafe fn quotactl<T>(
    fd: BorrowedFd<'_>,
    command: u32,
    id: u32,
    with: &mut T,
) -> Result<(), Errno> {
    let command = command << 8 | PRJQUOTA;
    // SAFETY: the descriptor is open, and the caller vouches for the address.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            fd.as_raw_fd(),
            command,
            id,
            ptr::from_mut(with),
        )
    };
    if done == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
