//! The names of nf_tables objects: tables, chains, sets and maps, and what a base chain hangs on.
//!
//! They are plain values, cheap to copy and possible as constants, and print themselves as `nft` would name them.

use super::value::Type;
use netlink_packet_netfilter::nftables::InetHookNumber;
use std::fmt;

/// The longest name the kernel has room for, in bytes.
const LONGEST_NAME: usize = 255;

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames that cross a bridge.
    Bridge,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        })
    }
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Its family.
    pub family: Family,
    /// Its name, unique within the family.
    pub name: &'a str,
}

impl<'a> Table<'a> {
    /// The table of this family and name.
    pub const fn new(family: Family, name: &'a str) -> Self {
        Self { family, name }
    }

    /// A chain of this table.
    pub const fn chain(self, name: &'a str) -> Chain<'a> {
        Chain { table: self, name }
    }

    /// A set of this table, whose key is the concatenation of `key`.
    pub const fn set(self, name: &'a str, key: &'a [Type]) -> Set<'a> {
        Set {
            table: self,
            name,
            key,
            kind: Kind::Set,
            expiring: false,
        }
    }

    /// A map of this table from keys to values.
    pub const fn map(self, name: &'a str, key: &'a [Type], value: &'a [Type]) -> Set<'a> {
        Set {
            table: self,
            name,
            key,
            kind: Kind::Map(value),
            expiring: false,
        }
    }

    /// A map of this table from keys to verdicts.
    ///
    /// While verdicts lead to chains, the kernel looks at every element whenever one is added, about 20 ns each, to
    /// rule out loops. Where that is too much, a set per chain is not looked at.
    pub const fn verdict_map(self, name: &'a str, key: &'a [Type]) -> Set<'a> {
        Set {
            table: self,
            name,
            key,
            kind: Kind::VerdictMap,
            expiring: false,
        }
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain<'a> {
    /// The table it is in.
    pub table: Table<'a>,
    /// Its name.
    pub name: &'a str,
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} of {}", self.name, self.table)
    }
}

/// What a [`Set`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind<'a> {
    /// Keys alone.
    Set,
    /// Keys with a value each, which is a concatenation of these types.
    Map(&'a [Type]),
    /// Keys with a verdict each.
    VerdictMap,
}

impl<'a> Kind<'a> {
    /// The types of the values it holds, beside keys and verdicts.
    pub(super) const fn value(self) -> &'a [Type] {
        match self {
            Self::Map(types) => types,
            Self::Set | Self::VerdictMap => &[],
        }
    }
}

/// A named set or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Set<'a> {
    /// The table it is in.
    pub table: Table<'a>,
    /// Its name.
    pub name: &'a str,
    /// The types whose concatenation is the key.
    pub key: &'a [Type],
    /// What it holds.
    pub kind: Kind<'a>,
    /// Whether its elements can be told to go by themselves.
    pub expiring: bool,
}

impl Set<'_> {
    /// The same set with elements that can be told to go by themselves: `flags timeout`. Unless told, they stay.
    pub const fn expiring(self) -> Self {
        Self {
            expiring: true,
            ..self
        }
    }
}

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self.kind {
            Kind::Set => "set",
            Kind::Map(_) | Kind::VerdictMap => "map",
        };
        write!(f, "{noun} {} of {}", self.name, self.table)
    }
}

/// Where a base chain sees packets, and what it does with them.
///
/// The priority orders the chains of one place, the lowest first. `nft` knows some by name: in the `ip` families
/// `dstnat` is -100, `filter` 0 and `srcnat` 100; in the bridge family they are -300, -200 and 300.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `type filter hook prerouting`.
    FilterPrerouting(i32),
    /// `type filter hook input`.
    FilterInput(i32),
    /// `type filter hook forward`.
    FilterForward(i32),
    /// `type filter hook output`.
    FilterOutput(i32),
    /// `type filter hook postrouting`.
    FilterPostrouting(i32),
    /// `type nat hook prerouting`.
    NatPrerouting(i32),
    /// `type nat hook output`.
    NatOutput(i32),
    /// `type nat hook postrouting`.
    NatPostrouting(i32),
}

impl Hook {
    /// `priority srcnat` of the families `inet`, `ip` and `ip6`.
    pub const SRCNAT: i32 = 100;
    /// `priority dstnat` of the families `inet`, `ip` and `ip6`.
    pub const DSTNAT: i32 = -100;
    /// `priority filter` of the families `inet`, `ip` and `ip6`, where iptables filters.
    pub const FILTER: i32 = 0;
    /// `priority filter` of the bridge family.
    pub const BRIDGE_FILTER: i32 = -200;
    /// `priority dstnat` of the bridge family, the first of the well-known ones.
    pub const BRIDGE_DSTNAT: i32 = -300;
}

impl Hook {
    /// The type of the chain, the place and the priority.
    pub(super) const fn parts(self) -> (&'static str, InetHookNumber, i32) {
        match self {
            Self::FilterPrerouting(priority) => ("filter", InetHookNumber::PreRouting, priority),
            Self::FilterInput(priority) => ("filter", InetHookNumber::LocalIn, priority),
            Self::FilterForward(priority) => ("filter", InetHookNumber::Forward, priority),
            Self::FilterOutput(priority) => ("filter", InetHookNumber::LocalOut, priority),
            Self::FilterPostrouting(priority) => ("filter", InetHookNumber::PostRouting, priority),
            Self::NatPrerouting(priority) => ("nat", InetHookNumber::PreRouting, priority),
            Self::NatOutput(priority) => ("nat", InetHookNumber::LocalOut, priority),
            Self::NatPostrouting(priority) => ("nat", InetHookNumber::PostRouting, priority),
        }
    }
}

/// What happens to a packet that falls off the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is gone.
    Drop,
}

/// An object that a request can be about.
pub(super) trait Named {
    fn family(&self) -> Family;

    /// Why no object can have such a name, if none can.
    fn fault(&self) -> Option<String>;
}

impl Named for Table<'_> {
    fn family(&self) -> Family {
        self.family
    }

    fn fault(&self) -> Option<String> {
        name_fault(self.name)
    }
}

impl Named for Chain<'_> {
    fn family(&self) -> Family {
        self.table.family
    }

    fn fault(&self) -> Option<String> {
        self.table.fault().or_else(|| name_fault(self.name))
    }
}

impl Named for Set<'_> {
    fn family(&self) -> Family {
        self.table.family
    }

    fn fault(&self) -> Option<String> {
        self.table.fault().or_else(|| name_fault(self.name))
    }
}

pub(super) fn name_fault(name: &str) -> Option<String> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('\0');
    (!fits).then(|| format!("{name:?} is not a name of nf_tables (1 to {LONGEST_NAME} bytes)"))
}
