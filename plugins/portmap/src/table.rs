//! The static part: tables, chains and rules, made once and kept.
//!
//! ```text
//! table inet hawser_portmap {
//!     map any4 { type inet_proto . inet_service : ipv4_addr . inet_service
//!                elements = { tcp . 8080 comment "podnet/<id>/eth0" : 10.1.0.7 . 80 } }
//!     map at4  { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }     of one address of the node
//!     map any4_if, at4_if                                                                    under conditions
//!     set neighbours4 { type ipv4_addr; elements = { 10.1.0.7 comment "podnet/<id>/eth0" } }
//!     set everybody4, nobody4    pods that see the node as the source of their neighbours, of everybody, of nobody
//!     set addresses4 { type ipv4_addr }      of the node, that are or were in at4 or at4_if
//!     (the same for IPv6)
//!     set holders  { type ifname }      a hash of each attachment that has anything here
//!     set localnet { type ifname }      interfaces on which 127.0.0.1 may be answered
//!     chain ports      { dnat by at4_if, at4, any4_if, any4, with a bit of the mark }
//!     chain prerouting { type nat hook prerouting priority dstnat + 5; fib daddr type local jump ports }
//!     chain output     { type nat hook output priority dstnat + 5; fib daddr type local jump ports }
//!     chain postrouting{ type nat hook postrouting priority srcnat - 5; with the bit: ip daddr @neighbours4 jump back,
//!                        ip daddr @everybody4 masquerade; clear the bit }
//!     chain back       { ip saddr 127.0.0.0/8 masquerade; ip daddr 10.1.0.0/16 jump back_10.1.0.0/16 }
//!     chain back_10.1.0.0/16 { ip saddr 10.1.0.0/16 masquerade }
//!     chain guard      { type filter hook prerouting priority raw; iifname @localnet, to or from 127.0.0.0/8: drop }
//! }
//! ```
//!
//! Only what is sent to the node itself is translated (CVE-2025-67499), and only behind the rules of services, which are at
//! `dstnat` (CVE-2019-9946): the first translation of a connection is the one that counts. Whether a packet was translated
//! here is told by one bit of its mark, which it has from there until it leaves. It is a bit of our own: the reference's
//! (13) still means something to the rules that it made for pods that are running.

use crate::conf::Hidden;
use crate::error::Error;
use ipnetwork::{IpNetwork, Ipv4Network};
use kernel::net::nft::{
    Batch, Chain, Expression, Family, Hook, Policy, Set, Socket, Table, Type, Verdict,
};
use kernel::net::nft::{
    clear_mark, concat, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr, l4proto, mark_has,
    masquerade, th_dport, to_this_host,
};
use std::net::{IpAddr, Ipv4Addr};

/// The table.
pub const TABLE: Table<'static> = Table::new(Family::Inet, "hawser_portmap");

/// The bit of the mark that says: translated here. Bits from 7 on are others': of clouds, Cilium, `firewall` (12), the
/// reference (13), kube-proxy (14, 15), Calico.
pub const MARK: u32 = 1 << 6;

/// The maps of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maps {
    /// From protocol and port of any address of the node.
    pub any: Set<'static>,
    /// From address, protocol and port.
    pub at: Set<'static>,
    /// As `any`, to a chain with conditions.
    pub any_if: Set<'static>,
    /// As `at`, to a chain with conditions.
    pub at_if: Set<'static>,
    /// The pods from which the source of their neighbours is hidden.
    pub neighbours: Set<'static>,
    /// The pods from which everybody's source is hidden.
    pub everybody: Set<'static>,
    /// The pods from which nobody's source is hidden. No rule asks: it tells whose the ways with conditions are.
    pub nobody: Set<'static>,
    /// The addresses of the node that are or have been in `at` or `at_if`: few, however many the ports. They stay.
    pub addresses: Set<'static>,
}

