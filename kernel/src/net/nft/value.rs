//! Types and values of keys and maps, and the form in which the kernel keeps them.
//!
//! The kernel knows only bytes: each part of a concatenation in network order, padded to 32-bit registers. The type
//! numbers are those of the `nft` program, which prints a set by them.

use crate::net::Mac;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The type of one part of a key or of a map's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// `ipv4_addr`.
    Ipv4Addr,
    /// `ipv6_addr`.
    Ipv6Addr,
    /// `ether_addr`.
    EtherAddr,
    /// `inet_proto`, the protocol above IP.
    InetProto,
    /// `inet_service`, a port.
    InetService,
    /// `ifname`.
    Ifname,
}

impl Type {
    /// The bytes of a value, without padding.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Ipv4Addr => 4,
            Self::Ipv6Addr | Self::Ifname => 16,
            Self::EtherAddr => 6,
            Self::InetProto => 1,
            Self::InetService => 2,
        }
    }

    /// The bytes of a value inside a concatenation.
    pub(super) const fn padded(self) -> usize {
        self.size().next_multiple_of(4)
    }

    /// The number by which `nft` knows the type.
    const fn number(self) -> u32 {
        match self {
            Self::Ipv4Addr => 7,
            Self::Ipv6Addr => 8,
            Self::EtherAddr => 9,
            Self::InetProto => 12,
            Self::InetService => 13,
            Self::Ifname => 41,
        }
    }
}

/// The number by which `nft` knows a concatenation: six bits for each part.
pub(super) fn type_number(types: &[Type]) -> u32 {
    types
        .iter()
        .fold(0, |number, part| number << 6 | part.number())
}

/// The bytes of a value of these types; only a value that stands alone has no padding.
pub(super) fn length(types: &[Type]) -> usize {
    match types {
        [one] => one.size(),
        parts => parts.iter().map(|part| part.padded()).sum(),
    }
}

/// A length as the kernel wants it; nothing here is ever so long that it does not fit.
pub(super) fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// One part of a key or of a map's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// An Ethernet address.
    Ether([u8; 6]),
    /// The number of a protocol above IP.
    Proto(u8),
    /// A port.
    Service(u16),
    /// The name of an interface, of at most 15 bytes.
    Ifname(String),
}

impl Value {
    /// What the value is of.
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Ipv4(_) => Type::Ipv4Addr,
            Self::Ipv6(_) => Type::Ipv6Addr,
            Self::Ether(_) => Type::EtherAddr,
            Self::Proto(_) => Type::InetProto,
            Self::Service(_) => Type::InetService,
            Self::Ifname(_) => Type::Ifname,
        }
    }

    /// The value as the kernel keeps it, without padding; the name of an interface is padded, as it is in a packet's
    /// metadata.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ipv4(address) => address.octets().to_vec(),
            Self::Ipv6(address) => address.octets().to_vec(),
            Self::Ether(address) => address.to_vec(),
            Self::Proto(number) => vec![*number],
            Self::Service(port) => port.to_be_bytes().to_vec(),
            Self::Ifname(name) => {
                let mut bytes = name.as_bytes().to_vec();
                bytes.resize(Type::Ifname.size(), 0);
                bytes
            }
        }
    }

    /// The value of this type that these bytes, without padding, are.
    fn read(kind: Type, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            Type::Ipv4Addr => Self::Ipv4(<[u8; 4]>::try_from(bytes).ok()?.into()),
            Type::Ipv6Addr => Self::Ipv6(<[u8; 16]>::try_from(bytes).ok()?.into()),
            Type::EtherAddr => Self::Ether(bytes.try_into().ok()?),
            Type::InetProto => Self::Proto(*bytes.first()?),
            Type::InetService => Self::Service(u16::from_be_bytes(bytes.try_into().ok()?)),
            Type::Ifname => {
                let name = bytes.split(|byte| *byte == 0).next()?;
                Self::Ifname(String::from_utf8(name.to_vec()).ok()?)
            }
        })
    }

    /// The address, if it is one of IP.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ipv4(address) => Some(IpAddr::V4(*address)),
            Self::Ipv6(address) => Some(IpAddr::V6(*address)),
            Self::Ether(_) | Self::Proto(_) | Self::Service(_) | Self::Ifname(_) => None,
        }
    }

    /// Why the kernel could not keep the value, if it could not.
    fn fault(&self) -> Option<String> {
        match self {
            Self::Ifname(name) if name.is_empty() || name.len() > 15 || name.contains('\0') => {
                Some(format!(
                    "{name:?} is not the name of an interface (1 to 15 bytes)"
                ))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => address.fmt(f),
            Self::Ether(address) => Mac(*address).fmt(f),
            Self::Proto(number) => number.fmt(f),
            Self::Service(port) => port.fmt(f),
            Self::Ifname(name) => write!(f, "{name:?}"),
        }
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address),
            IpAddr::V6(address) => Self::Ipv6(address),
        }
    }
}

