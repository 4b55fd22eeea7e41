//! An object that is being made. Until it is whole and recorded it lies in `making`, and goes when it is dropped.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use kernel::storage::beneath::Root;
use kernel::storage::{btrfs, clone, project, tree};
use kernel::{Step, Undo};
use rustix::fs::Mode;

use super::content::{abandon, io, reserve};
use super::{DATA, Enforcement, IMAGE, Pool, Shelf};
use crate::error::Error;
use crate::quantity::Bytes;
use crate::record::Kind;

/// What a directory may take beyond its size while it is filled with a copy, in bytes.
const SPARE: u64 = 1 << 20;

/// An object that is being made.
pub struct Making<'pool> {
    pool: &'pool Pool,
    id: String,
    home: Root,
    bound: Option<u64>,
    project: Cell<Option<u32>>,
    undo: Undo<Folder>,
}

/// Whether a copy will be written to: a volume's is, a snapshot's is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writable {
    /// It becomes a volume.
    Yes,
    /// It becomes a snapshot.
    No,
}

/// The folder, to be removed.
struct Folder {
    making: Root,
    id: String,
}

impl Step for Folder {
    type Error = Error;

    fn revert(&mut self) -> Result<(), Error> {
        abandon(&self.making, &self.id)
    }
}

impl<'pool> Making<'pool> {
    pub(super) fn start(pool: &'pool Pool, id: &str) -> Result<Self, Error> {
        let mut undo = Undo::new();
        undo.record(Folder {
            making: pool.root.beneath(Path::new("making"))?,
            id: id.to_owned(),
        });
        pool.making.make_dir(id, 0o700)?;
        let home = pool.making.beneath(Path::new(id))?;
        Ok(Self {
            pool,
            id: id.to_owned(),
            home,
            bound: None,
            project: Cell::new(None),
            undo,
        })
    }

    /// Directories made from now on are limited to `size` bytes, if volumes of this `kind` are.
    #[must_use]
    pub fn bound_to(self, kind: Kind, size: u64) -> Self {
        Self {
            bound: (kind == Kind::Directory).then_some(size),
            ..self
        }
    }

    /// Whether it is made in `pool`, so that copies can share bytes.
    pub fn shares_with(&self, pool: &Pool) -> bool {
        self.pool.name == pool.name
    }

    /// Where the image lies while it is made, for programs that take paths.
    pub fn image_path(&self) -> PathBuf {
        self.pool.path.join("making").join(&self.id).join(IMAGE)
    }

    /// An image without content.
    pub fn empty_image(&self) -> Result<File, Error> {
        Ok(self.home.create_file(IMAGE, 0o600)?)
    }

    /// An image that shares the bytes of `from` as they are at this moment; `false` where the filesystem cannot.
    pub fn reflink_image(&self, from: &File) -> Result<bool, Error> {
        let image = self.empty_image()?;
        if clone::reflink(from, &image)? {
            return Ok(true);
        }
        self.home.remove_file(IMAGE)?;
        Ok(false)
    }

    /// An image with the bytes of `from`, which nobody may write meanwhile. `go_on` is asked between chunks.
    pub fn copy_image(&self, from: &File, go_on: &dyn Fn() -> bool) -> Result<(), Error> {
        Ok(clone::copy_sparse(from, &self.empty_image()?, &|_| {
            go_on()
        })?)
    }

    /// Gives the image its size, and its place on disk when it is `thick`.
    pub fn size_image(&self, size: u64, thick: bool) -> Result<(), Error> {
        let image = self.home.open_file(IMAGE, true)?;
        let doing = || format!("give the image of {} a size of {}", self.id, Bytes(size));
        image.set_len(size).map_err(|error| io(doing(), &error))?;
        if thick {
            reserve(&image, size, doing)?;
        }
        Ok(())
    }

    /// A directory without content.
    pub fn empty_data(&self) -> Result<(), Error> {
        self.make_data()?;
        self.enforce(0)
    }

    fn make_data(&self) -> Result<(), Error> {
        if self.pool.has_subvolumes() {
            btrfs::create_subvolume(&self.home, self.home.path(), DATA)?;
            let data = self.data()?;
            rustix::fs::fchmod(&data, Mode::from_raw_mode(0o755)).map_err(|errno| {
                kernel::storage::Error::new("set the mode of a subvolume", errno)
            })?;
        } else {
            self.home.make_dir(DATA, 0o755)?;
        }
        Ok(())
    }

    /// A directory that shares the bytes of the subvolume `from` as they are at this moment.
    pub fn subvolume(&self, from: impl AsFd, writable: Writable) -> Result<(), Error> {
        btrfs::snapshot(
            from,
            &self.home,
            self.home.path(),
            DATA,
            writable == Writable::No,
        )?;
        self.enforce(0)
    }

    /// A directory with everything that `from` holds, which nobody may write meanwhile.
    pub fn copy_data(&self, from: impl AsFd, go_on: &dyn Fn() -> bool) -> Result<(), Error> {
        self.make_data()?;
        // Limited before it is filled: a project counts only what is made in it. A full directory fits into its own size
        // only in the end: XFS asks for some blocks more on the way.
        self.enforce(SPARE + self.bound.unwrap_or_default() / 32)?;
        tree::copy(
            from.as_fd(),
            self.data()?.as_fd(),
            self.pool.reflink,
            &|| !go_on(),
        )?;
        self.enforce(0)
    }

    /// Limits the directory to what it is bound to, and `spare` bytes.
    fn enforce(&self, spare: u64) -> Result<(), Error> {
        let Some(size) = self.bound else {
            return Ok(());
        };
        let data = self.data()?;
        if self.pool.enforcement == Enforcement::ProjectQuota && self.project.get().is_none() {
            let project = project::free_project(&data, self.home.path())?;
            project::assign(&data, self.home.path(), project)?;
            self.project.set(Some(project));
        }
        let limit = size.saturating_add(spare);
        self.pool.limit(&data, self.project.get(), limit)
    }

    /// The project that the directory counts under, where it has one.
    pub const fn project(&self) -> Option<u32> {
        self.project.get()
    }

    /// Removes what an attempt before has made. The folder stays: by it a restart knows that a copy is due.
    pub fn clear(&self) -> Result<(), Error> {
        self.home.remove_file(IMAGE)?;
        Ok(tree::remove(&self.home, DATA)?)
    }

    /// Makes everything durable that was made so far.
    pub fn settle(&self) -> Result<(), Error> {
        match self.home.open_file(IMAGE, true) {
            Ok(image) => image
                .sync_all()
                .map_err(|error| io(format!("write the image of {} to disk", self.id), &error))?,
            Err(missing) if missing.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        self.home.sync()?;
        Ok(self.pool.making.sync()?)
    }

    /// Keeps the object where it is: it is recorded, and not yet whole.
    pub fn keep(self) {
        self.undo.keep();
    }

    /// Puts the object on its shelf: it is whole and recorded. Where that fails, whoever looks for it does it.
    pub fn finish(self, shelf: Shelf) {
        let Self { pool, id, undo, .. } = self;
        undo.keep();
        let _ = pool.shelve(shelf, &id);
    }

    fn data(&self) -> Result<OwnedFd, Error> {
        Ok(self.home.beneath(Path::new(DATA))?.into())
    }
}