const PORT: &[Type] = &[Type::InetProto, Type::InetService];
const PORT_V4: &[Type] = &[Type::Ipv4Addr, Type::InetProto, Type::InetService];
const PORT_V6: &[Type] = &[Type::Ipv6Addr, Type::InetProto, Type::InetService];
const POD_V4: &[Type] = &[Type::Ipv4Addr, Type::InetService];
const POD_V6: &[Type] = &[Type::Ipv6Addr, Type::InetService];

/// The maps of IPv4.
pub const V4: Maps = Maps {
    any: TABLE.map("any4", PORT, POD_V4).expiring(),
    at: TABLE.map("at4", PORT_V4, POD_V4).expiring(),
    any_if: TABLE.verdict_map("any4_if", PORT),
    at_if: TABLE.verdict_map("at4_if", PORT_V4),
    neighbours: TABLE.set("neighbours4", &[Type::Ipv4Addr]).expiring(),
    everybody: TABLE.set("everybody4", &[Type::Ipv4Addr]).expiring(),
    nobody: TABLE.set("nobody4", &[Type::Ipv4Addr]).expiring(),
    addresses: TABLE.set("addresses4", &[Type::Ipv4Addr]),
};
/// The maps of IPv6.
pub const V6: Maps = Maps {
    any: TABLE.map("any6", PORT, POD_V6).expiring(),
    at: TABLE.map("at6", PORT_V6, POD_V6).expiring(),
    any_if: TABLE.verdict_map("any6_if", PORT),
    at_if: TABLE.verdict_map("at6_if", PORT_V6),
    neighbours: TABLE.set("neighbours6", &[Type::Ipv6Addr]).expiring(),
    everybody: TABLE.set("everybody6", &[Type::Ipv6Addr]).expiring(),
    nobody: TABLE.set("nobody6", &[Type::Ipv6Addr]).expiring(),
    addresses: TABLE.set("addresses6", &[Type::Ipv6Addr]),
};
/// Which attachments have anything here, by a hash of their label; the value is how much.
pub const HOLDERS: Set<'static> = TABLE
    .map("holders", &[Type::Ifname], &[Type::InetService])
    .expiring();
/// The interfaces by which 127.0.0.1 may be answered.
pub const LOCALNET: Set<'static> = TABLE.set("localnet", &[Type::Ifname]);

/// All that an attachment may have elements in.
pub const SETS: [Set<'static>; 15] = [
    V4.any,
    V4.at,
    V4.any_if,
    V4.at_if,
    V4.neighbours,
    V4.everybody,
    V4.nobody,
    V6.any,
    V6.at,
    V6.any_if,
    V6.at_if,
    V6.neighbours,
    V6.everybody,
    V6.nobody,
    HOLDERS,
];

const PORTS: Chain<'static> = TABLE.chain("ports");
const PREROUTING: Chain<'static> = TABLE.chain("prerouting");
const OUTPUT: Chain<'static> = TABLE.chain("output");
const POSTROUTING: Chain<'static> = TABLE.chain("postrouting");
const GUARD: Chain<'static> = TABLE.chain("guard");
const BACK: Chain<'static> = TABLE.chain("back");

/// The rule of a subnet's chain, by its comment.
const SUBNET_RULE: &str = "neighbours answer one another directly";

/// Behind the rules of services.
const BEHIND_SERVICES: i32 = Hook::DSTNAT + 5;
/// Before whoever else hides sources.
const BEFORE_OTHERS: i32 = Hook::SRCNAT - 5;
/// Before connections are tracked.
const RAW: i32 = -300;

const LOOPBACK: IpNetwork = match Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8) {
    Some(network) => IpNetwork::V4(network),
    None => unreachable!(),
};

