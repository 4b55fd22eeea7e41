//! The world outside a host: a third namespace at the far end of a wire, which knows no route back to any pod.

use crate::host::Host;
use crate::pod::Pod;
use crate::wait::eventually;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A neighbour of the host, with addresses of both families on the wire between them.
#[derive(Debug)]
pub struct Uplink {
    /// The neighbour.
    pub outside: Pod,
}

impl Uplink {
    /// The host's addresses on the wire.
    pub const HOST: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1)),
    ];
    /// The neighbour's addresses.
    pub const OUTSIDE: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2)),
    ];

    /// Connects a host.
    pub fn of(host: &Host) -> Self {
        let outside = host.pod("outside");
        host.sh("ip link add uplink type veth peer name wire netns outside");
        for (place, link, addresses) in [
            (host.place(), "uplink", Self::HOST),
            (outside.place(), "wire", Self::OUTSIDE),
        ] {
            let [v4, v6] = addresses;
            // Without duplicate address detection an address can be used at once.
            place.sh(&format!(
                "ip address add {v4}/24 dev {link}; ip address add {v6}/64 dev {link} nodad; ip link set {link} up"
            ));
        }
        // The kernel lets a link speak IPv6 some time after its carrier came, at the latest after a second.
        eventually("host and outside reach each other", || {
            Self::HOST.iter().all(|host| outside.ping(*host))
        });
        eventually("they do so both ways", || {
            Self::OUTSIDE
                .iter()
                .all(|address| host.place().ping(*address))
        });
        Self { outside }
    }
}
