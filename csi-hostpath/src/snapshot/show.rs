//! What is told about snapshots.

use crate::driver::Driver;
use crate::error::Error;
use crate::id::{SnapshotId, VolumeId};
use crate::record::Snapshot;
use crate::request;
use crate::store::Part;

impl Driver {
    /// One page of the snapshots, in the order of their ids (LS-01). A filter that fits none gives an empty list.
    pub fn list_snapshots(&self, wanted: &request::ListSnapshots) -> Result<Part<Snapshot>, Error> {
        if wanted
            .source
            .as_deref()
            .is_some_and(|source| VolumeId::parse(source).is_none())
        {
            return Ok(Part::default());
        }
        let Some(id) = &wanted.snapshot else {
            let page = &wanted.page;
            return Ok(self.store.snapshots(
                wanted.source.as_deref(),
                page.after.as_deref(),
                page.most,
            )?);
        };
        let Some(id) = SnapshotId::parse(id) else {
            return Ok(Part::default());
        };
        let found = self.store.snapshot(id.as_str())?;
        let of_source = |snapshot: &Snapshot| {
            wanted
                .source
                .as_ref()
                .is_none_or(|source| *source == snapshot.source)
        };
        Ok(Part {
            items: found.into_iter().filter(of_source).collect(),
            more: false,
        })
    }
}
