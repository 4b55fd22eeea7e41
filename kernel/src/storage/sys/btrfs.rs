//! The ioctls of btrfs (linux/btrfs.h and btrfs_tree.h), and its file handles.

mod search;

use nix::libc;
use rustix::io::Errno;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, Updater, ioctl, opcode};
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

pub use search::{Item, Key, search};

const MAGIC: u8 = 0x94;
const SNAP_DESTROY: Opcode = opcode::write::<Named>(MAGIC, 15);
const INO_LOOKUP: Opcode = opcode::read_write::<Lookup>(MAGIC, 18);
const WAIT_SYNC: Opcode = opcode::write::<u64>(MAGIC, 22);
const SNAP_CREATE_V2: Opcode = opcode::write::<New>(MAGIC, 23);
const START_SYNC: Opcode = opcode::read::<u64>(MAGIC, 24);
const SUBVOL_CREATE_V2: Opcode = opcode::write::<New>(MAGIC, 24);
const SUBVOL_GETFLAGS: Opcode = opcode::read::<u64>(MAGIC, 25);
const SUBVOL_SETFLAGS: Opcode = opcode::write::<u64>(MAGIC, 26);
const QUOTA_CTL: Opcode = opcode::read_write::<QuotaControl>(MAGIC, 40);
const QGROUP_CREATE: Opcode = opcode::write::<QgroupCreate>(MAGIC, 42);
const QGROUP_LIMIT: Opcode = opcode::read::<QgroupLimit>(MAGIC, 43);
const QUOTA_RESCAN: Opcode = opcode::write::<Rescan>(MAGIC, 44);
const QUOTA_RESCAN_WAIT: Opcode = opcode::none(MAGIC, 46);

/// BTRFS_SUBVOL_RDONLY.
pub const READ_ONLY: u64 = 1 << 1;
/// BTRFS_FIRST_FREE_OBJECTID: the inode of every subvolume's root directory.
pub const ROOT_DIRECTORY: u64 = 256;

/// BTRFS_QUOTA_CTL_ENABLE: turn full quota groups on.
pub const ENABLE: u64 = 1;
/// BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA.
#[cfg(test)]
pub const ENABLE_SIMPLE: u64 = 4;

