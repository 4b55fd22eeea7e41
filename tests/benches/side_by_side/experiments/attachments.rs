//! One pod that joins the network, is checked, and leaves, again and again.

use crate::contender::Contender::{self, Floor, Hawser, Reference};
use crate::lane::{self, Lane};
use crate::options::Options;
use crate::process::Failed;
use crate::record::{Operation, Record};
use crate::rounds;
use std::time::Duration;

/// Under which names the verbs of a lane are recorded.
#[derive(Debug, Clone, Copy)]
struct Verbs {
    add: Operation,
    check: Operation,
    del: Operation,
    /// The part of ADD and DEL between the bare program's first line and its last.
    inside: Option<(Operation, Option<Operation>)>,
}

const PLAIN: Verbs = Verbs {
    add: Operation::AddPlain,
    check: Operation::CheckPlain,
    del: Operation::DelPlain,
    inside: Some((Operation::AddPlainInside, None)),
};
const MASQUERADE: Verbs = Verbs {
    add: Operation::AddMasq,
    check: Operation::CheckMasq,
    del: Operation::DelMasq,
    inside: Some((Operation::AddMasqInside, Some(Operation::DelMasqInside))),
};
const DUAL_STACK: Verbs = Verbs {
    add: Operation::AddDual,
    check: Operation::CheckDual,
    del: Operation::DelDual,
    inside: None,
};

pub fn plain(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let lane = |contender: Contender| (Lane::new(contender, lane::plain(), 1), PLAIN);
    alternate(options, record, Contender::ALL.map(lane).into())
}

pub fn masquerade(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let single = |contender| (Lane::new(contender, lane::masquerading(), 1), MASQUERADE);
    let dual = |contender| (Lane::new(contender, lane::dual_stack(), 1), DUAL_STACK);
    let lanes = vec![
        single(Reference),
        single(Hawser),
        dual(Hawser),
        single(Floor),
        dual(Reference),
    ];
    alternate(options, record, lanes)
}

fn alternate(
    options: &Options,
    record: &mut Record,
    mut lanes: Vec<(Lane, Verbs)>,
) -> Result<(), Failed> {
    // The first round makes what all pods share, and is not measured.
    let mut unmeasured = Record::default();
    for round in 0..=options.rounds {
        let record = if round == 0 {
            &mut unmeasured
        } else {
            &mut *record
        };
        for verb in ["ADD", "CHECK", "DEL"] {
            for at in rounds::order(round, lanes.len()) {
                if let Some((lane, verbs)) = lanes.get_mut(at) {
                    measure(lane, *verbs, verb, record)?;
                }
            }
        }
    }
    Ok(())
}

fn measure(lane: &mut Lane, verbs: Verbs, verb: &str, record: &mut Record) -> Result<(), Failed> {
    if verb == "CHECK" && lane.contender == Floor {
        return Ok(());
    }
    let ended = lane.run(verb, 0)?;
    let (operation, inside) = match verb {
        "ADD" => (verbs.add, verbs.inside.map(|(add, _)| add)),
        "CHECK" => (verbs.check, None),
        _ => (verbs.del, verbs.inside.and_then(|(_, del)| del)),
    };
    record.time(operation, lane.contender, ended.took);
    if let (Some(inside), Ok(spent)) = (inside, ended.stdout.trim().parse()) {
        record.time(inside, lane.contender, Duration::from_micros(spent));
    }
    Ok(())
}
