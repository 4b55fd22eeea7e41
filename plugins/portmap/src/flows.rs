//! What the kernel remembers of earlier UDP packets to a port.
//!
//! It is a courtesy: a flow that cannot be found or forgotten ends by itself when nobody sends for half a minute. So nothing
//! here fails a verb; but a client that never pauses is led astray for as long, and then the runtime's log says why.

use crate::conf::Protocol;
use crate::plan::Way;
use cni_plugin::Request;
use kernel::net::conntrack::Flow;
use kernel::net::nft::{self, Socket};
use kernel::net::{Conntrack, Error};

/// Forgets the flows that go elsewhere than these ways do.
pub fn forget_stale(request: &Request, ways: &[Way]) {
    forget(request, ways, |flow, way| {
        (flow.answerer, flow.answering_port) != (way.pod, way.container_port)
    });
}

/// Forgets the flows that went these ways, which are gone or about to go: not before, or a client that never pauses would
/// bring them back.
pub fn forget_answered(request: &Request, ways: &[Way]) {
    if let Err(error) = await_gone(ways) {
        request.remark(error);
    }
    forget(request, ways, |flow, way| flow.answerer == way.pod);
}

fn await_gone(ways: &[Way]) -> Result<(), nft::Error> {
    let places: Vec<_> = udp(ways).map(Way::place).collect();
    if places.is_empty() {
        return Ok(());
    }
    membership::await_gone(&mut Socket::open()?, &places)
}

fn udp(ways: &[Way]) -> impl Iterator<Item = &Way> {
    ways.iter().filter(|way| way.protocol == Protocol::Udp)
}

fn forget(request: &Request, ways: &[Way], wanted: impl Fn(&Flow, &Way) -> bool) {
    let mut conntrack = None;
    for way in udp(ways) {
        let meant = |flow: &Flow| way.host_ip.is_none_or(|ip| ip == flow.destination);
        let wanted = |flow: &Flow| meant(flow) && wanted(flow, way);
        if let Err(error) = forget_some(&mut conntrack, way, wanted) {
            let port = way.host_port;
            request.remark(format!(
                "{error}: clients that sent to udp port {port} before may be led where it led then: run `conntrack -D -p udp --orig-port-dst {port}`"
            ));
        }
    }
}

/// Forgets some of the flows to a way's port.
fn forget_some(
    conntrack: &mut Option<Conntrack>,
    way: &Way,
    wanted: impl Fn(&Flow) -> bool,
) -> Result<(), Error> {
    let conntrack = match conntrack {
        Some(open) => open,
        None => conntrack.insert(Conntrack::open()?),
    };
    let flows = conntrack.udp_flows(way.pod.is_ipv6(), way.host_port)?;
    for flow in flows.iter().filter(|flow| wanted(flow)) {
        conntrack.forget(flow)?;
    }
    Ok(())
}
