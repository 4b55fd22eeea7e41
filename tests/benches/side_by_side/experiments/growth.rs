//! A node that fills up: what the 300th pod costs more than the first.
//!
//! Single ADDs differ too much for that comparison, so the first thirty are held against the last thirty.

use crate::contender::Contender::{self, Hawser, Reference};
use crate::lane::{Lane, masquerading, plain};
use crate::options::Options;
use crate::process::Failed;
use crate::record::{Operation, Record};
use crate::rounds;

const PODS: usize = 300;
const WINDOW: usize = 30;

pub fn run(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let of_plain = (Operation::PlainFirst, Operation::PlainLast);
    let of_masquerade = (Operation::MasqFirst, Operation::MasqLast);
    fill(options, record, plain, &Contender::MAIN, of_plain)?;
    fill(
        options,
        record,
        masquerading,
        &[Reference, Hawser],
        of_masquerade,
    )
}

fn fill(
    options: &Options,
    record: &mut Record,
    config: fn() -> serde_json::Value,
    contenders: &[Contender],
    (first, last): (Operation, Operation),
) -> Result<(), Failed> {
    let pods = options.scale(PODS, 20);
    let window = options.scale(WINDOW, 5);
    // One pod more, which makes what all of them share.
    let lane = |contender: &Contender| Lane::new(*contender, config(), pods + 1);
    let mut lanes: Vec<_> = contenders.iter().map(lane).collect();
    for pod in 0..=pods {
        for at in rounds::order(pod, lanes.len()) {
            let Some(lane) = lanes.get_mut(at) else {
                continue;
            };
            let took = lane.run("ADD", pod)?.took;
            if (1..=window).contains(&pod) {
                record.time(first, lane.contender, took);
            } else if pod > pods - window {
                record.time(last, lane.contender, took);
            }
        }
    }
    Ok(())
}
