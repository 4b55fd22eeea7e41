//! Which blocks of a snapshot hold data, and which changed since another: told from extents, not from the data.

use kernel::storage::extents;

use crate::driver::Driver;
use crate::error::Error;
use crate::id::SnapshotId;
use crate::quantity::Bytes;
use crate::record::{Progress, Snapshot};
use crate::request;

/// Blocks of a snapshot: allocated, or changed since another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// The volume's size in bytes.
    pub capacity: u64,
    /// Offset and length in bytes, ascending, apart, each longer than 0; none ends at or before the offset asked for.
    pub ranges: Vec<(u64, u64)>,
}

impl Driver {
    /// The blocks of a snapshot that hold data, or that changed since its base (SM-01 to SM-06). Both snapshots answer
    /// for themselves: the volume may be gone.
    pub fn blocks(&self, wanted: &request::Blocks) -> Result<Blocks, Error> {
        let _held = self.locks.share(&format!("snapshot {}", wanted.target))?;
        let target = self.told_blocks(&wanted.target)?;
        if wanted.from > target.size {
            return Err(Error::Size(format!(
                "starting_offset {} is past the end of snapshot {}, which has {}",
                wanted.from,
                target.id,
                Bytes(target.size)
            )));
        }
        let ranges = match &wanted.base {
            None => self.allocated(&target)?,
            Some(base) => {
                let _held = self.locks.share(&format!("snapshot {base}"))?;
                self.changed(&self.told_blocks(base)?, &target)?
            }
        };
        // A range that began before the offset is told whole, as in the full list.
        let ranges = ranges
            .into_iter()
            .filter(|(offset, length)| offset + length > wanted.from)
            .collect();
        Ok(Blocks {
            capacity: target.size,
            ranges,
        })
    }

    fn told_blocks(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        let snapshot = self.snapshot(id)?;
        if !snapshot.block {
            return Err(Error::Unready(format!(
                "snapshot {id} is of a filesystem: only raw devices tell their blocks"
            )));
        }
        if snapshot.progress() != Progress::Ready {
            return Err(Error::Unready(format!(
                "snapshot {id} is not ready to use yet, try again"
            )));
        }
        Ok(snapshot)
    }

    fn allocated(&self, target: &Snapshot) -> Result<Vec<(u64, u64)>, Error> {
        let image = self.pools.get(&target.pool)?.snapshot_image(target)?;
        Ok(extents::allocated(&extents::of(&image)?, target.size))
    }

    fn changed(&self, base: &Snapshot, target: &Snapshot) -> Result<Vec<(u64, u64)>, Error> {
        if base.source != target.source {
            return Err(Error::Invalid(format!(
                "snapshot {} is of volume {} and snapshot {} of volume {}: they have no changes between them",
                base.id, base.source, target.id, target.source
            )));
        }
        let pool = self.pools.get(&target.pool)?;
        let images = (pool.snapshot_image(base)?, pool.snapshot_image(target)?);
        if pool.has_reflink() {
            return Ok(extents::changed(
                &extents::of(&images.0)?,
                &extents::of(&images.1)?,
                target.size,
            ));
        }
        // Copies share no extents, so their content is compared.
        Ok(extents::changed_content(&images.0, &images.1, target.size)?)
    }
}
