//! What the kernel remembers of earlier UDP packets to a port.
//!
//! It is a courtesy: a flow that cannot be found or forgotten ends by itself when nobody sends for half a minute, and a
//! kernel without connection tracking over netlink remembers nothing that we could reach. So nothing here fails a verb.

use crate::conf::Protocol;
use crate::plan::Way;
use kernel::net::Conntrack;
use kernel::net::conntrack::Flow;

/// Forgets the flows that go elsewhere than these ways do.
pub fn forget_stale(ways: &[Way]) {
    forget(ways, |flow, way| flow.answerer != way.pod);
}

/// Forgets the flows that went these ways.
pub fn forget_answered(ways: &[Way]) {
    forget(ways, |flow, way| flow.answerer == way.pod);
}

fn forget(ways: &[Way], wanted: impl Fn(&Flow, &Way) -> bool) {
    let udp = || ways.iter().filter(|way| way.protocol == Protocol::Udp);
    if udp().next().is_none() {
        return;
    }
    let Ok(mut conntrack) = Conntrack::open() else {
        return;
    };
    for way in udp() {
        let flows = conntrack.udp_flows(way.pod.is_ipv6(), way.host_port);
        for flow in flows.unwrap_or_default() {
            let meant = way.host_ip.is_none_or(|ip| ip == flow.destination);
            if meant && wanted(&flow, way) {
                let _ = conntrack.forget(&flow);
            }
        }
    }
}
