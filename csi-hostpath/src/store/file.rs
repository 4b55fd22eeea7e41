//! The store's file: made, opened, and opened again after the kernel refused a write.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::Error;
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
    /// `None` after an error that redb does not go on from: the next who asks opens it again.
    database: RwLock<Option<Database>>,
}

impl File {
    /// Opens the file at `path`, made if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let database = open_or_make(path)?;
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(database)),
        })
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

    /// Does `work`, and makes it durable.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        self.with(|database| {
            let txn = database.begin_write()?;
            let outcome = work(&txn)?;
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
            // Not made anew, should it be gone: it would be empty.
            let file = open_file(&self.path).map_err(|error| Error::io(&self.path, &error))?;
            *database = Some(existing(&self.path, file)?);
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

fn open_or_make(path: &Path) -> Result<Database, Error> {
    match open_file(path) {
        Ok(file) => existing(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(Error::io(path, &error)),
    }
}

fn open_file(path: &Path) -> io::Result<fs::File> {
    fs::File::options().read(true).write(true).open(path)
}

/// The store in a file that is there.
fn existing(path: &Path, file: fs::File) -> Result<Database, Error> {
    let length = file
        .metadata()
        .map_err(|error| Error::io(path, &error))?
        .len();
    // redb would take it for a new one, and everything would be forgotten.
    if length == 0 {
        return Err(Error::Foreign { path: path.into() });
    }
    let database = database(path, file)?;
    match schema(&database).map_err(|error| Error::of(path, error))? {
        Some(SCHEMA) => Ok(database),
        Some(found) if found > SCHEMA => Err(Error::Newer {
            path: path.into(),
            found,
            known: SCHEMA,
        }),
        _ => Err(Error::Foreign { path: path.into() }),
    }
}

/// A new store. The file has no name until all is in it, so that nobody ever finds a part of one.
fn make(path: &Path) -> Result<Database, Error> {
    let refused = |error: io::Error| Error::io(path, &error);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let unnamed = rustix::fs::open(
        folder,
        OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )
    .map_err(|errno| refused(errno.into()))?;
    let file = fs::File::from(unnamed);
    let same = file.try_clone().map_err(refused)?;
    let database = database(path, file)?;
    fill(&database).map_err(|error| Error::of(path, error))?;
    let by_number = format!("/proc/self/fd/{}", same.as_raw_fd());
    rustix::fs::linkat(CWD, by_number, CWD, path, AtFlags::SYMLINK_FOLLOW)
        .map_err(|errno| refused(errno.into()))?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(refused)?;
    Ok(database)
}

fn database(path: &Path, file: fs::File) -> Result<Database, Error> {
    FileBackend::new(file)
        .and_then(|backend| {
            Database::builder()
                .set_cache_size(CACHE)
                // Without it a damaged file would be trusted, and a wrong page end the process later.
                .set_check_integrity_on_open(true)
                .create_with_backend(backend)
        })
        .map_err(|error| Error::of(path, error.into()))
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
