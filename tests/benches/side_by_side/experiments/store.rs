//! Host-local alone, whose cost must not grow with what it holds.

use crate::contender::Contender::{Hawser, Reference};
use crate::lane::{self, BASE, Lane};
use crate::options::Options;
use crate::process::Failed;
use crate::record::{Operation, Record};
use crate::rounds;
use std::net::Ipv4Addr;

const MANY: u32 = 60_000;
const FEW: u32 = 600;
/// Addresses that can be given out in a /16: all but network, gateway and broadcast.
const ALL: u32 = 65_533;

/// A lane, and under which names its ADD and DEL are recorded.
type Entry = (Lane, Operation, Option<Operation>);

pub fn sizes(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let many = if options.quick { FEW } else { MANY };
    let mut lanes = Vec::new();
    for contender in [Reference, Hawser] {
        let lane = Lane::new(contender, lane::store("empty"), 1);
        lanes.push((lane, Operation::StoreAdd, Some(Operation::StoreDel)));
    }
    for contender in [Reference, Hawser] {
        let mut lane = Lane::new(contender, lane::store("many"), 1);
        lane.reserve(addresses(2..2 + many))?;
        let ended = lane.run("ADD", 0)?;
        record.time(Operation::StoreTakeover, contender, ended.took);
        lane.run("DEL", 0)?;
        lanes.push((lane, Operation::StoreAddMany, Some(Operation::StoreDelMany)));
    }
    alternate(options, record, lanes)
}

pub fn full(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let all = if options.quick { FEW } else { ALL };
    let mut lanes = Vec::new();
    for contender in [Reference, Hawser] {
        let lane = Lane::new(contender, lane::store("full"), 1);
        // Whoever was given the free address and returned it looks for the next one behind it, and all around.
        let free = 2 + all / 2;
        lane.reserve(addresses((2..2 + all).filter(move |host| *host != free)))?;
        lanes.push((lane, Operation::StoreAddLast, None));
    }
    alternate(options, record, lanes)
}

fn addresses(hosts: impl Iterator<Item = u32> + Send) -> impl Iterator<Item = Ipv4Addr> + Send {
    hosts.map(|host| Ipv4Addr::from(BASE + host))
}

fn alternate(options: &Options, record: &mut Record, mut lanes: Vec<Entry>) -> Result<(), Failed> {
    // The first round is not measured: it finds files and caches as no later one does.
    for round in 0..=options.rounds {
        for verb in ["ADD", "DEL"] {
            for at in rounds::order(round, lanes.len()) {
                let Some((lane, add, del)) = lanes.get_mut(at) else {
                    continue;
                };
                let took = lane.run(verb, 0)?.took;
                let operation = if verb == "ADD" { Some(*add) } else { *del };
                if let Some(operation) = operation.filter(|_| round > 0) {
                    record.time(operation, lane.contender, took);
                }
            }
        }
    }
    Ok(())
}
