//! Pools: directories in which volumes and snapshots lie.
//!
//! ```text
//! <pool>/volumes/<id>/data      a directory volume: a subvolume where the pool is btrfs
//! <pool>/volumes/<id>/image     an image volume
//! <pool>/snapshots/<id>/...     the same of snapshots
//! <pool>/making/<id>/...        what is being made; whole and recorded before it moves to its shelf
//! <pool>/trash/<id>/...         what is being removed
//! <pool>/identity               by what the store recognises a further pool
//! ```
//!
//! Whatever a crash leaves is in `making` or `trash`, so nobody has to search the shelves. What lies on a shelf is
//! never removed because the store does not know it.

mod content;
mod identity;
mod making;
mod room;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kernel::storage::beneath::Root;
use kernel::storage::{btrfs, clone, filesystem, project};
use rustix::io::Errno;

pub use making::{Making, Writable};
pub use room::{Reservation, Room};

use crate::error::Error;
use crate::record::{Snapshot, Volume};
use crate::store::Store;

/// The pool that the state directory is.
pub const DEFAULT: &str = "default";

/// The file of an image.
const IMAGE: &str = "image";
/// The directory of a directory volume.
const DATA: &str = "data";

/// The pools of this node, by name.
pub struct Pools {
    pools: BTreeMap<String, Pool>,
    /// Those that were not there at the start, and why.
    away: BTreeMap<String, String>,
}

/// One pool.
pub struct Pool {
    name: String,
    path: PathBuf,
    root: Root,
    volumes: Root,
    snapshots: Root,
    making: Root,
    trash: Root,
    enforcement: Enforcement,
    filesystem: filesystem::Kind,
    reflink: bool,
    room: room::Ledger,
}

/// How the size of a directory is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// Quota groups of btrfs.
    QuotaGroup,
    /// Project quotas of ext4 and XFS.
    ProjectQuota,
    /// Not at all: volumes are images unless a class asks for an unenforced directory by name.
    Nothing,
}

/// Where an object lies once it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// `volumes`.
    Volumes,
    /// `snapshots`.
    Snapshots,
}

impl Pools {
    /// Opens the pools, each a name, a directory and the most that its volumes may be promised together. One that is not
    /// what the store knows by its name is left alone, and the others are served.
    pub fn open(
        store: &Store,
        pools: impl IntoIterator<Item = (String, PathBuf, Option<u64>)>,
    ) -> Result<Self, Error> {
        let mut opened = Self {
            pools: BTreeMap::new(),
            away: BTreeMap::new(),
        };
        for (name, path, limit) in pools {
            let root = Root::open(&path)?;
            // The default pool is where the store is.
            let complaint = match name.as_str() {
                DEFAULT => None,
                further => identity::complaint(store, further, &root)?,
            };
            if let Some(why) = complaint {
                tracing::error!("{why}");
                opened.away.insert(name, why);
            } else {
                let pool = Pool::open(name.clone(), &path, root, limit)?;
                opened.pools.insert(name, pool);
            }
        }
        Ok(opened)
    }

    /// The pool that holds an object that exists.
    pub fn get(&self, name: &str) -> Result<&Pool, Error> {
        self.pools.get(name).ok_or_else(|| match self.away.get(name) {
            Some(why) => Error::Away(why.clone()),
            None => Error::Unready(format!(
                "pool {name} is not configured on this node, start the driver with --pool {name}=<directory>"
            )),
        })
    }

    /// The pool that a class asks for. Another node may have one, so its absence is a lack of room.
    pub fn wanted(&self, name: Option<&str>) -> Result<&Pool, Error> {
        let name = name.unwrap_or(DEFAULT);
        self.pools.get(name).ok_or_else(|| {
            if let Some(why) = self.away.get(name) {
                return Error::Full(why.clone());
            }
            let known: Vec<_> = self.pools.keys().map(String::as_str).collect();
            Error::Full(format!(
                "this node has no pool {name}, only {}",
                known.join(", ")
            ))
        })
    }

    /// All pools, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }
}

