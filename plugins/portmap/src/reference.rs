//! What the reference plugin left: its executable may be replaced by ours under running pods, and DEL then meets its
//! chains of iptables-nft, or the rules of its nf_tables backend. The chains are found by the names that plugin derives from
//! the attachment, the rules by their comment: the container's id, so they are those of all its networks, as there.
//!
//! Chains that it made through the legacy iptables are out of nf_tables' reach and stay.

use crate::error::Error;
use cni::{Attachment, NetworkName};
use kernel::net::nft::{Batch, Chain, Family, Socket, Table};
use membership::label::hex;
use membership::or_none;
use sha2::{Digest, Sha512};

/// Where the chains of all pods are entered from.
const ENTRY: &str = "CNI-HOSTPORT-DNAT";

/// The table of its nf_tables backend, one for each family, and the chains that pods have rules in.
const NATIVE: &str = "cni_hostport";
const NATIVE_CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];

/// Removes the chains and rules that the reference plugin made for an attachment, if there are any.
pub fn leave(
    nft: &mut Socket,
    network: &NetworkName,
    attachment: &Attachment,
) -> Result<(), Error> {
    let chain = chain(network, attachment);
    let mut chains = Batch::new();
    for table in tables("nat") {
        membership::remove_chains(nft, &mut chains, table.chain(ENTRY), &[&chain])?;
    }
    let mut rules = Batch::new();
    for (chain, rule) in native_rules(nft, attachment)? {
        rules.delete_rule(chain, rule);
    }
    for batch in [chains, rules] {
        match nft.commit(&batch) {
            // Somebody else, the same DEL coming twice, was faster.
            Err(error) if error.is_not_found() => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Whether the reference plugin leads ports to an attachment.
pub fn leads(
    nft: &mut Socket,
    network: &NetworkName,
    attachment: &Attachment,
) -> Result<bool, Error> {
    let chain = chain(network, attachment);
    for table in tables("nat") {
        if nft.chain_exists(table.chain(&chain))? {
            return Ok(true);
        }
    }
    Ok(!native_rules(nft, attachment)?.is_empty())
}

fn tables(name: &str) -> [Table<'_>; 2] {
    [Family::Ip, Family::Ip6].map(|family| Table::new(family, name))
}

/// The rules of its nf_tables backend for a container, by their handles.
fn native_rules(
    nft: &mut Socket,
    attachment: &Attachment,
) -> Result<Vec<(Chain<'static>, u64)>, Error> {
    let mut found = Vec::new();
    for table in tables(NATIVE) {
        if !nft.table_exists(table)? {
            continue;
        }
        for chain in NATIVE_CHAINS.map(|name| table.chain(name)) {
            let rules = or_none(nft.rules(chain))?.unwrap_or_default();
            let its = rules
                .iter()
                .filter(|rule| rule.comment.as_deref() == Some(attachment.container_id.as_str()));
            found.extend(its.map(|rule| (chain, rule.handle)));
        }
    }
    Ok(found)
}

/// `CNI-DN-` and so many digits that iptables can have it as a name.
fn chain(network: &NetworkName, attachment: &Attachment) -> String {
    const DIGITS: usize = 21;
    let whole = format!("{network}{}", attachment.container_id);
    format!("CNI-DN-{}", hex(&Sha512::digest(whole.as_bytes()), DIGITS))
}
