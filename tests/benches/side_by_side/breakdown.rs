//! What separates an ADD or a DEL from the bare program's, line by line.
//!
//! Nothing is measured inside of our executables: each line is the difference of two processes that differ by that
//! line alone. The IPAM plugin works while the kernel makes the veth pair, so that the last line, which is what the
//! others leave, is smaller by as much as the two overlap, and may be below zero.

use crate::contender::Contender::{Floor, Hawser};
use crate::record::Operation::{
    self, AddMasq, AddMasqInside, AddPlain, AddPlainInside, DelMasq, DelMasqInside, Refused,
    StoreAdd, StoreDel, Version,
};
use crate::record::Record;

/// Lines that add up to the time of one operation.
#[derive(Debug)]
pub struct Breakdown {
    /// The operation.
    pub of: &'static str,
    /// What each part is, and its milliseconds.
    pub lines: Vec<(&'static str, f64)>,
    /// The whole, and the bare program's whole.
    pub whole: (f64, f64),
}

/// The breakdowns for which everything was measured.
pub fn all(record: &Record) -> Vec<Breakdown> {
    let found = [
        one(record, "ADD, plain", AddPlain, AddPlainInside, StoreAdd),
        one(
            record,
            "ADD with isGateway and ipMasq",
            AddMasq,
            AddMasqInside,
            StoreAdd,
        ),
        one(record, "DEL with ipMasq", DelMasq, DelMasqInside, StoreDel),
    ];
    found.into_iter().flatten().collect()
}

fn one(
    record: &Record,
    of: &'static str,
    whole: Operation,
    inside: Operation,
    ipam: Operation,
) -> Option<Breakdown> {
    let ours = record.median(whole, Hawser)?;
    let bare_start = record.median(Version, Floor)?;
    let start = record.median(Version, Hawser)?;
    let refused = record.median(Refused, Hawser)?;
    let mut lines = vec![
        (
            "kernel: the bare program from its first line to its last",
            record.median(inside, Floor)?,
        ),
        (
            "process: a start that does nothing, with its end",
            bare_start,
        ),
        (
            "start: our larger executable; environment, standard input, an answer printed (VERSION)",
            start - bare_start,
        ),
        (
            "parse: the configuration decoded and checked (an ADD refused for it, less VERSION)",
            refused - start,
        ),
        (
            "IPAM: host-local's work (its ADD or DEL alone, less VERSION)",
            record.median(ipam, Hawser)? - start,
        ),
    ];
    let known: f64 = lines.iter().map(|(_, time)| time).sum();
    lines.push((
        "the rest: looking first, sysctls, label, announcements, waits; less what overlaps",
        ours - known,
    ));
    Some(Breakdown {
        of,
        lines,
        whole: (ours, record.median(whole, Floor)?),
    })
}
