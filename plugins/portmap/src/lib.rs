//! `portmap`: ports of the node that lead to pods.
//!
//! A chained plugin: it makes no interface, and learns from the result of the plugins before it which addresses are the
//! pod's. The rules are static; a mapping is one element of a map for each family, from a protocol and a port of the node to
//! an address and a port of the pod. So a packet costs the same look-ups however many mappings there are, and a port that is
//! taken is seen by the kernel itself, which adds an element once.
//!
//! Each verb is a file that reads from top to bottom. [`conf`] turns the configuration into settings, [`plan`] decides purely
//! which elements a pod needs, and the modules between them and the kernel make it so: [`table`] the static part,
//! [`conditional`] mappings that hold for some packets only, [`filter`] the pod's part, [`localnet`] the node's own way to
//! 127.0.0.1, [`flows`] what the kernel remembers of earlier packets.

mod add;
mod check;
pub mod condition;
pub mod conditional;
pub mod conf;
mod del;
pub mod error;
pub mod filter;
pub mod flows;
mod gc;
pub mod localnet;
pub mod plan;
pub mod reference;
mod status;
pub mod table;
mod undo;

use cni::Version;
use cni_plugin::Plugin;

/// The plugin, as the frame runs it.
pub static PLUGIN: Plugin = Plugin {
    name: "portmap",
    about: "leads ports of the node to pods",
    versions: &Version::ALL,
    enters_netns: false,
    add: |request| Ok(add::add(request)?),
    del: |request| Ok(del::del(request)?),
    check: |request| Ok(check::check(request)?),
    gc: |request| Ok(gc::gc(request)?),
    status: |request| Ok(status::status(request)?),
};
