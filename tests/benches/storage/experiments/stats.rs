//! Kubelet's question that comes by the minute for each volume, while the driver is busy with another one.

use super::primitives::random;
use crate::bed::{Bed, Paths, wanted};
use crate::operation::{Kind, Operation};
use crate::options::Options;
use crate::record::Record;
use proto::csi::Volume;
use testkit::csi::Client;
use testkit::csi::requests::*;

pub fn run(options: &Options, record: &mut Record) {
    // A volume that can only be copied: the snapshot keeps the driver and the disk busy for as long as possible.
    let bed = Bed::for_kind(Kind::Ext4);
    let asked = bed.create(wanted(Kind::Ext4, "asked"));
    let paths = bed.paths("asked");
    bed.publish(Kind::Ext4, &asked, &paths);
    for _ in 0..options.rounds * 10 {
        ask(&bed, &asked, &paths, record, Operation::Stats);
    }
    let busy = bed.create(wanted(Kind::Ext4, "busy").size(2 * GIB));
    let busy_paths = bed.paths("busy");
    bed.publish(Kind::Ext4, &busy, &busy_paths);
    let file = busy_paths.target.join("random");
    bed.node
        .run(|| random(&file, options.scale(1 << 30, 64 << 20)));
    for round in 0..options.scale(3, 1) {
        let client = bed.client.clone();
        let name = format!("snapshot-{round}");
        let taken = std::thread::scope(|scope| {
            let taking = scope.spawn(|| take(&client, &name, &busy.volume_id));
            while !taking.is_finished() {
                ask(&bed, &asked, &paths, record, Operation::StatsMeanwhile);
            }
            taking.join().expect("the snapshot")
        });
        let deleted = bed.client.delete_snapshot(delete_snapshot(&taken));
        deleted.expect("DeleteSnapshot");
    }
    bed.unpublish(&busy, &busy_paths);
    bed.unpublish(&asked, &paths);
}

fn ask(bed: &Bed, volume: &Volume, paths: &Paths, record: &mut Record, operation: Operation) {
    let mut request = stats(&volume.volume_id, &paths.target);
    request.staging_target_path = paths.staging.display().to_string();
    record.timed(operation, || {
        bed.client
            .node_get_volume_stats(request)
            .expect("NodeGetVolumeStats")
    });
}

/// Takes a snapshot and waits until it can be used. Returns its id.
pub fn take(client: &Client, name: &str, volume: &str) -> String {
    loop {
        // As external-snapshotter waits: it asks again.
        let taken = client
            .create_snapshot(create_snapshot(name, volume))
            .expect("CreateSnapshot");
        let snapshot = taken.snapshot.expect("a snapshot in the answer");
        if snapshot.ready_to_use {
            return snapshot.snapshot_id;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
