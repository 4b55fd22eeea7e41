//! Snapshots and groups of them: cut, deleted, told about, compared. To be written.

use crate::driver::Driver;
use crate::error::Error;
use crate::id::{GroupId, SnapshotId};
use crate::record::{Group, Snapshot};
use crate::request;
use crate::store::Part;

/// Blocks of a snapshot: allocated, or changed since another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// The volume's size in bytes.
    pub capacity: u64,
    /// Offset and length in bytes, ascending, apart, each longer than 0; cut to begin at the offset asked for.
    pub ranges: Vec<(u64, u64)>,
}

#[allow(unused_variables, missing_docs)]
impl Driver {
    pub fn create_snapshot(&self, wanted: &request::CreateSnapshot) -> Result<Snapshot, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_snapshot(&self, snapshot: Option<&SnapshotId>) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn snapshot(&self, snapshot: &SnapshotId) -> Result<Snapshot, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn list_snapshots(&self, wanted: &request::ListSnapshots) -> Result<Part<Snapshot>, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn create_group(
        &self,
        wanted: &request::CreateGroup,
    ) -> Result<(Group, Vec<Snapshot>), Error> {
        Err(Error::NotOffered("todo"))
    }
    /// `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_group(
        &self,
        group: Option<&GroupId>,
        snapshots: &[SnapshotId],
    ) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn group(&self, wanted: &request::Group) -> Result<(Group, Vec<Snapshot>), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn blocks(&self, wanted: &request::Blocks) -> Result<Blocks, Error> {
        Err(Error::NotOffered("todo"))
    }
}
