//! Real network namespaces, private mounts and a runtime's part, for testing CNI plugins; in [`csi`], filesystems and a
//! kubelet's part, for testing storage drivers.
//!
//! ```no_run
//! use testkit::{Dump, Host, Network, bridge};
//! use serde_json::json;
//!
//! let host = Host::new();
//! let pod = host.pod("web");
//! let network = Network::new(&host, bridge(json!({"isGateway": true})));
//! let before = Dump::of(&host);
//! let result = network.add(&pod.attachment()).ok();
//! assert_eq!(result["ips"][0]["address"], "10.10.0.2/24");
//! network.del(&pod.attachment()).ok();
//! println!("{}", before.diff(&Dump::of(&host)));
//! ```
//!
//! * [`Host`]: a machine of its own for each test; [`Pod`]: a namespace on it; both are a [`Place`] to run things in.
//! * [`Network`]: a configuration list and the runtime that serves attachments to it as libcni does; [`Call`]: one run of
//!   a plugin in every detail; [`Outcome`] and [`Failure`]: what came of it.
//! * [`Plugins`]: whose executables are tested. `HAWSER_PLUGIN_DIR=/usr/lib/cni` runs a suite against the reference.
//! * [`Moment`]: a system call of a plugin, in front of which it is killed.
//! * [`Dump`]: the state of host and pods before and after, and the difference.
//! * [`Stub`]: a delegate that does what the test wants; [`Uplink`]: a world outside of the host.
//! * [`Scene`]: the usual beginning, one pod on one host with one network.
//! * [`containerd`], [`Podman`]: real runtimes; [`Init`]: what they leave running, ended; [`Image`]: something to run.
//! * [`manifests`]: what `kubectl` makes of our manifests; [`pack`]: our image; [`api_server`]: what an agent asks.
//! * [`csi`]: the same for storage drivers.
//! * [`unlike_the_reference`]: a behaviour in which the reference differs on purpose.
//!
//! A test needs root, and `ip`, `bridge`, `nft` and `ping` on the path. It touches nothing of the machine: see [`Host`].

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test library says what is wrong by panicking"
)]

pub mod api_server;
mod call;
mod config;
mod connection;
pub mod containerd;
pub mod csi;
mod dump;
mod groups;
mod host;
mod image;
mod init;
mod installed;
pub mod manifests;
mod moments;
mod packed;
mod packets;
mod place;
mod plugins;
mod pod;
mod podman;
mod process;
mod reference;
mod runtime;
mod scene;
mod stub;
mod uplink;
pub mod vm;
mod wait;

pub use call::{Call, Failure, Outcome, Running};
pub use config::{bridge, chained, dual_stack, everything, firewalled, host_local, merged};
pub use dump::{Diff, Dump};
pub use host::{Host, SCRATCH};
pub use image::Image;
pub use init::Init;
pub use installed::Installed;
pub use moments::{Moment, Sweep, strace};
pub use packed::{IMAGE, pack, packed};
pub use place::{Place, addresses};
pub use plugins::{PLUGIN_DIR, Plugins, REFERENCE};
pub use pod::Pod;
pub use podman::Podman;
pub use reference::{reference_under_test, report_difference, unlike_the_reference};
pub use runtime::{Attachment, Network};
pub use scene::Scene;
pub use stub::Stub;
pub use uplink::Uplink;
pub use wait::{PATIENCE, at_once, eventually, within};
