//! DEL: take the pod's ports away, whatever else became of it.
//!
//! The attachment is known by its label, so neither the namespace nor the earlier result nor the mappings are needed
//! (DEL-1, DEL-3), and coming again is no error (DEL-2). One element says whether it has anything at all, and how much; the
//! mappings and the earlier result tell where. Only where they do not tell of everything the maps are listed, so a DEL costs
//! the same whatever the number of mappings.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::{filter, flows, reference};
use cni_plugin::Request;
use kernel::Termination;
use membership::label;

/// Removes the pod's mappings.
pub fn del(request: &Request) -> Result<(), Error> {
    let _stop = Termination::defer().map_err(Error::Signals)?;
    let network = request.config().network();
    let label = label::of(network, request.attachment()?);
    let Some(mut nft) = membership::open()? else {
        return Ok(());
    };
    // What cannot be read tells nothing, and keeps nobody from removing (DEL-3).
    let settings = Settings::parse(request).unwrap_or_default();
    let earlier = request.config().prev_result().ok().flatten();
    let pods = plan::pods(&earlier.unwrap_or_default());
    let mut ways = filter::leave(&mut nft, &label, &plan::places(&settings, &label, &pods))?;
    reference::leave(&mut nft, network, request.attachment()?)?;
    // An earlier DEL may have got no further; and what has conditions is told by the mappings alone.
    if let Ok(plan) = Plan::build(&settings, label, pods) {
        ways = [plan.without(ways), plan.ways].concat();
    }
    flows::forget_answered(request, &ways);
    Ok(())
}
