//! How a volume is really used. What is recorded but not there, after a reboot for example, does not count (K-14).

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::device;
use super::mounting::readable;
use super::own::Own;
use super::sight::{self, Sight};
use crate::driver::Driver;
use crate::error::Error;
use crate::record::{Published, Volume};

/// How a volume is used at this moment, as the mount table and the loop devices have it.
#[derive(Default)]
pub struct Observed {
    /// The root of the staged mount, open: where an image's filesystem can be frozen or trimmed.
    pub staged: Option<OwnedFd>,
    /// The writable loop device of a staged block volume.
    pub device: Option<File>,
    /// The targets at which it is really published, of those recorded.
    pub targets: Vec<Published>,
}

impl Observed {
    /// Whether anything uses it: it must not be deleted (DV-02).
    pub fn in_use(&self) -> bool {
        self.staged.is_some() || self.device.is_some() || !self.targets.is_empty()
    }

    /// Whether a pod may be writing to it.
    pub fn written(&self) -> bool {
        self.targets.iter().any(|target| !target.readonly)
    }
}

impl Driver {
    /// Looks at the recorded staging path and targets. Where a volume is published without being staged any more,
    /// [`Observed::staged`] is the root of one of its targets: it is the same filesystem.
    pub fn observe(&self, volume: &Volume) -> Result<Observed, Error> {
        if volume.staged.is_none() && volume.published.is_empty() {
            return Ok(Observed::default());
        }
        let own = Own::of(&self.pools, volume)?;
        let targets = self.targets(volume, &own)?;
        if volume.block {
            return Ok(Observed {
                staged: None,
                device: self.staged_device(volume, &own)?,
                targets,
            });
        }
        let paths = volume.staged.iter().map(|staged| &staged.path);
        let mut paths = paths.chain(targets.iter().map(|published| &published.target));
        let staged = paths.find_map(|path| self.root(&own, path.as_ref()).transpose());
        Ok(Observed {
            staged: staged.transpose()?,
            device: None,
            targets,
        })
    }

    /// The recorded targets at which the volume really is.
    pub(super) fn targets(&self, volume: &Volume, own: &Own) -> Result<Vec<Published>, Error> {
        let mut there = Vec::new();
        for published in &volume.published {
            if self.is_mounted(own, published.target.as_ref())? {
                there.push(published.clone());
            }
        }
        Ok(there)
    }

    /// Whether the volume is staged or published at a path.
    pub(super) fn is_at(&self, volume: &Volume, own: &Own, path: &Path) -> Result<bool, Error> {
        match &volume.staged {
            // Nothing is mounted where a raw device is staged.
            Some(staged) if volume.block && Path::new(&staged.path) == path => {
                Ok(self.staged_device(volume, own)?.is_some())
            }
            _ => self.is_mounted(own, path),
        }
    }

    /// The root of the volume's mount at a path, open for reading.
    pub(super) fn root(&self, own: &Own, path: &Path) -> Result<Option<OwnedFd>, Error> {
        match self.sight_of(path)? {
            Sight::Mounted(mounted) if own.is(&mounted)? => Ok(Some(readable(mounted.fd(), path)?)),
            _ => Ok(None),
        }
    }

    /// Whether the volume is mounted at a path.
    pub(super) fn is_mounted(&self, own: &Own, path: &Path) -> Result<bool, Error> {
        match self.sight_of(path)? {
            Sight::Mounted(mounted) => own.is(&mounted),
            _ => Ok(false),
        }
    }

    /// What is at a path at which the volume may be. Behind a link it never is.
    pub(super) fn sight_of(&self, path: &Path) -> Result<Sight, Error> {
        let looked = match self.known_place(path) {
            Ok(Some(place)) => sight::look(&place),
            Ok(None) => Ok(Sight::Nothing),
            Err(error) => Err(error),
        };
        match looked {
            Err(Error::Invalid(_)) => Ok(Sight::Nothing),
            looked => looked,
        }
    }

    fn staged_device(&self, volume: &Volume, own: &Own) -> Result<Option<File>, Error> {
        // An image that is gone is staged nowhere.
        if volume.staged.is_none() || own.data().is_none() {
            return Ok(None);
        }
        let image = self.pools.get(&volume.pool)?.image(volume)?;
        Ok(device::find(&image, &volume.id, false)?.map(|device| device.file))
    }
}
