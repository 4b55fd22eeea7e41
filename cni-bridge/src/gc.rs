//! GC: remove what no valid attachment of this network needs (GC-1 to GC-7).
//!
//! Links and packet filter elements are known by their label, so what is looked at is only ever this network's. The
//! IPAM plugin comes last, as in DEL. Nothing stops at a failure; all of them are reported.

use crate::error::Error;
use crate::filter::SETS;
use crate::identity::Identity;
use cni::Verb;
use cni_plugin::Request;
use kernel::Termination;
use kernel::net::Rtnl;
use membership::label;
use std::collections::HashSet;
use std::os::fd::AsFd;

/// Removes every attachment that is not listed as valid.
pub fn gc(request: &Request) -> Result<(), Error> {
    let stop = Termination::defer().map_err(Error::Signals)?;
    let network = request.config().network();
    let attachments = request.config().valid_attachments()?;
    let valid: HashSet<_> = attachments
        .iter()
        .map(|attachment| Identity::of(network, attachment).label)
        .collect();
    let stale = |of: &str| label::is_of_network(of, network) && !valid.contains(of);

    let mut nft = membership::open();
    let left = match &mut nft {
        Ok(Some(nft)) => membership::leave(nft, &SETS, stale, &[])
            .map(drop)
            .map_err(Error::from),
        Ok(None) => Ok(()),
        Err(_) => nft.map(|_| ()).map_err(Error::from),
    };
    let mut errors: Vec<_> = left.err().into_iter().collect();
    errors.extend(remove_links(stale));
    errors.extend(collect_addresses(request, &stop).err());
    Error::all(errors)
}

fn remove_links(stale: impl Fn(&str) -> bool) -> Vec<Error> {
    let remove = || -> Result<Vec<Error>, Error> {
        let mut host = Rtnl::open()?;
        let links = host.veths()?;
        let stale = links.iter().filter(|link| stale(&link.alias));
        Ok(stale
            .filter_map(|link| host.delete_link(&link.device.name).err())
            .map(Error::from)
            .collect())
    };
    remove().unwrap_or_else(|error| vec![error])
}

/// GC-5.
fn collect_addresses(request: &Request, stop: &Termination) -> Result<(), Error> {
    if let Some(ipam) = request.ipam_type()? {
        request
            .delegate(ipam)?
            .run(request, Verb::Gc, Some(stop.as_fd()))?;
    }
    Ok(())
}
