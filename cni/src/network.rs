//! Addresses and networks in text, as strict as the decoder that existing configurations pass.
//!
//! A network always has its prefix length, octets have no leading zeros, and an IPv4 address
//! written in IPv6 form counts as the IPv4 address it is.

use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// Reads an address: `10.1.0.7`, `fd00::7`.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Reads an address with its prefix length, `10.1.0.7/16`; the bits of the host are kept.
pub fn parse_cidr(text: &str) -> Option<IpNetwork> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let written = address.parse::<IpAddr>().ok()?;
    let length = length.parse::<u8>().ok()?;
    let ip = written.to_canonical();
    // The first 96 bits of an IPv4 address in IPv6 form say only that it is one.
    let length = match (written, ip) {
        (IpAddr::V6(_), IpAddr::V4(_)) => length.checked_sub(96)?,
        _ => length,
    };
    IpNetwork::new(ip, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks() {
        for (text, read) in [
            ("10.1.0.7/16", "10.1.0.7/16"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::7/64", "fd00::7/64"),
            ("FD00:0:0::7/128", "fd00::7/128"),
            ("::ffff:10.1.0.7/112", "10.1.0.7/16"),
        ] {
            assert_eq!(
                parse_cidr(text).map(|net| net.to_string()).as_deref(),
                Some(read)
            );
        }
        for text in [
            "",
            "/",
            "10.1.0.7",
            "10.1.0.7/",
            "10.1.0.7/33",
            "10.1.0.7/+8",
            "10.1.0.7/-1",
            "10.1.0.7/255.255.0.0",
            "10.1.0.07/16",
            "10.1.0/16",
            " 10.1.0.7/16",
            "10.1.0.7/16 ",
            "fd00::7/129",
            "fd00::7%eth0/64",
            "::ffff:10.1.0.7/95",
            "10.1.0.7/16/16",
        ] {
            assert_eq!(parse_cidr(text), None, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(parse_address("10.1.0.7"), Some(IpAddr::from([10, 1, 0, 7])));
        assert_eq!(
            parse_address("::ffff:10.1.0.7"),
            Some(IpAddr::from([10, 1, 0, 7]))
        );
        for text in [
            "",
            "10.1.0",
            "10.1.0.07",
            "0x0a.1.0.7",
            "10.1.0.7/16",
            "fe80::1%eth0",
        ] {
            assert_eq!(parse_address(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}|[0-9a-f.:/]{0,24}") {
            if let Some(net) = parse_cidr(&text) {
                prop_assert_eq!(parse_cidr(&net.to_string()), Some(net));
            }
        }
    }
}
