//! The truth about objects: volumes, snapshots and groups, in one file that survives a crash at any moment (redb).
//!
//! A change is durable when [`Store::commit`] returns, and calls that come together share one write to disk. Reading
//! never waits for writing. Neither gets slower as objects come to be. How a volume is used on this node ends with the
//! machine and lies apart (`uses`); whoever reads a record gets both.

mod disk;
mod error;
mod file;
mod look;
mod tables;
mod together;
mod uses;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use prost::Message;
use redb::WriteTransaction;

use crate::record::{Group, Snapshot, Volume};
pub use error::Error;
use file::File;
use tables::NameTaken;
use together::Together;
use uses::Uses;

/// One change of one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The volume is as given, whether or not it was there.
    PutVolume(Volume),
    /// The volume is gone.
    DropVolume(String),
    /// The snapshot is as given, whether or not it was there.
    PutSnapshot(Snapshot),
    /// The snapshot is gone.
    DropSnapshot(String),
    /// The group is as given, whether or not it was there.
    PutGroup(Group),
    /// The group is gone.
    DropGroup(String),
    /// What lies in the pool may be less than what the record says.
    Unsettle(Unsettled),
    /// It is no longer; of no effect where it came about anew since.
    Settle(Unsettled),
}

/// A volume whose directory, or whose limit, is not known to be on disk: a loss of power takes it back while the record
/// stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsettled {
    /// The volume's id.
    pub volume: String,
    /// Which time: no two are the same for a volume.
    pub since: i64,
}

impl Change {
    fn is_drop(&self) -> bool {
        matches!(
            self,
            Self::DropVolume(_) | Self::DropSnapshot(_) | Self::DropGroup(_)
        )
    }
}

impl Unsettled {
    /// A volume from now on.
    pub fn now(volume: &str) -> Self {
        Self {
            volume: volume.to_owned(),
            since: crate::driver::now(),
        }
    }
}

/// A part of a list, in the order of ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// How much of a list is wanted at once. A list goes on with at least one entry.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// At most so many entries.
    pub entries: usize,
    /// At most so many bytes, as entries are sent.
    pub bytes: usize,
}

impl Most {
    const fn entries(most: Option<usize>) -> Self {
        Self {
            entries: match most {
                Some(most) => most,
                None => usize::MAX,
            },
            bytes: usize::MAX,
        }
    }
}

/// What a pool's volumes were promised together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promised {
    /// The sum of the sizes of the pool's volumes, in bytes; the largest number where it would not fit.
    pub bytes: u64,
    /// How many volumes the pool has.
    pub volumes: u64,
    /// How many snapshots the pool has.
    pub snapshots: u64,
}

/// The store: cheap to clone, used from any thread. One process has it at a time.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    file: File,
    uses: Uses,
    calls: Together<Vec<Change>, Result<(), Error>>,
}

