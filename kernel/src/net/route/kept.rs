//! Routes that a long-running program keeps, known by a protocol number of its own.
//!
//! The kernel remembers with each route who made it, as a number; `ip route` shows it as `proto`. By that number a program
//! finds its routes again after any crash, and touches nobody else's.

use super::{AF_INET6, RT_TABLE_MAIN, RTMSG};
use crate::net::Error;
use crate::net::rtnl::{
    RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, Reply, Request, Rtnl, attributes, ip, number,
};
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTN_LOCAL: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;

/// A route of the main table through a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Destination.
    pub destination: IpNetwork,
    /// The neighbour.
    pub gateway: IpAddr,
    /// The link on which the neighbour is, by index.
    pub device: u32,
}

/// How the kernel would send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this machine itself.
    Local,
    /// Straight to a neighbour on the link of this index.
    OnLink(u32),
    /// Through a router.
    Routed(IpAddr),
}

/// Adds a route. One to the same destination is refused with EEXIST, whoever made it.
pub fn add(route: &Kept, protocol: u8) -> Request {
    request(
        RTM_NEWROUTE,
        NLM_F_CREATE | NLM_F_EXCL,
        "add",
        route,
        protocol,
    )
}

/// Removes a route, if it is of this protocol.
pub fn remove(route: &Kept, protocol: u8) -> Request {
    request(RTM_DELROUTE, 0, "remove", route, protocol)
}

fn request(kind: u16, flags: u16, verb: &str, route: &Kept, protocol: u8) -> Request {
    let mut message = about(route.destination);
    message.header.protocol = RouteProtocol::from(protocol);
    message.header.table = u8::try_from(RT_TABLE_MAIN).unwrap_or_default();
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes.extend([
        RouteAttribute::Gateway(address(route.gateway)),
        RouteAttribute::Oif(route.device),
    ]);
    let what = format!("{verb} route {} via {}", route.destination, route.gateway);
    Request::new(kind, flags, &message, what)
}

fn about(destination: IpNetwork) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination.ip());
    message.header.destination_prefix_length = destination.prefix();
    let network = address(destination.network());
    message
        .attributes
        .push(RouteAttribute::Destination(network));
    message
}

const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

const fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

impl Rtnl {
    /// The routes of a protocol in the main table, of both families.
    pub fn kept_routes(&mut self, protocol: u8) -> Result<Vec<Kept>, Error> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.protocol = RouteProtocol::from(protocol);
            let what = format!("list routes of protocol {protocol}");
            let replies = match self.dump(Request::new(RTM_GETROUTE, 0, &message, what)) {
                // A kernel without IPv6 has no IPv6 routes.
                Err(error)
                    if family == AddressFamily::Inet6
                        && error.errno() == Some(Errno::EOPNOTSUPP) =>
                {
                    continue;
                }
                replies => replies?,
            };
            let found = replies.iter().filter_map(|reply| read(reply, protocol));
            routes.extend(found);
        }
        Ok(routes)
    }

    /// How a packet to `to` would be sent; `None` where there is no route to it.
    pub fn way(&mut self, to: IpAddr) -> Result<Option<Way>, Error> {
        let message = about(IpNetwork::from(to));
        let request = Request::new(RTM_GETROUTE, 0, &message, format!("look up {to}"));
        match self.get(request) {
            Ok(reply) => Ok(reply.as_ref().and_then(read_way)),
            Err(error)
                if matches!(
                    error.errno(),
                    Some(
                        Errno::ENETUNREACH
                            | Errno::EHOSTUNREACH
                            | Errno::EACCES
                            | Errno::EINVAL
                            | Errno::EOPNOTSUPP
                    )
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn read(reply: &Reply, protocol: u8) -> Option<Kept> {
    let [family, prefix, _, _, table, of, _, _] = *reply.body.first_chunk()?;
    let mut destination = if family == AF_INET6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    let mut table = u32::from(table);
    let (mut gateway, mut device) = (None, None);
    for (kind, value) in attributes(reply.body.get(RTMSG..)?) {
        match kind {
            RTA_DST => destination = ip(value)?,
            RTA_OIF => device = number(value),
            RTA_GATEWAY => gateway = ip(value),
            RTA_TABLE => table = number(value)?,
            _ => {}
        }
    }
    let route = Kept {
        destination: IpNetwork::new(destination, prefix).ok()?,
        gateway: gateway?,
        device: device?,
    };
    (of == protocol && table == RT_TABLE_MAIN).then_some(route)
}

fn read_way(reply: &Reply) -> Option<Way> {
    let [.., kind] = *reply.body.first_chunk::<8>()?;
    if kind == RTN_LOCAL {
        return Some(Way::Local);
    }
    let (mut gateway, mut device) = (None, None);
    for (kind, value) in attributes(reply.body.get(RTMSG..)?) {
        match kind {
            RTA_OIF => device = number(value),
            RTA_GATEWAY => gateway = ip(value),
            _ => {}
        }
    }
    match gateway {
        Some(gateway) => Some(Way::Routed(gateway)),
        None => device.map(Way::OnLink),
    }
}
