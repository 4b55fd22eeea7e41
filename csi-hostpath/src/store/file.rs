//! The store's file: made, opened, and opened again after the kernel refused a write.

use std::fs::{self, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use rustix::fs::{AtFlags, CWD, IFlags, Mode, OFlags, ioctl_setflags};

use super::Error;
use super::disk::Disk;
use super::tables;

/// What redb may keep of the file in memory, in bytes.
const CACHE: usize = 1 << 20;
/// The version of what the tables hold. It grows when an older driver would misread them; a new field in a record is no
/// such thing.
const SCHEMA: u64 = 1;
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const SCHEMA_KEY: &str = "schema";

/// The open file.
pub(super) struct File {
    path: PathBuf,
    /// Locked against other processes.
    file: fs::File,
    /// `None` after an error that redb does not go on from: the next who asks opens it again.
    database: RwLock<Option<Database>>,
    /// Shared with the [`Disk`].
    thrifty: Arc<AtomicBool>,
    #[cfg(test)]
    pub(super) commits: std::sync::atomic::AtomicUsize,
}

impl File {
    /// Opens the file at `path`, made if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = fs::File::options().read(true).write(true).open(path);
        match file {
            Ok(file) => Self::existing(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::new(path),
            Err(error) => Err(Error::io(path, &error)),
        }
    }

    /// The store in a file that is there.
    fn existing(path: &Path, file: fs::File) -> Result<Self, Error> {
        lock(path, &file)?;
        let refused = |error: io::Error| Error::io(path, &error);
        // redb would take it for a new one, and everything would be forgotten.
        if file.metadata().map_err(refused)?.len() == 0 {
            return Err(Error::Foreign { path: path.into() });
        }
        let thrifty = Arc::default();
        let database = database(path, &file, &thrifty)?;
        check(path, &database)?;
        Ok(Self::on(path, file, database, thrifty))
    }

    /// A new store. The file has no name until all is in it, so that nobody ever finds a part of one.
    fn new(path: &Path) -> Result<Self, Error> {
        let refused = |error: io::Error| Error::io(path, &error);
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = unnamed(folder).map_err(refused)?;
        lock(path, &file)?;
        let thrifty = Arc::default();
        let database = database(path, &file, &thrifty)?;
        fill(&database).map_err(|error| Error::of(path, error))?;
        name(&file, path, folder).map_err(refused)?;
        Ok(Self::on(path, file, database, thrifty))
    }

    fn on(path: &Path, file: fs::File, database: Database, thrifty: Arc<AtomicBool>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            database: RwLock::new(Some(database)),
            thrifty,
            #[cfg(test)]
            commits: 0.into(),
        }
    }

    /// What `look` sees in the last state that was written.
    pub(super) fn read<T>(
        &self,
        look: impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let read = || self.with(|database| look(&database.begin_read()?));
        match read() {
            // Somebody's write failed. What was written before is still there to read.
            Err(Error::Lost) => read(),
            other => other,
        }
    }

    /// Does `work`, and makes it durable. `thrifty`: where there is little room left, with the last of it.
    pub(super) fn write<T>(
        &self,
        thrifty: bool,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        self.with(|database| {
            let txn = database.begin_write()?;
            self.thrifty.store(thrifty, Ordering::Relaxed);
            let outcome = work(&txn)?;
            #[cfg(test)]
            self.commits.fetch_add(1, Ordering::SeqCst);
            txn.commit()?;
            Ok(outcome)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Error> {
        let outcome = loop {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &*database {
                break act(database);
            }
            drop(database);
            self.reopen()?;
        };
        outcome.map_err(|error| {
            if is_last(&error) {
                self.close();
            }
            Error::of(&self.path, error)
        })
    }

    fn close(&self) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *database = None;
    }

    fn reopen(&self) -> Result<(), Error> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = Some(self::database(&self.path, &self.file, &self.thrifty)?);
        }
        Ok(())
    }
}

/// Whether redb refuses everything after this error until the file is opened again.
fn is_last(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_)
            | redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_)
    )
}

/// Keeps other processes out, and this one from opening the store twice, for as long as the file is open.
fn lock(path: &Path, file: &fs::File) -> Result<(), Error> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::InUse { path: path.into() },
        TryLockError::Error(error) => Error::io(path, &error),
    })
}

fn unnamed(folder: &Path) -> io::Result<fs::File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?;
    // btrfs would write every change to a new place, for which a full disk has no room. Other filesystems know no such flag.
    let _ = ioctl_setflags(&file, IFlags::NOCOW);
    Ok(file.into())
}

fn name(file: &fs::File, path: &Path, folder: &Path) -> io::Result<()> {
    let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, by_number, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    fs::File::open(folder)?.sync_all()
}

fn database(path: &Path, file: &fs::File, thrifty: &Arc<AtomicBool>) -> Result<Database, Error> {
    let disk = file
        .try_clone()
        .and_then(|file| Disk::new(file, thrifty.clone()))
        .map_err(|error| Error::io(path, &error))?;
    Database::builder()
        .set_cache_size(CACHE)
        // Without it a damaged file would be trusted, and a wrong page end the process later.
        .set_check_integrity_on_open(true)
        .create_with_backend(disk)
        .map_err(|error| Error::of(path, error.into()))
}

/// Whether it is a store of ours, and one that this driver understands.
fn check(path: &Path, database: &Database) -> Result<(), Error> {
    match schema(database).map_err(|error| Error::of(path, error))? {
        Some(SCHEMA) => Ok(()),
        Some(found) if found > SCHEMA => Err(Error::Newer {
            path: path.into(),
            found,
            known: SCHEMA,
        }),
        _ => Err(Error::Foreign { path: path.into() }),
    }
}

/// Makes the tables and says which version of them this is.
fn fill(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    tables::make(&txn)?;
    mark(&txn, SCHEMA)?;
    txn.commit()?;
    Ok(())
}

pub(super) fn mark(txn: &WriteTransaction, schema: u64) -> Result<(), redb::Error> {
    txn.open_table(META)?.insert(SCHEMA_KEY, schema)?;
    Ok(())
}

fn schema(database: &Database) -> Result<Option<u64>, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let schema = meta.get(SCHEMA_KEY)?;
    Ok(schema.map(|schema| schema.value()))
}
