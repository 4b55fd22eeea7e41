//! The ioctls of loop devices (linux/loop.h).

use rustix::io::Errno;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, NoArg, Opcode, Setter, ioctl};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const LOOP_CLR_FD: Opcode = 0x4C01;
const LOOP_GET_STATUS64: Opcode = 0x4C05;
const LOOP_SET_CAPACITY: Opcode = 0x4C07;
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LOOP_CTL_GET_FREE: Opcode = 0x4C82;

/// LO_FLAGS_READ_ONLY.
pub const READ_ONLY: u32 = 1;
/// LO_FLAGS_AUTOCLEAR.
pub const AUTOCLEAR: u32 = 4;
/// LO_FLAGS_DIRECT_IO.
pub const DIRECT_IO: u32 = 16;

const NAME: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Status {
    pub device: u64,
    pub inode: u64,
    rdevice: u64,
    pub offset: u64,
    pub size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    pub flags: u32,
    file_name: [u8; NAME],
    crypt_name: [u8; NAME],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`, with the file it names.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawConfig {
    fd: u32,
    block_size: u32,
    info: Status,
    reserved: [u64; 8],
}

/// What a device is to be.
pub struct Config<'a> {
    raw: RawConfig,
    file: PhantomData<BorrowedFd<'a>>,
}

const _: () = assert!(size_of::<Status>() == 232 && size_of::<RawConfig>() == 304);

impl Status {
    /// The text kept with the device.
    pub fn label(&self) -> String {
        let text = self.file_name.split(|byte| *byte == 0).next();
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    }
}

impl<'a> Config<'a> {
    /// `block_size` in bytes. What of `label` does not fit is dropped.
    pub fn new(file: BorrowedFd<'a>, block_size: u32, flags: u32, label: &str) -> Self {
        let mut file_name = [0; NAME];
        // The last byte stays zero.
        for (to, from) in file_name.iter_mut().take(NAME - 1).zip(label.bytes()) {
            *to = from;
        }
        let info = Status {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags,
            file_name,
            crypt_name: [0; NAME],
            encrypt_key: [0; 32],
            init: [0; 2],
        };
        let raw = RawConfig {
            fd: file.as_raw_fd().cast_unsigned(),
            block_size,
            info,
            reserved: [0; 8],
        };
        Self {
            raw,
            file: PhantomData,
        }
    }
}

/// LOOP_CTL_GET_FREE, which answers by its return value.
struct GetFree;

// SAFETY: it takes no argument; the output is the return value alone.
unsafe impl Ioctl for GetFree {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(number: IoctlOutput, _: *mut c_void) -> Result<u32, Errno> {
        u32::try_from(number).map_err(|_| Errno::RANGE)
    }
}

/// The number of a device without a file; made when there is none. `control` is /dev/loop-control.
pub fn get_free(control: impl AsFd) -> Result<u32, Errno> {
    // SAFETY: see `GetFree`.
    unsafe { ioctl(control, GetFree) }
}

/// Gives a device its file and settings.
pub fn configure(device: impl AsFd, config: &Config<'_>) -> Result<(), Errno> {
    // SAFETY: LOOP_CONFIGURE reads a `loop_config`, which is initialised throughout; the file it names is borrowed.
    unsafe { ioctl(device, Setter::<LOOP_CONFIGURE, RawConfig>::new(config.raw)) }
}

/// A device's file and settings; ENXIO when it has none.
pub fn status(device: impl AsFd) -> Result<Status, Errno> {
    // SAFETY: LOOP_GET_STATUS64 fills in a `loop_info64`, for which every bit pattern is valid.
    unsafe { ioctl(device, Getter::<LOOP_GET_STATUS64, Status>::new()) }
}

/// Takes over the file's size.
pub fn set_capacity(device: impl AsFd) -> Result<(), Errno> {
    // SAFETY: LOOP_SET_CAPACITY takes no argument.
    unsafe { ioctl(device, NoArg::<LOOP_SET_CAPACITY>::new()) }
}

/// Takes the file away from a device; ENXIO when it has none.
pub fn clear(device: impl AsFd) -> Result<(), Errno> {
    // SAFETY: LOOP_CLR_FD takes no argument.
    unsafe { ioctl(device, NoArg::<LOOP_CLR_FD>::new()) }
}
