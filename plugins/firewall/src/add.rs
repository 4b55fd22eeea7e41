//! ADD: let one pod's traffic through.
//!
//! What is shared comes first and stays; the pod's elements come last, in one transaction, and are taken back when a
//! signal asks to stop. A second ADD for the same attachment finds its own elements and changes nothing.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::Plan;
use crate::undo::{Made, Record};
use crate::{filter, iptables};
use cni::AddResult;
use cni_plugin::Request;
use kernel::net::nft::Socket;
use kernel::{Termination, Undo};
use membership::label;

/// Lets the pod through, and reports what the plugins before reported.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let settings = Settings::parse(request)?;
    let (plan, result) = plan_of(request, &settings)?;
    let stop = Termination::defer().map_err(Error::Signals)?;
    let mut undo = Undo::new();
    match let_through(&settings, &plan, &stop, &mut undo) {
        Ok(()) => {
            undo.keep();
            Ok(result)
        }
        Err(error) => Err(error.and_undo(undo.revert())),
    }
}

/// The plan for the attachment, and the result that it follows from.
pub fn plan_of(request: &Request, settings: &Settings) -> Result<(Plan, AddResult), Error> {
    let network = request.config().network();
    let result = request.config().prev_result()?;
    let result = result.ok_or_else(|| Error::NoPrevResult {
        network: network.to_string(),
    })?;
    let label = label::of(network, request.attachment()?);
    Ok((Plan::build(settings, label, &result)?, result))
}

fn let_through(
    settings: &Settings,
    plan: &Plan,
    stop: &Termination,
    undo: &mut Record,
) -> Result<(), Error> {
    if plan.addresses.is_empty() {
        return Ok(());
    }
    let mut nft = Socket::open()?;
    iptables::ensure(&mut nft, settings, plan)?;
    filter::vacate(&mut nft, plan)?;
    undo.record(Made(plan.clone()));
    filter::join(settings, plan)?;
    if stop.requested() {
        return Err(Error::Stopped);
    }
    Ok(())
}
