//! A pod's part in the maps: one transaction to join, one to leave.

use crate::conditional;
use crate::error::Error;
use crate::plan::{self, Plan, Way, conditional_prefix, described};
use crate::table::{self, HOLDERS, Maps, SETS};
use kernel::net::nft::Data;
use kernel::net::nft::{Element, Key, Set, Socket, Value};
use membership::{Member, Place, or_none};

/// Adds the pod. Elements that are its own already are replaced, another pod's are not.
pub fn join(plan: &Plan) -> Result<(), Error> {
    let mut nft = Socket::open()?;
    if !table::serves(&mut nft, &plan.subnets())? {
        ensure(&mut nft, plan)?;
    }
    membership::join_with(
        &mut nft,
        &plan.members(),
        |batch| {
            for (set, address) in plan.addresses() {
                batch.add_element(set, &address);
            }
            conditional::add(plan, batch);
        },
        |nft| ensure(nft, plan),
        |set, present| refuse(plan, set, present),
    )
}

fn ensure(nft: &mut Socket, plan: &Plan) -> Result<(), Error> {
    table::ensure(nft)?;
    for subnet in plan.subnets() {
        table::ensure_subnet(nft, subnet)?;
    }
    Ok(())
}

/// An element of another pod is in the way; but a pod's address can have been another's, which is gone.
fn refuse(plan: &Plan, set: &Set<'_>, present: &Element) -> Result<(), Error> {
    let holder = present
        .comment
        .as_deref()
        .unwrap_or("somebody without a name");
    if holder == plan.label || [table::V4, table::V6].iter().any(|maps| maps.are_pods(set)) {
        return Ok(());
    }
    Err(Error::Taken {
        port: described(set, &present.key),
        holder: holder.to_owned(),
    })
}

/// Removes what an earlier ADD of the same attachment made, whose mappings may have been others.
pub fn leave_earlier(plan: &Plan) -> Result<Vec<Way>, Error> {
    leave(&mut Socket::open()?, &plan.label, &[])
}

/// Refuses a port that leads to another pod on some of the node's addresses. Who joins at the same moment is seen by one
/// of the two, because both look again afterwards.
pub fn refuse_taken(plan: &Plan) -> Result<(), Error> {
    let mut nft = Socket::open()?;
    for maps in [table::V4, table::V6] {
        let its: Vec<_> = plan
            .ways
            .iter()
            .filter(|way| Maps::of(way.pod) == maps)
            .collect();
        let addresses = if its.iter().any(|way| way.host_ip.is_none()) {
            addresses(&mut nft, maps)?
        } else {
            Vec::new()
        };
        for (set, key) in its.iter().flat_map(|way| way.rivals(&addresses)) {
            let present = or_none(nft.element(set, &key))?.flatten();
            if let Some(present) = present.filter(|present| !present.expires) {
                refuse(plan, &set, &present)?;
            }
        }
    }
    Ok(())
}

/// The addresses of the node that have ports of their own. To ask for a port of each costs the same however many ports
/// they have; to list the ports would not.
fn addresses(nft: &mut Socket, maps: Maps) -> Result<Vec<Value>, Error> {
    let elements = or_none(nft.elements(maps.addresses))?.unwrap_or_default();
    Ok(elements
        .into_iter()
        .flat_map(|element| element.key.0)
        .collect())
}

/// Removes what an attachment has, and tells which ways those were, as far as the elements tell. What is `known` of its
/// places spares listing all maps.
///
/// Its own chains go last, when nothing leads to them; they are looked for even where there is no element, because whoever
/// removed those may have been killed before this.
pub fn leave(nft: &mut Socket, label: &str, known: &[Place]) -> Result<Vec<Way>, Error> {
    let holder = plan::holder(label);
    let present = or_none(nft.element(HOLDERS, &holder))?.flatten();
    let gone = match present.as_ref().and_then(count) {
        Some(count) => leave_elements(nft, label, known, count)?,
        None => Vec::new(),
    };
    conditional::remove(nft, &conditional_prefix(label))?;
    Ok(plan::ways_in(&gone))
}

fn leave_elements(
    nft: &mut Socket,
    label: &str,
    known: &[Place],
    count: u16,
) -> Result<Vec<Member>, Error> {
    let mut found = 0;
    for (set, key) in known {
        let element = or_none(nft.element(*set, key))?.flatten();
        let its = |element: &Element| element.comment.as_deref() == Some(label);
        found += usize::from(element.as_ref().is_some_and(its));
    }
    let belongs = |of: &str| of == label;
    Ok(if found == usize::from(count) {
        membership::leave_known(nft, belongs, known)?
    } else {
        membership::leave(nft, &SETS, belongs, known)?
    })
}

/// Removes what a plan made, as far as it was made.
pub fn leave_plan(plan: &Plan) -> Result<(), Error> {
    let members = plan.members().into_iter();
    let known: Vec<_> = members.map(|(set, element)| (set, element.key)).collect();
    leave(&mut Socket::open()?, &plan.label, &known)?;
    Ok(())
}

/// How many elements an attachment has, its own counted.
fn count(element: &Element) -> Option<u16> {
    match &element.data {
        Some(Data::Value(Key(parts))) => match parts.as_slice() {
            [Value::Service(count)] => Some(*count),
            _ => None,
        },
        _ => None,
    }
}