impl Pool {
    fn open(name: String, path: &Path, root: Root, limit: Option<u64>) -> Result<Self, Error> {
        let shelf = |name: &str| -> Result<Root, Error> {
            root.make_dir(name, 0o700)?;
            Ok(root.beneath(Path::new(name))?)
        };
        let filesystem = filesystem::of(&root, path)?.kind;
        Ok(Self {
            volumes: shelf("volumes")?,
            snapshots: shelf("snapshots")?,
            making: shelf("making")?,
            trash: shelf("trash")?,
            enforcement: enforcement(&root, path, filesystem)?,
            reflink: clone::can_reflink(&root),
            filesystem,
            room: room::Ledger::new(limit),
            path: path.to_owned(),
            root,
            name,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it enforces the size of directories.
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// The filesystem it lies on.
    pub const fn filesystem(&self) -> filesystem::Kind {
        self.filesystem
    }

    /// Whether directories are subvolumes, which are snapshotted at once.
    pub fn has_subvolumes(&self) -> bool {
        self.filesystem == filesystem::Kind::Btrfs
    }

    /// Whether files are copied at once, sharing their bytes until one of them is written.
    pub const fn has_reflink(&self) -> bool {
        self.reflink
    }

    /// The directory of a directory volume, open for reading. Its device and inode are the volume's identity.
    pub fn data(&self, volume: &Volume) -> Result<OwnedFd, Error> {
        Ok(self
            .home(Shelf::Volumes, &volume.id)?
            .beneath(Path::new(DATA))?
            .into())
    }

    /// The image file of an image volume, open for writing. Its device and inode are the volume's identity.
    pub fn image(&self, volume: &Volume) -> Result<File, Error> {
        Ok(self
            .home(Shelf::Volumes, &volume.id)?
            .open_file(IMAGE, true)?)
    }

    /// The directory of a snapshot of a directory volume.
    pub fn snapshot_data(&self, snapshot: &Snapshot) -> Result<OwnedFd, Error> {
        Ok(self
            .home(Shelf::Snapshots, &snapshot.id)?
            .beneath(Path::new(DATA))?
            .into())
    }

    /// The image of a snapshot, open for reading.
    pub fn snapshot_image(&self, snapshot: &Snapshot) -> Result<File, Error> {
        Ok(self
            .home(Shelf::Snapshots, &snapshot.id)?
            .open_file(IMAGE, false)?)
    }

    /// An object's folder. A crash may have left it whole and recorded, but not yet on its shelf.
    pub fn home(&self, shelf: Shelf, id: &str) -> Result<Root, Error> {
        match self.shelf(shelf).beneath(Path::new(id)) {
            Err(missing) if missing.is_missing() && self.shelve(shelf, id)? => {
                Ok(self.shelf(shelf).beneath(Path::new(id))?)
            }
            found => Ok(found?),
        }
    }

    /// Whether an object's folder is where it should be. Cheap: lists ask it of thousands.
    pub fn reaches(&self, shelf: Shelf, id: &str) -> Result<(), Error> {
        if self.shelf(shelf).has(id)? {
            return Ok(());
        }
        self.home(shelf, id).map(drop)
    }

    /// Starts to make the object `id`.
    pub fn make(&self, id: &str) -> Result<Making<'_>, Error> {
        Making::start(self, id)
    }

    /// Moves a whole and recorded object to its shelf. Says whether there was one to move.
    pub fn shelve(&self, shelf: Shelf, id: &str) -> Result<bool, Error> {
        match self.making.rename(id, self.shelf(shelf), id) {
            Ok(()) => Ok(true),
            Err(missing) if missing.is_missing() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes an object off its shelf, durably; [`Pool::purge`] frees its space later. One that is not there is off.
    pub fn discard(&self, shelf: Shelf, id: &str) -> Result<(), Error> {
        self.shelve(shelf, id)?;
        let discard = || self.shelf(shelf).rename(id, &self.trash, id);
        let discarded = match discard() {
            Err(error) if error.errno() == Errno::EXIST => {
                // An inline volume of the same id that could not be removed then.
                self.purge(id)?;
                discard()
            }
            discarded => discarded,
        };
        match discarded {
            Err(error) if !error.is_missing() => Err(error.into()),
            _ => Ok(self.trash.sync()?),
        }
    }

    /// Frees the space of a discarded object.
    pub fn purge(&self, id: &str) -> Result<(), Error> {
        content::remove(&self.trash, id)
    }

    /// Puts on disk what volumes wait for that settle later ([`Pool::settles_later`]).
    pub fn commit(&self) -> Result<(), Error> {
        Ok(btrfs::commit(&self.root, &self.path)?)
    }

    /// The ids of the volumes on their shelf.
    pub fn volumes(&self) -> Result<Vec<String>, Error> {
        names(&self.volumes)
    }

    /// What a crash left while being made.
    pub fn unfinished(&self) -> Result<Vec<String>, Error> {
        names(&self.making)
    }

    /// Removes something unfinished.
    pub fn abandon(&self, id: &str) -> Result<(), Error> {
        content::abandon(&self.making, id)
    }

    /// What is still to be purged.
    pub fn discarded(&self) -> Result<Vec<String>, Error> {
        names(&self.trash)
    }

    const fn shelf(&self, shelf: Shelf) -> &Root {
        match shelf {
            Shelf::Volumes => &self.volumes,
            Shelf::Snapshots => &self.snapshots,
        }
    }
}

/// The names in a directory of ours. All are ids, so a name that is not text is not ours.
fn names(root: &Root) -> Result<Vec<String>, Error> {
    Ok(root
        .entries()?
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect())
}

fn enforcement(
    root: &Root,
    path: &Path,
    filesystem: filesystem::Kind,
) -> Result<Enforcement, Error> {
    Ok(match filesystem {
        filesystem::Kind::Btrfs => {
            btrfs::enable_quota(root, path)?;
            Enforcement::QuotaGroup
        }
        filesystem::Kind::Ext | filesystem::Kind::Xfs if project::enforced(root, path)? => {
            Enforcement::ProjectQuota
        }
        _ => Enforcement::Nothing,
    })
}
