//! Links: looking them up, making bridges and veth pairs, changing and deleting them.

use super::conf::IpSettings;
use super::port::{self, Port, PortState};
use super::rtnl::{
    IFINFOMSG, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, Request, Rtnl, attributes, number,
};
use super::{Error, Mac};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkMessage,
};
use nix::errno::Errno;
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};

const IFF_UP: u32 = 1;
const IFF_PROMISC: u32 = 0x100;
/// IFF_RUNNING and IFF_LOWER_UP.
const RUNNING: u32 = 0x1_0040;
/// RFC 2863.
const IF_OPER_UP: u8 = 6;

/// A link as requests and errors name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Interface index, unique within its namespace.
    pub index: u32,
    /// Interface name.
    pub name: String,
}

/// A link as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index and name.
    pub device: Device,
    /// Its Ethernet address, when it has one.
    pub mac: Option<Mac>,
    /// Bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Able to pass packets: up, with a carrier, and the kernel has acted on both. Some links never say so, `lo` and a
    /// bridge that was up before it had its first port among them.
    pub operational: bool,
    /// With a carrier, and in no state that speaks against passing packets.
    pub running: bool,
    /// Asked to be promiscuous by an administrator.
    pub promiscuous: bool,
    /// The kind: `bridge`, `veth` ...; empty for physical devices.
    pub kind: String,
    /// Index of the bridge (or other master) it is a port of.
    pub master: Option<u32>,
    /// Index of the other end, in the other end's namespace.
    pub peer: Option<u32>,
    /// Free text kept with the link.
    pub alias: String,
    /// Whether VLAN filtering is on; `None` when it is no bridge.
    pub vlan_filtering: Option<bool>,
    /// The VLAN that a bridge gives to each new port, untagged; `None` when it gives none.
    pub default_vlan: Option<u16>,
    /// What it is as a bridge port, when it is one.
    pub port: Option<PortState>,
    /// Its settings of IP.
    pub ip: IpSettings,
}

/// A veth pair to be made: the host's end here, the pod's end in the pod's namespace from the start.
#[derive(Debug)]
pub struct VethPair<'a> {
    /// Name of the end in the socket's namespace.
    pub name: &'a str,
    /// Address of that end.
    pub mac: Mac,
    /// The bridge that the end becomes a port of, by index, and what kind of port.
    pub port: Option<(u32, Port)>,
    /// Name of the other end.
    pub peer_name: &'a str,
    /// Address of the other end.
    pub peer_mac: Mac,
    /// The other end's namespace; `None` for the socket's own.
    pub peer_netns: Option<BorrowedFd<'a>>,
    /// MTU of both ends; `None` for the kernel's default.
    pub mtu: Option<u32>,
    /// Text kept with the end in the socket's namespace.
    pub alias: &'a str,
}

/// A bridge to be made.
#[derive(Debug)]
pub struct NewBridge<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address; given one, a bridge keeps it whatever ports come and go.
    pub mac: Mac,
    /// Its MTU; `None` lets it follow its ports.
    pub mtu: Option<u32>,
    /// Whether it filters VLANs from the start.
    pub vlan_filtering: bool,
}

