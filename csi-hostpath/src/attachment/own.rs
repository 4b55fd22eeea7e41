//! By what a mount is recognised as a volume's.

use std::path::{Path, PathBuf};

use kernel::storage::loopdev::Backing;
use kernel::storage::mounts;

use super::sight::Mounted;
use crate::error::Error;
use crate::pool::Pools;
use crate::record::Volume;

/// The bytes of a loop device's label that the kernel keeps.
const LABEL: usize = 63;

/// A volume as mounts and devices show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    id: String,
    data: Option<Data>,
    /// Where nodes of its devices are mounted, as it is recorded.
    nodes: Vec<PathBuf>,
}

/// What holds a volume's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    /// Whether it is a directory, mounted itself. Otherwise it is a file behind a loop device.
    pub directory: bool,
    /// Its filesystem's device, as `st_dev` has it.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
}

impl Own {
    /// What `volume` is recognised by. If its bytes are gone from the pool, its name has to do.
    pub(super) fn of(pools: &Pools, volume: &Volume) -> Result<Self, Error> {
        let data = match data(pools, volume) {
            Ok(data) => Some(data),
            Err(Error::Kernel(error)) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        let targets = volume.published.iter().filter(|_| volume.block);
        Ok(Self {
            id: volume.id.clone(),
            data,
            nodes: targets.map(|other| PathBuf::from(&other.target)).collect(),
        })
    }

    /// A volume that no record tells of.
    pub(super) fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            data: None,
            nodes: Vec::new(),
        }
    }

    /// What holds its bytes; `None` if that is gone.
    pub(super) const fn data(&self) -> Option<Data> {
        self.data
    }

    /// Whether `mounted` is the volume: the same directory, or a device with the same file.
    pub(super) fn is(&self, mounted: &Mounted) -> Result<bool, Error> {
        match self.data {
            None => self.is_by_name(mounted),
            Some(data) if data.directory => Ok(mounted.is_directory(data.dev, data.ino)),
            Some(_) => {
                let backing = mounted.backing()?;
                Ok(backing.is_some_and(|backing| self.backs(&backing)))
            }
        }
    }

    /// Whether `mounted` was mounted for this volume, whatever has become of its bytes since.
    pub(super) fn was(&self, mounted: &Mounted) -> Result<bool, Error> {
        Ok(self.is(mounted)? || self.is_by_name(mounted)? || self.is_old_node(mounted))
    }

    /// Whether `mounted` is the node of a device at a place where the volume's was mounted. The device may have lost its
    /// file since, or got another one, which a mount of its node does not use.
    fn is_old_node(&self, mounted: &Mounted) -> bool {
        mounted.is_loop_node() && self.nodes.iter().any(|node| node == mounted.path())
    }

    /// Whether a loop device with this backing is the volume's.
    pub(super) fn backs(&self, backing: &Backing) -> bool {
        match self.data {
            Some(data) => !data.directory && (data.dev, data.ino) == (backing.dev, backing.ino),
            None => self.labels(backing),
        }
    }

    /// Whether a loop device carries the volume's id.
    pub(super) fn labels(&self, backing: &Backing) -> bool {
        let kept = self.id.get(..LABEL).unwrap_or(&self.id);
        backing.label == kept
    }

    fn is_by_name(&self, mounted: &Mounted) -> Result<bool, Error> {
        if let Some(backing) = mounted.backing()? {
            return Ok(self.labels(&backing));
        }
        let root = mounted.root()?;
        Ok(root.is_some_and(|root| lies_in(&root, &self.id)))
    }
}

/// Whether what is mounted is the directory `data` of the folder `id`, on any shelf of any pool.
fn lies_in(root: &Path, id: &str) -> bool {
    let names: Vec<_> = root.iter().collect();
    names.windows(2).any(|pair| pair == [id, "data"])
}

fn data(pools: &Pools, volume: &Volume) -> Result<Data, Error> {
    let pool = pools.get(&volume.pool)?;
    let path = Path::new(&volume.id);
    let directory = volume.kind().is_directory();
    let identity = if directory {
        mounts::identity(pool.data(volume)?, path)?
    } else {
        mounts::identity(pool.image(volume)?, path)?
    };
    Ok(Data {
        directory,
        dev: identity.dev,
        ino: identity.ino,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backing(dev: u64, ino: u64, label: &str) -> Backing {
        Backing {
            dev,
            ino,
            label: label.to_owned(),
            readonly: false,
            autoclear: true,
            direct_io: true,
            offset: 0,
            size_limit: 0,
        }
    }

    fn image(dev: u64, ino: u64) -> Own {
        let data = Data {
            directory: false,
            dev,
            ino,
        };
        Own {
            id: "vol-1".to_owned(),
            data: Some(data),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn a_device_is_known_by_its_file_and_not_by_its_label() {
        assert!(image(1, 2).backs(&backing(1, 2, "other")));
        assert!(!image(1, 2).backs(&backing(1, 3, "vol-1")));
        assert!(!image(1, 2).backs(&backing(3, 2, "vol-1")));
    }

    #[test]
    fn a_directory_is_behind_no_device() {
        let mut own = image(1, 2);
        own.data = own.data.map(|data| Data {
            directory: true,
            ..data
        });
        assert!(!own.backs(&backing(1, 2, "vol-1")));
    }

    #[test]
    fn what_is_gone_is_known_by_its_name() {
        let inline = format!("csi-{}", "a".repeat(64));
        let own = Own::named(&inline);
        assert!(own.backs(&backing(1, 2, &inline[..LABEL])));
        assert!(!own.backs(&backing(1, 2, "csi-a")));
        assert!(!Own::named("vol-1").backs(&backing(1, 2, "vol-12")));
    }

    #[test]
    fn a_mounted_directory_names_its_volume() {
        assert!(lies_in(Path::new("/var/pool/volumes/vol-1/data"), "vol-1"));
        let deleted = Path::new("/pool/trash/vol-1/data//deleted");
        assert!(lies_in(deleted, "vol-1"));
        assert!(!lies_in(Path::new("/pool/volumes/vol-12/data"), "vol-1"));
        assert!(!lies_in(Path::new("/pool/volumes/vol-1"), "vol-1"));
    }
}
