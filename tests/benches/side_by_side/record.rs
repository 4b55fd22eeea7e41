//! What was measured: for each operation and contender one series of numbers.

use crate::contender::Contender;
use crate::series::Series;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a series is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Version,
    Refused,
    AddPlain,
    AddPlainInside,
    CheckPlain,
    DelPlain,
    AddMasq,
    AddMasqInside,
    CheckMasq,
    DelMasq,
    DelMasqInside,
    AddDual,
    CheckDual,
    DelDual,
    StoreAdd,
    StoreDel,
    StoreAddMany,
    StoreDelMany,
    StoreTakeover,
    StoreAddLast,
    Adds,
    Dels,
    PlainFirst,
    PlainLast,
    MasqFirst,
    MasqLast,
    ChainAdd,
    ChainDel,
    ChainAddMany,
    ChainDelMany,
    HawserSize,
    BridgeSize,
    HostLocalSize,
    Memory,
    MemoryTakeover,
}

impl Operation {
    /// As tables name it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Version => "VERSION (floor: a start that does nothing)",
            Self::Refused => "ADD refused for its configuration",
            Self::AddPlain => "ADD",
            Self::AddPlainInside => "ADD, inside the process",
            Self::CheckPlain => "CHECK",
            Self::DelPlain => "DEL",
            Self::AddMasq => "ADD with isGateway, ipMasq",
            Self::AddMasqInside => "ADD with ipMasq, inside the process",
            Self::CheckMasq => "CHECK with ipMasq",
            Self::DelMasq => "DEL with ipMasq",
            Self::DelMasqInside => "DEL with ipMasq, inside the process",
            Self::AddDual => "ADD with ipMasq, dual stack",
            Self::CheckDual => "CHECK with ipMasq, dual stack",
            Self::DelDual => "DEL with ipMasq, dual stack",
            Self::StoreAdd => "host-local ADD, empty store",
            Self::StoreDel => "host-local DEL, empty store",
            Self::StoreAddMany => "host-local ADD, 60,000 reservations",
            Self::StoreDelMany => "host-local DEL, 60,000 reservations",
            Self::StoreTakeover => "host-local ADD, the first over 60,000 found reservations",
            Self::StoreAddLast => "host-local ADD, one address free in a /16",
            Self::Adds => "50 ADDs at once, ipMasq",
            Self::Dels => "50 DELs at once, ipMasq",
            Self::PlainFirst => "ADD, the first 30 of 300 pods",
            Self::PlainLast => "ADD, the last 30 of 300 pods",
            Self::MasqFirst => "ADD with ipMasq, the first 30 of 300 pods",
            Self::MasqLast => "ADD with ipMasq, the last 30 of 300 pods",
            Self::ChainAdd => "ADD of the chain: ipMasq, two ports, firewall",
            Self::ChainDel => "DEL of the chain",
            Self::ChainAddMany => "ADD of the chain among 1,000 pods, 5,000 mappings",
            Self::ChainDelMany => "DEL of the chain among 1,000 pods, 5,000 mappings",
            Self::HawserSize => "size of `hawser`",
            Self::BridgeSize => "size of `bridge`",
            Self::HostLocalSize => "size of `host-local`",
            Self::Memory => "peak of resident memory",
            Self::MemoryTakeover => {
                "the same, host-local's first ADD over 60,000 found reservations"
            }
        }
    }

    /// Whether it is a time of a process, as opposed to a size or to a part of one.
    pub const fn is_time(self) -> bool {
        !matches!(
            self,
            Self::HawserSize
                | Self::BridgeSize
                | Self::HostLocalSize
                | Self::Memory
                | Self::MemoryTakeover
        )
    }
}

/// Everything measured in one run; times in milliseconds, sizes in MB.
#[derive(Debug, Default)]
pub struct Record {
    series: BTreeMap<(Operation, Contender), Vec<f64>>,
}

impl Record {
    /// Adds one time.
    pub fn time(&mut self, operation: Operation, contender: Contender, took: Duration) {
        self.number(operation, contender, took.as_secs_f64() * 1000.0);
    }

    /// Adds one number.
    pub fn number(&mut self, operation: Operation, contender: Contender, number: f64) {
        self.series
            .entry((operation, contender))
            .or_default()
            .push(number);
    }

    /// A series, when it was measured.
    pub fn series(&self, operation: Operation, contender: Contender) -> Option<Series> {
        let numbers = self.series.get(&(operation, contender))?;
        Some(Series::of(numbers.clone()))
    }

    /// The median of a series, when it was measured.
    pub fn median(&self, operation: Operation, contender: Contender) -> Option<f64> {
        Some(self.series(operation, contender)?.quantile(0.5))
    }

    /// How many times as long as `below` the operation `above` takes, by their medians.
    pub fn ratio(
        &self,
        above: (Operation, Contender),
        below: (Operation, Contender),
    ) -> Option<f64> {
        Some(self.median(above.0, above.1)? / self.median(below.0, below.1)?)
    }

    /// Every operation that was measured, in order.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations: Vec<_> = self
            .series
            .keys()
            .map(|(operation, _)| *operation)
            .collect();
        operations.dedup();
        operations
    }
}
