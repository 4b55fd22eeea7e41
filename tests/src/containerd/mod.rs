//! A real containerd on a host of its own, and a kubelet's part, as far as it concerns pods: to see plugins called by the
//! runtime that calls them on nodes, and images run as a cluster runs them.
//!
//! ```no_run
//! use testkit::containerd::{BUSYBOX, Containerd, ContainerOptions, PodOptions};
//! use testkit::{Host, Plugins};
//!
//! let host = Host::new();
//! let conflist = r#"{"cniVersion": "1.0.0", "name": "podnet", "plugins": []}"#;
//! let containerd = Containerd::start(&host, &Plugins::under_test(), conflist);
//! let web = containerd.run_pod(PodOptions::new("web").port(8080, 80)).unwrap();
//! let serve = ContainerOptions::new("server", BUSYBOX).command(&["busybox", "httpd", "-f"]);
//! let server = containerd.run_container(&web, serve).unwrap();
//! assert_eq!(containerd.sh(&server, "busybox hostname"), "web");
//! assert!(host.ping(web.ips[0]));
//! containerd.stop_pod(&web.id).unwrap();
//! containerd.remove_pod(&web.id).unwrap();
//! ```
//!
//! * [`Containerd`]: the daemon, started, stopped, killed, rebooted, and images for it; [`Image`](crate::Image) makes some.
//! * [`PodOptions`], [`Sandbox`]: a pod, and its network namespace as a [`Place`](crate::Place).
//! * [`ContainerOptions`], [`Container`]: a process in it, as a manifest describes it.
//! * [`manifest`]: a pod as a manifest of the cluster describes it.
//! * [`cri`] and [`Cri`]: every message and the calls themselves, for what has no word of its own.

mod client;
mod container;
mod daemon;
pub mod manifest;
mod pod;

pub use client::Cri;
pub use container::{Container, ContainerOptions, Executed, Propagation};
pub use daemon::{BUSYBOX, Containerd};
pub use pod::{PodOptions, Sandbox};
pub use tonic::Status;

/// The Container Runtime Interface, package `runtime.v1`. It is commented in `tests/proto/cri.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod cri {
    tonic::include_proto!("runtime.v1");
}
