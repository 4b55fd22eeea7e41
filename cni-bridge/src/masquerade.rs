//! Masquerade: pods reach the outside under the node's address.
//!
//! One static chain looks the source address up in a set; a pod costs one element there, and a packet one lookup,
//! however many pods there are. Then the chain of the pod's subnet leaves traffic within the subnet alone; of subnets that
//! overlap the latest counts. Elements carry the attachment's label, by which DEL and GC find them.
//!
//! ```text
//! table inet hawser_masquerade {
//!     set pods4 { type ipv4_addr; elements = { 10.1.0.7 comment "podnet/<id>/eth0" } }
//!     chain postrouting { type nat hook postrouting priority srcnat; ip daddr 224.0.0.0/4 return; ip saddr @pods4 jump leaving }
//!     chain leaving { ip saddr 10.1.0.0/16 goto leaving_10.1.0.0/16 }
//!     chain leaving_10.1.0.0/16 { ip daddr 10.1.0.0/16 return; masquerade }
//! }
//! ```
//!
//! A map from the pods to those chains would be one step less. But whenever an element leads to a chain, the kernel walks all
//! elements of the map to look for loops, half a millisecond with 1,000 pods.

use crate::error::Error;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use kernel::net::nft::{
    Batch, Chain, Element, Family, Hook, Key, Policy, Set, Socket, Table, Type, Verdict,
};
use kernel::net::nft::{ip_daddr, ip_saddr, ip6_daddr, ip6_saddr, masquerade};
use membership::{Member, Place};
use std::net::{Ipv4Addr, Ipv6Addr};

const TABLE: Table<'static> = Table::new(Family::Inet, "hawser_masquerade");
const POSTROUTING: Chain<'static> = TABLE.chain("postrouting");
const LEAVING: Chain<'static> = TABLE.chain("leaving");
/// The pods' IPv4 addresses.
pub const PODS_V4: Set<'static> = TABLE.set("pods4", &[Type::Ipv4Addr]).expiring();
/// The pods' IPv6 addresses.
pub const PODS_V6: Set<'static> = TABLE.set("pods6", &[Type::Ipv6Addr]).expiring();

const MULTICAST_V4: Ipv4Network = match Ipv4Network::new_checked(Ipv4Addr::new(224, 0, 0, 0), 4) {
    Some(network) => network,
    None => unreachable!(),
};
const MULTICAST_V6: Ipv6Network =
    match Ipv6Network::new_checked(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8) {
        Some(network) => network,
        None => unreachable!(),
    };

/// The rules by their comments, in order.
const POSTROUTING_RULES: [&str; 4] = [
    "multicast keeps its source",
    "multicast keeps its source",
    "pods by their address",
    "pods by their address",
];
const SUBNET_RULES: [&str; 2] = [
    "pods among themselves keep their addresses",
    "the outside sees the node",
];

/// Where the element of a pod address is.
pub fn place(address: IpNetwork) -> Place {
    let pods = if address.is_ipv4() { PODS_V4 } else { PODS_V6 };
    (pods, Key::from(address.ip()))
}

/// The element of one pod address.
pub fn element(label: &str, address: IpNetwork) -> Member {
    let (pods, key) = place(address);
    (pods, Element::new(key).comment(label))
}

/// Whether the shared part has the subnets of these addresses.
pub fn serves(nft: &mut Socket, addresses: &[IpNetwork]) -> Result<bool, Error> {
    for address in addresses {
        if !nft.chain_exists(TABLE.chain(&subnet_chain(*address)))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes what is missing of the shared part for these addresses.
pub fn ensure(nft: &mut Socket, addresses: &[IpNetwork]) -> Result<(), Error> {
    if !nft.table_exists(TABLE)? {
        membership::commit_new(nft, &shared_part())?;
    }
    for address in addresses {
        let name = subnet_chain(*address);
        if !nft.chain_exists(TABLE.chain(&name))? {
            membership::commit_new(nft, &subnet_part(&name, *address))?;
        }
    }
    Ok(())
}

/// Tells what is missing of the shared part for this address.
pub fn missing(nft: &mut Socket, address: IpNetwork) -> Result<Option<String>, Error> {
    let name = subnet_chain(address);
    let mut lost = membership::lost_rules(nft, POSTROUTING, &POSTROUTING_RULES)?;
    if lost.is_none() {
        lost = membership::lost_some(nft, LEAVING, &[&name])?;
    }
    if lost.is_none() {
        lost = membership::lost_rules(nft, TABLE.chain(&name), &SUBNET_RULES)?;
    }
    Ok(lost)
}

fn shared_part() -> Batch {
    let [first, second, third, fourth] = POSTROUTING_RULES;
    let mut batch = Batch::new();
    batch.add_new_table(TABLE).add_set(PODS_V4).add_set(PODS_V6);
    batch.add_base_chain(
        POSTROUTING,
        Hook::NatPostrouting(Hook::SRCNAT),
        Policy::Accept,
    );
    batch.add_commented_rule(
        POSTROUTING,
        [ip_daddr().within(MULTICAST_V4), Verdict::Return.into()],
        first,
    );
    batch.add_commented_rule(
        POSTROUTING,
        [ip6_daddr().within(MULTICAST_V6), Verdict::Return.into()],
        second,
    );
    batch.add_chain(LEAVING);
    let leaving = || Verdict::Jump(LEAVING.name.into()).into();
    batch.add_commented_rule(POSTROUTING, [ip_saddr().is_in(PODS_V4), leaving()], third);
    batch.add_commented_rule(POSTROUTING, [ip6_saddr().is_in(PODS_V6), leaving()], fourth);
    batch
}

fn subnet_part(name: &str, address: IpNetwork) -> Batch {
    let chain = TABLE.chain(name);
    let (saddr, daddr) = if address.is_ipv4() {
        (ip_saddr(), ip_daddr())
    } else {
        (ip6_saddr(), ip6_daddr())
    };
    let [inside, outside] = SUBNET_RULES;
    let mut batch = Batch::new();
    batch.add_new_chain(chain);
    batch.add_commented_rule(
        chain,
        [daddr.within(address), Verdict::Return.into()],
        inside,
    );
    batch.add_commented_rule(chain, [masquerade()], outside);
    let its = Verdict::Goto(name.to_owned());
    batch.insert_commented_rule(LEAVING, [saddr.within(address), its.into()], name);
    batch
}

/// `leaving_10.1.0.0/16`; nft's names know no colon, so IPv6 has dashes instead.
fn subnet_chain(address: IpNetwork) -> String {
    format!("leaving_{}/{}", address.network(), address.prefix()).replace(':', "-")
}
