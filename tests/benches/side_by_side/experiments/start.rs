//! What a plugin costs before it does anything.

use crate::contender::Contender;
use crate::lane::{Lane, plain};
use crate::options::Options;
use crate::process::Failed;
use crate::record::{Operation, Record};
use crate::rounds;
use serde_json::json;

pub fn run(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let mut lanes = Contender::ALL.map(|contender| Lane::new(contender, plain(), 1));
    // There is no such VLAN: parsed and refused, before anything is asked of the kernel.
    let refused = [Contender::Reference, Contender::Hawser]
        .map(|contender| Lane::new(contender, plain(), 1).patched(json!({"vlan": 5000})));
    // More of these than of others: they are short, and all parts of the breakdown are seen against them.
    for round in 0..options.rounds * 4 {
        for at in rounds::order(round, lanes.len()) {
            let Some(lane) = lanes.get_mut(at) else {
                continue;
            };
            let ended = lane.run("VERSION", 0)?;
            record.time(Operation::Version, lane.contender, ended.took);
        }
        for at in rounds::order(round, refused.len()) {
            let Some(lane) = refused.get(at) else {
                continue;
            };
            let recipe = lane.recipe("ADD", 0);
            let ended = lane.host.run(|| recipe.run())?;
            if ended.succeeded {
                return Err(Failed(format!(
                    "{} accepts VLAN 5000",
                    lane.contender.name()
                )));
            }
            record.time(Operation::Refused, lane.contender, ended.took);
        }
    }
    Ok(())
}
