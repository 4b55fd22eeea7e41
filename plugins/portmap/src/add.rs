//! ADD: lead ports of the node to one pod.
//!
//! The elements come in one transaction, so a port that is taken leaves everything as it was. What the kernel remembers of
//! earlier packets goes last, when newer ones find the new way.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::undo::{Made, Record};
use crate::{filter, flows, localnet};
use cni::AddResult;
use cni_plugin::Request;
use kernel::{Termination, Undo};
use membership::label;

/// Maps the pod's ports, and reports what the plugins before reported.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let settings = Settings::parse(request)?;
    let (plan, result) = plan_of(request, &settings)?;
    if plan.ways.is_empty() {
        return Ok(result);
    }
    let stop = Termination::defer().map_err(Error::Signals)?;
    let mut undo = Undo::new();
    match lead(request, &plan, &stop, &mut undo) {
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
    Ok((Plan::build(settings, label, plan::pods(&result))?, result))
}

fn lead(
    request: &Request,
    plan: &Plan,
    stop: &Termination,
    undo: &mut Record,
) -> Result<(), Error> {
    let earlier = filter::leave_earlier(plan)?;
    filter::refuse_taken(plan)?;
    undo.record(Made(plan.clone()));
    filter::join(plan)?;
    // Somebody may have joined between the look and this.
    filter::refuse_taken(plan)?;
    if let Some(pod) = plan.from_localhost() {
        localnet::ensure(pod)?;
    }
    if stop.requested() {
        return Err(Error::Stopped);
    }
    flows::forget_stale(request, &plan.ways);
    flows::forget_answered(request, &plan.without(earlier));
    Ok(())
}