impl From<Mac> for Value {
    fn from(mac: Mac) -> Self {
        Self::Ether(mac.0)
    }
}

/// A key of a set or map, or a map's value: one [`Value`] or a concatenation of several.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub Vec<Value>);

impl Key {
    /// The key as the kernel keeps it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in &self.0 {
            bytes.extend(value.bytes());
            if self.0.len() > 1 {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    }

    /// The key of these types that these bytes are.
    pub(super) fn read(types: &[Type], bytes: &[u8]) -> Option<Self> {
        // The kernel pads a lone value too where its length is no multiple of a register.
        let mut rest = bytes;
        let mut values = Vec::with_capacity(types.len());
        for kind in types {
            values.push(Value::read(*kind, rest.get(..kind.size())?)?);
            rest = rest.get(kind.padded()..).unwrap_or_default();
        }
        rest.is_empty().then_some(Self(values))
    }

    /// Why the key does not fit a set whose key has these types, if it does not.
    pub(super) fn fault(&self, types: &[Type]) -> Option<String> {
        if !self.0.iter().map(Value::type_of).eq(types.iter().copied()) {
            return Some(format!("{self} is not of the type {types:?}"));
        }
        self.0.iter().find_map(Value::fault)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, value) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" . ")?;
            }
            value.fmt(f)?;
        }
        Ok(())
    }
}

impl<V: Into<Value>> From<V> for Key {
    fn from(value: V) -> Self {
        Self(vec![value.into()])
    }
}

impl<const PARTS: usize> From<[Value; PARTS]> for Key {
    fn from(values: [Value; PARTS]) -> Self {
        Self(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<Ipv4Addr>().prop_map(Value::Ipv4),
            any::<Ipv6Addr>().prop_map(Value::Ipv6),
            any::<[u8; 6]>().prop_map(Value::Ether),
            any::<u8>().prop_map(Value::Proto),
            any::<u16>().prop_map(Value::Service),
            "[a-z0-9._-]{1,15}".prop_map(Value::Ifname),
        ]
    }

    fn any_type() -> impl Strategy<Value = Type> {
        value().prop_map(|value| value.type_of())
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_as_it_was_written(values in prop::collection::vec(value(), 1..5)) {
            let types: Vec<_> = values.iter().map(Value::type_of).collect();
            let key = Key(values);
            prop_assert_eq!(key.bytes().len(), length(&types));
            prop_assert_eq!(key.fault(&types), None);
            prop_assert_eq!(Key::read(&types, &key.bytes()), Some(key));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            types in prop::collection::vec(any_type(), 0..5),
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = Key::read(&types, &bytes);
        }
    }

    #[test]
    fn a_key_names_what_is_wrong_with_it() {
        let key = Key::from(Value::Ifname("veth-of-a-long-name".into()));
        assert_eq!(
            key.fault(&[Type::Ifname]).as_deref(),
            Some("\"veth-of-a-long-name\" is not the name of an interface (1 to 15 bytes)")
        );
        let key = Key::from(Value::Service(80));
        assert_eq!(
            key.fault(&[Type::Ipv4Addr]).as_deref(),
            Some("80 is not of the type [Ipv4Addr]")
        );
    }
}