impl Maps {
    /// The maps of an address's family.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => V4,
            IpAddr::V6(_) => V6,
        }
    }

    /// The set of the pods from which these sources are hidden.
    pub const fn pods(self, hidden: Hidden) -> Set<'static> {
        match hidden {
            Hidden::Nobody => self.nobody,
            Hidden::Neighbours => self.neighbours,
            Hidden::Everybody => self.everybody,
        }
    }

    /// Whether the elements of a set are pods' addresses.
    pub fn are_pods(self, set: &Set<'_>) -> bool {
        [self.neighbours, self.everybody, self.nobody].contains(set)
    }
}

/// A rule and the comment that it is known by.
type Line = (Vec<Expression>, &'static str);

fn ports() -> Vec<Line> {
    let port = || concat([l4proto(), th_dport()]);
    let port_at = |daddr| concat([daddr, l4proto(), th_dport()]);
    let mut lines: Vec<Line> = Vec::new();
    for (maps, daddr) in [(V4, ip_daddr()), (V6, ip6_daddr())] {
        lines.extend([
            (
                vec![port_at(daddr.clone()).vmap(maps.at_if)],
                "a port of one address, for some",
            ),
            (
                vec![port_at(daddr).dnat_marking(maps.at, MARK)],
                "a port of one address",
            ),
        ]);
    }
    // A translation to one family leaves the other's packets alone.
    for maps in [V4, V6] {
        lines.extend([
            (
                vec![port().vmap(maps.any_if)],
                "a port of the node, for some",
            ),
            (
                vec![port().dnat_marking(maps.any, MARK)],
                "a port of the node",
            ),
        ]);
    }
    lines
}

fn entry() -> Vec<Line> {
    let jump = Verdict::Jump(PORTS.name.into());
    vec![(
        vec![to_this_host(), jump.into()],
        "what is sent to this host",
    )]
}

fn postrouting() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (maps, daddr) in [(V4, ip_daddr()), (V6, ip6_daddr())] {
        let back = Verdict::Jump(BACK.name.into()).into();
        lines.extend([
            (
                vec![mark_has(MARK), daddr.clone().is_in(maps.neighbours), back],
                "answers to neighbours would miss the way back",
            ),
            (
                vec![mark_has(MARK), daddr.is_in(maps.everybody), masquerade()],
                "everybody's source is hidden",
            ),
        ]);
    }
    lines.push((
        vec![mark_has(MARK), clear_mark(MARK)],
        "the bit is this table's alone",
    ));
    lines
}

fn guard() -> Vec<Line> {
    let drop = || Expression::from(Verdict::Drop);
    let foreign = || iifname().is_in(LOCALNET);
    vec![
        (
            vec![foreign(), ip_daddr().within(LOOPBACK), drop()],
            "nobody but the node says 127.0.0.1",
        ),
        (
            vec![foreign(), ip_saddr().within(LOOPBACK), drop()],
            "nobody but the node says 127.0.0.1",
        ),
    ]
}

/// Makes what is missing of the static part. A table that lacks a set is of an earlier version, or somebody removed it.
pub fn ensure(nft: &mut Socket) -> Result<(), Error> {
    if nft.table_exists(TABLE)? {
        let mut batch = Batch::new();
        add_sets(&mut batch);
        return Ok(nft.commit(&batch)?);
    }
    Ok(membership::commit_new(nft, &everything())?)
}

