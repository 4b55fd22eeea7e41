//! Why the process ends without success.

use crate::api;
use crate::cluster::Malformed;
use std::io;
use std::path::PathBuf;

/// What is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Plugins or configuration could not be put in place, or are wrong.
    #[error(transparent)]
    Install(#[from] hawser::install::Error),
    /// There is nothing to install.
    #[error("{}: {source}: hawser lies beside hawser-node in the image; say where it is with --hawser", .path.display())]
    NoHawser {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The running executable has no path.
    #[error(
        "find the folder of hawser-node: {0}: mount /proc, or say with --hawser where hawser is"
    )]
    OwnPath(io::Error),
    /// The API cannot be asked about a node without name.
    #[error(
        "no node name: set NODE_NAME from spec.nodeName in the pod's env, or give --node-name; or give --pod-cidr, and the \
         API server need not be asked"
    )]
    NoNodeName,
    /// An address that nothing can be served at.
    #[error("--http-endpoint {0:?}: write it as :9809 or 127.0.0.1:9809")]
    Endpoint(String),
    /// The address cannot be listened at.
    #[error("--http-endpoint {address}: {source}: choose another port")]
    Listen {
        /// The address.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The API server was not of help.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// The first answer did not come in time.
    #[error("node {node}: waited {seconds} s for the API server: {source}")]
    NoAnswer {
        /// The node's name.
        node: String,
        /// How long.
        seconds: u64,
        /// The last that was heard.
        source: api::Error,
    },
    /// The Node object makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no such Node object.
    #[error(
        "there is no Node {0}: set NODE_NAME from spec.nodeName, and see whether kubelet has registered the node"
    )]
    NoNode(String),
    /// Nobody gave the node a part of the pod network.
    #[error(
        "node {0} has no pod CIDR: let kube-controller-manager give each node one with \
         --allocate-node-cidrs=true and --cluster-cidr (kubeadm init --pod-network-cidr=10.244.0.0/16; minikube start \
         --extra-config=kubeadm.pod-network-cidr=10.244.0.0/16), or give --pod-cidr to hawser-node on a cluster of one node"
    )]
    NoPodCidr(String),
    /// Signals, changes of folders: the kernel did not want to tell of them.
    #[error("{what}: {source}")]
    Events {
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Routes.
    #[error("{0}: --routes needs the capability NET_ADMIN and hostNetwork: true")]
    Routes(#[from] kernel::net::Error),
    /// Masquerade.
    #[error("{0}: --routes needs the capability NET_ADMIN and hostNetwork: true")]
    Filter(#[from] kernel::net::nft::Error),
}
