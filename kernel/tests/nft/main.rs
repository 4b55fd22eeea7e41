//! The nf_tables client against the kernel that runs the tests, each in a network namespace of its own.
//!
//! The judge is `nft list ruleset`, run in that namespace: what we build must be, to the letter, what its language
//! would have built.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used)]

mod built;
mod expiring;
mod flows;
mod leftovers;
mod listings;
#[path = "../namespace/mod.rs"]
mod namespace;
mod packets;
mod transactions;
mod translating;
mod xtables;

use kernel::net::nft::{
    Batch, Chain, Element, Error, Family, Hook, Key, Policy, Set, Socket, Table, Type, Value,
    Verdict, concat, ether_saddr, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr, masquerade,
};
use namespace::run;
use std::net::Ipv4Addr;

const MASQUERADE: Table = Table::new(Family::Inet, "hawser_masquerade");
const PODS4: Set = MASQUERADE.verdict_map("pods4", &[Type::Ipv4Addr]);
const PODS6: Set = MASQUERADE.verdict_map("pods6", &[Type::Ipv6Addr]);
const LEAVING: Chain = MASQUERADE.chain("leaving_podnet");
const POSTROUTING: Chain = MASQUERADE.chain("postrouting");

const ANTISPOOF: Table = Table::new(Family::Bridge, "hawser_antispoof");
const GUARDED: Set = ANTISPOOF.set("guarded", &[Type::Ifname]);
const ALLOWED: Set = ANTISPOOF.set("allowed", &[Type::Ifname, Type::EtherAddr]);
const PREROUTING: Chain = ANTISPOOF.chain("prerouting");

fn in_a_namespace(test: impl FnOnce(Socket) + Send + 'static) {
    namespace::inside(|| test(Socket::open().expect("nf_tables")));
}

fn ruleset() -> String {
    run("nft", "list ruleset")
}

fn masquerading() -> Batch {
    let mut batch = Batch::new();
    batch
        .add_table(MASQUERADE)
        .add_set(PODS4)
        .add_set(PODS6)
        .add_chain(LEAVING)
        .add_base_chain(
            POSTROUTING,
            Hook::NatPostrouting(Hook::SRCNAT),
            Policy::Accept,
        );
    let pods: ipnetwork::IpNetwork = "10.1.0.0/16".parse().expect("network");
    let multicast4: ipnetwork::IpNetwork = "224.0.0.0/4".parse().expect("network");
    let multicast6: ipnetwork::IpNetwork = "ff00::/8".parse().expect("network");
    batch
        .add_rule(LEAVING, [ip_daddr().within(pods), Verdict::Return.into()])
        .add_rule(LEAVING, [masquerade()])
        .add_rule(
            POSTROUTING,
            [ip_daddr().within(multicast4), Verdict::Return.into()],
        )
        .add_rule(
            POSTROUTING,
            [ip6_daddr().within(multicast6), Verdict::Return.into()],
        )
        .add_rule(POSTROUTING, [ip_saddr().vmap(PODS4)])
        .add_rule(POSTROUTING, [ip6_saddr().vmap(PODS6)]);
    batch
}

fn guarding() -> Batch {
    let mut batch = Batch::new();
    batch
        .add_table(ANTISPOOF)
        .add_set(GUARDED)
        .add_set(ALLOWED)
        .add_base_chain(
            PREROUTING,
            Hook::FilterPrerouting(Hook::BRIDGE_DSTNAT),
            Policy::Accept,
        )
        .add_rule(
            PREROUTING,
            [
                iifname().is_in(GUARDED),
                concat([iifname(), ether_saddr()]).not_in(ALLOWED),
                Verdict::Drop.into(),
            ],
        );
    batch
}

fn address(index: u16) -> Key {
    let [high, low] = index.to_be_bytes();
    Value::Ipv4(Ipv4Addr::new(10, 1, high, low)).into()
}

fn pod(index: u16) -> Element {
    Element::new(address(index))
        .holding(Verdict::Goto(LEAVING.name.into()))
        .comment(format!("podnet/c{index}/eth0"))
}

fn commit(socket: &mut Socket, change: impl FnOnce(&mut Batch)) -> Result<(), Error> {
    let mut batch = Batch::new();
    change(&mut batch);
    socket.commit(&batch)
}
