//! What iptables-nft writes into a rule of its tables and reads back as its own.
//!
//! `iptables` lists such a table only while it understands every rule in it, so a rule that is put there has to be one
//! that it could have written: its matches in the binary form of the kernel's xtables, and a counter before the verdict.

use super::expression::{Expression, Statement};
use super::object::Family;
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::Expressions;
use std::io;

/// What a match is measured in, as the kernel does.
const ALIGNMENT: usize = 8;
/// The room for a comment, with the NUL at its end.
const COMMENT: usize = 256;

/// `-m comment --comment text`, of at most 255 bytes.
pub fn xt_comment(text: &str) -> Expression {
    let mut info = text.as_bytes().to_vec();
    if info.len() >= COMMENT || info.contains(&0) {
        return Expression(Statement::Code(Err(format!(
            "{text:?} is not a comment of iptables (at most {} bytes without a NUL)",
            COMMENT - 1
        ))));
    }
    info.resize(COMMENT, 0);
    matching("comment", 0, info)
}

/// `-m mark --mark bits/bits`: whether a packet's mark has all of these bits.
///
/// Written as the match that every iptables-nft reads. Those from 1.8.8 on write the kernel's own comparison instead,
/// which older ones do not understand.
pub fn xt_mark(bits: u32) -> Expression {
    let inverted = 0;
    let mut info = [bits.to_ne_bytes(), bits.to_ne_bytes()].concat();
    info.push(inverted);
    matching("mark", 1, info)
}

/// The counter that iptables has in front of each rule's target.
pub fn counter() -> Expression {
    const BYTES: u16 = 1;
    const PACKETS: u16 = 2;
    let zero = |kind| DefaultNla::new(kind, vec![0; 8]);
    other("counter", vec![zero(BYTES), zero(PACKETS)])
}

/// The tables of the legacy iptables that filter in the calling thread's network namespace, beside nf_tables and out of
/// its reach: `filter`, `nat` ... Other families than `ip` and `ip6` have none.
///
/// That there is one says nothing of its rules: whoever lists a legacy table makes it, empty.
pub fn legacy_tables(family: Family) -> io::Result<Vec<String>> {
    let path = match family {
        Family::Ip => "/proc/thread-self/net/ip_tables_names",
        Family::Ip6 => "/proc/thread-self/net/ip6_tables_names",
        Family::Inet | Family::Bridge => return Ok(Vec::new()),
    };
    match std::fs::read_to_string(path) {
        Ok(names) => Ok(names.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn matching(name: &str, revision: u32, mut info: Vec<u8>) -> Expression {
    const NAME: u16 = 1;
    const REVISION: u16 = 2;
    const INFO: u16 = 3;
    info.resize(info.len().next_multiple_of(ALIGNMENT), 0);
    let mut name = name.as_bytes().to_vec();
    name.push(0);
    other(
        "match",
        vec![
            DefaultNla::new(NAME, name),
            DefaultNla::new(REVISION, revision.to_be_bytes().to_vec()),
            DefaultNla::new(INFO, info),
        ],
    )
}

fn other(expression_type: &str, attributes: Vec<DefaultNla>) -> Expression {
    Expression(Statement::Code(Ok(vec![Expressions::Other {
        expression_type: expression_type.to_owned(),
        attributes,
    }])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::nft::Family;
    use crate::net::nft::lower::lower;

    fn lengths(expression: Expression) -> Result<Vec<usize>, String> {
        use netlink_packet_core::Nla;
        let code = lower(Family::Ip, [expression])?;
        let [Expressions::Other { attributes, .. }] = code.as_slice() else {
            return Err("not one expression of its own".to_owned());
        };
        Ok(attributes.iter().map(Nla::value_len).collect())
    }

    #[test]
    fn matches_are_as_long_as_the_kernel_wants_them() {
        assert_eq!(lengths(xt_comment("why")), Ok(vec![8, 4, 256]));
        assert_eq!(lengths(xt_comment(&"y".repeat(255))), Ok(vec![8, 4, 256]));
        assert_eq!(lengths(xt_mark(0x1000)), Ok(vec![5, 4, 16]));
        assert_eq!(lengths(counter()), Ok(vec![8, 8]));
    }

    #[test]
    fn a_comment_that_does_not_fit_is_refused() {
        for text in ["y".repeat(256), "a\0b".to_owned()] {
            let fault = lengths(xt_comment(&text)).expect_err("lowered");
            assert!(fault.contains("comment of iptables"), "{fault}");
        }
    }
}
