//! What the reference plugin left: its executable may be replaced by ours under running pods, and DEL then meets its
//! rules, two for each address in a chain of iptables-nft. They are found by the pod's addresses.
//!
//! Rules that it made through the legacy iptables are out of nf_tables' reach and stay, as do the chains that it made for
//! an ingress policy: it never removes them itself.

use crate::error::Error;
use crate::iptables::{PODS, filter};
use kernel::net::nft::{Batch, Chain, Family, Rule, Socket, Verdict};
use std::net::IpAddr;

/// Removes the rules that the reference plugin made for these addresses, if there are any.
pub fn leave(nft: &mut Socket, addresses: &[IpAddr]) -> Result<(), Error> {
    let mut batch = Batch::new();
    for family in [Family::Ip, Family::Ip6] {
        let chain = filter(family).chain(PODS);
        for rule in rules_for(nft, chain, &of(family, addresses))? {
            batch.delete_rule(chain, rule.handle);
        }
    }
    match nft.commit(&batch) {
        // Somebody else, the same DEL coming twice, was faster.
        Err(error) if error.is_not_found() => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Whether the reference plugin lets each of these addresses through.
pub fn lets_through(nft: &mut Socket, addresses: &[IpAddr]) -> Result<bool, Error> {
    for address in addresses {
        let family = if address.is_ipv4() {
            Family::Ip
        } else {
            Family::Ip6
        };
        let chain = filter(family).chain(PODS);
        if rules_for(nft, chain, &[bytes(address)])?.len() < 2 {
            return Ok(false);
        }
    }
    Ok(!addresses.is_empty())
}

fn rules_for(
    nft: &mut Socket,
    chain: Chain<'_>,
    addresses: &[Vec<u8>],
) -> Result<Vec<Rule>, Error> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let accepts = |rule: &Rule| {
        let mut verdicts = rule.terms.iter().filter_map(|term| term.verdict.as_ref());
        verdicts.any(|verdict| *verdict == Verdict::Accept)
    };
    let about = |rule: &Rule| addresses.iter().any(|address| rule.compares(address));
    let mut rules = membership::or_none(nft.rules(chain))?.unwrap_or_default();
    // What somebody wrote there by hand would have a comment.
    rules.retain(|rule| rule.comment.is_none() && accepts(rule) && about(rule));
    Ok(rules)
}

fn of(family: Family, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
    let v4 = family == Family::Ip;
    let of = addresses.iter().filter(|address| address.is_ipv4() == v4);
    of.map(bytes).collect()
}

fn bytes(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
