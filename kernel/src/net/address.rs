//! IP addresses of a link.

use super::Error;
use super::link::Device;
use super::rtnl::{RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR, Request, Rtnl, attributes, ip, number};
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use nix::errno::Errno;
use rtnetlink::AddressMessageBuilder;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

const IFADDRMSG: usize = 8;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const SCOPE_UNIVERSE: u8 = 0;

/// An address as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Address and prefix length.
    pub net: IpNetwork,
    /// Valid everywhere, not only on the link or the host.
    pub global: bool,
    /// IPv6: whether somebody else has it is still being found out.
    pub tentative: bool,
    /// IPv6: somebody else has it.
    pub duplicate: bool,
}

/// Adds an address. An IPv6 address is usable at once, unless `detect_duplicates` lets the kernel ask the link first.
pub fn add(device: &Device, net: IpNetwork, detect_duplicates: bool) -> Request {
    let mut message = message(device, net);
    if net.is_ipv6() && !detect_duplicates {
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let what = format!("add address {net} to {}", device.name);
    Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, what)
}

/// Removes an address.
pub fn remove(device: &Device, net: IpNetwork) -> Request {
    Request::new(
        RTM_DELADDR,
        0,
        &message(device, net),
        format!("remove address {net} from {}", device.name),
    )
}

fn message(device: &Device, net: IpNetwork) -> AddressMessage {
    match net {
        IpNetwork::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(device.index)
            .address(net.ip(), net.prefix())
            .build(),
        IpNetwork::V6(net) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(device.index)
            .address(net.ip(), net.prefix())
            .build(),
    }
}

impl Rtnl {
    /// The addresses of a link, of both families.
    pub fn addresses(&mut self, device: &Device) -> Result<Vec<Address>, Error> {
        let mut addresses = self.addresses_v4(device)?;
        addresses.extend(self.addresses_v6(device)?);
        Ok(addresses)
    }

    /// The IPv4 addresses of a link.
    pub fn addresses_v4(&mut self, device: &Device) -> Result<Vec<Address>, Error> {
        self.addresses_of(device, AddressFamily::Inet)
    }

    /// The IPv6 addresses of a link; none in a kernel without IPv6.
    pub fn addresses_v6(&mut self, device: &Device) -> Result<Vec<Address>, Error> {
        match self.addresses_of(device, AddressFamily::Inet6) {
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => Ok(Vec::new()),
            addresses => addresses,
        }
    }

    /// One family at a time: asked for all at once, the kernel holds the lock of all links meanwhile.
    fn addresses_of(
        &mut self,
        device: &Device,
        family: AddressFamily,
    ) -> Result<Vec<Address>, Error> {
        let mut message = AddressMessage::default();
        message.header.family = family;
        message.header.index = device.index;
        let what = format!("list addresses of {}", device.name);
        let replies = self.dump(Request::new(RTM_GETADDR, 0, &message, what))?;
        // Kernels before 4.20 do not filter: the index is compared here as well.
        let addresses = replies
            .iter()
            .filter_map(|reply| Address::parse(&reply.body, device.index));
        Ok(addresses.collect())
    }
}

/// Whether a link listens for neighbours who look for its IPv6 address. The kernel joins the group for that some time
/// after it has taken the address, and tells of an address once it has. Looks in the calling thread's namespace.
pub fn answers_neighbours(device: &Device, address: Ipv6Addr) -> Result<bool, Error> {
    let groups = fs::read_to_string("/proc/thread-self/net/igmp6");
    let groups =
        groups.map_err(|e| Error::io(format!("list multicast groups of {}", device.name), e))?;
    let wanted: String = solicited_node(address)
        .octets()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(groups.lines().any(|line| {
        // The index and the name of the link, and the group.
        let mut words = line.split_ascii_whitespace().skip(1);
        words.next() == Some(&device.name) && words.next() == Some(&wanted)
    }))
}

/// The solicited-node multicast address (RFC 4291, 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let low = u128::from(address) & 0xff_ffff;
    Ipv6Addr::from(u128::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0)) | low)
}

impl Address {
    /// Reads the body of an RTM_NEWADDR message about the link `index`.
    pub fn parse(body: &[u8], index: u32) -> Option<Self> {
        const IFA_ADDRESS: u16 = 1;
        const IFA_LOCAL: u16 = 2;
        const IFA_FLAGS: u16 = 8;
        let [_, prefix, header_flags, scope] = *body.first_chunk()?;
        if number(body.get(4..IFADDRMSG)?)? != index {
            return None;
        }
        let (mut local, mut address, mut flags) = (None, None, u32::from(header_flags));
        for (kind, value) in attributes(body.get(IFADDRMSG..)?) {
            match kind {
                IFA_ADDRESS => address = ip(value),
                IFA_LOCAL => local = ip(value),
                IFA_FLAGS => flags = number(value)?,
                _ => {}
            }
        }
        Some(Self {
            net: IpNetwork::new(local.or(address)?, prefix).ok()?,
            global: scope == SCOPE_UNIVERSE,
            tentative: flags & IFA_F_TENTATIVE != 0,
            duplicate: flags & IFA_F_DADFAILED != 0,
        })
    }
}
