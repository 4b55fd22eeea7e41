//! Address ranges, joined where they lie side by side.

use ipnetwork::IpNetwork;
use std::collections::BTreeSet;

/// The fewest prefixes that cover exactly the same addresses.
///
/// A cluster hands out its nodes' ranges one after the other, so what is a range for each node becomes a handful.
pub fn collapse(networks: impl IntoIterator<Item = IpNetwork>) -> Vec<IpNetwork> {
    let mut left: BTreeSet<IpNetwork> = networks.into_iter().filter_map(cleaned).collect();
    loop {
        let within = |inner: &IpNetwork| {
            left.iter()
                .any(|outer| outer != inner && covers(outer, inner))
        };
        let inner: Vec<_> = left.iter().copied().filter(within).collect();
        left.retain(|network| !inner.contains(network));
        let pair = left.iter().find_map(|network| {
            let sibling = sibling(network)?;
            left.contains(&sibling).then_some((*network, sibling))
        });
        let Some((one, other)) = pair else {
            return left.into_iter().collect();
        };
        left.remove(&one);
        left.remove(&other);
        left.extend(parent(&one));
    }
}

fn cleaned(network: IpNetwork) -> Option<IpNetwork> {
    IpNetwork::new(network.network(), network.prefix()).ok()
}

fn covers(outer: &IpNetwork, inner: &IpNetwork) -> bool {
    outer.prefix() <= inner.prefix() && outer.contains(inner.network())
}

fn parent(network: &IpNetwork) -> Option<IpNetwork> {
    let prefix = network.prefix().checked_sub(1)?;
    cleaned(IpNetwork::new(network.network(), prefix).ok()?)
}

/// The other half of the parent.
fn sibling(network: &IpNetwork) -> Option<IpNetwork> {
    let behind = |width: u8| u32::from(width - network.prefix());
    network.prefix().checked_sub(1)?;
    let address = match network {
        IpNetwork::V4(v4) => (v4.network().to_bits() ^ 1_u32.checked_shl(behind(32))?)
            .to_be_bytes()
            .into(),
        IpNetwork::V6(v6) => (v6.network().to_bits() ^ 1_u128.checked_shl(behind(128))?)
            .to_be_bytes()
            .into(),
    };
    IpNetwork::new(address, network.prefix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn collapsed(networks: &[&str]) -> Vec<String> {
        let networks = networks.iter().map(|text| text.parse().unwrap());
        collapse(networks).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn neighbours_become_one() {
        assert_eq!(
            collapsed(&["10.244.0.0/24", "10.244.1.0/24"]),
            ["10.244.0.0/23"]
        );
        // Side by side, but halves of different parents.
        let apart = ["10.244.1.0/24", "10.244.2.0/24"];
        assert_eq!(collapsed(&apart), apart);
        assert_eq!(
            collapsed(&["10.244.0.0/16", "10.244.3.0/24"]),
            ["10.244.0.0/16"]
        );
        assert_eq!(collapsed(&["fd00:0:0:1::/64", "fd00::/64"]), ["fd00::/63"]);
        assert_eq!(
            collapsed(&["0.0.0.0/1", "128.0.0.0/1", "::/0"]),
            ["0.0.0.0/0", "::/0"]
        );
    }

    #[test]
    fn a_full_cluster_is_one_rule() {
        let nodes = (0..=255).map(|third| {
            let address = IpAddr::V4(Ipv4Addr::new(10, 244, third, 0));
            IpNetwork::new(address, 24).unwrap()
        });
        assert_eq!(
            collapse(nodes),
            ["10.244.0.0/16".parse::<IpNetwork>().unwrap()]
        );
    }

    proptest! {
        #[test]
        fn the_same_addresses_are_covered(
            networks in prop::collection::vec((any::<u32>().prop_map(|bits| bits & 0xff), 24_u8..=32), 0..12),
        ) {
            let networks: Vec<_> = networks.into_iter()
                .map(|(last, prefix)| IpNetwork::new(IpAddr::V4(Ipv4Addr::from_bits(last)), prefix).unwrap())
                .collect();
            let after = collapse(networks.clone());
            for last in 0..=255 {
                let address = IpAddr::V4(Ipv4Addr::from_bits(last));
                let before = networks.iter().any(|network| network.contains(address));
                let covering = after.iter().filter(|network| network.contains(address)).count();
                prop_assert_eq!(covering, usize::from(before), "{}", address);
            }
            prop_assert_eq!(collapse(after.clone()), after);
        }
    }
}
