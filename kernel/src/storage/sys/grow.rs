//! What makes a mounted filesystem larger: EXT4_IOC_RESIZE_FS and FS_IOC_GETFSMAP, XFS_IOC_*, BTRFS_IOC_*.

use rustix::io::Errno;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, Opcode, Setter, Updater, ioctl, opcode};
use std::ffi::c_void;
use std::os::fd::AsFd;

const EXT4_RESIZE: Opcode = opcode::write::<u64>(b'f', 16);
const GETFSMAP: Opcode = opcode::read_write::<MapHead>(b'X', 59);
const XFS_GEOMETRY: Opcode = opcode::read::<XfsGeometry>(b'X', 126);
const XFS_GROW: Opcode = opcode::write::<XfsGrow>(b'X', 110);
const BTRFS_INFO: Opcode = opcode::read::<BtrfsInfo>(0x94, 31);
const BTRFS_RESIZE: Opcode = opcode::write::<BtrfsResize>(0x94, 3);

/// Makes a mounted ext4 filesystem that many of its blocks large. EINVAL when it is larger.
pub fn ext4_resize(root: impl AsFd, blocks: u64) -> Result<(), Errno> {
    // SAFETY: EXT4_IOC_RESIZE_FS reads a number of 64 bits.
    unsafe { ioctl(root, Setter::<EXT4_RESIZE, u64>::new(blocks)) }
}

/// `struct fsmap`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Map {
    device: u32,
    flags: u32,
    physical: u64,
    owner: u64,
    offset: u64,
    length: u64,
    reserved: [u64; 3],
}

/// `struct fsmap_head`, with room for no record.
#[repr(C)]
struct MapHead {
    input_flags: u32,
    output_flags: u32,
    count: u32,
    entries: u32,
    reserved: [u64; 6],
    keys: [Map; 2],
}

/// How many pieces, used or free, a filesystem knows of from that byte of that device on. The number of the device counts:
/// for any other the byte is not looked at.
pub fn mapped_from(root: impl AsFd, device: u32, physical: u64) -> Result<u32, Errno> {
    let low = Map {
        device,
        flags: 0,
        physical,
        owner: 0,
        offset: 0,
        length: 0,
        reserved: [0; 3],
    };
    let high = Map {
        flags: u32::MAX,
        physical: u64::MAX,
        owner: u64::MAX,
        offset: u64::MAX,
        ..low
    };
    let mut head = MapHead {
        input_flags: 0,
        output_flags: 0,
        count: 0,
        entries: 0,
        reserved: [0; 6],
        keys: [low, high],
    };
    // SAFETY: GETFSMAP reads and writes a `fsmap_head`, which is initialised and outlives the call; asked for no records, it
    // writes none behind it.
    unsafe { ioctl(root, Updater::<GETFSMAP, MapHead>::new(&mut head)) }?;
    Ok(head.entries)
}

/// `struct xfs_fsop_geom`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct XfsGeometry {
    /// In bytes.
    pub block_size: u32,
    realtime_extent: u32,
    group_blocks: u32,
    groups: u32,
    log_blocks: u32,
    sector_size: u32,
    inode_size: u32,
    /// How many percent of the space inodes may take.
    pub inode_percent: u32,
    /// The size in blocks.
    pub blocks: u64,
    rest: [u64; 27],
}

/// `struct xfs_growfs_data`.
#[repr(C)]
struct XfsGrow {
    blocks: u64,
    inode_percent: u32,
    padding: u32,
}

/// What an XFS filesystem is like.
pub fn xfs_geometry(root: impl AsFd) -> Result<XfsGeometry, Errno> {
    // SAFETY: XFS_IOC_FSGEOMETRY fills in a `xfs_fsop_geom`, for which every bit pattern is valid.
    unsafe { ioctl(root, Getter::<XFS_GEOMETRY, XfsGeometry>::new()) }
}

/// Makes a mounted XFS filesystem that many blocks large.
pub fn xfs_grow(root: impl AsFd, blocks: u64, inode_percent: u32) -> Result<(), Errno> {
    let grow = XfsGrow {
        blocks,
        inode_percent,
        padding: 0,
    };
    // SAFETY: XFS_IOC_FSGROWFSDATA reads a `xfs_growfs_data`, which is initialised.
    unsafe { ioctl(root, Setter::<XFS_GROW, XfsGrow>::new(grow)) }
}

/// `struct btrfs_ioctl_fs_info_args`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BtrfsInfo {
    /// The largest number among its devices.
    pub largest_device: u64,
    /// How many devices it has.
    pub devices: u64,
    rest: [u64; 126],
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct BtrfsArguments {
    fd: i64,
    name: [u8; 4088],
}

/// BTRFS_IOC_RESIZE. It answers with one of its own numbers when it is busy.
struct BtrfsResize(BtrfsArguments);

const _: () = assert!(size_of::<Map>() == 64 && size_of::<MapHead>() == 192);
const _: () = assert!(size_of::<XfsGeometry>() == 256 && size_of::<XfsGrow>() == 16);
const _: () = assert!(size_of::<BtrfsInfo>() == 1024 && size_of::<BtrfsResize>() == 4096);

// SAFETY: it reads a `btrfs_ioctl_vol_args`, which is initialised and borrowed for the call; the output is the return
// value alone.
unsafe impl Ioctl for BtrfsResize {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        BTRFS_RESIZE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> Result<(), Errno> {
        match answer {
            0 => Ok(()),
            _ => Err(Errno::BUSY),
        }
    }
}

/// What devices a btrfs filesystem has.
pub fn btrfs_info(root: impl AsFd) -> Result<BtrfsInfo, Errno> {
    // SAFETY: BTRFS_IOC_FS_INFO fills in a `btrfs_ioctl_fs_info_args`, for which every bit pattern is valid; what it reads,
    // its flags, is zero.
    unsafe { ioctl(root, Getter::<BTRFS_INFO, BtrfsInfo>::new()) }
}

/// Does with a btrfs filesystem's device what the text says: "1:max". EBUSY while it is being balanced or the like.
pub fn btrfs_resize(root: impl AsFd, what: &str) -> Result<(), Errno> {
    let mut name = [0; 4088];
    // The last byte stays zero.
    for (to, from) in name.iter_mut().take(4087).zip(what.bytes()) {
        *to = from;
    }
    let resize = BtrfsResize(BtrfsArguments { fd: 0, name });
    // SAFETY: see `BtrfsResize`.
    unsafe { ioctl(root, resize) }
}
