//! Ranges and range sets: the addresses that a configuration offers. Pure.
//!
//! A range is a stretch of one subnet; a range set is a pool of ranges of one family, and an attachment gets one address
//! of each set. Everything the configuration left out is filled in here as the reference fills it in, so that the rest
//! of the crate sees only complete ranges.

use crate::address::Address;
use ipnetwork::IpNetwork;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Why a range or a set of ranges cannot be used. The texts end in the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The subnet is smaller than a /30 or a /126.
    #[error(
        "subnet {0} is too small: it needs room for a gateway and a pod, a prefix of at most /{1}"
    )]
    TooSmall(IpNetwork, u8),
    /// The subnet's address lies inside the network instead of at its start.
    #[error("subnet {0} has host bits set: write {1}")]
    HostBits(IpNetwork, IpNetwork),
    /// The subnet reaches into the block in which IPv6 addresses stand for IPv4 ones.
    #[error("subnet {0} covers v4-mapped addresses, ::ffff:0:0/96: choose another")]
    Mapped(IpNetwork),
    /// `rangeStart` or `rangeEnd` is outside the subnet.
    #[error("{0} {1} is outside subnet {2}: choose an address inside it")]
    Outside(&'static str, Address, IpNetwork),
    /// The range ends before it starts.
    #[error("rangeStart {0} is after rangeEnd {1}: swap them")]
    Backwards(Address, Address),
    /// The gateway is of the other family.
    #[error(
        "gateway {0} and subnet {1} are of different families: give a gateway of the subnet's family"
    )]
    GatewayFamily(Address, IpNetwork),
    /// A set without ranges.
    #[error("range set is empty: give it at least one range with a subnet, or remove it")]
    Empty,
    /// A set with ranges of both families.
    #[error("range set mixes {0} and {1}: put IPv4 and IPv6 into sets of their own")]
    MixedFamilies(String, String),
    /// Two ranges that have addresses in common.
    #[error("ranges {0} and {1} overlap: an address may be offered only once")]
    Overlap(String, String),
}

/// A stretch of addresses of one subnet, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    start: Address,
    end: Address,
    gateway: Address,
}

