//! IP's settings of links, which are the sysctls `ipv4/conf/*` and `ipv6/conf/*`, by rtnetlink.
//!
//! Where pods are many the kernel resolves a path of those slowly (see [`super::sysctl`]). The description of a link has
//! them at no cost, and those of IPv4 can be set like the rest of it.

use super::Error;
use super::link::{Device, change};
use super::rtnl::{Request, Rtnl, attributes, number};
use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;

const RTM_GETNETCONF: u16 = 82;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const NESTED: u16 = 1 << 15;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
/// The place of `accept_ra` in the array of IFLA_INET6_CONF.
const ACCEPT_RA: usize = 3;

/// The settings of IPv4 that Hawser asks for, by their places in `ipv4/conf/<link>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Setting {
    /// `arp_notify`: tell the neighbours when the link goes up or gets another MAC.
    ArpNotify,
    /// `route_localnet`: 127.0.0.0/8 is an address like any other.
    RouteLocalnet,
}

impl Ipv4Setting {
    /// IPV4_DEVCONF_*.
    const fn number(self) -> u16 {
        match self {
            Self::ArpNotify => 22,
            Self::RouteLocalnet => 26,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ArpNotify => "arp_notify",
            Self::RouteLocalnet => "route_localnet",
        }
    }
}

/// What a link's description says of IP's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpSettings {
    /// `ipv4/conf/<link>/route_localnet`.
    pub route_localnet: bool,
    /// `ipv6/conf/<link>/accept_ra`; `None` where the link has no IPv6.
    pub accept_ra: Option<u32>,
}

impl IpSettings {
    /// Takes what IFLA_AF_SPEC holds.
    pub(super) fn take(&mut self, families: &[u8]) {
        for (family, settings) in attributes(families) {
            for (kind, array) in attributes(settings) {
                match (family & !NESTED, kind) {
                    (AF_INET, IFLA_INET_CONF) => {
                        let place = usize::from(Ipv4Setting::RouteLocalnet.number() - 1);
                        self.route_localnet = at(array, place).is_some_and(|value| value != 0);
                    }
                    (AF_INET6, IFLA_INET6_CONF) => self.accept_ra = at(array, ACCEPT_RA),
                    _ => {}
                }
            }
        }
    }
}

/// The number in that place of an array.
fn at(array: &[u8], place: usize) -> Option<u32> {
    number(array.get(4 * place..)?)
}

/// Turns on a setting of IPv4. A link without IPv4 has none, and needs none.
pub fn turn_on(device: &Device, setting: Ipv4Setting) -> Request {
    let value = DefaultNla::new(setting.number(), 1u32.to_ne_bytes().to_vec());
    let settings = nested(IFLA_INET_CONF, &value);
    let families = nested(IFLA_AF_SPEC, &nested(AF_INET, &settings));
    change(device, &format!("turn on {} of", setting.name()), |link| {
        link.append_extra_attribute(LinkAttribute::Other(families))
    })
    .tolerating(Errno::EAFNOSUPPORT)
}

fn nested(kind: u16, inner: &DefaultNla) -> DefaultNla {
    let mut value = vec![0; inner.buffer_len()];
    inner.emit(&mut value);
    DefaultNla::new(kind | NESTED, value)
}

/// What asks for the settings that stand for all links of a family: `struct netconfmsg` and its one attribute.
struct AllLinks(AddressFamily);

impl AllLinks {
    const NETCONFMSG: usize = 4;

    fn attribute() -> DefaultNla {
        const NETCONFA_IFINDEX: u16 = 1;
        const NETCONFA_IFINDEX_ALL: i32 = -1;
        DefaultNla::new(
            NETCONFA_IFINDEX,
            NETCONFA_IFINDEX_ALL.to_ne_bytes().to_vec(),
        )
    }
}

impl Emitable for AllLinks {
    fn buffer_len(&self) -> usize {
        Self::NETCONFMSG + Self::attribute().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let (header, attribute) = buffer.split_at_mut(Self::NETCONFMSG);
        header.fill(0);
        if let Some(family) = header.first_mut() {
            *family = self.0.into();
        }
        Self::attribute().emit(attribute);
    }
}

impl Rtnl {
    /// Whether the namespace forwards packets of IPv4 (`ipv4/ip_forward`); `None` where the kernel cannot tell.
    pub fn forwards_v4(&mut self) -> Result<Option<bool>, Error> {
        self.forwards(AddressFamily::Inet)
    }

    /// Whether the namespace forwards packets of IPv6 (`ipv6/conf/all/forwarding`); `None` where the kernel lacks IPv6.
    pub fn forwards_v6(&mut self) -> Result<Option<bool>, Error> {
        self.forwards(AddressFamily::Inet6)
    }

    fn forwards(&mut self, family: AddressFamily) -> Result<Option<bool>, Error> {
        const NETCONFA_FORWARDING: u16 = 2;
        let what = "ask whether the node forwards";
        let reply = match self.get(Request::new(RTM_GETNETCONF, 0, &AllLinks(family), what)) {
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => None,
            reply => reply?,
        };
        let forwarding = reply.and_then(|reply| {
            let mut settings = attributes(reply.body.get(AllLinks::NETCONFMSG..)?);
            settings
                .find_map(|(kind, value)| (kind == NETCONFA_FORWARDING).then(|| number(value))?)
        });
        Ok(forwarding.map(|value| value != 0))
    }
}
