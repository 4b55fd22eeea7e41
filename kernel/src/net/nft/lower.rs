//! Lowering a rule to the kernel's machine: loads into registers, comparisons, lookups, verdicts.
//!
//! The machine has sixteen 32-bit registers; aligned groups of four are known by the numbers of an older, 128-bit
//! numbering, which is also how the kernel reports them.

use super::expression::{Expression, Field, Found, Selector, Statement};
use super::mark;
use super::nat;
use super::object::Family;
use super::value::{self, Key, Type, Value, u32_of};
use super::verdict::Verdict;
use ipnetwork::IpNetwork;
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, Expressions, Immediate, Lookup, Meta, MetaKey, Operator, Payload,
    Register, Verdict as Code, VerdictAttribute,
};
use std::net::IpAddr;

/// The first data register, which every condition starts from.
const FIRST: Register = Register::Reg1;
/// All data registers together, in bytes.
const REGISTERS: usize = 64;

const LINK_HEADER: u32 = 0;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
/// `NFT_LOOKUP_F_INV`.
const INVERTED: u32 = 1;
/// `NFTA_MASQ_FLAGS`, and the flag for ports chosen fully at random.
const MASQ_FLAGS: u16 = 1;
const FULLY_RANDOM: u32 = 1 << 4;

/// The kernel's expressions for a rule of this family, or why there are none.
pub(super) fn lower(
    family: Family,
    rule: impl IntoIterator<Item = Expression>,
) -> Result<Vec<Expressions>, String> {
    let mut machine = Machine {
        family,
        seen: Vec::new(),
        code: Vec::new(),
    };
    for expression in rule {
        machine.statement(expression.0)?;
    }
    Ok(machine.code)
}

/// What a field needs the packet to be, before its bytes mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Ipv4,
    Ipv6,
    Ethernet,
}

struct Machine {
    family: Family,
    /// The protocols that the rule has tested for.
    seen: Vec<Protocol>,
    code: Vec<Expressions>,
}

impl Machine {
    fn statement(&mut self, statement: Statement) -> Result<(), String> {
        match statement {
            Statement::Compare {
                selector,
                key,
                differs,
            } => self.compare(&selector, &key, differs),
            Statement::Prefix {
                selector,
                network,
                outside,
            } => self.prefix(&selector, network, outside),
            Statement::Lookup {
                selector,
                set,
                key,
                found,
            } => {
                self.load(&selector, &key)?;
                self.look_up(set, found);
                Ok(())
            }
            Statement::Translate {
                selector,
                map,
                key,
                to,
                marking,
            } => self.translate(&selector, &key, map, &to, marking),
            Statement::Verdict(verdict) => {
                if let Some(fault) = verdict.fault() {
                    return Err(fault);
                }
                self.code.push(Expressions::Immediate(vec![
                    Immediate::DestinationRegister(Register::Verdict),
                    Immediate::Data(DataAttribute::Verdict(verdict_attributes(&verdict))),
                ]));
                Ok(())
            }
            Statement::Masquerade { fully_random } => {
                self.masquerade(fully_random);
                Ok(())
            }
            Statement::Code(code) => {
                self.code.extend(code?);
                Ok(())
            }
        }
    }

    fn compare(&mut self, selector: &Selector, key: &Key, differs: bool) -> Result<(), String> {
        let types = selector.types();
        if let Some(fault) = key.fault(&types) {
            return Err(fault);
        }
        self.load(selector, &types)?;
        self.test(key.bytes(), differs);
        Ok(())
    }

    fn prefix(
        &mut self,
        selector: &Selector,
        network: IpNetwork,
        outside: bool,
    ) -> Result<(), String> {
        let address = Value::from(network.network());
        let [field] = selector.fields() else {
            return Err(format!("a concatenation cannot be compared with {network}"));
        };
        if field.type_of() != address.type_of() {
            return Err(format!(
                "{} cannot be compared with {network}",
                field.name()
            ));
        }
        self.require(field)?;
        let bits = usize::from(network.prefix());
        let mut bytes = address.bytes();
        if bits > 0 && bits.is_multiple_of(8) {
            bytes.truncate(bits / 8);
            self.load_field(*field, bytes.len(), FIRST);
        } else {
            self.load_field(*field, bytes.len(), FIRST);
            self.mask(network.mask());
        }
        self.test(bytes, outside);
        Ok(())
    }

    /// Loads the selector's fields side by side, as a key of these types has them.
    fn load(&mut self, selector: &Selector, key: &[Type]) -> Result<(), String> {
        if selector.types() != key {
            return Err(format!("{selector} is not of the type {key:?}"));
        }
        if key.is_empty() || value::length(key) > REGISTERS {
            return Err(format!(
                "{selector} does not fit the kernel's {REGISTERS} bytes of registers"
            ));
        }
        for field in selector.fields() {
            self.require(field)?;
        }
        let mut offset = 0;
        for field in selector.fields() {
            self.load_field(*field, field.type_of().size(), register(offset));
            offset += field.type_of().padded();
        }
        Ok(())
    }

