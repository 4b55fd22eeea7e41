//! The loop devices of image volumes.

use std::fs::File;
use std::path::Path;

use kernel::storage::loopdev::{self, Backing, Device, Options};
use kernel::storage::mounts;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::own::Own;
use crate::error::Error;

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be mounted: it lets its file go when the last mount of it ends.
    Filesystem,
    /// To be a pod's raw device: nobody has it open between stage and publish, so it stays until it is detached.
    Raw,
    /// To be a pod's raw device that refuses writes. Stays as well.
    RawReadonly,
}

/// A new device for an image that has none for this purpose.
pub(super) fn attach(image: &File, volume: &str, purpose: Purpose) -> Result<Device, Error> {
    let options = Options {
        readonly: purpose == Purpose::RawReadonly,
        autoclear: purpose == Purpose::Filesystem,
        direct_io: true,
        label: volume,
    };
    Ok(loopdev::attach(image, &options)?)
}

/// The device that an image has.
pub(super) fn find(image: &File, volume: &str, readonly: bool) -> Result<Option<Device>, Error> {
    let identity = mounts::identity(image, Path::new(volume))?;
    Ok(loopdev::find(identity.dev, identity.ino, readonly)?)
}

/// Takes the size of a grown image over to each of its devices.
pub(super) fn refresh(image: &File, volume: &str) -> Result<(), Error> {
    for readonly in [false, true] {
        if let Some(device) = find(image, volume, readonly)? {
            device.refresh_size()?;
        }
    }
    Ok(())
}

/// Detaches the volume's devices, the read-only or the writable ones. One in use goes when its last user does.
pub(super) fn detach(own: &Own, readonly: bool) -> Result<(), Error> {
    let is_wanted = |backing: &Backing| own.backs(backing) && backing.readonly == readonly;
    for (number, backing) in loopdev::attached()? {
        if !is_wanted(&backing) {
            continue;
        }
        // Since the list was made it may have got another file. Held open it keeps the one it has.
        let device = loopdev::Device::open(number)?;
        if let Some(device) = device
            && device.backing()?.as_ref().is_some_and(is_wanted)
        {
            device.detach()?;
        }
    }
    Ok(())
}

/// Whether a device is neither mounted nor worked on by a program that claims it.
pub(super) fn is_free(device: &Device) -> Result<bool, Error> {
    let path = device.path();
    match open(
        &path,
        OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(_) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(errno) => {
            let doing = format!("claim {}", path.display());
            Err(kernel::storage::Error::new(doing, errno).into())
        }
    }
}
