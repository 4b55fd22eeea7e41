//! Our own table: who is a pod, what is let through for it, and who is kept out.
//!
//! ```text
//! table inet hawser_firewall {
//!     set pods4    { type ipv4_addr; elements = { 10.1.0.7 comment "podnet/<id>/eth0" } }
//!     set closed4  { type ipv4_addr }               pods with an ingress policy
//!     set beside4  { type ifname . ipv4_addr }      the bridge from which such a pod may be reached
//!     chain CNI-ADMIN { }
//!     chain admins { jump CNI-ADMIN }
//!     chain forward { type filter hook forward priority filter - 10
//!         the bit is cleared; then set where ip saddr @pods4, and where an answer has ip daddr @pods4
//!         jump admins
//!         ip daddr @closed4 jump arriving }
//!     chain arriving { answers return; iifname . ip daddr @beside4 return; published ports return; drop }
//!     chain forwarded { type filter hook forward priority 1000; the bit is cleared }
//! }
//! ```
//!
//! That a packet is accepted here does not keep a later chain from dropping it. So nothing is accepted: the packet gets
//! [`MARK`], by which rules elsewhere let it through, for as long as it is being forwarded and no longer. Because
//! the bit is cleared first, nobody else's packets get through by it.

use crate::error::Error;
use kernel::net::nft::{
    Batch, Chain, CtState, CtStatus, Expression, Family, Hook, Policy, Selector, Set, Socket,
    Table, Type, Verdict, clear_mark, concat, ct_state, ct_status, iifname, ip_daddr, ip_saddr,
    ip6_daddr, ip6_saddr, mark_has, set_mark,
};
use std::net::IpAddr;

/// The bit of a packet's mark that says: let it through. Bits from 13 on are kube-proxy's, portmap's and Calico's.
pub const MARK: u32 = 1 << 12;

const TABLE: Table<'static> = Table::new(Family::Inet, "hawser_firewall");
/// The pods' IPv4 addresses.
pub const PODS_V4: Set<'static> = TABLE.set("pods4", &[Type::Ipv4Addr]).expiring();
/// The pods' IPv6 addresses.
pub const PODS_V6: Set<'static> = TABLE.set("pods6", &[Type::Ipv6Addr]).expiring();
/// The IPv4 addresses of pods with an ingress policy.
pub const CLOSED_V4: Set<'static> = TABLE.set("closed4", &[Type::Ipv4Addr]).expiring();
/// The IPv6 addresses of pods with an ingress policy.
pub const CLOSED_V6: Set<'static> = TABLE.set("closed6", &[Type::Ipv6Addr]).expiring();
/// The bridges from which closed pods may be reached, by IPv4 address.
pub const BESIDE_V4: Set<'static> = TABLE
    .set("beside4", &[Type::Ifname, Type::Ipv4Addr])
    .expiring();
/// The same by IPv6 address.
pub const BESIDE_V6: Set<'static> = TABLE
    .set("beside6", &[Type::Ifname, Type::Ipv6Addr])
    .expiring();

/// The administrator's chain under its usual name.
pub const ADMIN: Chain<'static> = TABLE.chain("CNI-ADMIN");
const ADMINS: Chain<'static> = TABLE.chain("admins");
const FORWARD: Chain<'static> = TABLE.chain("forward");
const ARRIVING: Chain<'static> = TABLE.chain("arriving");
const FORWARDED: Chain<'static> = TABLE.chain("forwarded");

/// The chains that are ours alone.
pub const CHAINS: [&str; 4] = [ADMINS.name, FORWARD.name, ARRIVING.name, FORWARDED.name];

/// Before whoever filters, and behind whoever changes packets.
const EARLY: i32 = Hook::FILTER - 10;
/// Behind everybody.
const LATE: i32 = Hook::FILTER + 1000;

/// The sets of an address: pods, closed pods, and bridges beside them.
pub const fn sets(ip: IpAddr) -> [Set<'static>; 3] {
    match ip {
        IpAddr::V4(_) => [PODS_V4, CLOSED_V4, BESIDE_V4],
        IpAddr::V6(_) => [PODS_V6, CLOSED_V6, BESIDE_V6],
    }
}

