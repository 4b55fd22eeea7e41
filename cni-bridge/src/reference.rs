//! What the reference plugin left: its executable may be replaced by ours under running pods, and DEL then meets its
//! packet filter rules. They are found by the names that plugin derives from the attachment.
//!
//! Rules that it made through the legacy iptables are out of nf_tables' reach and stay.

use crate::error::Error;
use cni::{Attachment, NetworkName};
use kernel::net::nft::{Batch, Family, Socket, Table};
use membership::label::hex;
use sha2::{Digest, Sha512};

/// Removes the rules that the reference plugin made for an attachment, if there are any.
pub fn leave_filter(
    nft: &mut Socket,
    network: &NetworkName,
    attachment: &Attachment,
) -> Result<(), Error> {
    let mut batch = Batch::new();
    let masquerade = format!(
        "CNI-{}",
        hash(&format!("{network}{}", attachment.container_id), 24)
    );
    for family in [Family::Ip, Family::Ip6] {
        let table = Table::new(family, "nat");
        membership::remove_chains(nft, &mut batch, table.chain("POSTROUTING"), &[&masquerade])?;
    }
    let Attachment {
        container_id,
        ifname,
    } = attachment;
    let guard = format!("cni-br-iface-{container_id}-{ifname}");
    let guard_mac = format!("{guard}-mac");
    let bridge = Table::new(Family::Bridge, "nat");
    membership::remove_chains(
        nft,
        &mut batch,
        bridge.chain("PREROUTING"),
        &[&guard, &guard_mac],
    )?;

    let comment = format!(
        "{}-{}",
        hash(network.as_str(), 16),
        hash(&format!("{ifname}:{container_id}"), 16)
    );
    let checks = Table::new(Family::Inet, "cni_plugins_masquerade");
    let checks = checks.chain("masq_checks");
    for rule in membership::or_none(nft.rules(checks))?.unwrap_or_default() {
        if rule
            .comment
            .as_deref()
            .is_some_and(|found| found.starts_with(&comment))
        {
            batch.delete_rule(checks, rule.handle);
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    match nft.commit(&batch) {
        // Somebody else, the same DEL coming twice, was faster.
        Err(error) if error.is_not_found() => Ok(()),
        outcome => Ok(outcome?),
    }
}

fn hash(text: &str, digits: usize) -> String {
    hex(&Sha512::digest(text.as_bytes()), digits)
}
