//! DEL: take an attachment away, whatever is left of it.
//!
//! The attachment is known by its identity, so neither the namespace nor an earlier result nor an unchanged
//! configuration is needed (DEL-1, DEL-3), and coming again is no error (DEL-2). The address is released last, when nothing
//! can answer under it any more.
//!
//! Removing a veth pair sleeps in the kernel for some 18 ms. Where the kernel cannot let elements expire, closing an nf_tables
//! socket after their deletion sleeps as well, and holds up the removal of links meanwhile; so the socket stays open until the
//! link is gone, and then closes at once.

use crate::error::Error;
use crate::filter::SETS;
use crate::identity::Identity;
use crate::pod::Pod;
use crate::{antispoof, masquerade, reference};
use cni::Verb;
use cni_plugin::Request;
use kernel::Termination;
use kernel::net::Rtnl;
use kernel::net::nft::Socket;
use membership::Place;
use std::os::fd::AsFd;

/// Detaches the pod.
pub fn del(request: &Request) -> Result<(), Error> {
    let stop = Termination::defer().map_err(Error::Signals)?;
    let identity = Identity::of(request.config().network(), request.attachment()?);
    let mut nft = membership::open();
    let filter = match &mut nft {
        Ok(Some(nft)) => leave_filter(nft, request, &identity),
        Ok(None) => Ok(()),
        Err(_) => nft.map(|_| ()).map_err(Error::from),
    };
    let link = remove_link(request, &identity);
    // An interface that could not be removed still has its address; another pod must not get it.
    let ipam = if link.is_ok() {
        release(request, &stop)
    } else {
        Ok(())
    };
    Error::all([filter, link, ipam].into_iter().filter_map(Result::err))
}

fn leave_filter(nft: &mut Socket, request: &Request, identity: &Identity) -> Result<(), Error> {
    let known = known_places(request, identity);
    let belongs = |label: &str| label == identity.label;
    membership::leave_told(nft, &SETS, belongs, &known)?;
    reference::leave_filter(nft, request.config().network(), request.attachment()?)
}

/// The places that follow from the earlier result, as far as there is one that can be read (DEL-3).
fn known_places(request: &Request, identity: &Identity) -> Vec<Place> {
    let Ok(Some(result)) = request.config().prev_result() else {
        return Vec::new();
    };
    let masqueraded = result.ips.iter().map(|ip| masquerade::place(ip.address));
    let macs = result
        .interfaces
        .iter()
        .filter(|interface| !interface.sandbox.is_empty())
        .filter_map(|i| i.mac.parse().ok());
    let guarded = macs.flat_map(|mac| antispoof::places(&identity.port, mac));
    masqueraded.chain(guarded).collect()
}

fn remove_link(request: &Request, identity: &Identity) -> Result<(), Error> {
    if Rtnl::open()?.delete_link(&identity.port)? {
        return Ok(());
    }
    // What the reference plugin made has a name that only the namespace tells.
    let Some(mut pod) = request.netns().and_then(|path| Pod::open(path).ok()) else {
        return Ok(());
    };
    let ifname = request.attachment()?.ifname.as_str();
    match pod.link(ifname)? {
        Some(link) if link.kind == "veth" => pod
            .rtnl
            .delete_link(ifname)
            .map(|_| ())
            .map_err(Error::from),
        _ => Ok(()),
    }
}

/// DEL-4, DEL-5: the IPAM plugin is asked whatever became of the namespace.
fn release(request: &Request, stop: &Termination) -> Result<(), Error> {
    if let Some(ipam) = request.ipam_type()? {
        request
            .delegate(ipam)?
            .run(request, Verb::Del, Some(stop.as_fd()))?;
    }
    Ok(())
}
