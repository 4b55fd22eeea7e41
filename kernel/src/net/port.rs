//! A link as a port of a bridge: hairpin, isolation, VLANs.

use super::Error;
use super::link::{Device, Link};
use super::rtnl::{IFINFOMSG, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK, Request, Rtnl, attributes};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{BridgeVlanInfoFlags, LinkAttribute, LinkExtentMask};
use rtnetlink::{LinkBridgePort, LinkBridgeVlan, LinkMessageBuilder, LinkUnspec};

const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 1 << 3;

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
    /// It passes everything. Neither holds for a while where the bridge runs the spanning tree protocol.
    pub forwarding: bool,
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

/// What says what kind of port a link is, except which link.
pub(super) fn message(port: Port) -> LinkMessageBuilder<LinkBridgePort> {
    LinkBridgePort::new(0)
        .hairpin(port.hairpin)
        .isolated(port.isolated)
}

/// Lets a port carry VLANs, which are in the order of their ids.
pub fn add_vlans(device: &Device, vlans: &[PortVlan]) -> Request {
    vlan_request(RTM_SETLINK, device, vlans, "add VLANs to")
}

/// Stops a port from carrying a VLAN. That it does not is no error to the kernel.
pub fn remove_vlan(device: &Device, id: u16) -> Request {
    let vlan = PortVlan {
        id,
        pvid: false,
        untagged: false,
    };
    vlan_request(
        RTM_DELLINK,
        device,
        &[vlan],
        &format!("remove VLAN {id} of"),
    )
}

/// Neighbouring ids are said as a range, or a trunk of all VLANs would not fit into a message.
fn vlan_request(kind: u16, device: &Device, vlans: &[PortVlan], verb: &str) -> Request {
    let mut message = LinkBridgeVlan::new(device.index);
    for range in vlans.chunk_by(PortVlan::is_followed_by) {
        message = match range {
            [] => message,
            [vlan] => message.vlan(vlan.id, vlan.flags()),
            [first, .., last] => message
                .vlan_range_start(first.id, first.flags())
                .vlan_range_end(last.id, last.flags()),
        };
    }
    Request::new(kind, 0, &message.build(), format!("{verb} {}", device.name))
}

impl PortVlan {
    /// Whether `next` can be said in one range with it.
    fn is_followed_by(&self, next: &Self) -> bool {
        next.id == self.id + 1 && !(self.pvid || next.pvid) && self.untagged == next.untagged
    }

    fn flags(self) -> BridgeVlanInfoFlags {
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, self.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, self.untagged);
        flags
    }
}

impl Rtnl {
    /// The VLANs that a port carries, by id. Empty where the kernel cannot filter VLANs.
    pub fn port_vlans(&mut self, device: &Device) -> Result<Vec<PortVlan>, Error> {
        let mut message = LinkMessageBuilder::<LinkUnspec>::new()
            .interface_family(AddressFamily::Bridge)
            .build();
        message.attributes.push(LinkAttribute::ExtMask(vec![
            LinkExtentMask::BrvlanCompressed,
        ]));
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
    const BR_STATE_FORWARDING: u8 = 3;
    let mut port = PortState::default();
    for (kind, value) in attributes(slave_data) {
        let byte = value.first().copied();
        match kind {
            IFLA_BRPORT_STATE => {
                port.disabled = byte == Some(BR_STATE_DISABLED);
                port.forwarding = byte == Some(BR_STATE_FORWARDING);
            }
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
    let mut vlans = Vec::new();
    let mut first = None;
    for (flags, id) in infos.filter_map(|(_, info)| read_vlan(info)) {
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            first = Some(id);
            continue;
        }
        // The last of a range, or a VLAN by itself.
        let ids = first.take().unwrap_or(id)..=id;
        vlans.extend(ids.map(|id| PortVlan {
            id,
            pvid: flags & BRIDGE_VLAN_INFO_PVID != 0,
            untagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
        }));
    }
    vlans
}

/// `struct bridge_vlan_info`.
fn read_vlan(info: &[u8]) -> Option<(u16, u16)> {
    let flags = u16::from_ne_bytes(*info.first_chunk()?);
    let id = u16::from_ne_bytes(*info.get(2..)?.first_chunk()?);
    Some((flags, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan(id: u16, native: bool) -> PortVlan {
        PortVlan {
            id,
            pvid: native,
            untagged: native,
        }
    }

    /// What the kernel would be told, read back as if the kernel had said it.
    fn told(vlans: &[PortVlan]) -> (usize, Vec<PortVlan>) {
        let device = Device {
            index: 7,
            name: "port".into(),
        };
        let mut datagram = Vec::new();
        add_vlans(&device, vlans).write(&mut datagram, 0, 1);
        let body = &datagram[16..];
        (body.len(), read_vlans(body))
    }

    #[test]
    fn a_trunk_of_all_vlans_is_two_ranges_and_the_native_one() {
        let all: Vec<_> = (1..=4094).map(|id| vlan(id, id == 100)).collect();
        let (length, heard) = told(&all);
        assert_eq!(heard, all);
        assert!(length < 100, "{length} bytes");
    }

    #[test]
    fn lone_vlans_and_pairs_stay_what_they_are() {
        let some = [1, 3, 4, 4094].map(|id| vlan(id, false));
        assert_eq!(told(&some).1, some);
        assert_eq!(told(&[vlan(1, true), vlan(2, false)]).1.len(), 2);
        assert!(told(&[]).1.is_empty());
    }
}
