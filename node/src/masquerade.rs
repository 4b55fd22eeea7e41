//! Pods reach the outside under the node's address, and pods of other nodes under their own.
//!
//! The bridge's `ipMasq` knows one subnet, the node's; to it the pods of other nodes are outside. With `--routes` this table
//! takes its place. It is looked through once for each connection, and its rules are the cluster's ranges joined where they
//! lie side by side, usually a single one.
//!
//! ```text
//! table inet hawser_node {
//!     chain leaving { ip daddr 10.244.0.0/16 return; masquerade }
//!     chain postrouting { type nat hook postrouting priority srcnat
//!                         ip daddr 224.0.0.0/4 return; ip daddr 169.254.0.0/16 return
//!                         ip saddr 10.244.1.0/24 goto leaving }
//! }
//! ```

use crate::prefixes::collapse;
use ipnetwork::IpNetwork;
use kernel::net::nft::{
    Batch, Chain, Error, Expression, Family, Hook, Policy, Socket, Table, Verdict, ip_daddr,
    ip_saddr, ip6_daddr, ip6_saddr, masquerade,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const TABLE: Table<'static> = Table::new(Family::Inet, "hawser_node");
const POSTROUTING: Chain<'static> = TABLE.chain("postrouting");
const LEAVING: Chain<'static> = TABLE.chain("leaving");

/// What no router passes on, or what answers only to the true source: multicast, link-local.
const UNTOUCHED: [(IpAddr, u8); 4] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// A rule and the comment by which it is known.
type Line = (Vec<Expression>, String);

/// Makes the table so that traffic from `own` to anywhere but `cluster` is masqueraded. Says whether it had to be changed.
pub fn ensure(own: &[IpNetwork], cluster: &[IpNetwork]) -> Result<bool, Error> {
    let mut nft = Socket::open()?;
    let (postrouting, leaving) = lines(own, cluster);
    if is_there(&mut nft, POSTROUTING, &postrouting)? && is_there(&mut nft, LEAVING, &leaving)? {
        return Ok(false);
    }
    let mut batch = Batch::new();
    batch
        .add_table(TABLE)
        .add_chain(LEAVING)
        .add_base_chain(
            POSTROUTING,
            Hook::NatPostrouting(Hook::SRCNAT),
            Policy::Accept,
        )
        .flush_chain(POSTROUTING)
        .flush_chain(LEAVING);
    for (chain, lines) in [(LEAVING, leaving), (POSTROUTING, postrouting)] {
        for (rule, comment) in lines {
            batch.add_commented_rule(chain, rule, &comment);
        }
    }
    nft.commit(&batch)?;
    Ok(true)
}

/// Removes the table; says whether there was one.
pub fn remove() -> Result<bool, Error> {
    let mut nft = match Socket::open() {
        // A kernel without nf_tables has no table of ours.
        Err(Error::Unsupported { .. }) => return Ok(false),
        socket => socket?,
    };
    if !nft.table_exists(TABLE)? {
        return Ok(false);
    }
    let mut batch = Batch::new();
    batch.delete_table(TABLE);
    match nft.commit(&batch) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(true),
    }
}

fn lines(own: &[IpNetwork], cluster: &[IpNetwork]) -> (Vec<Line>, Vec<Line>) {
    let untouched = UNTOUCHED
        .iter()
        .filter_map(|(address, prefix)| IpNetwork::new(*address, *prefix).ok());
    let returning = |network: IpNetwork| -> Line {
        let to = if network.is_ipv4() {
            ip_daddr()
        } else {
            ip6_daddr()
        };
        let rule = vec![to.within(network), Verdict::Return.into()];
        (rule, format!("to {network} under the pod's address"))
    };
    let going = |network: &IpNetwork| -> Line {
        let from = if network.is_ipv4() {
            ip_saddr()
        } else {
            ip6_saddr()
        };
        let verdict = Verdict::Goto(LEAVING.name.to_owned());
        let rule = vec![from.within(*network), verdict.into()];
        (rule, format!("from the pods {network}"))
    };
    let postrouting = untouched
        .map(returning)
        .chain(own.iter().map(going))
        .collect();
    let networks = own.iter().chain(cluster).copied();
    let outside = (vec![masquerade()], "the outside sees the node".to_owned());
    let leaving = collapse(networks)
        .into_iter()
        .map(returning)
        .chain([outside])
        .collect();
    (postrouting, leaving)
}

fn is_there(nft: &mut Socket, chain: Chain<'_>, lines: &[Line]) -> Result<bool, Error> {
    let rules = match nft.rules(chain) {
        Err(error) if error.is_not_found() => return Ok(false),
        rules => rules?,
    };
    let found = rules.iter().map(|rule| rule.comment.as_deref());
    Ok(found.eq(lines.iter().map(|(_, comment)| Some(comment.as_str()))))
}
