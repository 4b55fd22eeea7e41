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
    for v6 in [false, true] {
        let ways: Vec<_> = udp(ways).filter(|way| way.pod.is_ipv6() == v6).collect();
        let mut ports: Vec<_> = ways.iter().map(|way| way.host_port).collect();
        ports.sort_unstable();
        ports.dedup();
        let leads = |flow: &Flow, way: &&Way| {
            let meant = way.host_ip.is_none_or(|ip| ip == flow.destination);
            meant && way.host_port == flow.port && wanted(flow, way)
        };
        let wanted = |flow: &Flow| ways.iter().any(|way| leads(flow, way));
        if let Err(error) = forget_some(v6, &ports, wanted) {
            request.remark(remark(&error, &ports));
        }
    }
}

/// Forgets some of the flows to these ports.
fn forget_some(v6: bool, ports: &[u16], wanted: impl Fn(&Flow) -> bool) -> Result<(), Error> {
    if ports.is_empty() {
        return Ok(());
    }
    let mut conntrack = Conntrack::open()?;
    let flows = conntrack.udp_flows(v6, ports)?;
    for flow in flows.iter().filter(|flow| wanted(flow)) {
        conntrack.forget(flow)?;
    }
    Ok(())
}

/// What the runtime's log is told.
fn remark(error: &Error, ports: &[u16]) -> String {
    let end = |port| format!("`conntrack -D -p udp --orig-port-dst {port}`");
    let commands: Vec<_> = ports.iter().map(end).collect();
    let commands = commands.join(" and ");
    format!(
        "{error}: clients that sent there before may be led where they were led then: run {commands}"
    )
}
