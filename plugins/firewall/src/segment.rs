//! Pods kept apart on a bridge: what goes from port to port never passes the filter for what is routed, unless the node
//! has `br_netfilter`, so it has a table of its own.
//!
//! ```text
//! table bridge hawser_firewall {
//!     set isolated { type ifname; elements = { "veth1" comment "podnet/<id>/eth0" } }
//!     chain forward { type filter hook forward priority filter; iifname @isolated oifname @isolated drop }
//! }
//! ```
//!
//! Everything between two isolated pods is dropped, neither has any business with the other. Between an isolated pod and
//! any other port, such as a wire to the outside, it is the connection that counts, and bridges do not track those.

use crate::error::Error;
use kernel::net::nft::{
    Batch, Chain, Family, Hook, Policy, Set, Socket, Table, Type, Verdict, iifname, oifname,
};

const TABLE: Table<'static> = Table::new(Family::Bridge, "hawser_firewall");
/// The ports of isolated pods.
pub const ISOLATED: Set<'static> = TABLE.set("isolated", &[Type::Ifname]).expiring();
const FORWARD: Chain<'static> = TABLE.chain("forward");
const RULE: &str = "isolated pods among themselves";

/// Makes the table where it is missing.
pub fn ensure(nft: &mut Socket) -> Result<(), Error> {
    if nft.table_exists(TABLE)? {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.add_new_table(TABLE).add_set(ISOLATED);
    let hook = Hook::FilterForward(Hook::BRIDGE_FILTER);
    batch.add_base_chain(FORWARD, hook, Policy::Accept);
    let between = [
        iifname().is_in(ISOLATED),
        oifname().is_in(ISOLATED),
        Verdict::Drop.into(),
    ];
    batch.add_commented_rule(FORWARD, between, RULE);
    Ok(membership::commit_new(nft, &batch)?)
}

/// Tells what is missing of the table.
pub fn missing(nft: &mut Socket) -> Result<Option<String>, Error> {
    Ok(membership::lost_rules(nft, FORWARD, &[RULE])?)
}
