//! What ties kernel objects to an attachment: a name for the host's end of its veth pair, and a label that the link
//! and the packet filter's elements carry.
//!
//! Both follow from (network, container id, interface name) alone, so that DEL and GC find what an ADD made whatever
//! became of the namespace, the configuration and the earlier result.

use cni::{Attachment, NetworkName};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// nft shows comments of up to 128 bytes; a link's alias may be longer.
const LABEL_LIMIT: usize = 127;
const NETWORK_LIMIT: usize = 40;
const CONTAINER_LIMIT: usize = 64;
const HASH_DIGITS: usize = 16;

/// The identity of one attachment, as the kernel's objects show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `<network>/<container id>/<interface>`; long parts are cut and completed by a hash.
    pub label: String,
    /// Name of the host's end of the veth pair.
    pub port: String,
}

impl Identity {
    /// The identity of an attachment to a network.
    pub fn of(network: &NetworkName, attachment: &Attachment) -> Self {
        let Attachment {
            container_id,
            ifname,
        } = attachment;
        let whole = format!("{network}/{container_id}/{ifname}");
        let port = format!("veth{}", hash(&whole, 11));
        let label = if whole.len() <= LABEL_LIMIT {
            whole
        } else {
            let container = abridged(container_id.as_str(), CONTAINER_LIMIT);
            format!(
                "{}/{container}/{ifname}",
                abridged(network.as_str(), NETWORK_LIMIT)
            )
        };
        Self { label, port }
    }
}

/// Whether a label belongs to an attachment of `network`.
pub fn is_of_network(label: &str, network: &NetworkName) -> bool {
    let name = network.as_str();
    label
        .split_once('/')
        .is_some_and(|(of, _)| of == name || of == abridged(name, NETWORK_LIMIT))
}

/// `text`, or as much of it as fits together with a hash of the whole. `~` occurs in no name.
fn abridged(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    // Names are ASCII: every position is a boundary.
    let kept = text.get(..limit - HASH_DIGITS - 1).unwrap_or_default();
    format!("{kept}~{}", hash(text, HASH_DIGITS))
}

fn hash(text: &str, digits: usize) -> String {
    hex(&Sha256::digest(text.as_bytes()), digits)
}

/// The first hexadecimal digits of a digest.
pub(crate) fn hex(digest: &[u8], digits: usize) -> String {
    let mut hex = String::with_capacity(digits + 1);
    for byte in digest.iter().take(digits.div_ceil(2)) {
        // Writing to a string cannot go wrong.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(network: &str, container: &str, ifname: &str) -> Identity {
        let attachment = Attachment {
            container_id: container.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        };
        Identity::of(&network.parse().unwrap(), &attachment)
    }

    #[test]
    fn a_usual_attachment_is_labelled_in_full() {
        let container = "0123456789abcdef".repeat(4);
        let found = identity("podnet", &container, "eth0");
        assert_eq!(found.label, format!("podnet/{container}/eth0"));
        assert_eq!(found.port.len(), 15);
        assert!(found.port.starts_with("veth"));
    }

    #[test]
    fn the_name_of_the_port_stays_the_same_from_release_to_release() {
        assert_eq!(identity("podnet", "c1", "eth0").port, PORT_OF_C1);
    }

    /// sha256("podnet/c1/eth0") begins with these digits.
    const PORT_OF_C1: &str = "vethc13a685b451";

    proptest! {
        #[test]
        fn labels_fit_tell_their_network_and_differ(
            network in "[a-z][a-z0-9.-]{0,150}", container in "[a-z0-9][a-z0-9_.-]{0,150}", other in "[a-z0-9][a-z0-9_.-]{0,150}",
        ) {
            let one = identity(&network, &container, "eth0");
            prop_assert!(one.label.len() <= LABEL_LIMIT);
            prop_assert!(is_of_network(&one.label, &network.parse().unwrap()));
            let longer = format!("{network}x").parse().unwrap();
            prop_assert!(!is_of_network(&one.label, &longer));
            let two = identity(&network, &other, "eth0");
            prop_assert_eq!(one == two, container == other);
            prop_assert_ne!(one.label, identity(&network, &container, "net1").label);
        }
    }
}