/// A rule and the comment that it is known by.
type Line = (Vec<Expression>, &'static str);

const CLEAR: &str = "the bit is this table's alone";
const FROM_PODS: &str = "what pods send";
const TO_PODS: &str = "what answers pods";
const ADMIN_FIRST: &str = "the administrator's rules come first";
const TO_CLOSED: &str = "pods with an ingress policy";

fn answers() -> Expression {
    ct_state(&[CtState::Established, CtState::Related])
}

fn forward() -> Vec<Line> {
    let jump = |chain: Chain<'_>| Expression::from(Verdict::Jump(chain.name.into()));
    vec![
        (vec![mark_has(MARK), clear_mark(MARK)], CLEAR),
        (vec![ip_saddr().is_in(PODS_V4), set_mark(MARK)], FROM_PODS),
        (vec![ip6_saddr().is_in(PODS_V6), set_mark(MARK)], FROM_PODS),
        (
            vec![ip_daddr().is_in(PODS_V4), answers(), set_mark(MARK)],
            TO_PODS,
        ),
        (
            vec![ip6_daddr().is_in(PODS_V6), answers(), set_mark(MARK)],
            TO_PODS,
        ),
        (vec![jump(ADMINS)], ADMIN_FIRST),
        (vec![ip_daddr().is_in(CLOSED_V4), jump(ARRIVING)], TO_CLOSED),
        (
            vec![ip6_daddr().is_in(CLOSED_V6), jump(ARRIVING)],
            TO_CLOSED,
        ),
    ]
}

fn arriving() -> Vec<Line> {
    let back = || Expression::from(Verdict::Return);
    let beside = |daddr: Selector, set| concat([iifname(), daddr]).is_in(set);
    // Not from one closed pod to the other: that would be a way around the policy.
    let published =
        |saddr: Selector, closed| vec![ct_status(CtStatus::Dnat), saddr.not_in(closed), back()];
    vec![
        (vec![answers(), back()], "what answers the pod"),
        (
            vec![beside(ip_daddr(), BESIDE_V4), back()],
            "from the same bridge",
        ),
        (
            vec![beside(ip6_daddr(), BESIDE_V6), back()],
            "from the same bridge",
        ),
        (published(ip_saddr(), CLOSED_V4), "to a published port"),
        (published(ip6_saddr(), CLOSED_V6), "to a published port"),
        (vec![Verdict::Drop.into()], "nobody else"),
    ]
}

fn forwarded() -> Vec<Line> {
    vec![(vec![mark_has(MARK), clear_mark(MARK)], CLEAR)]
}

/// Makes what is missing of the table, and of the way to the administrator's chain.
pub fn ensure(nft: &mut Socket, admin: &str) -> Result<(), Error> {
    if !nft.table_exists(TABLE)? {
        membership::commit_new(nft, &everything())?;
    }
    if led_to(nft, admin)? {
        return Ok(());
    }
    let chain = TABLE.chain(admin);
    let mut batch = Batch::new();
    if !nft.chain_exists(chain)? {
        batch.add_new_chain(chain);
    }
    batch.add_rule(ADMINS, [Verdict::Jump(admin.to_owned()).into()]);
    Ok(membership::commit_new(nft, &batch)?)
}

/// Tells what is missing of the table, or of the way to the administrator's chain.
pub fn missing(nft: &mut Socket, admin: &str) -> Result<Option<String>, Error> {
    let lost = lost_rules(nft)?;
    if lost.is_some() || led_to(nft, admin)? {
        return Ok(lost);
    }
    Ok(Some(format!(
        "{ADMINS} does not lead to the administrator's chain {admin}"
    )))
}

/// Tells what is missing of the table where there is one; without one, the next ADD makes it.
pub fn damage(nft: &mut Socket) -> Result<Option<String>, Error> {
    if !nft.table_exists(TABLE)? {
        return Ok(None);
    }
    let lost = lost_rules(nft)?;
    Ok(lost
        .map(|lost| format!("{lost}: run `nft delete table {TABLE}`; the next ADD makes it anew")))
}

fn lost_rules(nft: &mut Socket) -> Result<Option<String>, Error> {
    for (chain, lines) in chains() {
        let comments: Vec<_> = lines.iter().map(|(_, comment)| *comment).collect();
        let lost = membership::lost_rules(nft, chain, &comments)?;
        if lost.is_some() {
            return Ok(lost);
        }
    }
    Ok(None)
}

/// The chains whose rules are ours alone.
fn chains() -> [(Chain<'static>, Vec<Line>); 3] {
    [
        (FORWARD, forward()),
        (ARRIVING, arriving()),
        (FORWARDED, forwarded()),
    ]
}

fn led_to(nft: &mut Socket, admin: &str) -> Result<bool, Error> {
    let rules = membership::or_none(nft.rules(ADMINS))?.unwrap_or_default();
    Ok(rules.iter().any(|rule| rule.leads_to(admin)))
}

fn everything() -> Batch {
    let mut batch = Batch::new();
    batch.add_new_table(TABLE);
    for set in [PODS_V4, PODS_V6, CLOSED_V4, CLOSED_V6, BESIDE_V4, BESIDE_V6] {
        batch.add_set(set);
    }
    batch.add_chain(ADMIN).add_chain(ADMINS).add_chain(ARRIVING);
    batch.add_base_chain(FORWARD, Hook::FilterForward(EARLY), Policy::Accept);
    batch.add_base_chain(FORWARDED, Hook::FilterForward(LATE), Policy::Accept);
    batch.add_rule(ADMINS, [Verdict::Jump(ADMIN.name.into()).into()]);
    for (chain, lines) in chains() {
        for (rule, comment) in lines {
            batch.add_commented_rule(chain, rule, comment);
        }
    }
    batch
}
