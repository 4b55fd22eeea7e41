//! The truth about objects. To be written.

use std::path::Path;

use crate::record::{Group, Snapshot, Volume};

/// One change of one object.
#[derive(Debug, Clone)]
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
}

/// The store: cheap to clone, used from any thread.
#[derive(Clone)]
pub struct Store {}

/// A part of a list, in the order of ids.
#[derive(Debug, Clone, Default)]
pub struct Part<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// What a pool's volumes were promised together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promised {
    /// The sum of the sizes of the pool's volumes, in bytes.
    pub bytes: u64,
    /// How many volumes the pool has.
    pub volumes: u64,
    /// How many snapshots the pool has.
    pub snapshots: u64,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// To be written.
    #[error("to be written")]
    ToBeWritten,
}

impl Error {
    /// The gRPC code.
    pub fn code(&self) -> tonic::Code {
        tonic::Code::Internal
    }
}

#[allow(unused_variables, missing_docs)]
impl Store {
    /// Opens the store at `path`, made if it is not there. One process at a time.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Err(Error::ToBeWritten)
    }

    /// Makes all of `changes` durable, or none. Returns when they are on disk. Calls that come together share a commit.
    pub fn commit(&self, changes: Vec<Change>) -> Result<(), Error> {
        Err(Error::ToBeWritten)
    }

    pub fn volume(&self, id: &str) -> Result<Option<Volume>, Error> {
        Err(Error::ToBeWritten)
    }

    pub fn volume_named(&self, name: &str) -> Result<Option<Volume>, Error> {
        Err(Error::ToBeWritten)
    }

    /// Up to `most` volumes whose ids are greater than `after`.
    pub fn volumes(&self, after: Option<&str>, most: Option<usize>) -> Result<Part<Volume>, Error> {
        Err(Error::ToBeWritten)
    }

    pub fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, Error> {
        Err(Error::ToBeWritten)
    }

    /// Members of groups have no name and are not found here.
    pub fn snapshot_named(&self, name: &str) -> Result<Option<Snapshot>, Error> {
        Err(Error::ToBeWritten)
    }

    /// Up to `most` snapshots whose ids are greater than `after`; only those of the volume `source` when given.
    pub fn snapshots(
        &self,
        source: Option<&str>,
        after: Option<&str>,
        most: Option<usize>,
    ) -> Result<Part<Snapshot>, Error> {
        Err(Error::ToBeWritten)
    }

    pub fn group(&self, id: &str) -> Result<Option<Group>, Error> {
        Err(Error::ToBeWritten)
    }

    pub fn group_named(&self, name: &str) -> Result<Option<Group>, Error> {
        Err(Error::ToBeWritten)
    }

    /// What the volumes of `pool` were promised, kept as a running sum: the cost does not grow.
    pub fn promised(&self, pool: &str) -> Result<Promised, Error> {
        Err(Error::ToBeWritten)
    }
}