impl Rtnl {
    /// The link of that name, or `None`.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let message = LinkUnspec::new_with_name(name);
        self.get_link(message, format!("look up {name}"))
    }

    /// The link of that index, or `None`.
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>, Error> {
        let message = LinkUnspec::new_with_index(index);
        self.get_link(message, format!("look up link {index}"))
    }

    /// Every veth link in the socket's namespace.
    pub fn veths(&mut self) -> Result<Vec<Link>, Error> {
        let mut message =
            LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Veth).build();
        message.attributes.push(without_statistics());
        let what = "list veth links";
        let replies = self.dump(Request::new(RTM_GETLINK, 0, &message, what))?;
        replies
            .iter()
            .map(|reply| Link::read(&reply.body, what))
            .collect()
    }

    fn get_link(
        &mut self,
        message: LinkMessageBuilder<LinkUnspec>,
        what: String,
    ) -> Result<Option<Link>, Error> {
        let message = message.append_extra_attribute(without_statistics()).build();
        let request = Request::new(RTM_GETLINK, 0, &message, what.clone());
        self.get(request)?
            .map(|reply| Link::read(&reply.body, &what))
            .transpose()
    }

    /// Makes a veth pair and returns its two ends, the socket's first.
    ///
    /// Pair, alias and port settings come about in one system call: there is no moment at which a process could die and leave a pair
    /// that does not tell whose it is.
    pub fn add_veth(&mut self, pair: &VethPair<'_>) -> Result<(Device, Device), Error> {
        let what = format!("create veth pair {} and {}", pair.name, pair.peer_name);
        // Kernels before 6.2 do not echo a new link; they are asked for it.
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        let create = Request::new(RTM_NEWLINK, flags, &pair.message(), what.clone());
        let replies = self.exchange(&[create, pair.label()], NLM_F_ACK)?.replies;
        let malformed = |why| Error::Malformed {
            what: what.clone(),
            why,
        };
        let link = match replies.iter().find(|reply| reply.kind == RTM_NEWLINK) {
            Some(reply) => Link::read(&reply.body, &what)?,
            None => self
                .link(pair.name)?
                .ok_or(malformed("the new link is not there"))?,
        };
        let peer = link.peer.ok_or(malformed("the new link has no peer"))?;
        Ok((
            link.device,
            Device {
                index: peer,
                name: pair.peer_name.to_owned(),
            },
        ))
    }

    /// Makes a bridge, which is down at first. One of that name already there is the kernel's EEXIST.
    pub fn add_bridge(&mut self, bridge: &NewBridge<'_>) -> Result<(), Error> {
        let message = LinkMessageBuilder::<LinkBridge>::new(bridge.name);
        let mut message = message.address(bridge.mac.0.to_vec());
        if let Some(mtu) = bridge.mtu {
            message = message.mtu(mtu);
        }
        if bridge.vlan_filtering {
            message = message.vlan_filtering(true);
        }
        let what = format!("create bridge {}", bridge.name);
        self.apply(Request::new(
            RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL,
            &message.build(),
            what,
        ))
    }

    /// Deletes the link of that name and tells whether there was one.
    ///
    /// The kernel holds the caller until no processor looks at the link any more, some 20 ms.
    pub fn delete_link(&mut self, name: &str) -> Result<bool, Error> {
        let message = LinkUnspec::new_with_name(name).build();
        match self.apply(Request::new(
            RTM_DELLINK,
            0,
            &message,
            format!("delete {name}"),
        )) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(Errno::ENODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl VethPair<'_> {
    /// What the kernel takes only for a link that is there: alias and port settings.
    fn label(&self) -> Request {
        let message = match self.port {
            Some((_, port)) => port::message(port)
                .name(self.name)
                .alias(self.alias)
                .build(),
            None => LinkUnspec::new_with_name(self.name)
                .alias(self.alias)
                .build(),
        };
        Request::new(
            RTM_NEWLINK,
            0,
            &message,
            format!("label and set up {}", self.name),
        )
    }

    fn message(&self) -> LinkMessage {
        let mut peer = LinkUnspec::new_with_name(self.peer_name).address(self.peer_mac.0.to_vec());
        let mut host = LinkVeth::new(self.name, self.peer_name).address(self.mac.0.to_vec());
        if let Some(netns) = self.peer_netns {
            peer = peer.setns_by_fd(netns.as_raw_fd());
        }
        if let Some(mtu) = self.mtu {
            (peer, host) = (peer.mtu(mtu), host.mtu(mtu));
        }
        if let Some((master, _)) = self.port {
            host = host.controller(master);
        }
        host.set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())))
            .build()
    }
}

/// Brings a link up.
pub fn up(device: &Device) -> Request {
    change(device, "bring up", LinkMessageBuilder::up)
}

/// Brings a link down.
pub fn down(device: &Device) -> Request {
    change(device, "bring down", LinkMessageBuilder::down)
}

/// Gives a link an address of its own; a bridge then no longer takes over one of its ports'.
///
/// The kernel announces the link's IP addresses to the neighbours when `arp_notify` and `ndisc_notify` ask for it.
pub fn mac(device: &Device, mac: Mac) -> Request {
    change(device, "set the MAC of", |link| {
        link.address(mac.0.to_vec())
    })
}

/// Makes a link a port of a bridge.
pub fn join(device: &Device, bridge: &Device) -> Request {
    change(device, &format!("add to bridge {}", bridge.name), |link| {
        link.controller(bridge.index)
    })
}

/// Makes a link promiscuous.
pub fn promiscuous(device: &Device) -> Request {
    change(device, "make promiscuous", |link| link.promiscuous(true))
}

/// Whether a link keeps its address by itself: one that the kernel chose or that follows a bridge's ports does not.
///
/// `None` when sysfs does not show this link, as in a process whose /sys is another namespace's.
pub fn keeps_its_mac(link: &Link) -> Option<bool> {
    const NET_ADDR_SET: &str = "3";
    let folder = format!("/sys/class/net/{}", link.device.name);
    let read = |file| fs::read_to_string(format!("{folder}/{file}")).ok();
    let keeps = read("addr_assign_type")?.trim_end() == NET_ADDR_SET;
    let is_this_link = || {
        let index = read("ifindex")?.trim_end() == link.device.index.to_string();
        let mac = read("address")?.trim_end() == link.mac?.to_string();
        Some(index && mac)
    };
    // Only the answer that has consequences needs to be certain.
    (keeps || is_this_link()?).then_some(keeps)
}

