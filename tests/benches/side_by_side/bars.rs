//! What must be reached, row by row, and whether it was.

use crate::contender::Contender::{self, Apart, Floor, Hawser, Reference};
use crate::record::{Operation, Record};

/// One demand.
#[derive(Debug)]
pub struct Bar {
    /// What is compared with what.
    pub what: &'static str,
    /// What was measured.
    pub measured: Option<f64>,
    /// The number to reach, or not to exceed.
    pub limit: Limit,
}

/// A number, and from which side it is approached.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// So many times faster.
    Faster(f64),
    /// So many times as long.
    AtMost(f64),
    /// So many megabytes.
    Megabytes(f64),
}

impl Bar {
    /// Whether it was reached, when it was measured.
    pub fn reached(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.limit {
            Limit::Faster(limit) => measured >= limit,
            Limit::AtMost(limit) | Limit::Megabytes(limit) => measured <= limit,
        })
    }
}

/// All demands, with what was measured of them.
pub fn all(record: &Record) -> Vec<Bar> {
    let mut bars = of_attachments(record);
    bars.extend(of_the_store(record));
    bars.extend(of_many_pods(record));
    bars.extend(of_the_one_binary(record));
    bars.extend(of_the_chain(record));
    bars.extend(of_weight(record));
    bars
}

fn of_attachments(record: &Record) -> Vec<Bar> {
    use Operation::{AddDual, AddMasq, AddPlain, CheckMasq, DelMasq, Version};
    let faster = |what, operation, limit| faster(record, what, operation, limit);
    let at_most = |what, above, below, limit| at_most(record, what, above, below, limit);
    let floor = |operation| (operation, Floor);
    vec![
        faster("VERSION", Version, 2.5),
        faster("ADD, plain", AddPlain, 3.0),
        at_most(
            "ADD, plain, against the floor",
            AddPlain,
            floor(AddPlain),
            2.0,
        ),
        faster("ADD with isGateway and ipMasq", AddMasq, 6.0),
        faster("DEL with ipMasq", DelMasq, 4.0),
        at_most(
            "DEL with ipMasq, against the floor",
            DelMasq,
            floor(DelMasq),
            1.2,
        ),
        faster("CHECK with ipMasq", CheckMasq, 3.0),
        at_most(
            "dual-stack ADD with ipMasq, against our single-stack one",
            AddDual,
            (AddMasq, Hawser),
            1.3,
        ),
    ]
}

fn of_the_store(record: &Record) -> Vec<Bar> {
    use Operation::{StoreAdd, StoreAddLast, StoreAddMany, StoreDel, StoreDelMany};
    let faster = |what, operation, limit| faster(record, what, operation, limit);
    let at_most = |what, above, below, limit| at_most(record, what, above, below, limit);
    vec![
        faster("host-local ADD at 60,000 reservations", StoreAddMany, 300.0),
        at_most(
            "the same, against ours at 0",
            StoreAddMany,
            (StoreAdd, Hawser),
            1.3,
        ),
        faster("host-local DEL at 60,000 reservations", StoreDelMany, 300.0),
        at_most(
            "the same, against ours at 0",
            StoreDelMany,
            (StoreDel, Hawser),
            1.3,
        ),
        faster(
            "host-local ADD, one address free in a /16",
            StoreAddLast,
            100.0,
        ),
    ]
}

fn of_many_pods(record: &Record) -> Vec<Bar> {
    use Operation::{Adds, Dels, MasqFirst, MasqLast, PlainFirst, PlainLast};
    let faster = |what, operation, limit| faster(record, what, operation, limit);
    let at_most = |what, above, below, limit| at_most(record, what, above, (below, Hawser), limit);
    vec![
        faster("50 ADDs at once with ipMasq", Adds, 5.0),
        faster("50 DELs at once with ipMasq", Dels, 10.0),
        at_most(
            "ADD of the 300th pod, plain, against the first",
            PlainLast,
            PlainFirst,
            1.1,
        ),
        at_most(
            "ADD of the 300th pod with ipMasq, against the first",
            MasqLast,
            MasqFirst,
            1.1,
        ),
    ]
}

fn of_the_one_binary(record: &Record) -> Vec<Bar> {
    use Operation::{AddMasq, AddPlain, Version};
    vec![
        at_most(
            record,
            "VERSION, against a start that does nothing",
            Version,
            (Version, Floor),
            1.3,
        ),
        Bar {
            what: "ADD, plain, against two executables",
            measured: record.ratio((AddPlain, Apart), (AddPlain, Hawser)),
            limit: Limit::Faster(1.2),
        },
        at_most(
            record,
            "ADD, plain, of the one executable, against the floor",
            AddPlain,
            (AddPlain, Floor),
            1.5,
        ),
        faster(
            record,
            "ADD with isGateway and ipMasq, of the one executable",
            AddMasq,
            8.0,
        ),
    ]
}

fn of_the_chain(record: &Record) -> Vec<Bar> {
    use Operation::{ChainAdd, ChainAddMany, ChainDel, ChainDelMany};
    let among = |what, above, below| at_most(record, what, above, (below, Hawser), 1.1);
    vec![
        faster(record, "ADD of the chain", ChainAdd, 15.0),
        faster(record, "DEL of the chain", ChainDel, 7.0),
        among(
            "ADD of the chain among 1,000 pods and 5,000 mappings, against none",
            ChainAddMany,
            ChainAdd,
        ),
        among(
            "DEL of the chain among 1,000 pods and 5,000 mappings, against none",
            ChainDelMany,
            ChainDel,
        ),
    ]
}

fn of_weight(record: &Record) -> Vec<Bar> {
    let megabytes = |what, (operation, contender), limit| Bar {
        what,
        measured: record
            .series(operation, contender)
            .map(|series| series.quantile(1.0)),
        limit: Limit::Megabytes(limit),
    };
    vec![
        megabytes("size of `hawser`", (Operation::HawserSize, Hawser), 4.0),
        megabytes("size of `bridge`", (Operation::BridgeSize, Apart), 2.0),
        megabytes(
            "size of `host-local`",
            (Operation::HostLocalSize, Apart),
            2.0,
        ),
        megabytes("peak of resident memory", (Operation::Memory, Hawser), 4.0),
        megabytes(
            "the same, host-local's first ADD over 60,000 found reservations",
            (Operation::MemoryTakeover, Hawser),
            4.0,
        ),
    ]
}

fn faster(record: &Record, what: &'static str, operation: Operation, limit: f64) -> Bar {
    let measured = record.ratio((operation, Reference), (operation, Hawser));
    Bar {
        what,
        measured,
        limit: Limit::Faster(limit),
    }
}

fn at_most(
    record: &Record,
    what: &'static str,
    above: Operation,
    below: (Operation, Contender),
    limit: f64,
) -> Bar {
    let measured = record.ratio((above, Hawser), below);
    Bar {
        what,
        measured,
        limit: Limit::AtMost(limit),
    }
}
