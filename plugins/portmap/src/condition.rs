//! `conditionsV4` and `conditionsV6`: which packets a pod's mappings hold for.
//!
//! The reference hands the words on to `iptables`, or joins them to a rule of `nft`. Here they are understood, in both
//! ways of writing, as far as they say something about where a packet comes from and goes to:
//!
//! ```text
//! ["!", "-s", "10.0.0.0/8", "-i", "eth0"]
//! ["ip saddr != 10.0.0.0/8", "iifname eth0"]
//! ```

use cni::{IfName, parse_cidr};
use ipnetwork::IpNetwork;
use kernel::net::nft::{
    Expression, Selector, Value, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr,
};
use std::iter::Peekable;

/// Something that a packet has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    what: What,
    /// Whether it must not be that.
    not: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    From(IpNetwork),
    To(IpNetwork),
    Through(String),
}

const WANTED: &str = "conditions such as \"-s\", \"10.0.0.0/8\" or \"ip saddr != 10.0.0.0/8\": -s, -d and -i, or saddr, daddr \
                      and iifname, each with \"!\" or \"!=\" if it is meant the other way round";

/// Understands the words of a list; otherwise says what would be understood.
pub fn parse(words: &[&str], v4: bool) -> Result<Vec<Condition>, String> {
    let mut words = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .peekable();
    let mut conditions = Vec::new();
    while words.peek().is_some() {
        conditions.push(one(&mut words, v4).ok_or_else(|| WANTED.to_owned())?);
    }
    Ok(conditions)
}

fn one<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, v4: bool) -> Option<Condition> {
    let mut not = words.next_if_eq(&"!").is_some();
    let mut key = words.next()?;
    if key == if v4 { "ip" } else { "ip6" } {
        key = words.next()?;
    }
    not ^= words.next_if(|word| matches!(*word, "!" | "!=")).is_some();
    words.next_if_eq(&"==");
    let value = words.next()?;
    let what = match key {
        "-s" | "--source" | "--src" | "saddr" => What::From(network(value, v4)?),
        "-d" | "--destination" | "--dst" | "daddr" => What::To(network(value, v4)?),
        "-i" | "--in-interface" | "iifname" => What::Through(interface(value)?),
        _ => return None,
    };
    Some(Condition { what, not })
}

/// A network of the family; an address alone is one.
fn network(text: &str, v4: bool) -> Option<IpNetwork> {
    let whole = if text.contains('/') {
        text.to_owned()
    } else {
        format!("{text}/{}", if v4 { 32 } else { 128 })
    };
    parse_cidr(&whole).filter(|network| network.is_ipv4() == v4)
}

fn interface(text: &str) -> Option<String> {
    let name = text.trim_matches('"');
    name.parse::<IfName>().ok().map(|name| name.to_string())
}

impl Condition {
    /// The condition as a part of a rule.
    pub fn expression(&self) -> Expression {
        let compared = |selector: Selector, network: IpNetwork| match self.not {
            true => selector.outside(network),
            false => selector.within(network),
        };
        match &self.what {
            What::From(network @ IpNetwork::V4(_)) => compared(ip_saddr(), *network),
            What::From(network) => compared(ip6_saddr(), *network),
            What::To(network @ IpNetwork::V4(_)) => compared(ip_daddr(), *network),
            What::To(network) => compared(ip6_daddr(), *network),
            What::Through(name) if self.not => iifname().is_not(Value::Ifname(name.clone())),
            What::Through(name) => iifname().is(Value::Ifname(name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(network: &str, not: bool) -> Condition {
        Condition {
            what: What::From(network.parse().unwrap()),
            not,
        }
    }

    #[test]
    fn both_ways_of_writing_are_understood() {
        for words in [
            &["!", "-s", "10.0.0.0/8"][..],
            &["-s", "!", "10.0.0.0/8"],
            &["! --source 10.0.0.0/8"],
            &["ip saddr != 10.0.0.0/8"],
            &["ip", "saddr", "!=", "10.0.0.0/8"],
        ] {
            assert_eq!(
                parse(words, true),
                Ok(vec![from("10.0.0.0/8", true)]),
                "{words:?}"
            );
        }
        let several = parse(
            &["-s", "10.0.0.7", "-i", "eth0", "!", "-d", "10.0.0.1"],
            true,
        )
        .unwrap();
        assert_eq!(several.len(), 3);
        assert_eq!(several[0], from("10.0.0.7/32", false));
        assert_eq!(
            parse(&["ip6 saddr fd00::/8"], false),
            Ok(vec![from("fd00::/8", false)])
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for words in [
            &["-m", "owner"][..],
            &["-s"],
            &["!"],
            &["-s", "fd00::/8"],
            &["-s", "10.0.0.0/33"],
            &["-i", "a/b"],
            &["ip6 saddr fd00::/8"],
            &["-s", "10.0.0.0/8", "accept"],
        ] {
            assert!(parse(words, true).is_err(), "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read_without_panic(words in prop::collection::vec("[ -~]{0,20}", 0..6), v4: bool) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let _ = parse(&words, v4);
        }
    }
}
