//! The command line: the documentation of every flag.

use clap::{Parser, Subcommand};
use ipnetwork::IpNetwork;
use std::path::PathBuf;

/// Where kubelet mounts the file for last words unless a pod says otherwise.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// Hawser's network on a node of a Kubernetes cluster: installs the plugins and their configuration, and keeps them there.
///
/// When it is stopped everything stays as it is, so that pods come and go while it is restarted or upgraded. Only when its
/// DaemonSet is gone does it take everything back and restore what it had found.
#[derive(Debug, Parser)]
#[command(name = "hawser-node", version, propagate_version = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The folder in which the container runtime looks for plugins.
    #[arg(
        long,
        global = true,
        value_name = "DIRECTORY",
        default_value = "/opt/cni/bin"
    )]
    pub bin_dir: PathBuf,

    /// The folder in which the container runtime looks for configurations.
    #[arg(
        long,
        global = true,
        value_name = "DIRECTORY",
        default_value = "/etc/cni/net.d"
    )]
    pub conf_dir: PathBuf,

    /// The executable `hawser` that is installed. Without it, the one beside this executable.
    #[arg(long, value_name = "FILE")]
    pub hawser: Option<PathBuf>,

    /// The name of this node's Node object.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,

    /// This node's part of the pod network, once for each family. Without it, the API server is asked for the Node's
    /// podCIDRs.
    #[arg(long = "pod-cidr", value_name = "CIDR")]
    pub pod_cidrs: Vec<IpNetwork>,

    /// How long to wait for the API server and for the Node's podCIDRs before giving up, in seconds. The first answer is
    /// waited for in any case.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,

    /// Keep routes to the pods of the other nodes, through the nodes' InternalIP. For clusters of several nodes on one
    /// network segment, without a cloud that does it.
    #[arg(long)]
    pub routes: bool,

    /// The network's name.
    #[arg(long, value_name = "NAME", default_value = "podnet")]
    pub network: String,

    /// The bridge's name.
    #[arg(long, value_name = "NAME", default_value = "cni0")]
    pub bridge: String,

    /// The MTU of pods, in bytes.
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u32>,

    /// Where /healthz and /readyz are served over HTTP, as :9809 or 127.0.0.1:9809. Not served without it.
    #[arg(long, value_name = "ADDRESS")]
    pub http_endpoint: Option<String>,

    /// The DaemonSet that this process belongs to: everything is taken back when it is gone.
    #[arg(long, env = "DAEMONSET_NAME", value_name = "NAME")]
    pub daemonset: Option<String>,

    /// The namespace of the DaemonSet.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The file that kubelet reads a container's last words from. Written if it is there.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = TERMINATION_LOG
    )]
    pub termination_log: PathBuf,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Take everything back now: configuration, plugins, routes. What the plugins replaced is restored.
    Remove,
}
