//! Chains of one attachment, as other plugins make them.

use crate::or_none;
use kernel::net::nft::{self, Batch, Chain, Socket};

/// Removes `chains`, of which the first is entered from `base` and each other one from the one before.
pub fn remove_chains(
    nft: &mut Socket,
    batch: &mut Batch,
    base: Chain<'_>,
    chains: &[&str],
) -> Result<(), nft::Error> {
    let mut present = Vec::new();
    for name in chains {
        let chain = base.table.chain(name);
        if nft.chain_exists(chain)? {
            present.push(chain);
        }
    }
    if present.is_empty() {
        return Ok(());
    }
    for rule in or_none(nft.rules(base))?.unwrap_or_default() {
        if chains.iter().any(|chain| rule.leads_to(chain)) {
            batch.delete_rule(base, rule.handle);
        }
    }
    for chain in &present {
        batch.flush_chain(*chain);
    }
    for chain in present {
        batch.delete_chain(chain);
    }
    Ok(())
}
