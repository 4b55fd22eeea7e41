//! Reading what the kernel answers. Nothing here trusts a length, an order or a presence.

use super::attributes::Attributes;
use super::element::RawElement;
use super::error::Malformed;
use super::rule::Rule;
use crate::net::extack;
use crate::net::rtnl::messages;
use netlink_packet_core::NLM_F_DUMP_INTR;
use nix::errno::Errno;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;

const fn nf_tables(message: u16) -> u16 {
    10 << 8 | message
}
const NEW_TABLE: u16 = nf_tables(0);
const NEW_CHAIN: u16 = nf_tables(3);
const NEW_RULE: u16 = nf_tables(6);
const NEW_SET: u16 = nf_tables(9);
const NEW_ELEMENTS: u16 = nf_tables(12);

/// The bytes between a message's header and its attributes: family, version, resource.
const FAMILY_HEADER: usize = 4;

/// One message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The number of the request that it answers.
    pub sequence: u32,
    /// Whether the kernel says that the ruleset changed since the earlier parts of the same answer.
    pub interrupted: bool,
    /// The generation of the ruleset, its lower half, in a message about an object.
    pub generation: u16,
    /// What it says.
    pub answer: Answer,
}

/// What a message of the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request was carried out.
    Acknowledged,
    /// The request was refused.
    Refused(Refusal),
    /// The answer of many parts is complete.
    Complete,
    /// A table.
    Table,
    /// A chain.
    Chain {
        /// The name of its table.
        table: String,
        /// Its name.
        name: String,
    },
    /// A set or map, without its elements.
    Set,
    /// A rule.
    Rule(Rule),
    /// Some elements of a set or map.
    Elements(Vec<RawElement>),
    /// A message of no interest here.
    Other,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kernel's error number.
    pub errno: Errno,
    /// The kernel's own words, where it gave some.
    pub text: Option<String>,
    /// Where in the request the refused attribute is, where the kernel says so.
    pub offset: Option<u32>,
}

/// The messages in a datagram of the kernel.
pub fn parse_replies(datagram: &[u8]) -> Result<Vec<Reply>, Malformed> {
    messages(datagram)
        .map(|message| {
            let message = message.map_err(|_| Malformed::Message)?;
            Ok(Reply {
                sequence: message.sequence,
                interrupted: message.flags & NLM_F_DUMP_INTR != 0,
                generation: generation(message.body),
                answer: Answer::read(message.kind, message.flags, message.body)?,
            })
        })
        .collect()
}

impl Answer {
    fn read(kind: u16, flags: u16, body: &[u8]) -> Result<Self, Malformed> {
        match kind {
            NLMSG_ERROR => Ok(refusal(body, flags)?.map_or(Self::Acknowledged, Self::Refused)),
            NLMSG_DONE => Ok(refusal(body, flags)?.map_or(Self::Complete, Self::Refused)),
            NLMSG_NOOP | NLMSG_OVERRUN => Ok(Self::Other),
            _ => Self::object(kind, body.get(FAMILY_HEADER..).ok_or(Malformed::Message)?),
        }
    }

    fn object(kind: u16, attributes: &[u8]) -> Result<Self, Malformed> {
        match kind {
            NEW_TABLE => Ok(Self::Table),
            NEW_SET => Ok(Self::Set),
            NEW_CHAIN => {
                const TABLE: u16 = 1;
                const NAME: u16 = 3;
                let chain = Attributes::new("chain", attributes);
                let name = chain
                    .string(NAME)?
                    .ok_or(Malformed::Lacking("chain", "name"))?;
                let table = chain
                    .string(TABLE)?
                    .ok_or(Malformed::Lacking("chain", "table"))?;
                Ok(Self::Chain { table, name })
            }
            NEW_RULE => Rule::read(Attributes::new("rule", attributes)).map(Self::Rule),
            NEW_ELEMENTS => {
                const ELEMENTS: u16 = 3;
                let list = Attributes::new("element", attributes).nested(ELEMENTS)?;
                let elements = list.into_iter().flat_map(Attributes::iter);
                elements
                    .map(|element| RawElement::read(Attributes::new("element", element?.1)))
                    .collect::<Result<_, _>>()
                    .map(Self::Elements)
            }
            _ => Ok(Self::Other),
        }
    }
}

/// What the header of the family carries beside the family.
fn generation(body: &[u8]) -> u16 {
    match body {
        [_, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

/// The error number at the head of the body, negative, or zero for none.
fn refusal(body: &[u8], flags: u16) -> Result<Option<Refusal>, Malformed> {
    let code = i32::from_ne_bytes(*body.first_chunk().ok_or(Malformed::Message)?);
    let refusal = |errno| Refusal {
        errno,
        text: extack::text(body, flags),
        offset: extack::offset(body, flags),
    };
    Ok((code != 0).then(|| refusal(Errno::from_raw(code.wrapping_neg()))))
}

#[cfg(test)]
mod tests {
    use super::super::attributes::attribute;
    use super::*;
    use proptest::prelude::*;

    /// One netlink message of this kind around the body.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = u32::try_from(16 + body.len())
            .expect("short")
            .to_ne_bytes()
            .to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    /// Attributes in attributes, of the small types that nf_tables uses.
    fn nested() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            Just(b"immediate\0".to_vec()),
            Just(b"match\0".to_vec()),
            Just(b"comment\0".to_vec()),
            (-6i32..2).prop_map(|code| code.to_be_bytes().to_vec()),
        ];
        leaf.prop_recursive(6, 64, 4, |inner| {
            prop::collection::vec((0u16..9, inner), 1..4).prop_map(|attributes| {
                attributes
                    .into_iter()
                    .flat_map(|(kind, value)| attribute(kind, &value))
                    .collect()
            })
        })
    }

    fn kind() -> impl Strategy<Value = u16> {
        let kinds = [
            1,
            2,
            3,
            NEW_TABLE,
            NEW_CHAIN,
            NEW_RULE,
            NEW_SET,
            NEW_ELEMENTS,
        ];
        prop_oneof![prop::sample::select(kinds.to_vec()), any::<u16>()]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_replies(&datagram);
        }

        #[test]
        fn any_body_and_any_cut_of_it_are_read_without_panic(
            kind in kind(), body in nested(), cut in any::<prop::sample::Index>(),
        ) {
            let mut datagram = message(kind, &[&[0; 4][..], &body].concat());
            let _ = parse_replies(&datagram);
            datagram.truncate(cut.index(datagram.len()));
            let _ = parse_replies(&datagram);
            let cut = cut.index(body.len() + 1);
            let _ = parse_replies(&message(kind, &body[..cut]));
        }
    }

    #[test]
    fn an_element_without_a_key_is_malformed() {
        let element = attribute(1, &attribute(6, b"\0\x02x\0"));
        let body = [&[0; 4][..], &attribute(3, &element)].concat();
        let malformed = Malformed::Lacking("element", "key");
        assert_eq!(parse_replies(&message(NEW_ELEMENTS, &body)), Err(malformed));
    }

    #[test]
    fn a_jump_without_a_chain_is_malformed() {
        let verdict = attribute(2, &attribute(2, &attribute(1, &(-3i32).to_be_bytes())));
        let expression = [attribute(1, b"immediate\0"), attribute(2, &verdict)].concat();
        let rule = [
            attribute(3, &[0; 8]),
            attribute(4, &attribute(1, &expression)),
        ]
        .concat();
        let malformed = Malformed::Lacking("verdict", "chain");
        let body = [vec![0; 4], rule].concat();
        assert_eq!(parse_replies(&message(NEW_RULE, &body)), Err(malformed));
    }
}
