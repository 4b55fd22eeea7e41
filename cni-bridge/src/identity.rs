//! What ties kernel objects to an attachment: a name for the host's end of its veth pair, and the label that the link
//! and the packet filter's elements carry.

use cni::{Attachment, NetworkName};
use membership::label;

/// The identity of one attachment, as the kernel's objects show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose it is; see [`label::of`].
    pub label: String,
    /// Name of the host's end of the veth pair.
    pub port: String,
}

impl Identity {
    /// The identity of an attachment to a network.
    pub fn of(network: &NetworkName, attachment: &Attachment) -> Self {
        let whole = label::whole(network, attachment);
        Self {
            label: label::of(network, attachment),
            port: format!("veth{}", label::hash(&whole, 11)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sha256("podnet/c1/eth0") begins with these digits.
    const PORT_OF_C1: &str = "vethc13a685b451";

    #[test]
    fn the_name_of_the_port_stays_the_same_from_release_to_release() {
        let attachment = Attachment {
            container_id: "c1".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let identity = Identity::of(&"podnet".parse().unwrap(), &attachment);
        assert_eq!(identity.port, PORT_OF_C1);
        // The kernel's limit is 15 bytes.
        assert_eq!(identity.port.len(), 15);
    }
}
