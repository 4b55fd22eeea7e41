//! Routes through a link.

pub mod kept;

use super::Error;
use super::link::{Device, Link};
use super::rtnl::{RTM_GETROUTE, RTM_NEWROUTE, Request, Rtnl, attributes, ip, number};
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
};
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTMSG: usize = 12;
const AF_INET6: u8 = 10;
const RTPROT_BOOT: u8 = 3;
const RT_TABLE_MAIN: u32 = 254;
const RT_SCOPE_UNIVERSE: u8 = 0;
/// The metric that the kernel gives an IPv6 route that asked for none.
const DEFAULT_METRIC_V6: u32 = 1024;

/// A route, to be made or as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub destination: IpNetwork,
    /// Next hop; `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// MTU of the path, bytes.
    pub mtu: Option<u32>,
    /// Maximum segment size to advertise, bytes.
    pub advmss: Option<u32>,
    /// Metric; the smaller wins.
    pub priority: Option<u32>,
    /// Routing table; `None` for the main one.
    pub table: Option<u32>,
    /// Scope as the kernel numbers it; `None` for universe.
    pub scope: Option<u8>,
}

/// Adds a route through `device`.
pub fn add(device: &Device, route: &Route) -> Request {
    let mut message = match route.destination {
        IpNetwork::V4(net) => {
            let base = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(net.network(), net.prefix());
            let message = base.output_interface(device.index);
            if let Some(IpAddr::V4(gateway)) = route.gateway {
                message.gateway(gateway)
            } else {
                message
            }
            .build()
        }
        IpNetwork::V6(net) => {
            let base = RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(net.network(), net.prefix());
            let message = base.output_interface(device.index);
            if let Some(IpAddr::V6(gateway)) = route.gateway {
                message.gateway(gateway)
            } else {
                message
            }
            .build()
        }
    };
    route.complete(&mut message);
    let through = route
        .gateway
        .map(|gateway| format!(" via {gateway}"))
        .unwrap_or_default();
    let what = format!(
        "add route {}{through} through {}",
        route.destination, device.name
    );
    Request::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &message, what)
}

impl Route {
    fn complete(&self, message: &mut RouteMessage) {
        message.header.protocol = RouteProtocol::from(RTPROT_BOOT);
        message.header.scope = RouteScope::from(self.scope.unwrap_or(RT_SCOPE_UNIVERSE));
        let mut metrics = Vec::new();
        metrics.extend(self.mtu.map(RouteMetric::Mtu));
        metrics.extend(self.advmss.map(RouteMetric::Advmss));
        let attributes = &mut message.attributes;
        attributes.extend((!metrics.is_empty()).then_some(RouteAttribute::Metrics(metrics)));
        attributes.extend(self.priority.map(RouteAttribute::Priority));
        if let Some(table) = self.table {
            message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
            attributes.push(RouteAttribute::Table(table));
        }
    }

    /// Whether the kernel's `there` is this route, what the kernel fills in by itself left aside.
    pub fn is_met_by(&self, there: &Self) -> bool {
        let metric = self.priority.unwrap_or(if self.destination.is_ipv6() {
            DEFAULT_METRIC_V6
        } else {
            0
        });
        there.destination.network() == self.destination.network()
            && there.destination.prefix() == self.destination.prefix()
            && (self.gateway.is_none() || there.gateway == self.gateway)
            && (self.mtu.is_none() || there.mtu == self.mtu)
            && (self.advmss.is_none() || there.advmss == self.advmss)
            && (self.priority.is_none() || there.priority.unwrap_or_default() == metric)
            && there.table.unwrap_or(RT_TABLE_MAIN) == self.table.unwrap_or(RT_TABLE_MAIN)
            && (self.scope.is_none() || self.destination.is_ipv6() || there.scope == self.scope)
    }

    /// Reads the body of an RTM_NEWROUTE message about a unicast route through the link `index`.
    pub fn parse(body: &[u8], index: u32) -> Option<Self> {
        const RTN_UNICAST: u8 = 1;
        const RTA_DST: u16 = 1;
        const RTA_OIF: u16 = 4;
        const RTA_GATEWAY: u16 = 5;
        const RTA_PRIORITY: u16 = 6;
        const RTA_METRICS: u16 = 8;
        const RTA_TABLE: u16 = 15;
        let [family, prefix, _, _, table, _, scope, kind] = *body.first_chunk()?;
        let everything = if family == AF_INET6 {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        let mut destination = everything;
        let mut through = None;
        let mut route = Self {
            destination: IpNetwork::new(everything, 0).ok()?,
            gateway: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: Some(u32::from(table)),
            scope: Some(scope),
        };
        for (kind, value) in attributes(body.get(RTMSG..)?) {
            match kind {
                RTA_DST => destination = ip(value)?,
                RTA_OIF => through = number(value),
                RTA_GATEWAY => route.gateway = ip(value),
                RTA_PRIORITY => route.priority = number(value),
                RTA_METRICS => route.take_metrics(value),
                RTA_TABLE => route.table = number(value),
                _ => {}
            }
        }
        route.destination = IpNetwork::new(destination, prefix).ok()?;
        (kind == RTN_UNICAST && through == Some(index)).then_some(route)
    }

    fn take_metrics(&mut self, metrics: &[u8]) {
        const RTAX_MTU: u16 = 2;
        const RTAX_ADVMSS: u16 = 8;
        for (kind, value) in attributes(metrics) {
            match kind {
                RTAX_MTU => self.mtu = number(value),
                RTAX_ADVMSS => self.advmss = number(value),
                _ => {}
            }
        }
    }
}

impl Rtnl {
    /// The unicast routes through a link, of both families and all tables.
    pub fn routes(&mut self, device: &Device) -> Result<Vec<Route>, Error> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.attributes.push(RouteAttribute::Oif(device.index));
            let what = format!("list routes through {}", device.name);
            let replies = match self.dump(Request::new(RTM_GETROUTE, 0, &message, what)) {
                // A kernel without IPv6 has no IPv6 routes.
                Err(error)
                    if family == AddressFamily::Inet6
                        && error.errno() == Some(nix::errno::Errno::EOPNOTSUPP) =>
                {
                    continue;
                }
                replies => replies?,
            };
            routes.extend(
                replies
                    .iter()
                    .filter_map(|reply| Route::parse(&reply.body, device.index)),
            );
        }
        Ok(routes)
    }

    /// The link by which the host would send to an address; none when it knows no way.
    pub fn towards(&mut self, address: IpAddr) -> Result<Option<Link>, Error> {
        const RTA_OIF: u16 = 4;
        let mut message = RouteMessage::default();
        let (family, destination, bits) = match address {
            IpAddr::V4(v4) => (AddressFamily::Inet, RouteAddress::Inet(v4), 32),
            IpAddr::V6(v6) => (AddressFamily::Inet6, RouteAddress::Inet6(v6), 128),
        };
        message.header.address_family = family;
        message.header.destination_prefix_length = bits;
        message
            .attributes
            .push(RouteAttribute::Destination(destination));
        let what = format!("look for the way to {address}");
        let reply = match self.get(Request::new(RTM_GETROUTE, 0, &message, what)) {
            Err(error)
                if matches!(
                    error.errno(),
                    Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH)
                ) =>
            {
                return Ok(None);
            }
            reply => reply?,
        };
        let index = reply.and_then(|reply| {
            let mut attributes = attributes(reply.body.get(RTMSG..)?);
            attributes.find_map(|(kind, value)| (kind == RTA_OIF).then(|| number(value))?)
        });
        let link = index.map(|index| self.link_at(index)).transpose()?;
        Ok(link.flatten())
    }
}
