//! The label that everything of one attachment carries: elements of the packet filter, links.
//!
//! It follows from (network, container id, interface name) alone, so that DEL and GC find what an ADD made whatever
//! became of the namespace, the configuration and the earlier result.

use cni::{Attachment, NetworkName};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// nft shows comments of up to 128 bytes; a link's alias may be longer.
const LABEL_LIMIT: usize = 127;
const NETWORK_LIMIT: usize = 40;
const CONTAINER_LIMIT: usize = 64;
const HASH_DIGITS: usize = 16;

/// `<network>/<container id>/<interface>` in full.
pub fn whole(network: &NetworkName, attachment: &Attachment) -> String {
    let Attachment {
        container_id,
        ifname,
    } = attachment;
    format!("{network}/{container_id}/{ifname}")
}

/// `<network>/<container id>/<interface>`; long parts are cut and completed by a hash.
pub fn of(network: &NetworkName, attachment: &Attachment) -> String {
    let whole = whole(network, attachment);
    if whole.len() <= LABEL_LIMIT {
        return whole;
    }
    let network = abridged(network.as_str(), NETWORK_LIMIT);
    let container = abridged(attachment.container_id.as_str(), CONTAINER_LIMIT);
    format!("{network}/{container}/{}", attachment.ifname)
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

/// The first hexadecimal digits of a text's SHA-256.
pub fn hash(text: &str, digits: usize) -> String {
    hex(&Sha256::digest(text.as_bytes()), digits)
}

/// The first hexadecimal digits of a digest.
pub fn hex(digest: &[u8], digits: usize) -> String {
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

    fn label(network: &str, container: &str, ifname: &str) -> String {
        let attachment = Attachment {
            container_id: container.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        };
        of(&network.parse().unwrap(), &attachment)
    }

    #[test]
    fn a_usual_attachment_is_labelled_in_full() {
        let container = "0123456789abcdef".repeat(4);
        let found = label("podnet", &container, "eth0");
        assert_eq!(found, format!("podnet/{container}/eth0"));
    }

    proptest! {
        #[test]
        fn labels_fit_tell_their_network_and_differ(
            network in "[a-z][a-z0-9.-]{0,150}", container in "[a-z0-9][a-z0-9_.-]{0,150}", other in "[a-z0-9][a-z0-9_.-]{0,150}",
        ) {
            let one = label(&network, &container, "eth0");
            prop_assert!(one.len() <= LABEL_LIMIT);
            prop_assert!(is_of_network(&one, &network.parse().unwrap()));
            let longer = format!("{network}x").parse().unwrap();
            prop_assert!(!is_of_network(&one, &longer));
            prop_assert_eq!(one == label(&network, &other, "eth0"), container == other);
            prop_assert_ne!(one, label(&network, &container, "net1"));
        }
    }
}
