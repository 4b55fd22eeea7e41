//! A pod's part in our own tables: one transaction to join, one to leave.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::{Plan, SETS};
use crate::{segment, table};
use kernel::net::nft::Socket;

/// Adds the pod. Elements that a vanished pod left under the same address are replaced.
pub fn join(settings: &Settings, plan: &Plan) -> Result<(), Error> {
    let admin = &settings.admin_chain;
    let mut nft = Socket::open()?;
    // The chain of the usual name is part of what is there as soon as an element can be added.
    if *admin != table::ADMIN.name {
        table::ensure(&mut nft, admin)?;
    }
    membership::join(
        &mut nft,
        &plan.members(),
        |nft| ensure(nft, admin, plan),
        |_, _| Ok(()),
    )
}

/// Removes what is not this pod's where it would decide for the pod.
pub fn vacate(nft: &mut Socket, plan: &Plan) -> Result<(), Error> {
    membership::leave_known(nft, |_| true, &plan.vacant())?;
    Ok(())
}

/// Tells what is not this pod's and decides for it. What somebody added by hand has no label, and is meant.
pub fn foreign(nft: &mut Socket, plan: &Plan) -> Result<Option<String>, Error> {
    for (set, key) in plan.vacant() {
        let present = membership::or_none(nft.element(set, &key))?.flatten();
        let label = present.filter(|element| !element.expires);
        if let Some(label) = label.and_then(|element| element.comment) {
            return Ok(Some(format!("{set} has an element {key} of {label}")));
        }
    }
    Ok(None)
}

fn ensure(nft: &mut Socket, admin: &str, plan: &Plan) -> Result<(), Error> {
    table::ensure(nft, admin)?;
    if plan.is_alone() {
        segment::ensure(nft)?;
    }
    Ok(())
}

/// Removes the pod's elements.
pub fn leave(plan: &Plan) -> Result<(), Error> {
    let known: Vec<_> = plan
        .members()
        .into_iter()
        .map(|(set, element)| (set, element.key))
        .collect();
    let mut nft = Socket::open()?;
    let belongs = |label: &str| label == plan.label;
    membership::leave(&mut nft, &SETS, belongs, &known)?;
    Ok(())
}

/// Tells what is missing of the shared part.
pub fn missing(nft: &mut Socket, admin: &str, plan: &Plan) -> Result<Option<String>, Error> {
    let lost = table::missing(nft, admin)?;
    if lost.is_none() && plan.is_alone() {
        return segment::missing(nft);
    }
    Ok(lost)
}
