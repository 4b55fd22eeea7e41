//! Routes to the pods of the other nodes.
//!
//! Each leads through the other node's InternalIP, which must be on a link of this node. They carry a protocol number of
//! their own, by which they are found again and removed, and nobody else's ever is.

use crate::cluster::{Cluster, Node};
use ipnetwork::IpNetwork;
use kernel::net::route::kept::{self, Kept, Way};
use kernel::net::{Error, Rtnl};
use nix::errno::Errno;
use std::net::IpAddr;

/// The number: an `h`. `ip route show proto 104` lists what is ours.
pub const PROTOCOL: u8 = 104;

/// What is wanted, and what cannot be had.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    routes: Vec<Kept>,
    lacking: Vec<String>,
}

/// Brings the routes to the wanted state. What cannot be had is told, a sentence each.
pub fn ensure(cluster: &Cluster, node: &str, own: &[IpNetwork]) -> Result<Vec<String>, Error> {
    let mut host = Rtnl::open()?;
    let mut plan = plan(cluster, node, own, |to| host.way(to))?;
    let present = host.kept_routes(PROTOCOL)?;
    for stale in present.iter().filter(|route| !plan.routes.contains(route)) {
        remove(&mut host, stale)?;
        tracing::info!("removed the route to {}", stale.destination);
    }
    for route in &plan.routes {
        if present.contains(route) {
            continue;
        }
        match host.apply(kept::add(route, PROTOCOL)) {
            Ok(()) => tracing::info!("added a route to {} via {}", route.destination, route.gateway),
            Err(error) if error.errno() == Some(Errno::EEXIST) => plan.lacking.push(format!(
                "somebody else made a route to {}, which stays: remove it (`ip route del {}`) to have it led via {}",
                route.destination, route.destination, route.gateway
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(plan.lacking)
}

/// Removes every route of ours; says how many there were.
pub fn remove_all() -> Result<usize, Error> {
    let mut host = Rtnl::open()?;
    let present = host.kept_routes(PROTOCOL)?;
    for route in &present {
        remove(&mut host, route)?;
    }
    Ok(present.len())
}

fn remove(host: &mut Rtnl, route: &Kept) -> Result<(), Error> {
    // ESRCH: it went by itself, with its link.
    host.apply(kept::remove(route, PROTOCOL).tolerating(Errno::ESRCH))
}

fn plan<E>(
    cluster: &Cluster,
    node: &str,
    own: &[IpNetwork],
    mut way: impl FnMut(IpAddr) -> Result<Option<Way>, E>,
) -> Result<Plan, E> {
    let mut plan = Plan::default();
    for other in cluster.others(node) {
        for cidr in &other.pod_cidrs {
            if let Some(mine) = own.iter().find(|mine| overlap(mine, cidr)) {
                plan.lacking.push(format!(
                    "node {} has the pod CIDR {cidr}, which overlaps this node's {mine}: delete and re-join one of the two",
                    other.name
                ));
                continue;
            }
            match through(other, *cidr, &mut way)? {
                Ok(route) => plan.routes.push(route),
                Err(why) => plan.lacking.push(why),
            }
        }
    }
    Ok(plan)
}

/// The route to one of a node's ranges, or why there can be none.
fn through<E>(
    other: &Node,
    cidr: IpNetwork,
    way: &mut impl FnMut(IpAddr) -> Result<Option<Way>, E>,
) -> Result<Result<Kept, String>, E> {
    let name = &other.name;
    let mut addresses = other.internal_ips.iter().copied();
    let Some(gateway) = addresses.find(|address| address.is_ipv4() == cidr.is_ipv4()) else {
        return Ok(Err(format!(
            "node {name} has no InternalIP of the family of {cidr}: give its kubelet one with --node-ip"
        )));
    };
    Ok(match way(gateway)? {
        Some(Way::OnLink(device)) => Ok(Kept {
            destination: cidr,
            gateway,
            device,
        }),
        Some(Way::Routed(router)) => Err(format!(
            "node {name} ({gateway}) is not on a link of this node but behind {router}: let that router lead {cidr} to \
             {gateway}, or use a network that tunnels"
        )),
        Some(Way::Local) => Err(format!(
            "node {name} has this node's own address {gateway} as InternalIP: one of the two Nodes is stale"
        )),
        None => Err(format!(
            "this node has no way to node {name} ({gateway}): see `ip route get {gateway}`"
        )),
    })
}

fn overlap(one: &IpNetwork, other: &IpNetwork) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn node(name: &str, cidrs: &[&str], addresses: &[&str]) -> Node {
        Node {
            name: name.to_owned(),
            pod_cidrs: cidrs.iter().map(|text| text.parse().unwrap()).collect(),
            internal_ips: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn planned(others: &[Node]) -> (Vec<String>, Vec<String>) {
        let mut cluster = Cluster::default();
        cluster.put(node("me", &["10.244.1.0/24"], &["192.0.2.1"]));
        others.iter().cloned().for_each(|node| cluster.put(node));
        let own: IpNetwork = "10.244.1.0/24".parse().unwrap();
        let link: IpNetwork = "192.0.2.0/24".parse().unwrap();
        let router: IpAddr = "192.0.2.254".parse().unwrap();
        let way = |to: IpAddr| {
            Ok::<_, Infallible>(match to.to_string().as_str() {
                "192.0.2.1" => Some(Way::Local),
                "203.0.113.1" => None,
                _ if link.contains(to) || to.is_ipv6() => Some(Way::OnLink(7)),
                _ => Some(Way::Routed(router)),
            })
        };
        let Ok(plan) = plan(&cluster, "me", &[own], way);
        let routes = plan.routes.iter().map(|route| {
            format!(
                "{} via {} dev {}",
                route.destination, route.gateway, route.device
            )
        });
        (routes.collect(), plan.lacking)
    }

    #[test]
    fn a_route_for_each_range_of_each_other_node() {
        let two = [
            node(
                "a",
                &["10.244.2.0/24", "fd00:2::/64"],
                &["192.0.2.2", "2001:db8::2"],
            ),
            node("b", &["10.244.3.0/24"], &["2001:db8::3", "192.0.2.3"]),
            node("new", &[], &[]),
        ];
        let (routes, lacking) = planned(&two);
        assert_eq!(
            routes,
            [
                "10.244.2.0/24 via 192.0.2.2 dev 7",
                "fd00:2::/64 via 2001:db8::2 dev 7",
                "10.244.3.0/24 via 192.0.2.3 dev 7"
            ]
        );
        assert!(lacking.is_empty(), "{lacking:?}");
    }

    #[test]
    fn what_cannot_be_routed_is_told_with_the_way_out() {
        for (other, words) in [
            (node("a", &["10.244.2.0/24"], &["2001:db8::2"]), "--node-ip"),
            (
                node("a", &["10.244.2.0/24"], &["198.51.100.9"]),
                "behind 192.0.2.254",
            ),
            (
                node("a", &["10.244.2.0/24"], &["203.0.113.1"]),
                "ip route get 203.0.113.1",
            ),
            (node("a", &["10.244.2.0/24"], &["192.0.2.1"]), "stale"),
            (
                node("a", &["10.244.0.0/16"], &["192.0.2.2"]),
                "overlaps this node's 10.244.1.0/24",
            ),
        ] {
            let (routes, lacking) = planned(&[other]);
            assert!(routes.is_empty(), "{routes:?}");
            assert!(
                lacking.len() == 1 && lacking[0].contains(words),
                "{lacking:?}"
            );
        }
    }
}