    /// Tests for the field's protocol, unless the family or an earlier test has settled it.
    fn require(&mut self, field: &Field) -> Result<(), String> {
        let Some(protocol) = field.protocol() else {
            return Ok(());
        };
        let settled = match (self.family, protocol) {
            (Family::Ip, Protocol::Ipv4) | (Family::Ip6, Protocol::Ipv6) => true,
            (Family::Bridge, Protocol::Ethernet) => true,
            (Family::Ip, Protocol::Ipv6) | (Family::Ip6, Protocol::Ipv4) => {
                return Err(format!(
                    "family {} never sees {}",
                    self.family,
                    field.name()
                ));
            }
            (Family::Inet | Family::Bridge, Protocol::Ipv4 | Protocol::Ipv6) => false,
            (Family::Inet | Family::Ip | Family::Ip6, Protocol::Ethernet) => false,
        };
        if settled || self.seen.contains(&protocol) {
            return Ok(());
        }
        self.seen.push(protocol);
        let (key, number) = protocol.test(self.family);
        self.load_meta(key, FIRST);
        self.test(number, false);
        Ok(())
    }

    fn load_field(&mut self, field: Field, length: usize, register: Register) {
        match field.place() {
            Place::Meta(key) => self.load_meta(key, register),
            Place::Payload { base, offset } => self.code.push(Expressions::Payload(vec![
                Payload::DestinationRegister(register),
                Payload::Base(base),
                Payload::Offset(offset),
                Payload::Len(u32_of(length)),
            ])),
        }
    }

    fn load_meta(&mut self, key: MetaKey, register: Register) {
        let load = vec![Meta::Key(key), Meta::DestinationRegister(register)];
        self.code.push(Expressions::Meta(load));
    }

    fn mask(&mut self, mask: IpAddr) {
        let mask = Value::from(mask).bytes();
        self.code.push(Expressions::Bitwise(vec![
            Bitwise::SourceRegister(FIRST),
            Bitwise::DestinationRegister(FIRST),
            Bitwise::Length(u32_of(mask.len())),
            Bitwise::Xor(DataAttribute::Value(vec![0; mask.len()])),
            Bitwise::Mask(DataAttribute::Value(mask)),
        ]));
    }

    fn test(&mut self, bytes: Vec<u8>, differs: bool) {
        self.code.push(Expressions::Cmp(vec![
            Cmp::SourceRegister(FIRST),
            Cmp::Op(if differs {
                Operator::NotEqual
            } else {
                Operator::Equal
            }),
            Cmp::Data(DataAttribute::Value(bytes)),
        ]));
    }

    fn look_up(&mut self, set: String, found: Found) {
        let mut lookup = vec![Lookup::Set(set), Lookup::SourceRegister(FIRST)];
        match found {
            Found::Matches => {}
            Found::Differs => lookup.push(Lookup::Flags(INVERTED)),
            Found::Decides => lookup.push(Lookup::DestinationRegister(Register::Verdict)),
        }
        self.code.push(Expressions::Lookup(lookup));
    }

    fn translate(
        &mut self,
        selector: &Selector,
        key: &[Type],
        map: String,
        to: &[Type],
        marking: u32,
    ) -> Result<(), String> {
        let address = match to {
            [
                address @ (Type::Ipv4Addr | Type::Ipv6Addr),
                Type::InetService,
            ] => *address,
            _ => return Err(format!("{to:?} is not an address and a port")),
        };
        self.load(selector, key)?;
        self.code.push(Expressions::Lookup(vec![
            Lookup::Set(map),
            Lookup::SourceRegister(FIRST),
            Lookup::DestinationRegister(FIRST),
        ]));
        if marking != 0 {
            self.code.extend(mark::set_bits(marking));
        }
        let port = register(address.padded());
        self.code.push(nat::to_registers(address, FIRST, port));
        Ok(())
    }

    fn masquerade(&mut self, fully_random: bool) {
        let flags = DefaultNla::new(MASQ_FLAGS, FULLY_RANDOM.to_be_bytes().to_vec());
        self.code.push(Expressions::Other {
            expression_type: "masq".to_owned(),
            attributes: if fully_random {
                vec![flags]
            } else {
                Vec::new()
            },
        });
    }
}

/// Where a field is loaded from.
enum Place {
    Meta(MetaKey),
    Payload { base: u32, offset: u32 },
}

