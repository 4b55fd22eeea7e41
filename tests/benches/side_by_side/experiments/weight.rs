//! What the executables weigh, on disk and in memory.

use crate::contender::Contender::{self, Apart, Hawser, Reference};
use crate::lane::{self, BASE, Lane};
use crate::options::Options;
use crate::process::Failed;
use crate::record::{Operation, Record};
use std::net::Ipv4Addr;

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
pub fn run(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let sizes = [
        ("bridge", Operation::BridgeSize),
        ("host-local", Operation::HostLocalSize),
    ];
    let hawser = Hawser.executable("bridge");
    let size = std::fs::metadata(hawser)?.len();
    record.number(Operation::HawserSize, Hawser, size as f64 / 1e6);
    for contender in [Reference, Apart] {
        for (plugin, operation) in sizes {
            let size = std::fs::metadata(contender.executable(plugin))?.len();
            record.number(operation, contender, size as f64 / 1e6);
        }
    }
    for contender in Contender::MAIN {
        let lane = Lane::new(contender, lane::masquerading(), 1);
        peaks(&lane, [Operation::Memory; 2], record)?;
    }
    let held = if options.quick { 600 } else { 60_000 };
    for contender in [Reference, Hawser] {
        let lane = Lane::new(contender, lane::store("many"), 1);
        lane.reserve((2..2 + held).map(|host| Ipv4Addr::from(BASE + host)))?;
        peaks(
            &lane,
            [Operation::MemoryTakeover, Operation::Memory],
            record,
        )?;
        peaks(&lane, [Operation::Memory; 2], record)?;
    }
    Ok(())
}

/// Memory of an ADD and a DEL, each with the IPAM plugin that it starts.
fn peaks(lane: &Lane, operations: [Operation; 2], record: &mut Record) -> Result<(), Failed> {
    for (verb, operation) in ["ADD", "DEL"].into_iter().zip(operations) {
        let recipe = lane.recipe(verb, 0);
        let peak = lane.host.run(|| recipe.peak())?;
        record.number(operation, lane.contender, peak * 1024.0 / 1e6);
    }
    Ok(())
}
