//! nf_tables without starting a program: typed, blocking, over one netlink socket per namespace.
//!
//! Objects are named by values that can be constants ([`Table`], [`Chain`], [`Set`]); a [`Batch`] says what should
//! change and [`Socket::commit`] makes it so in one transaction, wholly or not at all. Rules are meant to be static and
//! to look things up in sets and maps, so that a pod costs one element whatever the number of pods.
//!
//! Rules in the tables of iptables-nft are made of [`xt_comment`], [`xt_mark`] and [`counter`], so that `iptables` goes on
//! listing them.
//!
//! Requests are built from netlink-packet-netfilter's types. Replies are not read with that crate, whose parser indexes
//! unchecked into nested attributes: here every byte that the kernel sends is looked at before it is used.

//!
//! ```no_run
//! use kernel::net::nft::{
//!     Batch, Chain, Element, Error, Family, Hook, Policy, Set, Socket, Table, Type, Value, Verdict, ip_saddr, masquerade,
//! };
//!
//! const TABLE: Table = Table::new(Family::Inet, "hawser_masquerade");
//! const PODS: Set = TABLE.verdict_map("pods4", &[Type::Ipv4Addr]);
//! const LEAVING: Chain = TABLE.chain("leaving");
//! const POSTROUTING: Chain = TABLE.chain("postrouting");
//!
//! let mut batch = Batch::new();
//! batch
//!     .add_table(TABLE)
//!     .add_set(PODS)
//!     .add_chain(LEAVING)
//!     .add_base_chain(POSTROUTING, Hook::NatPostrouting(Hook::SRCNAT), Policy::Accept)
//!     .add_rule(LEAVING, [masquerade()])
//!     .add_rule(POSTROUTING, [ip_saddr().vmap(PODS)]);
//! let pod = Element::new(Value::Ipv4([10, 1, 0, 7].into()))
//!     .holding(Verdict::Goto(LEAVING.name.into()))
//!     .comment("podnet/c7/eth0");
//! batch.add_new_element(PODS, &pod);
//! Socket::open()?.commit(&batch)?;
//! # Ok::<(), Error>(())
//! ```

mod attributes;
mod batch;
mod connection;
mod ct;
mod element;
mod error;
mod expression;
mod fib;
mod lower;
mod mark;
mod message;
mod nat;
mod object;
mod reading;
mod reply;
mod request;
mod rule;
mod socket;
mod userdata;
mod value;
mod verdict;
mod xtables;

pub use batch::Batch;
pub use ct::{CtState, CtStatus, ct_state, ct_status};
pub use element::{Data, Element, RawElement};
pub use error::{Error, Malformed};
pub use expression::{
    Expression, Selector, concat, ether_saddr, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr,
    l4proto, masquerade, masquerade_fully_random, oifname, th_dport,
};
pub use fib::to_this_host;
pub use mark::{clear_mark, mark_has, set_mark};
pub use nat::dnat_to;
pub use object::{Chain, Family, Hook, Kind, Policy, Set, Table};
pub use reply::{Answer, Refusal, Reply, parse_replies};
pub use rule::{Rule, Term};
pub use socket::Socket;
pub use value::{Key, Type, Value};
pub use verdict::Verdict;
pub use xtables::{counter, legacy_tables, xt_comment, xt_mark};