/// Whether the static part has what pods of these subnets need.
pub fn serves(nft: &mut Socket, subnets: &[IpNetwork]) -> Result<bool, Error> {
    for subnet in subnets {
        if !nft.chain_exists(TABLE.chain(&subnet_chain(*subnet)))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the chain that hides neighbours of this subnet from one another.
pub fn ensure_subnet(nft: &mut Socket, subnet: IpNetwork) -> Result<(), Error> {
    let name = subnet_chain(subnet);
    let chain = TABLE.chain(&name);
    if nft.chain_exists(chain)? {
        return Ok(());
    }
    let (saddr, daddr) = if subnet.is_ipv4() {
        (ip_saddr(), ip_daddr())
    } else {
        (ip6_saddr(), ip6_daddr())
    };
    let its = Verdict::Jump(name.clone());
    let mut batch = Batch::new();
    batch.add_new_chain(chain);
    let neighbour = [saddr.within(subnet), masquerade()];
    batch.add_commented_rule(chain, neighbour, SUBNET_RULE);
    batch.add_commented_rule(BACK, [daddr.within(subnet), its.into()], &name);
    Ok(membership::commit_new(nft, &batch)?)
}

fn loopback() -> Line {
    let rule = vec![ip_saddr().within(LOOPBACK), masquerade()];
    (rule, "127.0.0.1 is somebody else in the pod")
}

/// `back_10.1.0.0/16`; nft's names know no colon, so IPv6 has dashes instead.
fn subnet_chain(subnet: IpNetwork) -> String {
    format!("back_{}/{}", subnet.network(), subnet.prefix()).replace(':', "-")
}

/// Tells what is missing of the static part.
pub fn missing(nft: &mut Socket, subnets: &[IpNetwork]) -> Result<Option<String>, Error> {
    for (chain, lines) in chains() {
        let lost = lost(nft, chain, &lines)?;
        if lost.is_some() {
            return Ok(lost);
        }
    }
    let of_subnets: Vec<_> = subnets.iter().map(|subnet| subnet_chain(*subnet)).collect();
    let mut back: Vec<_> = of_subnets.iter().map(String::as_str).collect();
    back.push(loopback().1);
    let mut lost = membership::lost_some(nft, BACK, &back)?;
    for name in &of_subnets {
        if lost.is_none() {
            lost = membership::lost_rules(nft, TABLE.chain(name), &[SUBNET_RULE])?;
        }
    }
    Ok(lost)
}

/// Tells what is missing of the static part where there is one; without one, the next ADD makes it.
pub fn damage(nft: &mut Socket) -> Result<Option<String>, Error> {
    if !nft.table_exists(TABLE)? {
        return Ok(None);
    }
    let lost = missing(nft, &[])?;
    Ok(lost
        .map(|lost| format!("{lost}: run `nft delete table {TABLE}`; the next ADD makes it anew")))
}

fn lost(nft: &mut Socket, chain: Chain<'_>, lines: &[Line]) -> Result<Option<String>, Error> {
    let comments: Vec<_> = lines.iter().map(|(_, comment)| *comment).collect();
    Ok(membership::lost_rules(nft, chain, &comments)?)
}

/// The chains whose rules are all static.
fn chains() -> [(Chain<'static>, Vec<Line>); 5] {
    [
        (PORTS, ports()),
        (PREROUTING, entry()),
        (OUTPUT, entry()),
        (POSTROUTING, postrouting()),
        (GUARD, guard()),
    ]
}

fn add_sets(batch: &mut Batch) {
    let shared = [LOCALNET, V4.addresses, V6.addresses];
    for set in SETS.into_iter().chain(shared) {
        batch.add_set(set);
    }
}

fn everything() -> Batch {
    let mut batch = Batch::new();
    batch.add_new_table(TABLE);
    add_sets(&mut batch);
    batch.add_chain(PORTS).add_chain(BACK);
    let accept = Policy::Accept;
    batch.add_base_chain(PREROUTING, Hook::NatPrerouting(BEHIND_SERVICES), accept);
    batch.add_base_chain(OUTPUT, Hook::NatOutput(BEHIND_SERVICES), accept);
    batch.add_base_chain(POSTROUTING, Hook::NatPostrouting(BEFORE_OTHERS), accept);
    batch.add_base_chain(GUARD, Hook::FilterPrerouting(RAW), accept);
    for (chain, lines) in chains() {
        for (rule, comment) in lines {
            batch.add_commented_rule(chain, rule, comment);
        }
    }
    let (rule, comment) = loopback();
    batch.add_commented_rule(BACK, rule, comment);
    batch
}