const LIMIT_MAX_RFER: u64 = 1 << 0;
/// FILEID_BTRFS_WITHOUT_PARENT and BTRFS_FID_SIZE_NON_CONNECTABLE.
const HANDLE_KIND: i32 = 0x4d;
const HANDLE_BYTES: u32 = 20;
/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct Named {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
struct New {
    fd: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
struct Lookup {
    tree: u64,
    inode: u64,
    name: [u8; 4080],
}

/// `struct btrfs_ioctl_quota_ctl_args`.
#[repr(C)]
struct QuotaControl {
    command: u64,
    status: u64,
}

/// `struct btrfs_ioctl_qgroup_create_args`.
#[repr(C)]
struct QgroupCreate {
    create: u64,
    qgroup: u64,
}

/// `struct btrfs_ioctl_qgroup_limit_args`. The kernel reads it, whatever the opcode says.
#[repr(C)]
struct QgroupLimit {
    qgroup: u64,
    flags: u64,
    referenced: u64,
    exclusive: u64,
    reserved: [u64; 2],
}

/// `struct btrfs_ioctl_quota_rescan_args`.
#[repr(C)]
struct Rescan {
    flags: u64,
    progress: u64,
    reserved: [u64; 6],
}

/// `struct file_handle` with a `struct btrfs_fid` that names no parent.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    inode: u64,
    tree: u64,
    generation: u32,
}

const _: () = assert!(size_of::<Named>() == 4096 && size_of::<New>() == 4096);
const _: () = assert!(size_of::<Lookup>() == 4096);
const _: () = assert!(size_of::<QgroupLimit>() == 48 && size_of::<Rescan>() == 64);

/// Makes an empty subvolume.
pub fn create(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let new = New::called(name, 0, 0)?;
    // SAFETY: the opcode reads a `btrfs_ioctl_vol_args_v2`, which `New` is.
    unsafe { ioctl(parent, Setter::<SUBVOL_CREATE_V2, New>::new(new)) }
}

/// Makes a subvolume with the content of `source`.
pub fn snapshot(
    source: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    name: &OsStr,
    flags: u64,
) -> Result<(), Errno> {
    let new = New::called(name, source.as_raw_fd().into(), flags)?;
    // SAFETY: the opcode reads a `btrfs_ioctl_vol_args_v2`, which `New` is; the descriptor in it is open during the call.
    unsafe { ioctl(parent, Setter::<SNAP_CREATE_V2, New>::new(new)) }
}

/// Removes a subvolume.
pub fn destroy(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let named = Named {
        fd: 0,
        name: terminated(name)?,
    };
    // SAFETY: the opcode reads a `btrfs_ioctl_vol_args`, which `Named` is.
    unsafe { ioctl(parent, Setter::<SNAP_DESTROY, Named>::new(named)) }
}

/// The flags of the subvolume whose root directory is open.
pub fn flags(subvolume: BorrowedFd<'_>) -> Result<u64, Errno> {
    // SAFETY: the opcode writes an integer of 64 bits.
    unsafe { ioctl(subvolume, Getter::<SUBVOL_GETFLAGS, u64>::new()) }
}

/// Changes them.
pub fn set_flags(subvolume: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    // SAFETY: the opcode reads an integer of 64 bits.
    unsafe { ioctl(subvolume, Setter::<SUBVOL_SETFLAGS, u64>::new(flags)) }
}

/// The number of the subvolume in which a file or directory lies; its tree has the same.
pub fn tree_of(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut lookup = Lookup {
        tree: 0,
        inode: ROOT_DIRECTORY,
        name: [0; 4080],
    };
    // SAFETY: the opcode reads and writes a `btrfs_ioctl_ino_lookup_args`, which `Lookup` is.
    unsafe { ioctl(fd, Updater::<INO_LOOKUP, Lookup>::new(&mut lookup)) }?;
    Ok(lookup.tree)
}

/// Opens a directory by its number. The generation is that of its inode item.
pub fn open_directory(
    anywhere: BorrowedFd<'_>,
    tree: u64,
    inode: u64,
    generation: u32,
) -> Result<OwnedFd, Errno> {
    let mut handle = Handle {
        bytes: HANDLE_BYTES,
        kind: HANDLE_KIND,
        inode,
        tree,
        generation,
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `Handle` is laid out as a `file_handle` with as many bytes behind it as it says, and outlives the call.
    let fd = unsafe {
        libc::open_by_handle_at(
            anywhere.as_raw_fd(),
            std::ptr::from_mut(&mut handle).cast(),
            flags,
        )
    };
    if fd < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Begins to commit the transaction under way, and tells which it is; the last one that was committed when there is none.
pub fn start_sync(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    // SAFETY: the opcode writes a `u64`.
    unsafe { ioctl(fd, Getter::<START_SYNC, u64>::new()) }
}

/// Waits until a transaction is committed.
pub fn wait_sync(fd: BorrowedFd<'_>, transaction: u64) -> Result<(), Errno> {
    // SAFETY: the opcode reads a `u64`.
    unsafe { ioctl(fd, Setter::<WAIT_SYNC, u64>::new(transaction)) }
}

/// Turns quotas on, which starts counting what is there. Nothing happens where any are on.
pub fn quota_control(fd: BorrowedFd<'_>, command: u64) -> Result<(), Errno> {
    let mut control = QuotaControl { command, status: 0 };
    // SAFETY: the opcode reads and writes a `btrfs_ioctl_quota_ctl_args`, which `QuotaControl` is.
    unsafe { ioctl(fd, Updater::<QUOTA_CTL, QuotaControl>::new(&mut control)) }
}

/// Counts anew. EINPROGRESS when that is under way.
pub fn quota_rescan(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let rescan = Rescan {
        flags: 0,
        progress: 0,
        reserved: [0; 6],
    };
    // SAFETY: the opcode reads a `btrfs_ioctl_quota_rescan_args`, which `Rescan` is.
    unsafe { ioctl(fd, Setter::<QUOTA_RESCAN, Rescan>::new(rescan)) }
}

/// Waits until the counting is over, if it is under way.
pub fn quota_rescan_wait(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the opcode ignores its argument.
    unsafe { ioctl(fd, NoArg::<QUOTA_RESCAN_WAIT>::new()) }
}

/// Limits what the subvolume of `fd` refers to, in bytes; `u64::MAX` is no limit. ENOTCONN when quotas are off.
pub fn qgroup_limit(fd: BorrowedFd<'_>, referenced: u64) -> Result<(), Errno> {
    let limit = QgroupLimit {
        qgroup: 0,
        flags: LIMIT_MAX_RFER,
        referenced,
        exclusive: 0,
        reserved: [0; 2],
    };
    // SAFETY: the opcode reads a `btrfs_ioctl_qgroup_limit_args`, which `QgroupLimit` is.
    unsafe { ioctl(fd, Setter::<QGROUP_LIMIT, QgroupLimit>::new(limit)) }
}

/// Removes a quota group. ENOTCONN when quotas are off.
pub fn qgroup_remove(fd: BorrowedFd<'_>, qgroup: u64) -> Result<(), Errno> {
    let removal = QgroupCreate { create: 0, qgroup };
    // SAFETY: the opcode reads a `btrfs_ioctl_qgroup_create_args`, which `QgroupCreate` is.
    unsafe { ioctl(fd, Setter::<QGROUP_CREATE, QgroupCreate>::new(removal)) }
}

impl New {
    fn called(name: &OsStr, fd: i64, flags: u64) -> Result<Self, Errno> {
        Ok(Self {
            fd,
            transaction: 0,
            flags,
            unused: [0; 4],
            name: terminated(name)?,
        })
    }
}

/// A name with the null bytes that end it. It can be as long as names on btrfs get.
fn terminated<const N: usize>(name: &OsStr) -> Result<[u8; N], Errno> {
    const LONGEST: usize = 255;
    let name = name.as_bytes();
    if name.is_empty() || name.contains(&0) {
        return Err(Errno::INVAL);
    }
    if name.len() > LONGEST {
        return Err(Errno::NAMETOOLONG);
    }
    let mut terminated = [0; N];
    for (to, from) in terminated.iter_mut().zip(name) {
        *to = *from;
    }
    Ok(terminated)
}