impl Range {
    /// A complete range: by default from the first host address to the last, behind a gateway at the first.
    pub fn new(
        subnet: IpNetwork,
        start: Option<IpAddr>,
        end: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<Self, RangeError> {
        let (first, last) = bounds(subnet)?;
        let within = |key, address: Address| {
            if (first..=last).contains(&address) {
                Ok(address)
            } else {
                Err(RangeError::Outside(key, address, subnet))
            }
        };
        let first_host = Address::from_number(first.number() + 1);
        let last_host = match subnet {
            // The highest address of an IPv4 subnet is its broadcast address; IPv6 has none.
            IpNetwork::V4(_) => Address::from_number(last.number() - 1),
            IpNetwork::V6(_) => last,
        };
        let start = start.map_or(Ok(first_host), |ip| within("rangeStart", ip.into()))?;
        let end = end.map_or(Ok(last_host), |ip| within("rangeEnd", ip.into()))?;
        if start > end {
            return Err(RangeError::Backwards(start, end));
        }
        let gateway = gateway.map_or(first_host, Address::from);
        if gateway.is_ipv4() != subnet.is_ipv4() {
            return Err(RangeError::GatewayFamily(gateway, subnet));
        }
        Ok(Self {
            subnet,
            start,
            end,
            gateway,
        })
    }

    /// The first address.
    pub fn start(&self) -> Address {
        self.start
    }

    /// The last address.
    pub fn end(&self) -> Address {
        self.end
    }

    /// The address that pods of this range use as their gateway; it is never given to a pod.
    pub fn gateway(&self) -> Address {
        self.gateway
    }

    /// An address of this range as a result has it: with the prefix length of the subnet.
    pub fn with_prefix(&self, address: Address) -> IpNetwork {
        IpNetwork::new(address.ip(), self.subnet.prefix()).unwrap_or(self.subnet)
    }

    /// Whether the address lies in this range.
    pub fn contains(&self, address: Address) -> bool {
        (self.start..=self.end).contains(&address)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// The first and the last address of a subnet that is fit to allocate from.
fn bounds(subnet: IpNetwork) -> Result<(Address, Address), RangeError> {
    let longest = if subnet.is_ipv4() { 30 } else { 126 };
    if subnet.prefix() > longest {
        return Err(RangeError::TooSmall(subnet, longest));
    }
    if subnet.ip() != subnet.network() {
        let right = IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet);
        return Err(RangeError::HostBits(subnet, right));
    }
    let mapped = Address::from(IpAddr::from(Ipv4Addr::UNSPECIFIED));
    let (first, last) = (
        Address::from(subnet.ip()),
        Address::from(subnet.broadcast()),
    );
    if !subnet.is_ipv4() && (first..=last).contains(&mapped) {
        return Err(RangeError::Mapped(subnet));
    }
    Ok((first, last))
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// A pool of ranges of one family that do not overlap; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// A set of these ranges, in the order in which they are to be used.
    pub fn new(ranges: Vec<Range>) -> Result<Self, RangeError> {
        let Some(first) = ranges.first() else {
            return Err(RangeError::Empty);
        };
        if let Some(other) = ranges
            .iter()
            .find(|range| range.start.is_ipv4() != first.start.is_ipv4())
        {
            return Err(RangeError::MixedFamilies(
                first.to_string(),
                other.to_string(),
            ));
        }
        for (index, range) in ranges.iter().enumerate() {
            if let Some(other) = ranges.iter().skip(index + 1).find(|r| r.overlaps(range)) {
                return Err(RangeError::Overlap(range.to_string(), other.to_string()));
            }
        }
        Ok(Self(ranges))
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// Whether this is a set of IPv4 ranges.
    pub fn is_ipv4(&self) -> bool {
        self.0.first().is_some_and(|range| range.start.is_ipv4())
    }

    /// The range of this set in which the address lies.
    pub fn range_of(&self, address: Address) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(address))
    }

    /// A pair of overlapping ranges, one of this set and one of the other.
    pub fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a Range, &'a Range)> {
        self.0.iter().find_map(|mine| {
            let theirs = other.0.iter().find(|theirs| theirs.overlaps(mine))?;
            Some((mine, theirs))
        })
    }

