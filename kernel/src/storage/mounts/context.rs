//! Filesystems on devices: fsopen(2), fsconfig(2), fsmount(2).

use super::Detached;
use crate::storage::Error;
use rustix::io::{Errno, read};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::os::fd::OwnedFd;
use std::path::Path;

/// How many messages the kernel keeps for us.
const MESSAGES: usize = 8;

/// Mounts the filesystem on `source`, out of sight. `options` are the filesystem's own, each with a value or without.
/// `readonly` holds for the mount and, unless it is mounted writable elsewhere, for the filesystem.
///
/// What the filesystem says to a refusal is in the error.
pub fn new_filesystem(
    kind: &str,
    source: &Path,
    options: &[(&str, Option<&str>)],
    readonly: bool,
) -> Result<Detached, Error> {
    let doing = format!("mount the {kind} filesystem on {}", source.display());
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| {
        let error = Error::new(&doing, errno);
        match errno {
            Errno::NODEV => error.with_note(format!("this kernel has no filesystem {kind}")),
            _ => error,
        }
    })?;
    match make(&context, source, options, readonly) {
        Ok(fd) => Ok(Detached {
            fd,
            source: source.to_owned(),
        }),
        Err(errno) => Err(Error::new(doing, errno).with_note(messages(&context))),
    }
}

fn make(
    context: &OwnedFd,
    source: &Path,
    options: &[(&str, Option<&str>)],
    readonly: bool,
) -> Result<OwnedFd, Errno> {
    fsconfig_set_string(context, "source", source)?;
    let mut attributes = MountAttrFlags::empty();
    if readonly {
        fsconfig_set_flag(context, "ro")?;
        // btrfs that is mounted writable elsewhere stays so and does not refuse.
        attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context, *key, *value)?,
            None => fsconfig_set_flag(context, *key)?,
        }
    }
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// What the filesystem had to say: lines that start with `e`, `w` or `i` for their weight.
fn messages(context: &OwnedFd) -> String {
    let mut buffer = [0; 1024];
    let lines = (0..MESSAGES).map_while(|_| {
        let length = read(context, &mut buffer).ok()?;
        let line = String::from_utf8_lossy(buffer.get(..length)?);
        let line = line.trim_end();
        let text = line.split_once(' ').map_or(line, |(_, text)| text);
        Some(text.to_owned())
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[path = "../tests/context.rs"]
mod tests;
