//! The node as the pods' gateway: on the bridge itself, or with a VLAN on a device of its own.
//!
//! A bridge that filters VLANs does not hear untagged what a pod says in its VLAN. So the gateway of a VLAN is one end
//! of a veth pair, `<bridge>.<vlan>`, whose other end is a port in that VLAN. It is shared like the bridge.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::Plan;
use crate::{port, uplink};
use kernel::net::link::{self, VethPair};
use kernel::net::port::Port;
use kernel::net::sysctl::Sysctls;
use kernel::net::{Link, Mac, Rtnl};
use nix::errno::Errno;

/// Lets the node be the gateway that the plan asks for; returns the VLAN's device where there is one.
pub fn ensure(
    host: &mut Rtnl,
    sysctls: &Sysctls,
    settings: &Settings,
    bridge: &Link,
    plan: &Plan,
) -> Result<Option<Link>, Error> {
    if plan.gateways.is_empty() {
        return Ok(None);
    }
    let vlan_device = match device_name(settings) {
        Some(name) => Some(vlan_device(host, sysctls, settings, bridge, &name)?),
        None => None,
    };
    let device = &vlan_device.as_ref().unwrap_or(bridge).device;
    uplink::serve_as_gateway(
        host,
        sysctls,
        device,
        &plan.gateways,
        settings.force_address,
    )?;
    Ok(vlan_device)
}

/// The device that carries the gateway of a VLAN; `None` when the bridge itself does.
pub fn device_name(settings: &Settings) -> Option<String> {
    settings
        .vlan
        .filter(|_| settings.is_gateway)
        .map(|vlan| format!("{}.{vlan}", settings.bridge))
}

/// Makes the VLAN's device, or finishes what an ADD that was killed left of it, or mends what lost its bridge.
///
/// The device goes up last, so one that is up has all of it.
fn vlan_device(
    host: &mut Rtnl,
    sysctls: &Sysctls,
    settings: &Settings,
    bridge: &Link,
    name: &str,
) -> Result<Link, Error> {
    let device = match host.link(name)? {
        Some(present) => present,
        None => create(host, settings, bridge, name)?,
    };
    // An administrator's own device, a VLAN device on the bridge for instance, is taken as it is.
    let Some(port) = port_of(host, &device)? else {
        return Ok(device);
    };
    if device.up && port.up && port.master == Some(bridge.device.index) {
        return Ok(device);
    }
    uplink::refuse_router_advertisements(sysctls, name)?;
    port::prepare(sysctls, &port.device.name)?;
    host.apply(link::join(&port.device, &bridge.device))?;
    port::join_vlans(host, &port.device, bridge, &native(settings))?;
    host.apply_all(vec![link::up(&port.device), link::up(&device.device)])?;
    Ok(device)
}

fn create(host: &mut Rtnl, settings: &Settings, bridge: &Link, name: &str) -> Result<Link, Error> {
    let port_name = format!(
        "veth{:08x}",
        bridge.device.index.wrapping_mul(4096) | u32::from(settings.vlan.unwrap_or_default())
    );
    let pair = VethPair {
        name: &port_name,
        mac: Mac::random()?,
        port: Some((bridge.device.index, Port::default())),
        peer_name: name,
        peer_mac: Mac::random()?,
        peer_netns: None,
        mtu: settings.mtu,
        alias: name,
    };
    match host.add_veth(&pair) {
        // Another ADD was faster and finishes the same work.
        Err(error) if error.errno() == Some(Errno::EEXIST) => {}
        outcome => {
            outcome?;
        }
    }
    host.link(name)?
        .ok_or_else(|| Error::Vanished(format!("VLAN device {name}")))
}

/// The bridge port at the other end of a VLAN's device; `None` when the device is no veth pair of this namespace.
pub fn port_of(host: &mut Rtnl, device: &Link) -> Result<Option<Link>, Error> {
    let Some(peer) = device.peer.filter(|_| device.kind == "veth") else {
        return Ok(None);
    };
    let port = host.link_at(peer)?;
    Ok(port.filter(|port| port.kind == "veth" && port.peer == Some(device.device.index)))
}

/// The settings of the gateway's port: the VLAN, and nothing of the pods' trunk.
pub fn native(settings: &Settings) -> Settings {
    Settings {
        trunk: None,
        ..settings.clone()
    }
}
