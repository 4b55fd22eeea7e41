//! The command line with every rule checked.

use crate::args::Args;
use crate::error::Error;
use hawser::conflist::Conflist;
use ipnetwork::IpNetwork;
use std::env;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What is to be done, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where plugins go.
    pub bin_dir: PathBuf,
    /// Where the configuration goes.
    pub conf_dir: PathBuf,
    /// The executable that is installed.
    pub hawser: PathBuf,
    /// This node's name.
    pub node: Option<String>,
    /// The pod CIDRs, if the API is not to be asked for them.
    pub pod_cidrs: Vec<IpNetwork>,
    /// How long the first configuration may take.
    pub patience: Duration,
    /// Whether routes to other nodes are kept.
    pub routes: bool,
    /// Where health is served.
    pub http_endpoint: Option<SocketAddr>,
    /// Namespace and name of the DaemonSet.
    pub daemonset: Option<(String, String)>,
    network: String,
    bridge: String,
    mtu: Option<u32>,
}

impl Settings {
    /// Checks a command line.
    pub fn new(args: Args) -> Result<Self, Error> {
        let hawser = match args.hawser {
            Some(path) => path,
            None => env::current_exe()
                .map_err(Error::OwnPath)?
                .with_file_name("hawser"),
        };
        let settings = Self {
            bin_dir: args.bin_dir,
            conf_dir: args.conf_dir,
            hawser,
            node: args.node_name.filter(|name| !name.is_empty()),
            pod_cidrs: args.pod_cidrs,
            patience: Duration::from_secs(args.patience),
            routes: args.routes,
            http_endpoint: args.http_endpoint.as_deref().map(endpoint).transpose()?,
            daemonset: args.namespace.zip(args.daemonset),
            network: args.network,
            bridge: args.bridge,
            mtu: args.mtu,
        };
        settings.conflist(&settings.pod_cidrs).check()?;
        if args.command.is_none() && settings.asks_for_nodes() && settings.node.is_none() {
            return Err(Error::NoNodeName);
        }
        Ok(settings)
    }

    /// Whether the API server is needed for what this node does.
    pub const fn asks_for_nodes(&self) -> bool {
        self.routes || self.pod_cidrs.is_empty()
    }

    /// The configuration of a node with these pod CIDRs.
    pub fn conflist(&self, cidrs: &[IpNetwork]) -> Conflist {
        Conflist {
            network: self.network.clone(),
            bridge: self.bridge.clone(),
            subnets: cidrs.to_vec(),
            mtu: self.mtu,
            // The bridge would hide a pod's address from pods of other nodes, which are outside of its subnet.
            masquerade: !self.routes,
        }
    }
}

/// Address and port; an empty address is every one of this machine.
fn endpoint(text: &str) -> Result<SocketAddr, Error> {
    let refused = || Error::Endpoint(text.to_owned());
    match text.strip_prefix(':') {
        Some(port) => {
            let port = port.parse().map_err(|_| refused())?;
            Ok((Ipv6Addr::UNSPECIFIED, port).into())
        }
        None => text.parse().map_err(|_| refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn settings(line: &str) -> Result<Settings, Error> {
        let words = ["hawser-node"].into_iter().chain(line.split_whitespace());
        Settings::new(Args::try_parse_from(words).unwrap())
    }

    #[test]
    fn addresses_to_serve_at() {
        for (text, address) in [
            (":9809", "[::]:9809"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(endpoint(text).unwrap().to_string(), address);
        }
        for text in ["9809", ":http", "localhost:80", ":70000", ""] {
            let error = endpoint(text).unwrap_err().to_string();
            assert!(error.contains(":9809"), "{error}");
        }
    }

    #[test]
    fn a_node_that_asks_needs_a_name() {
        assert!(matches!(settings(""), Err(Error::NoNodeName)));
        assert!(matches!(
            settings("--pod-cidr 10.244.1.0/24 --routes"),
            Err(Error::NoNodeName)
        ));
        settings("--pod-cidr 10.244.1.0/24").unwrap();
        settings("--node-name n1").unwrap();
        settings("remove").unwrap();
    }

    #[test]
    fn what_the_plugins_would_refuse_is_refused_at_once() {
        for line in [
            "--node-name n --bridge a-bridge-of-long-name",
            "--pod-cidr 10.0.0.0/24 --pod-cidr 10.0.1.0/24",
            "--pod-cidr 10.0.0.7/24",
        ] {
            assert!(matches!(settings(line), Err(Error::Install(_))), "{line}");
        }
    }

    #[test]
    fn with_routes_the_bridge_does_not_masquerade() {
        assert!(
            settings("--node-name n")
                .unwrap()
                .conflist(&[])
                .text()
                .contains("\"ipMasq\": true")
        );
        let routed = settings("--node-name n --routes").unwrap();
        assert!(routed.conflist(&[]).text().contains("\"ipMasq\": false"));
    }
}
