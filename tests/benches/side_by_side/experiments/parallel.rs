//! As many pods at once as a node starts after a boot.

use crate::contender::Contender;
use crate::lane::{Lane, masquerading};
use crate::options::Options;
use crate::process::{Ended, Failed};
use crate::record::{Operation, Record};
use crate::rounds;
use std::io;
use std::time::{Duration, Instant};

const PODS: usize = 50;

pub fn run(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let pods = options.scale(PODS, 5);
    let mut lanes = Contender::MAIN.map(|contender| Lane::new(contender, masquerading(), pods));
    for lane in &mut lanes {
        // What all pods share is made beforehand.
        lane.run("ADD", 0)?;
        lane.run("DEL", 0)?;
    }
    for round in 0..options.rounds {
        for (verb, operation) in [("ADD", Operation::Adds), ("DEL", Operation::Dels)] {
            for at in rounds::order(round, lanes.len()) {
                let Some(lane) = lanes.get_mut(at) else {
                    continue;
                };
                record.time(operation, lane.contender, all_at_once(lane, verb, pods)?);
            }
        }
    }
    Ok(())
}

/// From the start of the first process to the end of the last.
fn all_at_once(lane: &mut Lane, verb: &str, pods: usize) -> Result<Duration, Failed> {
    let recipes: Vec<_> = (0..pods).map(|pod| lane.recipe(verb, pod)).collect();
    let (took, ended) = lane.host.run(|| -> io::Result<(Duration, Vec<Ended>)> {
        let prepared: Vec<_> = recipes
            .iter()
            .map(|recipe| recipe.prepare())
            .collect::<Result<_, _>>()?;
        let at = Instant::now();
        let started: Vec<_> = prepared
            .into_iter()
            .map(|p| p.start())
            .collect::<Result<_, _>>()?;
        let ended: Vec<_> = started
            .into_iter()
            .map(|s| s.finish())
            .collect::<Result<_, _>>()?;
        Ok((at.elapsed(), ended))
    })?;
    for (pod, ended) in ended.iter().enumerate() {
        lane.took_place(verb, pod, ended)?;
    }
    Ok(took)
}
