//! What the reference plugin left: its executable may be replaced by ours under running pods, and DEL then meets its
//! chains of iptables-nft. They are found by the names that plugin derives from the attachment.
//!
//! Chains that it made through the legacy iptables are out of nf_tables' reach and stay.

use crate::error::Error;
use cni::{Attachment, NetworkName};
use kernel::net::nft::{Batch, Family, Socket, Table};
use membership::label::hex;
use sha2::{Digest, Sha512};

/// Where the chains of all pods are entered from.
const ENTRY: &str = "CNI-HOSTPORT-DNAT";

/// Removes the chains that the reference plugin made for an attachment, if there are any.
pub fn leave(
    nft: &mut Socket,
    network: &NetworkName,
    attachment: &Attachment,
) -> Result<(), Error> {
    let chain = chain(network, attachment);
    let mut batch = Batch::new();
    for table in tables() {
        membership::remove_chains(nft, &mut batch, table.chain(ENTRY), &[&chain])?;
    }
    match nft.commit(&batch) {
        // Somebody else, the same DEL coming twice, was faster.
        Err(error) if error.is_not_found() => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Whether the reference plugin leads ports to an attachment.
pub fn leads(
    nft: &mut Socket,
    network: &NetworkName,
    attachment: &Attachment,
) -> Result<bool, Error> {
    let chain = chain(network, attachment);
    for table in tables() {
        if nft.chain_exists(table.chain(&chain))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tables() -> [Table<'static>; 2] {
    [Family::Ip, Family::Ip6].map(|family| Table::new(family, "nat"))
}

/// `CNI-DN-` and so many digits that iptables can have it as a name.
fn chain(network: &NetworkName, attachment: &Attachment) -> String {
    const DIGITS: usize = 21;
    let whole = format!("{network}{}", attachment.container_id);
    format!("CNI-DN-{}", hex(&Sha512::digest(whole.as_bytes()), DIGITS))
}