impl Store {
    /// Opens the store at `path`, made if there is no such file. A file that is there and is no store, or a damaged one,
    /// is refused and left alone: every page is verified.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        let uses = Uses::open(path)?;
        let calls = Together::default();
        Ok(Self {
            shared: Arc::new(Shared { file, uses, calls }),
        })
    }

    /// Makes all of `changes` durable, in their order, or none. Returns when they are on disk. Calls that come together
    /// share a commit; a name that belongs to another object fails the call that wants it and no other.
    ///
    /// How a volume is used, its `staged`, `published` and `frozen`, outlives the process and not the machine. The caller
    /// holds the volume.
    pub fn commit(&self, changes: Vec<Change>) -> Result<(), Error> {
        let mut lasting = Vec::with_capacity(changes.len());
        // Not before what takes their place is durable.
        let mut forgotten = BTreeSet::new();
        for change in changes {
            lasting.push(match change {
                Change::PutVolume(volume) => self.put_use(volume, &mut forgotten),
                Change::DropVolume(id) => {
                    forgotten.insert(id.clone());
                    Change::DropVolume(id)
                }
                change => change,
            });
        }
        if self.is_news(&lasting)? {
            let together = |calls: Vec<_>| commit_all(&self.shared.file, &calls);
            let outcome = self.shared.calls.run(lasting, together);
            outcome.unwrap_or(Err(Error::Lost))?;
        }
        let uses = &self.shared.uses;
        forgotten.iter().try_for_each(|id| uses.forget(id))
    }

    /// Writes down how a volume is used, and returns what is left to be made durable. Where nothing is to be written, or it
    /// cannot be, what was written before is to be `forgotten` afterwards.
    fn put_use(&self, volume: Volume, forgotten: &mut BTreeSet<String>) -> Change {
        let lasting = uses::without(&volume);
        let written = if lasting == volume {
            false
        } else if let Err(error) = self.shared.uses.write(&volume) {
            // There is room in the store's file for what is there to be used (see `disk`).
            tracing::debug!(id = volume.id, %error, "its use is made durable with its record");
            false
        } else {
            true
        };
        if written {
            forgotten.remove(&volume.id);
            return Change::PutVolume(lasting);
        }
        forgotten.insert(volume.id.clone());
        Change::PutVolume(volume)
    }

    /// Whether anything of it is not so already.
    fn is_news(&self, changes: &[Change]) -> Result<bool, Error> {
        for change in changes {
            let Change::PutVolume(volume) = change else {
                return Ok(true);
            };
            let before = self.shared.file.read(|txn| look::get(txn, &volume.id))?;
            if before.as_ref() != Some(volume) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The volume of that id.
    pub fn volume(&self, id: &str) -> Result<Option<Volume>, Error> {
        let volume = self.shared.file.read(|txn| look::get(txn, id))?;
        Ok(volume.map(|volume| self.shared.uses.complete(volume)))
    }

    /// The volume of that name.
    pub fn volume_named(&self, name: &str) -> Result<Option<Volume>, Error> {
        let volume = self.shared.file.read(|txn| look::named(txn, name))?;
        Ok(volume.map(|volume| self.shared.uses.complete(volume)))
    }

    /// Up to `most` volumes whose ids are greater than `after`.
    pub fn volumes(&self, after: Option<&str>, most: Option<usize>) -> Result<Part<Volume>, Error> {
        self.volumes_as(after, Most::entries(most), |volume| volume)
    }

    /// The same, each told as `tell` has it. The volumes themselves are not kept, which for thousands is most of the time.
    pub fn volumes_as<T: Message>(
        &self,
        after: Option<&str>,
        most: Most,
        tell: impl Fn(Volume) -> T,
    ) -> Result<Part<T>, Error> {
        self.shared.file.read(|txn| {
            look::list(txn, after, most, |volume| {
                tell(self.shared.uses.complete(volume))
            })
        })
    }

    /// The snapshot of that id.
    pub fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, Error> {
        self.shared.file.read(|txn| look::get(txn, id))
    }

    /// The snapshot of that name. Members of groups have no name and are not found here.
    pub fn snapshot_named(&self, name: &str) -> Result<Option<Snapshot>, Error> {
        self.shared.file.read(|txn| look::named(txn, name))
    }

    /// Up to `most` snapshots whose ids are greater than `after`; only those of the volume `source` when given.
    pub fn snapshots(
        &self,
        source: Option<&str>,
        after: Option<&str>,
        most: Option<usize>,
    ) -> Result<Part<Snapshot>, Error> {
        let most = Most::entries(most);
        self.shared.file.read(|txn| match source {
            Some(source) => look::list_of_source(txn, source, after, most),
            None => look::list(txn, after, most, |snapshot| snapshot),
        })
    }

    /// The group of that id.
    pub fn group(&self, id: &str) -> Result<Option<Group>, Error> {
        self.shared.file.read(|txn| look::get(txn, id))
    }

    /// The group of that name.
    pub fn group_named(&self, name: &str) -> Result<Option<Group>, Error> {
        self.shared.file.read(|txn| look::named(txn, name))
    }

    /// The volumes that are not settled, in the order of their ids.
    pub fn unsettled(&self) -> Result<Vec<Unsettled>, Error> {
        self.shared.file.read(look::unsettled)
    }

    /// What the volumes of `pool` were promised, kept as a running sum: the cost does not grow.
    pub fn promised(&self, pool: &str) -> Result<Promised, Error> {
        self.shared.file.read(|txn| look::promised(txn, pool))
    }

    /// The id by which `pool` is recognised, if it has been marked.
    pub fn identity(&self, pool: &str) -> Result<Option<String>, Error> {
        self.shared.file.read(|txn| look::identity(txn, pool))
    }

    /// Remembers by which id `pool` is recognised from now on.
    pub fn identify(&self, pool: &str, id: &str) -> Result<(), Error> {
        self.shared.file.write(false, |txn| {
            txn.open_table(tables::IDENTITIES)?.insert(pool, id)?;
            Ok(())
        })
    }
}

/// An outcome for each call, in their order. When there is no room for all of it, calls that make no new object are
/// written with the room that is kept for them: what is there can be used and dropped.
fn commit_all(file: &File, calls: &[Vec<Change>]) -> Vec<Result<(), Error>> {
    let outcomes = match write(file, calls, None) {
        Err(full @ Error::Full { .. }) => write(file, calls, Some(&full)),
        outcomes => outcomes,
    };
    outcomes.unwrap_or_else(|error| vec![Err(error); calls.len()])
}

/// One transaction for all calls; new objects are refused when it is `full`.
fn write(
    file: &File,
    calls: &[Vec<Change>],
    full: Option<&Error>,
) -> Result<Vec<Result<(), Error>>, Error> {
    file.write(full.is_some(), |txn| {
        calls
            .iter()
            .map(|changes| commit_one(txn, changes, full))
            .collect()
    })
}

/// One call's changes. When one of them is refused, it and those before it are taken back within the transaction.
fn commit_one(
    txn: &WriteTransaction,
    changes: &[Change],
    full: Option<&Error>,
) -> Result<Result<(), Error>, redb::Error> {
    let mut opposites = Vec::with_capacity(changes.len());
    for change in changes {
        let refusal = match tables::apply(txn, change)? {
            Ok(opposite) => {
                let is_new = opposite.as_ref().is_some_and(Change::is_drop);
                opposites.extend(opposite);
                full.filter(|_| is_new).cloned()
            }
            Err(NameTaken { name, owner }) => Some(Error::NameTaken { name, owner }),
        };
        if let Some(refusal) = refusal {
            for opposite in opposites.iter().rev() {
                // Names that were given up a moment ago are free.
                let _ = tables::apply(txn, opposite)?;
            }
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
