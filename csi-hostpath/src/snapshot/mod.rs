//! Snapshots and groups of them: cut, deleted, told about, compared.
//!
//! A cut holds the volumes still (`cut`), takes their bytes at once where the pool can, and otherwise copies them in
//! the background (`copying`) while they are held.

mod blocks;
mod copying;
mod cut;
mod group;
mod show;
mod take;

pub use blocks::Blocks;
pub use copying::Copies;

use crate::driver::Driver;
use crate::error::Error;
use crate::id::SnapshotId;
use crate::locks::Held;
use crate::pool::Shelf;
use crate::record::{Progress, Snapshot};
use crate::request;
use crate::store::Change;

impl Driver {
    /// The snapshot `id`, or NOT_FOUND (GS-01).
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        self.store
            .snapshot(id.as_str())?
            .ok_or_else(|| Error::Missing {
                what: "snapshot",
                id: id.to_string(),
            })
    }

    /// Deletes a snapshot (DS-01). `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_snapshot(&self, id: Option<&SnapshotId>) -> Result<(), Error> {
        let Some(id) = id else { return Ok(()) };
        let _held = self.hold_snapshot(id.as_str())?;
        let Some(snapshot) = self.store.snapshot(id.as_str())? else {
            return Ok(());
        };
        if let Some(group) = &snapshot.group {
            return Err(Error::Invalid(format!(
                "snapshot {id} is a member of group {group}, delete the group"
            )));
        }
        self.drop_snapshots(vec![snapshot], Vec::new())
    }

    /// Deletes snapshots, and makes further changes, in one. The caller holds their locks.
    fn drop_snapshots(
        &self,
        snapshots: Vec<Snapshot>,
        mut changes: Vec<Change>,
    ) -> Result<(), Error> {
        if let Some(copying) = snapshots
            .iter()
            .find(|snapshot| snapshot.progress() == Progress::Copying)
        {
            return Err(Error::Busy(format!(
                "snapshot {}, which is still being copied,",
                copying.id
            )));
        }
        for snapshot in &snapshots {
            self.pools
                .get(&snapshot.pool)?
                .discard(Shelf::Snapshots, &snapshot.id)?;
            changes.push(Change::DropSnapshot(snapshot.id.clone()));
        }
        self.store.commit(changes)?;
        for snapshot in &snapshots {
            self.janitor.purge(&snapshot.pool, &snapshot.id);
        }
        Ok(())
    }

    /// Takes a snapshot, or tells how far the one is that the same request took before (CS-01, CS-02).
    pub fn create_snapshot(
        self: &std::sync::Arc<Self>,
        wanted: &request::CreateSnapshot,
    ) -> Result<Snapshot, Error> {
        let _name = self
            .locks
            .hold(&format!("snapshot named {:?}", wanted.name))?;
        if let Some(snapshot) = self.store.snapshot_named(&wanted.name)? {
            if snapshot.source != wanted.source.as_str() {
                return Err(Error::Differs(format!(
                    "snapshot {} named {:?} is of volume {}, not of {}",
                    snapshot.id, wanted.name, snapshot.source, wanted.source
                )));
            }
            return self.told_of_failure(snapshot);
        }
        let members = vec![self.member(&wanted.source)?];
        let (_, mut snapshots) = self.take(members, take::As::Snapshot(&wanted.name))?;
        let snapshot = snapshots
            .pop()
            .ok_or_else(|| Error::Internal("one volume gave no snapshot".to_owned()))?;
        self.told_of_failure(snapshot)
    }

    /// A snapshot whose copying failed is told once and then forgotten, so that another call can take it anew.
    fn told_of_failure(&self, snapshot: Snapshot) -> Result<Snapshot, Error> {
        if snapshot.progress() != Progress::Failed {
            return Ok(snapshot);
        }
        let failure = copying::failure(&snapshot);
        let _held = self.hold_snapshot(&snapshot.id)?;
        self.drop_snapshots(vec![snapshot], Vec::new())?;
        Err(failure)
    }

    fn hold_snapshot(&self, id: &str) -> Result<Held, Error> {
        self.locks.hold(&format!("snapshot {id}"))
    }
}