/// Turns on VLAN filtering on a bridge.
pub fn filter_vlans(bridge: &Device) -> Request {
    // Without its name: kernels refuse to rename a bridge that is up, even to what it is called.
    let message = LinkMessageBuilder::<LinkBridge>::new_with_info_kind(InfoKind::Bridge)
        .index(bridge.index)
        .vlan_filtering(true)
        .build();
    Request::new(
        RTM_NEWLINK,
        0,
        &message,
        format!("turn on VLAN filtering on {}", bridge.name),
    )
}

pub(super) fn change(
    device: &Device,
    verb: &str,
    with: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
) -> Request {
    let message = with(LinkUnspec::new_with_index(device.index)).build();
    Request::new(RTM_NEWLINK, 0, &message, format!("{verb} {}", device.name))
}

fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

impl Link {
    /// Reads the body of an RTM_NEWLINK message; only what a verb asks for is decoded.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let index = i32::from_ne_bytes(*body.get(4..8)?.first_chunk()?);
        let flags = u32::from_ne_bytes(*body.get(8..12)?.first_chunk()?);
        let mut link = Self {
            device: Device {
                index: u32::try_from(index).ok()?,
                name: String::new(),
            },
            mac: None,
            mtu: 0,
            up: flags & IFF_UP != 0,
            operational: false,
            running: flags & RUNNING == RUNNING,
            promiscuous: flags & IFF_PROMISC != 0,
            kind: String::new(),
            master: None,
            peer: None,
            alias: String::new(),
            vlan_filtering: None,
            default_vlan: None,
            port: None,
            ip: IpSettings::default(),
        };
        for (kind, value) in attributes(body.get(IFINFOMSG..)?) {
            link.take(kind, value);
        }
        Some(link)
    }

    fn read(body: &[u8], what: &str) -> Result<Self, Error> {
        Self::parse(body).ok_or_else(|| Error::Malformed {
            what: what.to_owned(),
            why: "it is no link",
        })
    }

    fn take(&mut self, kind: u16, value: &[u8]) {
        const IFLA_ADDRESS: u16 = 1;
        const IFLA_IFNAME: u16 = 3;
        const IFLA_MTU: u16 = 4;
        const IFLA_LINK: u16 = 5;
        const IFLA_MASTER: u16 = 10;
        const IFLA_OPERSTATE: u16 = 16;
        const IFLA_LINKINFO: u16 = 18;
        const IFLA_IFALIAS: u16 = 20;
        const IFLA_AF_SPEC: u16 = 26;
        match kind {
            IFLA_ADDRESS => self.mac = Mac::from_slice(value),
            IFLA_IFNAME => self.device.name = text(value),
            IFLA_MTU => self.mtu = number(value).unwrap_or_default(),
            IFLA_LINK => self.peer = number(value),
            IFLA_MASTER => self.master = number(value),
            IFLA_OPERSTATE => self.operational = value.first() == Some(&IF_OPER_UP),
            IFLA_LINKINFO => self.take_info(value),
            IFLA_IFALIAS => self.alias = text(value),
            IFLA_AF_SPEC => self.ip.take(value),
            _ => {}
        }
    }

    fn take_info(&mut self, info: &[u8]) {
        const IFLA_INFO_KIND: u16 = 1;
        const IFLA_INFO_DATA: u16 = 2;
        const IFLA_INFO_SLAVE_DATA: u16 = 5;
        for (kind, value) in attributes(info) {
            match kind {
                IFLA_INFO_KIND => self.kind = text(value),
                IFLA_INFO_DATA if self.kind == "bridge" => self.take_bridge(value),
                IFLA_INFO_SLAVE_DATA => self.port = Some(port::read(value)),
                _ => {}
            }
        }
    }

    fn take_bridge(&mut self, data: &[u8]) {
        const IFLA_BR_VLAN_FILTERING: u16 = 7;
        const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
        self.vlan_filtering = Some(false);
        for (kind, value) in attributes(data) {
            match kind {
                IFLA_BR_VLAN_FILTERING => self.vlan_filtering = Some(value.first() == Some(&1)),
                IFLA_BR_VLAN_DEFAULT_PVID => {
                    let id = value.first_chunk().map(|id| u16::from_ne_bytes(*id));
                    self.default_vlan = id.filter(|id| *id != 0);
                }
                _ => {}
            }
        }
    }
}

fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}
