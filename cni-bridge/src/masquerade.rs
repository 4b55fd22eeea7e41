//! Masquerade: pods reach the outside under the node's address.
//!
//! One static chain looks the source address up in a map; a pod costs one element there, and a packet one lookup,
//! however many pods there are. The element sends the packet to the chain of the pod's subnet, which leaves traffic
//! within the subnet alone. Elements carry the attachment's label, by which DEL and GC find them.
//!
//! ```text
//! table inet hawser_masquerade {
//!     map pods4 { type ipv4_addr : verdict; elements = { 10.1.0.7 comment "podnet/<id>/eth0" : goto leaving_10.1.0.0/16 } }
//!     chain leaving_10.1.0.0/16 { ip daddr 10.1.0.0/16 return; masquerade }
//!     chain postrouting { type nat hook postrouting priority srcnat; ip daddr 224.0.0.0/4 return; ip saddr vmap @pods4 }
//! }
//! ```

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
/// The pods' IPv4 addresses.
pub const PODS_V4: Set<'static> = TABLE.verdict_map("pods4", &[Type::Ipv4Addr]);
/// The pods' IPv6 addresses.
pub const PODS_V6: Set<'static> = TABLE.verdict_map("pods6", &[Type::Ipv6Addr]);

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
    let element = Element::new(key).holding(Verdict::Goto(subnet_chain(address)));
    (pods, element.comment(label))
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
    match membership::lost_rules(nft, POSTROUTING, &POSTROUTING_RULES)? {
        None => Ok(membership::lost_rules(
            nft,
            TABLE.chain(&name),
            &SUBNET_RULES,
        )?),
        lost => Ok(lost),
    }
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
    batch.add_commented_rule(POSTROUTING, [ip_saddr().vmap(PODS_V4)], third);
    batch.add_commented_rule(POSTROUTING, [ip6_saddr().vmap(PODS_V6)], fourth);
    batch
}

fn subnet_part(name: &str, address: IpNetwork) -> Batch {
    let chain = TABLE.chain(name);
    let daddr = if address.is_ipv4() {
        ip_daddr()
    } else {
        ip6_daddr()
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
    batch
}

/// `leaving_10.1.0.0/16`; nft's names know no colon, so IPv6 has dashes instead.
fn subnet_chain(address: IpNetwork) -> String {
    format!("leaving_{}/{}", address.network(), address.prefix()).replace(':', "-")
}
