//! What was measured: for each operation one series of numbers.

use crate::operation::Operation;
use crate::series::Series;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Everything measured in one run; times in milliseconds, sizes in MB.
#[derive(Debug, Default)]
pub struct Record {
    series: BTreeMap<Operation, Vec<f64>>,
}

impl Record {
    /// Does something and adds the time that it took.
    pub fn timed<T>(&mut self, operation: Operation, act: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let outcome = act();
        self.time(operation, started.elapsed());
        outcome
    }

    /// Adds one time.
    pub fn time(&mut self, operation: Operation, took: Duration) {
        self.number(operation, took.as_secs_f64() * 1000.0);
    }

    /// Adds one number.
    pub fn number(&mut self, operation: Operation, number: f64) {
        self.series.entry(operation).or_default().push(number);
    }

    /// A series, when it was measured.
    pub fn series(&self, operation: Operation) -> Option<Series> {
        Some(Series::of(self.series.get(&operation)?.clone()))
    }

    /// The median of a series, when it was measured.
    pub fn median(&self, operation: Operation) -> Option<f64> {
        Some(self.series(operation)?.quantile(0.5))
    }

    /// The medians of an operation's steps, added up.
    pub fn steps(&self, operation: Operation) -> Option<f64> {
        let steps = operation.steps().iter();
        let medians: Option<Vec<f64>> = steps
            .map(|step| self.median(Operation::Machine(*step)))
            .collect();
        medians
            .filter(|medians| !medians.is_empty())
            .map(|medians| medians.iter().sum())
    }

    /// Every operation that was measured, in order.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.series.keys().copied()
    }
}
