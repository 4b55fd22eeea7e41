//! Ethernet addresses.

use super::Error;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// A text that is no unicast Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a unicast MAC address of the form 02:00:5e:10:00:01")]
pub struct InvalidMac(String);

impl Mac {
    /// A locally administered unicast address from six bytes, whatever they are.
    pub const fn local(mut bytes: [u8; 6]) -> Self {
        bytes[0] = (bytes[0] & 0xfc) | 0x02;
        Self(bytes)
    }

    /// A random locally administered unicast address.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 6];
        getrandom(&mut bytes, GetRandomFlags::empty())
            .map_err(|e| Error::io("draw a random MAC address", e))?;
        Ok(Self::local(bytes))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl FromStr for Mac {
    type Err = InvalidMac;

    /// Accepts `:` and `-` between the bytes, and either letter case; refuses multicast and all-zero addresses.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let invalid = || InvalidMac(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = part
                .and_then(|p| u8::from_str_radix(p, 16).ok())
                .ok_or_else(invalid)?;
        }
        let unicast = bytes[0] & 1 == 0 && bytes != [0; 6];
        if parts.next().is_some() || !unicast {
            Err(invalid())
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_both_separators_and_cases_are_read() {
        let mac = Mac([0x02, 0, 0x5e, 0x10, 0xab, 0xcd]);
        for text in ["02:00:5e:10:ab:cd", "02-00-5E-10-AB-CD"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        assert_eq!(mac.to_string(), "02:00:5e:10:ab:cd");
    }

    #[test]
    fn texts_that_no_interface_can_carry_are_refused() {
        for text in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:01:02",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "2:0:5e:1:0:1",
            "+2:00:5e:10:00:01",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn local_addresses_are_unicast_and_locally_administered() {
        assert_eq!(Mac::local([0xff; 6]).0[0] & 3, 2);
        assert_eq!(Mac::local([0; 6]).0[0] & 3, 2);
    }
}
