//! GC: remove the elements of this network that no valid attachment needs (GC-1 to GC-7).

use crate::error::Error;
use crate::plan::SETS;
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
    match membership::open()? {
        Some(mut nft) => {
            membership::leave(&mut nft, &SETS, stale, &[])?;
            Ok(())
        }
        None => Ok(()),
    }
}
