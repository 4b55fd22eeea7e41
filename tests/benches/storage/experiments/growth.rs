//! What becomes of calls, and of the process, as volumes come to be.

use crate::bed::{Bed, create, wanted};
use crate::operation::{Kind, Operation, Volumes};
use crate::options::Options;
use crate::record::Record;
use proto::csi::{ListVolumesResponse, ProbeRequest, Volume};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use testkit::at_once;
use testkit::csi::Client;
use testkit::csi::requests::list_volumes;

/// Callers that fill a pool, and callers of the parallel experiment.
const FILLERS: usize = 8;
const PARALLEL: usize = 50;
/// Rounds of what takes long.
const SLOW: usize = 10;

/// Directories, images and devices on the machine's own filesystem.
pub fn of_directories(options: &Options, record: &mut Record) {
    let mut bed = Bed::for_kind(Kind::Directory);
    bed.list_one();
    record.number(Operation::MemoryIdle, bed.memory());
    weigh(&bed, record);
    let kinds = [Kind::Directory, Kind::Ext4, Kind::Block];
    making(&bed, &kinds, Volumes::None, options, record);
    let before = fill(&bed, Kind::Directory, 0, options.scale(5000, 50));
    record.number(Operation::MemoryFilled, bed.memory());
    making(&bed, &kinds, Volumes::Some, options, record);
    in_parallel(&bed, options, record);
    listing(&bed, options, record);
    starting(&mut bed, options, record);
    fill(&bed, Kind::Directory, before, options.scale(20_000, 100));
    making(&bed, &kinds, Volumes::Many, options, record);
}

/// Directories on btrfs.
pub fn of_subvolumes(options: &Options, record: &mut Record) {
    let bed = Bed::for_kind(Kind::Subvolume);
    let kinds = [Kind::Subvolume];
    making(&bed, &kinds, Volumes::None, options, record);
    let before = fill(&bed, Kind::Subvolume, 0, options.scale(5000, 50));
    making(&bed, &kinds, Volumes::Some, options, record);
    fill(&bed, Kind::Subvolume, before, options.scale(20_000, 100));
    making(&bed, &kinds, Volumes::Many, options, record);
}

fn weigh(bed: &Bed, record: &mut Record) {
    let executable = std::fs::metadata(format!("/proc/{}/exe", bed.driver.pid()));
    let bytes = executable.expect("the driver's executable").len();
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    record.number(Operation::Size, bytes as f64 / 1e6);
}

/// Volumes of each kind in turn made, and then deleted: what a filesystem does after a deletion is no part of the next
/// creation.
fn making(bed: &Bed, kinds: &[Kind], volumes: Volumes, options: &Options, record: &mut Record) {
    let mut made = Vec::new();
    for _ in 0..options.rounds {
        for kind in kinds {
            let request = wanted(*kind, &format!("one-{}", made.len()));
            let operation = Operation::Create(*kind, volumes);
            made.push((*kind, record.timed(operation, || bed.create(request))));
        }
    }
    for (kind, volume) in made {
        record.timed(Operation::Delete(kind), || bed.delete(&volume));
    }
}

/// Makes volumes until there are so many.
fn fill(bed: &Bed, kind: Kind, from: usize, to: usize) -> usize {
    let callers: Vec<_> = (0..FILLERS)
        .map(|caller| (caller, bed.client.clone()))
        .collect();
    at_once(&callers, |(caller, client)| {
        for number in (from..to).skip(*caller).step_by(FILLERS) {
            create(client, wanted(kind, &format!("many-{number}")));
        }
    });
    to
}

/// Callers who come at the same moment; the time is that until the last has its answer.
fn in_parallel(bed: &Bed, options: &Options, record: &mut Record) {
    let callers: Vec<_> = (0..PARALLEL)
        .map(|caller| (caller, bed.client.clone()))
        .collect();
    for (_, client) in &callers {
        client.probe(ProbeRequest {}).expect("Probe");
    }
    for round in 0..options.scale(SLOW, 1) {
        let start = Barrier::new(PARALLEL);
        let made = at_once(&callers, |(caller, client)| {
            start.wait();
            let begun = Instant::now();
            let volume = one_of_many(client, round, *caller);
            (begun, Instant::now(), volume)
        });
        let first = made.iter().map(|(begun, _, _)| *begun).min();
        let last = made.iter().map(|(_, ended, _)| *ended).max();
        let took = last
            .zip(first)
            .map_or(Duration::ZERO, |(last, first)| last - first);
        record.time(Operation::CreateParallel, took);
        for (_, _, volume) in &made {
            bed.delete(volume);
        }
    }
}

fn one_of_many(client: &Client, round: usize, caller: usize) -> Volume {
    create(
        client,
        wanted(Kind::Directory, &format!("parallel-{round}-{caller}")),
    )
}

fn listing(bed: &Bed, options: &Options, record: &mut Record) {
    for _ in 0..options.rounds {
        let all = record.timed(Operation::ListAll, || list_all(bed));
        assert_eq!(all, options.scale(5000, 50), "all volumes");
        record.timed(Operation::ListPage, || {
            let page = bed.client.list_volumes(list_volumes(100, ""));
            looked_at(&page.expect("ListVolumes"))
        });
    }
}

/// How many there are. A driver may answer in parts: clients take messages of 4 MiB.
fn list_all(bed: &Bed) -> usize {
    let mut count = 0;
    let mut token = String::new();
    loop {
        let part = bed.client.list_volumes(list_volumes(0, &token));
        let part = part.expect("ListVolumes");
        count += looked_at(&part);
        if part.next_token.is_empty() {
            return count;
        }
        token = part.next_token;
    }
}

/// From starting the process to the first answer about a volume, which waits for recovery.
fn starting(bed: &mut Bed, options: &Options, record: &mut Record) {
    for _ in 0..options.rounds {
        bed.driver.stop();
        record.timed(Operation::Start, || {
            bed.driver.start();
            bed.list_one();
        });
        record.number(Operation::MemoryStarted, bed.memory());
        bed.driver.kill();
        record.timed(Operation::StartKilled, || {
            bed.driver.start();
            bed.list_one();
        });
    }
}

impl Bed {
    fn list_one(&self) {
        self.client
            .list_volumes(list_volumes(1, ""))
            .expect("ListVolumes");
    }
}

/// Decodes all of an answer, as a caller does, and tells how many volumes there are.
fn looked_at(part: &ListVolumesResponse) -> usize {
    for entry in &part.entries {
        black_box(entry.volume().expect("a volume"));
        black_box(entry.status().expect("a status"));
    }
    part.entries.len()
}
