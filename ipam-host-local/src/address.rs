//! An address as a number.
//!
//! IPv4 lives in the v4-mapped block of IPv6 (`::ffff:0:0/96`), so that ranges, cursors and bitmaps of both families
//! are one kind of arithmetic. As text, and so as the name of a file, an address reads the way the reference prints it:
//! dotted for IPv4, compressed lower case for IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 or IPv6 address, ordered as a number. A v4-mapped IPv6 address *is* the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

impl Address {
    /// The address with this number.
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }

    /// The address's number.
    pub const fn number(self) -> u128 {
        self.0
    }

    /// The address in the standard library's type; never a v4-mapped one.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self.0).to_canonical()
    }

    /// Whether this is an IPv4 address.
    pub fn is_ipv4(self) -> bool {
        self.ip().is_ipv4()
    }

    /// The address after this one; the last of all has none.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The address whose file has this name. Only the exact spelling counts, because only that one collides with the
    /// file we would make.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let address = Self::from(name.parse::<IpAddr>().ok()?);
        (address.to_string() == name).then_some(address)
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_those_of_the_reference() {
        for name in [
            "10.1.0.5",
            "fd00::1",
            "fd00:0:0:1::",
            "fd00::1:0:0:1",
            "2001:db8:0:1:1:1:1:1",
            "::a00:1",
        ] {
            let address = Address::from_file_name(name).unwrap();
            assert_eq!(address.to_string(), name);
        }
    }

    #[test]
    fn other_spellings_and_other_files_are_no_addresses() {
        for name in [
            "FD00::1",
            "fd00::0001",
            "::ffff:10.1.0.5",
            "10.1.0.05",
            "lock",
            "last_reserved_ip.0",
            "",
        ] {
            assert_eq!(Address::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:10.1.0.5".parse().unwrap();
        let plain: IpAddr = "10.1.0.5".parse().unwrap();
        assert_eq!(Address::from(mapped), Address::from(plain));
        assert_eq!(Address::from(mapped).ip(), plain);
        assert!(Address::from(mapped).is_ipv4());
    }

    #[test]
    fn the_last_address_has_no_next() {
        let last = Address::from_number(u128::MAX);
        assert_eq!(last.next(), None);
    }
}
