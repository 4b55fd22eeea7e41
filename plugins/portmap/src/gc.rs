//! GC: remove the elements of this network that no valid attachment needs (GC-1 to GC-7).

use crate::error::Error;
use crate::plan;
use crate::table::SETS;
use crate::{conditional, flows};
use cni_plugin::Request;
use kernel::Termination;
use membership::label;
use std::collections::HashSet;

/// Removes every attachment that is not listed as valid.
pub fn gc(request: &Request) -> Result<(), Error> {
    let _stop = Termination::defer().map_err(Error::Signals)?;
    let network = request.config().network();
    let attachments = request.config().valid_attachments()?;
    let valid: HashSet<_> = attachments
        .iter()
        .map(|attachment| label::of(network, attachment))
        .collect();
    let stale = |of: &str| label::is_of_network(of, network) && !valid.contains(of);
    let Some(mut nft) = membership::open()? else {
        return Ok(());
    };
    let gone = membership::leave(&mut nft, &SETS, stale, &[])?;
    conditional::remove_orphans(&mut nft)?;
    flows::forget_answered(request, &plan::ways_in(&gone));
    Ok(())
}
