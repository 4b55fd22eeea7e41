//! Volumes given to pods and taken back.

use crate::bed::{Bed, wanted};
use crate::operation::{Kind, Operation};
use crate::options::Options;
use crate::record::Record;

pub fn run(options: &Options, record: &mut Record) {
    let machine = Bed::for_kind(Kind::Directory);
    for kind in [Kind::Directory, Kind::Ext4, Kind::Xfs, Kind::Block] {
        on(&machine, kind, options, record);
    }
    on(
        &Bed::for_kind(Kind::Subvolume),
        Kind::Subvolume,
        options,
        record,
    );
}

fn on(bed: &Bed, kind: Kind, options: &Options, record: &mut Record) {
    let volume = bed.create(wanted(kind, "used"));
    let paths = bed.paths("pod");
    for _ in 0..options.rounds {
        record.timed(Operation::StagePublish(kind), || {
            bed.publish(kind, &volume, &paths)
        });
        record.timed(Operation::UnpublishUnstage(kind), || {
            bed.unpublish(&volume, &paths)
        });
    }
    bed.delete(&volume);
}
