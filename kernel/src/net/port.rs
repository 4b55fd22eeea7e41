//! A link as a port of a bridge: hairpin, isolation, VLANs.

use super::Error;
use super::link::{Device, Link};
use super::rtnl::{
    IFINFOMSG, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK, Request, Rtnl, attributes,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{BridgeVlanInfoFlags, LinkAttribute, LinkExtentMask};
use rtnetlink::{LinkBridgePort, LinkBridgeVlan, LinkMessageBuilder, LinkUnspec};

const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;

/// The settings of a bridge port that a pod's network decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Frames may leave through the port they came in by.
    pub hairpin: bool,
    /// The port does not speak with other isolated ports.
    pub isolated: bool,
}

/// A bridge port as the kernel describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// Its settings.
    pub settings: Port,
    /// It passes nothing: it, or its bridge, has no carrier yet or is down.
    pub disabled: bool,
}

/// One VLAN that a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortVlan {
    /// VLAN id, 1 to 4094.
    pub id: u16,
    /// Untagged frames that come in belong to it.
    pub pvid: bool,
    /// Its frames leave without a tag.
    pub untagged: bool,
}

/// Sets what kind of port a link is.
pub fn settings(device: &Device, port: Port) -> Request {
    let message = LinkBridgePort::new(device.index)
        .hairpin(port.hairpin)
        .isolated(port.isolated)
        .build();
    Request::new(
        RTM_NEWLINK,
        0,
        &message,
        format!("set up bridge port {}", device.name),
    )
}

/// Lets a port, or with `of_bridge` the bridge itself, carry a VLAN.
pub fn add_vlan(device: &Device, vlan: PortVlan, of_bridge: bool) -> Request {
    vlan_request(RTM_SETLINK, device, vlan, of_bridge, "add VLAN")
}

/// Stops a port, or with `of_bridge` the bridge itself, from carrying a VLAN.
pub fn remove_vlan(device: &Device, vlan: PortVlan, of_bridge: bool) -> Request {
    vlan_request(RTM_DELLINK, device, vlan, of_bridge, "remove VLAN")
}

fn vlan_request(
    kind: u16,
    device: &Device,
    vlan: PortVlan,
    of_bridge: bool,
    verb: &str,
) -> Request {
    let mut flags = BridgeVlanInfoFlags::empty();
    flags.set(BridgeVlanInfoFlags::Pvid, vlan.pvid);
    flags.set(BridgeVlanInfoFlags::Untagged, vlan.untagged);
    let mut message = LinkBridgeVlan::new(device.index);
    if of_bridge {
        message = message.bridge_self();
    }
    let message = message.vlan(vlan.id, flags).build();
    Request::new(
        kind,
        0,
        &message,
        format!("{verb} {} of {}", vlan.id, device.name),
    )
}

impl Rtnl {
    /// The VLANs that a port carries, by id. Empty where the bridge does not filter VLANs.
    pub fn port_vlans(&mut self, device: &Device) -> Result<Vec<PortVlan>, Error> {
        let mut message = LinkMessageBuilder::<LinkUnspec>::new()
            .interface_family(AddressFamily::Bridge)
            .build();
        message
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::Brvlan]));
        let replies = self.dump(Request::new(
            RTM_GETLINK,
            0,
            &message,
            format!("list VLANs of {}", device.name),
        ))?;
        let of_device =
            |body: &&[u8]| Link::parse(body).is_some_and(|link| link.device.index == device.index);
        let mut vlans: Vec<_> = replies
            .iter()
            .map(|r| r.body.as_slice())
            .filter(of_device)
            .flat_map(read_vlans)
            .collect();
        vlans.sort_unstable();
        Ok(vlans)
    }
}

pub(super) fn read(slave_data: &[u8]) -> PortState {
    const IFLA_BRPORT_STATE: u16 = 1;
    const IFLA_BRPORT_MODE: u16 = 4;
    const IFLA_BRPORT_ISOLATED: u16 = 33;
    const BR_STATE_DISABLED: u8 = 0;
    let mut port = PortState::default();
    for (kind, value) in attributes(slave_data) {
        let byte = value.first().copied();
        match kind {
            IFLA_BRPORT_STATE => port.disabled = byte == Some(BR_STATE_DISABLED),
            IFLA_BRPORT_MODE => port.settings.hairpin = byte == Some(1),
            IFLA_BRPORT_ISOLATED => port.settings.isolated = byte == Some(1),
            _ => {}
        }
    }
    port
}

fn read_vlans(body: &[u8]) -> Vec<PortVlan> {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
    let spec = attributes(body.get(IFINFOMSG..).unwrap_or_default())
        .filter(|(kind, _)| *kind == IFLA_AF_SPEC);
    let infos = spec
        .flat_map(|(_, spec)| attributes(spec))
        .filter(|(kind, _)| *kind == IFLA_BRIDGE_VLAN_INFO);
    infos
        .filter_map(|(_, info)| {
            let flags = u16::from_ne_bytes(*info.first_chunk()?);
            let id = u16::from_ne_bytes(*info.get(2..)?.first_chunk()?);
            let (pvid, untagged) = (
                flags & BRIDGE_VLAN_INFO_PVID != 0,
                flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
            );
            Some(PortVlan { id, pvid, untagged })
        })
        .collect()
}
