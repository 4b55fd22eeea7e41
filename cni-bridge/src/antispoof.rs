//! Anti-spoofing (`macspoofchk`): frames enter the bridge from a pod's port only under the pod's own MAC.
//!
//! One static rule drops what comes in by a guarded port under an address that is not allowed there; a pod costs one
//! element in each of two sets.
//!
//! ```text
//! table bridge hawser_antispoof {
//!     set guarded { type ifname; elements = { "veth0a1b2c3d4e5" comment "podnet/<id>/eth0" } }
//!     set allowed { type ifname . ether_addr; elements = { "veth0a1b2c3d4e5" . 02:00:5e:10:00:01 comment "podnet/<id>/eth0" } }
//!     chain prerouting { type filter hook prerouting priority -300; iifname @guarded iifname . ether saddr != @allowed drop }
//! }
//! ```

use crate::error::Error;
use kernel::net::Mac;
use kernel::net::nft::{
    Batch, Chain, Element, Family, Hook, Key, Policy, Set, Socket, Table, Type, Value, Verdict,
};
use kernel::net::nft::{concat, ether_saddr, iifname};
use membership::{Member, Place};

const TABLE: Table<'static> = Table::new(Family::Bridge, "hawser_antispoof");
const PREROUTING: Chain<'static> = TABLE.chain("prerouting");
/// The ports that are looked at.
pub const GUARDED: Set<'static> = TABLE.set("guarded", &[Type::Ifname]).expiring();
/// What may come in by them.
pub const ALLOWED: Set<'static> = TABLE
    .set("allowed", &[Type::Ifname, Type::EtherAddr])
    .expiring();

const RULES: [&str; 1] = ["a pod speaks under its own address"];

/// Where the elements of one pod are.
pub fn places(port: &str, mac: Mac) -> [Place; 2] {
    let name = Value::Ifname(port.to_owned());
    let pair = Key::from([name.clone(), Value::from(mac)]);
    [(GUARDED, Key::from(name)), (ALLOWED, pair)]
}

/// The elements of one pod.
pub fn elements(label: &str, port: &str, mac: Mac) -> [Member; 2] {
    places(port, mac).map(|(set, key)| (set, Element::new(key).comment(label)))
}

/// Makes what is missing of the shared part.
pub fn ensure(nft: &mut Socket) -> Result<(), Error> {
    if nft.table_exists(TABLE)? {
        Ok(())
    } else {
        Ok(membership::commit_new(nft, &shared_part())?)
    }
}

/// Tells what is missing of the shared part.
pub fn missing(nft: &mut Socket) -> Result<Option<String>, Error> {
    Ok(membership::lost_rules(nft, PREROUTING, &RULES)?)
}

fn shared_part() -> Batch {
    let [only] = RULES;
    let stranger = [
        iifname().is_in(GUARDED),
        concat([iifname(), ether_saddr()]).not_in(ALLOWED),
        Verdict::Drop.into(),
    ];
    let mut batch = Batch::new();
    batch.add_new_table(TABLE).add_set(GUARDED).add_set(ALLOWED);
    batch.add_base_chain(
        PREROUTING,
        Hook::FilterPrerouting(Hook::BRIDGE_DSTNAT),
        Policy::Accept,
    );
    batch.add_commented_rule(PREROUTING, stranger, only);
    batch
}
