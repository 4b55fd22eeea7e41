//! Mappings that hold for some packets only: a chain for each, which the maps lead to.

use crate::error::Error;
use crate::plan::{Plan, Way};
use crate::table::{HOLDERS, MARK, TABLE};
use kernel::net::nft::{Batch, Expression, Key, Socket, Value, dnat_to, set_mark};
use membership::or_none;

const COMMENT: &str = "where the conditions hold";
/// How the names of all of these chains begin.
const PREFIX: &str = "if_";

/// Adds the chains of a plan, in place of what a vanished pod of the same identity left.
pub fn add(plan: &Plan, batch: &mut Batch) {
    for (number, way) in conditional(plan) {
        let name = plan.conditional_chain(number);
        let chain = TABLE.chain(&name);
        batch.add_chain(chain).flush_chain(chain);
        batch.add_commented_rule(chain, rule(way), COMMENT);
    }
}

fn conditional(plan: &Plan) -> impl Iterator<Item = (usize, &Way)> {
    let ways = plan.ways.iter().enumerate();
    ways.filter(|(_, way)| !way.conditions.is_empty())
}

fn rule(way: &Way) -> Vec<Expression> {
    let conditions = way
        .conditions
        .iter()
        .map(|condition| condition.expression());
    let to = [set_mark(MARK), dnat_to(way.pod, way.container_port)];
    conditions.chain(to).collect()
}

/// Tells what is missing of a plan's chains.
pub fn missing(nft: &mut Socket, plan: &Plan) -> Result<Option<String>, Error> {
    for (number, _) in conditional(plan) {
        let name = plan.conditional_chain(number);
        let lost = membership::lost_rules(nft, TABLE.chain(&name), &[COMMENT])?;
        if lost.is_some() {
            return Ok(lost);
        }
    }
    Ok(None)
}

/// Removes the chains whose names begin so; nothing leads to them any more.
pub fn remove(nft: &mut Socket, prefix: &str) -> Result<(), Error> {
    let chains = or_none(nft.chains(TABLE))?.unwrap_or_default();
    let its = chains.iter().filter(|name| name.starts_with(prefix));
    let mut batch = Batch::new();
    for name in its {
        let chain = TABLE.chain(name);
        batch.flush_chain(chain).delete_chain(chain);
    }
    match nft.commit(&batch) {
        // Somebody else, the same DEL coming twice, was faster.
        Err(error) if error.is_not_found() => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Removes the chains of attachments that have nothing else any more.
pub fn remove_orphans(nft: &mut Socket) -> Result<(), Error> {
    let chains = or_none(nft.chains(TABLE))?.unwrap_or_default();
    for name in chains {
        let Some((hash, _)) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
        else {
            continue;
        };
        let key = Key::from(Value::Ifname(hash.to_owned()));
        if or_none(nft.element(HOLDERS, &key))?.flatten().is_none() {
            remove(nft, &name)?;
        }
    }
    Ok(())
}

/// The key by which an attachment is known is the middle of its chains' names.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{conditional_prefix, holder};

    #[test]
    fn chains_and_holders_are_known_by_the_same_hash() {
        let prefix = conditional_prefix("podnet/a/eth0");
        let hash = prefix
            .strip_prefix(PREFIX)
            .unwrap()
            .strip_suffix('_')
            .unwrap();
        assert_eq!(
            holder("podnet/a/eth0"),
            Key::from(Value::Ifname(hash.to_owned()))
        );
    }
}
