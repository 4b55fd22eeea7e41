//! `bridge`: one port on a bridge for each pod.
//!
//! A pod gets a veth pair whose one end is its interface and whose other end is a port of the bridge; addresses come
//! from the IPAM plugin; the bridge may be the pods' gateway and hide them behind the node's own address. The bridge,
//! its address and the tables of the packet filter are shared: they are ensured by every ADD and undone by none.
//!
//! Each verb is a file that reads from top to bottom. [`conf`] turns the configuration into settings with every rule
//! checked, [`plan`] decides purely what should exist, and the modules between them and the kernel make it so:
//! [`uplink`] the bridge, [`port`] the host's end, [`pod`] the pod's end, [`masquerade`] and [`antispoof`] the packet
//! filter. What belongs to one pod carries its [`identity`], so that it is found again without namespace and
//! without an earlier result.

mod add;
pub mod antispoof;
mod check;
pub mod conf;
mod del;
pub mod error;
mod filter;
pub mod gateway;
mod gc;
pub mod identity;
pub mod masquerade;
pub mod plan;
pub mod pod;
pub mod port;
pub mod reference;
mod status;
mod undo;
pub mod uplink;

use cni::Version;
use cni_plugin::Plugin;

/// The plugin, as the frame runs it.
pub static PLUGIN: Plugin = Plugin {
    name: "bridge",
    about: "connects pods through a bridge on the node",
    versions: &Version::ALL,
    enters_netns: true,
    add: |request| Ok(add::add(request)?),
    del: |request| Ok(del::del(request)?),
    check: |request| Ok(check::check(request)?),
    gc: |request| Ok(gc::gc(request)?),
    status: |request| Ok(status::status(request)?),
};
