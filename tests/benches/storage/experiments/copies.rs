//! Snapshots, restored volumes and clones of a gibibyte that does not compress, as long as it takes until they can be used.

use super::primitives::random;
use super::stats::take;
use crate::bed::{Bed, wanted};
use crate::operation::{Kind, Operation};
use crate::options::Options;
use crate::record::Record;
use testkit::csi::requests::*;

/// Rounds where bytes are shared, and where they are copied.
const SHARED: usize = 10;
const COPIED: usize = 3;

pub fn run(options: &Options, record: &mut Record) {
    for kind in [Kind::Reflink, Kind::Subvolume] {
        of(kind, options.scale(SHARED, 1), options, record);
    }
    for kind in [Kind::Ext4, Kind::Block, Kind::Directory] {
        of(kind, options.scale(COPIED, 1), options, record);
    }
}

fn of(kind: Kind, rounds: usize, options: &Options, record: &mut Record) {
    let bed = Bed::for_kind(kind);
    let source = bed.create(wanted(kind, "source").size(2 * GIB));
    let paths = bed.paths("source");
    bed.publish(kind, &source, &paths);
    let bytes = options.scale(1 << 30, 64 << 20);
    let data = if kind == Kind::Block {
        paths.target.clone()
    } else {
        paths.target.join("random")
    };
    bed.node.run(|| random(&data, bytes));
    // What is copied file by file, or without anything to freeze, must not be written to.
    let in_use = !matches!(kind, Kind::Directory | Kind::Block);
    if !in_use {
        bed.unpublish(&source, &paths);
    }
    let files = bed.pool.files().len();
    for round in 0..rounds {
        let name = format!("{round}");
        let snapshot = record.timed(Operation::Snapshot(kind), || {
            take(&bed.client, &name, &source.volume_id)
        });
        let restoring = wanted(kind, &format!("restored-{round}")).size(2 * GIB);
        let restored = record.timed(Operation::Restore(kind), || {
            bed.create(restoring.restoring(&snapshot))
        });
        let cloning = wanted(kind, &format!("clone-{round}")).size(2 * GIB);
        let clone = record.timed(Operation::Clone(kind), || {
            bed.create(cloning.cloning(&source.volume_id))
        });
        bed.delete(&restored);
        bed.delete(&clone);
        let deleted = bed.client.delete_snapshot(delete_snapshot(&snapshot));
        deleted.expect("DeleteSnapshot");
        bed.settle(files);
    }
    if in_use {
        bed.unpublish(&source, &paths);
    }
}
