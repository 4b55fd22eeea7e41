//! `firewall`: pods' traffic let through the node's packet filter, and kept out where an ingress policy says so.
//!
//! A chained plugin: it makes no interface, and learns from the result of the plugins before it which addresses are the
//! pod's. Packets that a pod sends, and those that answer it, get a bit in their mark from a table of our own, in which
//! a pod is one element of a set for each address. Where the host's iptables filters what is forwarded, one static rule
//! of iptables lets packets with that bit through. So the cost of a pod, and of a packet, does not grow with the pods.
//!
//! Each verb is a file that reads from top to bottom. [`conf`] turns the configuration into settings, [`plan`] decides
//! purely which elements a pod needs, and the modules between them and the kernel make it so: [`table`] our own table,
//! [`segment`] what isolates pods on a bridge, [`iptables`] the rules in iptables' tables.

mod add;
mod check;
pub mod conf;
mod del;
pub mod error;
mod filter;
mod gc;
pub mod iptables;
pub mod plan;
pub mod reference;
pub mod segment;
mod status;
pub mod table;
mod undo;

use cni::Version;
use cni_plugin::Plugin;

/// The plugin, as the frame runs it.
pub static PLUGIN: Plugin = Plugin {
    name: "firewall",
    about: "lets pods' traffic through the node's packet filter",
    versions: &Version::ALL,
    enters_netns: false,
    add: |request| Ok(add::add(request)?),
    del: |request| Ok(del::del(request)?),
    check: |request| Ok(check::check(request)?),
    gc: |request| Ok(gc::gc(request)?),
    status: |request| Ok(status::status(request)?),
};
