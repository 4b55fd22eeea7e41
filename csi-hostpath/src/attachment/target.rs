//! The file or directory on which a volume is mounted for a pod, and mounts at a place taken down again.

use std::thread;
use std::time::Duration;

use kernel::storage::beneath::Place;
use kernel::storage::mounts::{self, Detached};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::own::Own;
use super::sight::{self, Sight};
use crate::error::Error;

/// How long a busy mount is waited for between one try and the next, in milliseconds.
const PAUSES: [u64; 6] = [1, 4, 16, 32, 64, 128];

/// What a mount goes onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A directory, for a filesystem.
    Directory,
    /// An empty file, for a device node.
    File,
}

impl Shape {
    /// What a volume's mount goes onto.
    pub(super) const fn of(block: bool) -> Self {
        if block { Self::File } else { Self::Directory }
    }

    /// Whether what is there already will do.
    pub(super) fn fits(self, there: FileType, place: &Place) -> Result<(), Error> {
        let (fits, wanted) = match self {
            Self::Directory => (there.is_dir(), "a directory"),
            Self::File => (there.is_file(), "a file"),
        };
        if fits {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{} is a {there:?} and must be {wanted}",
            place.path().display()
        )))
    }

    /// Makes a target.
    pub(super) fn make(self, place: &Place) -> Result<(), Error> {
        match self {
            Self::Directory => place.parent.make_dir(&place.name, 0o750).map(drop)?,
            Self::File => place.parent.create_file(&place.name, 0o600).map(drop)?,
        }
        Ok(())
    }
}

/// Puts a mount onto what is at a place.
pub(super) fn attach(mount: Detached, place: &Place) -> Result<(), Error> {
    let path = place.path();
    match place.open().map_err(sight::unplain)? {
        Some(fd) => Ok(mount.attach(fd, &path)?),
        None => Err(Error::Unready(format!(
            "{} was removed meanwhile, try again",
            path.display()
        ))),
    }
}

/// Unmounts what is the volume's at a place, however often it is mounted there, and refuses to touch anything else.
pub(super) fn take_down(place: &Place, own: &Own) -> Result<(), Error> {
    while let Sight::Mounted(mounted) = sight::look(place)? {
        if !own.was(&mounted)? {
            return Err(foreign(place));
        }
        drop(mounted);
        if !unmount(place)? {
            break;
        }
    }
    Ok(())
}

/// Unmounts what is at a place. A look at its figures, or a program that is just being started, has it open for a moment;
/// longer than a moment is the user's business.
fn unmount(place: &Place) -> Result<bool, Error> {
    for pause in PAUSES {
        match mounts::unmount(place) {
            Err(error) if error.errno() == Errno::BUSY => {
                thread::sleep(Duration::from_millis(pause))
            }
            unmounted => return Ok(unmounted?),
        }
    }
    mounts::unmount(place).map_err(|error| match error.errno() {
        Errno::BUSY => Error::Unready(format!(
            "{} is in use by a process on this node, end it",
            place.path().display()
        )),
        _ => error.into(),
    })
}

/// Removes a target on which nothing is mounted. What holds anything is not ours to remove (K-10).
pub(super) fn remove(place: &Place) -> Result<(), Error> {
    let Sight::Bare(there) = sight::look(place)? else {
        return Ok(());
    };
    if there.is_dir() {
        return match place.parent.remove_dir(&place.name) {
            Err(error) if matches!(error.errno(), Errno::NOTEMPTY | Errno::EXIST) => {
                Err(kept(place, "it is not empty"))
            }
            removed => Ok(removed.map(drop)?),
        };
    }
    if !there.is_file() {
        return Err(kept(place, "it is neither a directory nor a file"));
    }
    if place
        .parent
        .open_file(&place.name, false)?
        .metadata()
        .is_ok_and(|file| file.len() > 0)
    {
        return Err(kept(place, "it is not empty"));
    }
    place.parent.remove_file(&place.name)?;
    Ok(())
}

/// Something that is not the volume is mounted at a place.
pub(super) fn foreign(place: &Place) -> Error {
    Error::Unready(format!(
        "something that is not the volume is mounted at {}, unmount it",
        place.path().display()
    ))
}

fn kept(place: &Place, why: &str) -> Error {
    Error::Unready(format!(
        "target {} is not removed: {why}, although nothing is mounted there",
        place.path().display()
    ))
}
