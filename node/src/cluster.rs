//! Nodes as the API describes them.

use ipnetwork::IpNetwork;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What of a Node object matters for the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its part of the pod network: at most one of each family.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Its addresses of type InternalIP.
    pub internal_ips: Vec<IpAddr>,
}

/// The nodes that were asked for, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster(BTreeMap<String, Node>);

/// A Node object that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has no name.
    #[error("the API server sent a Node without metadata.name")]
    NoName,
    /// A CIDR is none.
    #[error("node {node}: spec.podCIDRs has {text:?}, which is no CIDR: correct the Node object")]
    Cidr {
        /// The node.
        node: String,
        /// What is there.
        text: String,
    },
}

impl Node {
    /// Reads a Node object.
    pub fn read(object: &Value) -> Result<Self, Malformed> {
        let name = name(object)?;
        let spec = &object["spec"];
        let plural = spec["podCIDRs"].as_array().filter(|all| !all.is_empty());
        let texts: Vec<&Value> = match plural {
            Some(all) => all.iter().collect(),
            // A server older than dual stack.
            None => std::iter::once(&spec["podCIDR"])
                .filter(|text| text.as_str().is_some_and(|text| !text.is_empty()))
                .collect(),
        };
        let cidr = |text: &Value| parse(text).ok_or_else(|| malformed(&name, text));
        let pod_cidrs = texts.into_iter().map(cidr).collect::<Result<_, _>>()?;
        let addresses = object["status"]["addresses"].as_array();
        let internal = addresses
            .into_iter()
            .flatten()
            .filter(|address| address["type"] == "InternalIP");
        let internal_ips = internal
            .filter_map(|address| address["address"].as_str()?.parse().ok())
            .collect();
        Ok(Self {
            name,
            pod_cidrs,
            internal_ips,
        })
    }
}

/// The name of a Node object, also of one that is otherwise not understood.
pub fn name(object: &Value) -> Result<String, Malformed> {
    let name = object["metadata"]["name"].as_str();
    name.map(str::to_owned).ok_or(Malformed::NoName)
}

fn parse(text: &Value) -> Option<IpNetwork> {
    let cidr: IpNetwork = text.as_str()?.parse().ok()?;
    IpNetwork::new(cidr.network(), cidr.prefix()).ok()
}

fn malformed(node: &str, text: &Value) -> Malformed {
    Malformed::Cidr {
        node: node.to_owned(),
        text: text
            .as_str()
            .map_or_else(|| text.to_string(), str::to_owned),
    }
}

impl Cluster {
    /// Adds a node, or what is new of it.
    pub fn put(&mut self, node: Node) {
        self.0.insert(node.name.clone(), node);
    }

    /// Forgets a node.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.0.get(name)
    }

    /// All nodes but the one of that name.
    pub fn others<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.0.values().filter(move |node| node.name != name)
    }

    /// The pod CIDRs of all nodes.
    pub fn pod_cidrs(&self) -> impl Iterator<Item = IpNetwork> {
        self.0.values().flat_map(|node| node.pod_cidrs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cidrs(spec: &Value) -> Result<Vec<String>, Malformed> {
        let node = Node::read(&json!({"metadata": {"name": "n1"}, "spec": spec}))?;
        Ok(node.pod_cidrs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn pod_cidrs_of_all_kinds_of_servers() {
        let none: [&str; 0] = [];
        assert_eq!(cidrs(&json!({})).unwrap(), none);
        assert_eq!(cidrs(&json!({"podCIDR": ""})).unwrap(), none);
        assert_eq!(
            cidrs(&json!({"podCIDR": "10.244.1.0/24"})).unwrap(),
            ["10.244.1.0/24"]
        );
        let dual =
            json!({"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]});
        assert_eq!(cidrs(&dual).unwrap(), ["10.244.1.0/24", "fd00:1::/64"]);
    }

    #[test]
    fn a_cidr_that_is_none_is_named() {
        for bad in [json!("10.244.1.0/33"), json!("pods"), json!(7)] {
            let error = cidrs(&json!({"podCIDRs": [bad]})).unwrap_err().to_string();
            assert!(error.starts_with("node n1: spec.podCIDRs has"), "{error}");
        }
        assert_eq!(Node::read(&json!({})), Err(Malformed::NoName));
    }

    #[test]
    fn only_internal_addresses_that_are_addresses() {
        let node = json!({"metadata": {"name": "n1"}, "status": {"addresses": [
            {"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "ExternalIP", "address": "198.51.100.1"}, {"type": "InternalIP", "address": "n1.local"},
            {"type": "InternalIP", "address": "2001:db8::1"}
        ]}});
        let node = Node::read(&node).unwrap();
        let wanted: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(node.internal_ips, wanted);
    }
}