    /// How many addresses can be given out when these gateways are left alone. `gateways` holds no address twice.
    pub fn capacity(&self, gateways: &[Address]) -> u128 {
        let size = |range: &Range| {
            let held_back = gateways.iter().filter(|gateway| range.contains(**gateway));
            (range.end.number() - range.start.number())
                .saturating_add(1)
                .saturating_sub(held_back.count() as u128)
        };
        self.0.iter().map(size).fold(0, u128::saturating_add)
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            range.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    fn range(subnet: &str, start: &str, end: &str, gateway: &str) -> Result<Range, RangeError> {
        Range::new(subnet.parse().unwrap(), ip(start), ip(end), ip(gateway))
    }

    fn whole(subnet: &str) -> Range {
        range(subnet, "", "", "").unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        for (subnet, start, end, gateway, text, gw) in [
            (
                "10.1.0.0/16",
                "",
                "",
                "",
                "10.1.0.1-10.1.255.254",
                "10.1.0.1",
            ),
            ("10.1.0.0/30", "", "", "", "10.1.0.1-10.1.0.2", "10.1.0.1"),
            (
                "10.1.0.0/24",
                "10.1.0.9",
                "",
                "",
                "10.1.0.9-10.1.0.254",
                "10.1.0.1",
            ),
            (
                "10.1.0.0/24",
                "",
                "10.1.0.9",
                "",
                "10.1.0.1-10.1.0.9",
                "10.1.0.1",
            ),
            (
                "10.1.0.0/24",
                "10.1.0.0",
                "10.1.0.255",
                "",
                "10.1.0.0-10.1.0.255",
                "10.1.0.1",
            ),
            (
                "10.1.0.0/24",
                "10.1.0.9",
                "10.1.0.9",
                "",
                "10.1.0.9-10.1.0.9",
                "10.1.0.1",
            ),
            (
                "10.1.0.0/24",
                "",
                "",
                "10.9.9.9",
                "10.1.0.1-10.1.0.254",
                "10.9.9.9",
            ),
            (
                "10.1.0.0/24",
                "::ffff:10.1.0.9",
                "",
                "",
                "10.1.0.9-10.1.0.254",
                "10.1.0.1",
            ),
            ("fd00::/126", "", "", "", "fd00::1-fd00::3", "fd00::1"),
            (
                "fd00::/64",
                "",
                "",
                "",
                "fd00::1-fd00::ffff:ffff:ffff:ffff",
                "fd00::1",
            ),
            (
                "8000::/1",
                "8000::2",
                "",
                "",
                "8000::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "8000::1",
            ),
        ] {
            let range = range(subnet, start, end, gateway).unwrap();
            assert_eq!(
                (range.to_string(), range.gateway.to_string()),
                (text.into(), gw.into())
            );
        }
    }

    #[test]
    fn a_bad_range_is_refused_with_its_value_and_the_way_out() {
        for (subnet, start, end, gateway, text) in [
            (
                "10.1.0.0/31",
                "",
                "",
                "",
                "subnet 10.1.0.0/31 is too small: it needs room for a gateway and a pod, a prefix of at most /30",
            ),
            (
                "fd00::/127",
                "",
                "",
                "",
                "subnet fd00::/127 is too small: it needs room for a gateway and a pod, a prefix of at most /126",
            ),
            (
                "10.1.0.5/24",
                "",
                "",
                "",
                "subnet 10.1.0.5/24 has host bits set: write 10.1.0.0/24",
            ),
            (
                "::/64",
                "",
                "",
                "",
                "subnet ::/64 covers v4-mapped addresses, ::ffff:0:0/96: choose another",
            ),
            (
                "10.1.0.0/24",
                "10.1.1.0",
                "",
                "",
                "rangeStart 10.1.1.0 is outside subnet 10.1.0.0/24: choose an address inside it",
            ),
            (
                "10.1.0.0/24",
                "",
                "fd00::1",
                "",
                "rangeEnd fd00::1 is outside subnet 10.1.0.0/24: choose an address inside it",
            ),
            (
                "10.1.0.0/24",
                "10.1.0.9",
                "10.1.0.8",
                "",
                "rangeStart 10.1.0.9 is after rangeEnd 10.1.0.8: swap them",
            ),
            (
                "10.1.0.0/24",
                "",
                "",
                "fd00::1",
                "gateway fd00::1 and subnet 10.1.0.0/24 are of different families: \
                 give a gateway of the subnet's family",
            ),
        ] {
            let error = range(subnet, start, end, gateway).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_set_is_of_one_family_and_without_overlaps() {
        assert_eq!(RangeSet::new(vec![]), Err(RangeError::Empty));
        let mixed = RangeSet::new(vec![whole("10.1.0.0/24"), whole("fd00::/64")]);
        assert!(matches!(mixed, Err(RangeError::MixedFamilies(..))));
        let overlapping = RangeSet::new(vec![
            whole("10.2.0.0/24"),
            whole("10.1.0.0/24"),
            range("10.1.0.0/16", "10.1.0.254", "10.1.1.9", "").unwrap(),
        ]);
        assert_eq!(
            overlapping.unwrap_err().to_string(),
            "ranges 10.1.0.1-10.1.0.254 and 10.1.0.254-10.1.1.9 overlap: an address may be offered only once"
        );
    }

    #[test]
    fn stretches_of_one_subnet_may_be_one_set() {
        let set = RangeSet::new(vec![
            range("10.1.0.0/24", "10.1.0.200", "", "").unwrap(),
            range("10.1.0.0/24", "10.1.0.10", "10.1.0.20", "").unwrap(),
        ])
        .unwrap();
        assert_eq!(set.to_string(), "10.1.0.200-10.1.0.254,10.1.0.10-10.1.0.20");
        assert_eq!(set.capacity(&[whole("10.1.0.0/24").gateway()]), 66);
    }

    #[test]
    fn capacity_leaves_the_gateways_out() {
        let set = RangeSet::new(vec![whole("10.1.0.0/16")]).unwrap();
        assert_eq!(set.capacity(&[whole("10.1.0.0/16").gateway()]), 65_533);
        let half = RangeSet::new(vec![range("8000::/1", "8000::", "", "").unwrap()]).unwrap();
        assert_eq!(half.capacity(&[]), 1 << 127);
    }
}
