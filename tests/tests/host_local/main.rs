//! `host-local`: which addresses it gives, what it refuses, and the store that it shares with the reference.

mod requests;
mod results;
mod store;
mod turns;

use serde_json::Value;
use testkit::{Attachment, Host, Network, Outcome, host_local};

const STORE: &str = "/var/lib/cni/networks/podnet";

fn with(id: &str) -> Attachment {
    Attachment::new(id, "eth0", "/run/netns/pod")
}

/// A host with one namespace, which an IPAM plugin is given and has no use for.
fn node() -> Host {
    let host = Host::new();
    host.pod("pod");
    host
}

fn network(host: &Host, ipam: Value) -> Network {
    Network::new(host, host_local(ipam))
}

/// The addresses of a result, without prefix length.
fn given(outcome: &Outcome) -> Vec<String> {
    let result = outcome.ok();
    let ips = result["ips"].as_array().into_iter().flatten();
    ips.filter_map(|ip| Some(ip["address"].as_str()?.split('/').next()?.to_owned()))
        .collect()
}

/// The addresses held in the store.
fn held(host: &Host) -> Vec<String> {
    host.list(STORE)
        .into_iter()
        .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
        .collect()
}
