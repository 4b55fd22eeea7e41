//! What rules are made of, written much as `nft` writes it and lowered to the kernel's small machine.
//!
//! A selector loads packet fields into registers, and an expression compares them, looks them up, or decides. As with
//! the `nft` program, a field of an IP header brings the test for that protocol with it where the family sees others,
//! and a prefix that ends on a byte loads only the bytes that it covers.

use super::object::Set;
use super::value::{Key, Type};
use super::verdict::Verdict;
use ipnetwork::IpNetwork;
use netlink_packet_netfilter::nftables::Expressions;
use std::fmt;

/// Packet fields, loaded one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Field>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Iifname,
    Oifname,
    L4proto,
    EtherSaddr,
    IpSaddr,
    IpDaddr,
    Ip6Saddr,
    Ip6Daddr,
    ThDport,
}

/// `iifname`; in the bridge family the port that the frame came in by.
pub fn iifname() -> Selector {
    Selector(vec![Field::Iifname])
}

/// `oifname`; in the bridge family the port that the frame leaves by.
pub fn oifname() -> Selector {
    Selector(vec![Field::Oifname])
}

/// `meta l4proto`.
pub fn l4proto() -> Selector {
    Selector(vec![Field::L4proto])
}

/// `ether saddr`.
pub fn ether_saddr() -> Selector {
    Selector(vec![Field::EtherSaddr])
}

/// `ip saddr`.
pub fn ip_saddr() -> Selector {
    Selector(vec![Field::IpSaddr])
}

/// `ip daddr`.
pub fn ip_daddr() -> Selector {
    Selector(vec![Field::IpDaddr])
}

/// `ip6 saddr`.
pub fn ip6_saddr() -> Selector {
    Selector(vec![Field::Ip6Saddr])
}

/// `ip6 daddr`.
pub fn ip6_daddr() -> Selector {
    Selector(vec![Field::Ip6Daddr])
}

/// `th dport`: the destination port of whatever protocol has ports in that place.
pub fn th_dport() -> Selector {
    Selector(vec![Field::ThDport])
}

/// Several selectors as one, `iifname . ether saddr`.
pub fn concat<const PARTS: usize>(parts: [Selector; PARTS]) -> Selector {
    Selector(parts.into_iter().flat_map(|part| part.0).collect())
}

impl Field {
    pub(super) const fn type_of(self) -> Type {
        match self {
            Self::Iifname | Self::Oifname => Type::Ifname,
            Self::L4proto => Type::InetProto,
            Self::EtherSaddr => Type::EtherAddr,
            Self::IpSaddr | Self::IpDaddr => Type::Ipv4Addr,
            Self::Ip6Saddr | Self::Ip6Daddr => Type::Ipv6Addr,
            Self::ThDport => Type::InetService,
        }
    }

    /// The field as `nft` names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Iifname => "iifname",
            Self::Oifname => "oifname",
            Self::L4proto => "meta l4proto",
            Self::EtherSaddr => "ether saddr",
            Self::IpSaddr => "ip saddr",
            Self::IpDaddr => "ip daddr",
            Self::Ip6Saddr => "ip6 saddr",
            Self::Ip6Daddr => "ip6 daddr",
            Self::ThDport => "th dport",
        }
    }
}

impl Selector {
    /// `ip saddr 10.1.0.7`.
    pub fn is(self, key: impl Into<Key>) -> Expression {
        Expression(Statement::Compare {
            selector: self,
            key: key.into(),
            differs: false,
        })
    }

    /// `ip saddr != 10.1.0.7`.
    pub fn is_not(self, key: impl Into<Key>) -> Expression {
        Expression(Statement::Compare {
            selector: self,
            key: key.into(),
            differs: true,
        })
    }

    /// `ip daddr 10.1.0.0/16`.
    pub fn within(self, network: impl Into<IpNetwork>) -> Expression {
        Expression(Statement::Prefix {
            selector: self,
            network: network.into(),
            outside: false,
        })
    }

    /// `ip daddr != 10.1.0.0/16`.
    pub fn outside(self, network: impl Into<IpNetwork>) -> Expression {
        Expression(Statement::Prefix {
            selector: self,
            network: network.into(),
            outside: true,
        })
    }

    /// `iifname @guarded`.
    pub fn is_in(self, set: Set<'_>) -> Expression {
        self.look_up(set, Found::Matches)
    }

    /// `iifname . ether saddr != @allowed`.
    pub fn not_in(self, set: Set<'_>) -> Expression {
        self.look_up(set, Found::Differs)
    }

    /// `ip saddr vmap @pods4`: the verdict that the map holds decides, if it holds one.
    pub fn vmap(self, map: Set<'_>) -> Expression {
        self.look_up(map, Found::Decides)
    }

    /// `dnat ip to meta l4proto . th dport map @any4`: the address and port that the map holds become the packet's
    /// destination, if it holds some.
    pub fn dnat_by(self, map: Set<'_>) -> Expression {
        self.translated(map, 0)
    }

    /// The same, and the packet's mark gets these bits where the map holds something.
    pub fn dnat_marking(self, map: Set<'_>, bits: u32) -> Expression {
        self.translated(map, bits)
    }

    fn translated(self, map: Set<'_>, marking: u32) -> Expression {
        Expression(Statement::Translate {
            selector: self,
            marking,
            map: map.name.to_owned(),
            key: map.key.to_vec(),
            to: map.kind.value().to_vec(),
        })
    }

    fn look_up(self, set: Set<'_>, found: Found) -> Expression {
        Expression(Statement::Lookup {
            selector: self,
            set: set.name.to_owned(),
            key: set.key.to_vec(),
            found,
        })
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.0
    }

    pub(super) fn types(&self) -> Vec<Type> {
        self.0.iter().map(|field| field.type_of()).collect()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|field| field.name()).collect();
        f.write_str(&names.join(" . "))
    }
}

/// One condition or the end of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(pub(super) Statement);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Compare {
        selector: Selector,
        key: Key,
        differs: bool,
    },
    Prefix {
        selector: Selector,
        network: IpNetwork,
        outside: bool,
    },
    Lookup {
        selector: Selector,
        set: String,
        key: Vec<Type>,
        found: Found,
    },
    Translate {
        selector: Selector,
        map: String,
        key: Vec<Type>,
        to: Vec<Type>,
        marking: u32,
    },
    Verdict(Verdict),
    Masquerade {
        fully_random: bool,
    },
    /// What a module of its own has lowered already, or why it could not.
    Code(Result<Vec<Expressions>, String>),
}

/// What it means that a set or map has an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Matches,
    Differs,
    Decides,
}

impl From<Verdict> for Expression {
    fn from(verdict: Verdict) -> Self {
        Self(Statement::Verdict(verdict))
    }
}

/// `masquerade`.
pub fn masquerade() -> Expression {
    Expression(Statement::Masquerade {
        fully_random: false,
    })
}

/// `masquerade fully-random`.
pub fn masquerade_fully_random() -> Expression {
    Expression(Statement::Masquerade { fully_random: true })
}