impl Field {
    const fn place(self) -> Place {
        match self {
            Self::Iifname => Place::Meta(MetaKey::Iifname),
            Self::Oifname => Place::Meta(MetaKey::Oifname),
            Self::L4proto => Place::Meta(MetaKey::L4Proto),
            Self::EtherSaddr => Place::Payload {
                base: LINK_HEADER,
                offset: 6,
            },
            Self::IpSaddr => Place::Payload {
                base: NETWORK_HEADER,
                offset: 12,
            },
            Self::IpDaddr => Place::Payload {
                base: NETWORK_HEADER,
                offset: 16,
            },
            Self::Ip6Saddr => Place::Payload {
                base: NETWORK_HEADER,
                offset: 8,
            },
            Self::Ip6Daddr => Place::Payload {
                base: NETWORK_HEADER,
                offset: 24,
            },
            Self::ThDport => Place::Payload {
                base: TRANSPORT_HEADER,
                offset: 2,
            },
        }
    }

    const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Iifname | Self::Oifname | Self::L4proto | Self::ThDport => None,
            Self::EtherSaddr => Some(Protocol::Ethernet),
            Self::IpSaddr | Self::IpDaddr => Some(Protocol::Ipv4),
            Self::Ip6Saddr | Self::Ip6Daddr => Some(Protocol::Ipv6),
        }
    }
}

impl Protocol {
    /// What tells the protocol in this family, and the bytes that it is told by.
    fn test(self, family: Family) -> (MetaKey, Vec<u8>) {
        match (self, family) {
            (Self::Ipv4, Family::Bridge) => (MetaKey::EtherTypeProtocol, vec![0x08, 0x00]),
            (Self::Ipv6, Family::Bridge) => (MetaKey::EtherTypeProtocol, vec![0x86, 0xdd]),
            (Self::Ipv4, _) => (MetaKey::Nfproto, vec![2]),
            (Self::Ipv6, _) => (MetaKey::Nfproto, vec![10]),
            (Self::Ethernet, _) => (MetaKey::Iftype, 1u16.to_ne_bytes().to_vec()),
        }
    }
}

/// The register at this offset, in bytes, from the first one.
fn register(offset: usize) -> Register {
    let slot = u32_of(offset / 4);
    Register::from(if slot.is_multiple_of(4) {
        1 + slot / 4
    } else {
        8 + slot
    })
}

/// A verdict, as rules and elements hold it.
pub(super) fn verdict_attributes(verdict: &Verdict) -> Vec<VerdictAttribute> {
    let code = u32::from_ne_bytes(verdict.code().to_ne_bytes());
    let mut attributes = vec![VerdictAttribute::Code(Code::from(code))];
    attributes.extend(
        verdict
            .target()
            .map(|chain| VerdictAttribute::Chain(chain.to_owned())),
    );
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::nft::{concat, ether_saddr, iifname, ip_saddr, ip6_saddr, masquerade};

    fn fault(family: Family, expression: Expression) -> String {
        lower(family, [expression]).expect_err("lowered")
    }

    #[test]
    fn registers_are_named_by_the_older_numbering_where_it_has_them() {
        let numbers: Vec<u32> = (0..16).map(|slot| register(slot * 4).into()).collect();
        assert_eq!(
            numbers,
            [1, 9, 10, 11, 2, 13, 14, 15, 3, 17, 18, 19, 4, 21, 22, 23]
        );
    }

    #[test]
    fn what_no_kernel_could_test_is_refused() {
        let network: IpNetwork = "10.1.0.0/16".parse().expect("network");
        let cases = [
            (
                Family::Inet,
                ip6_saddr().within(network),
                "ip6 saddr cannot be compared with 10.1.0.0/16",
            ),
            (
                Family::Ip6,
                ip_saddr().within(network),
                "family ip6 never sees ip saddr",
            ),
            (
                Family::Inet,
                concat([ip_saddr(), iifname()]).within(network),
                "a concatenation cannot be compared with 10.1.0.0/16",
            ),
            (
                Family::Bridge,
                concat([iifname(), ether_saddr()]).is(Value::Proto(6)),
                "6 is not of the type [Ifname, EtherAddr]",
            ),
            (
                Family::Inet,
                concat([iifname(), iifname(), iifname(), iifname(), ip_saddr()]).is(Key(vec![
                    Value::Ifname("a".into()),
                    Value::Ifname("b".into()),
                    Value::Ifname("c".into()),
                    Value::Ifname("d".into()),
                    Value::Ipv4([10, 1, 0, 7].into()),
                ])),
                "iifname . iifname . iifname . iifname . ip saddr does not fit the kernel's 64 bytes of registers",
            ),
        ];
        for (family, expression, text) in cases {
            assert_eq!(fault(family, expression), text);
        }
    }

    #[test]
    fn a_protocol_is_tested_for_once_in_a_rule() {
        let network: IpNetwork = "10.1.0.0/16".parse().expect("network");
        let rule = [
            ip_saddr().within(network),
            ip_saddr().outside(network),
            masquerade(),
        ];
        assert_eq!(
            lower(Family::Inet, rule.clone()).map(|code| code.len()),
            Ok(7)
        );
        assert_eq!(lower(Family::Ip, rule).map(|code| code.len()), Ok(5));
    }
}
