//! The bridge: shared by all pods of a node, ensured by every ADD, undone by none.

use crate::conf::Settings;
use crate::error::Error;
use ipnetwork::IpNetwork;
use kernel::net::link::{self, NewBridge};
use kernel::net::sysctl::Sysctls;
use kernel::net::{Device, Link, Mac, Rtnl, address};
use nix::errno::Errno;

/// The sysctls that let the node forward.
const FORWARD_V4: &str = "ipv4/ip_forward";
const FORWARD_V6: &str = "ipv6/conf/all/forwarding";

/// Makes the bridge, or brings the one that is there into the wanted state; returns it as it was before.
pub fn ensure(host: &mut Rtnl, sysctls: &Sysctls, settings: &Settings) -> Result<Link, Error> {
    let bridge = match observe(host, settings)? {
        Some(bridge) => bridge,
        None => create(host, settings)?,
    };
    if bridge.ip.accept_ra != Some(0) {
        refuse_router_advertisements(sysctls, &bridge.device.name)?;
    }
    let device = &bridge.device;
    let mut requests = Vec::new();
    if settings.promiscuous && !bridge.promiscuous {
        requests.push(link::promiscuous(device));
    }
    if settings.vlan_key().is_some() && bridge.vlan_filtering != Some(true) {
        requests.push(link::filter_vlans(device));
    }
    if link::keeps_its_mac(&bridge) == Some(false) {
        requests.extend(bridge.mac.map(|mac| link::mac(device, mac)));
    }
    if !bridge.up {
        requests.push(link::up(device));
    }
    host.apply_all(requests)
        .map_err(|error| without_vlan_filtering(settings, error))?;
    Ok(bridge)
}

/// The bridge, if it is there; another kind of device under its name is an error.
pub fn observe(host: &mut Rtnl, settings: &Settings) -> Result<Option<Link>, Error> {
    match host.link(&settings.bridge)? {
        Some(found) if found.kind != "bridge" => {
            let kind = if found.kind.is_empty() {
                "physical".to_owned()
            } else {
                found.kind
            };
            Err(Error::NotABridge {
                name: found.device.name,
                kind,
            })
        }
        found => Ok(found),
    }
}

fn create(host: &mut Rtnl, settings: &Settings) -> Result<Link, Error> {
    let bridge = NewBridge {
        name: &settings.bridge,
        mac: Mac::random()?,
        mtu: settings.mtu,
        vlan_filtering: settings.vlan_key().is_some(),
    };
    match host.add_bridge(&bridge) {
        // Another ADD was faster: its bridge is as good.
        Err(error) if error.errno() == Some(Errno::EEXIST) => {}
        outcome => outcome.map_err(|error| without_vlan_filtering(settings, error))?,
    }
    let created = observe(host, settings)?;
    created.ok_or_else(|| Error::Vanished(format!("bridge {}", settings.bridge)))
}

fn without_vlan_filtering(settings: &Settings, error: kernel::net::Error) -> Error {
    match settings.vlan_key() {
        Some(key) if error.errno() == Some(Errno::EOPNOTSUPP) => Error::NoVlanFiltering { key },
        _ => error.into(),
    }
}

/// CVE-2020-10749: a pod must not be able to announce itself as the node's router. Set before the link is up.
pub fn refuse_router_advertisements(sysctls: &Sysctls, name: &str) -> Result<(), Error> {
    sysctls.set(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
    Ok(())
}

/// Gives `device`, the bridge or its VLAN device, the gateways' addresses and lets the node forward.
pub fn serve_as_gateway(
    host: &mut Rtnl,
    sysctls: &Sysctls,
    device: &Device,
    gateways: &[IpNetwork],
    force: bool,
) -> Result<(), Error> {
    if gateways.is_empty() {
        return Ok(());
    }
    let mut present = Vec::new();
    if gateways.iter().any(IpNetwork::is_ipv4) {
        present.extend(host.addresses_v4(device)?);
    }
    if gateways.iter().any(IpNetwork::is_ipv6) {
        present.extend(host.addresses_v6(device)?);
    }
    let present: Vec<_> = present
        .iter()
        .filter(|address| address.global)
        .map(|address| address.net)
        .collect();
    let mut requests = Vec::new();
    for other in present.iter().filter(|net| !gateways.contains(net)) {
        let Some(wanted) = gateways.iter().find(|wanted| conflict(**wanted, *other)) else {
            continue;
        };
        if !force {
            return Err(Error::OtherAddress {
                bridge: device.name.clone(),
                present: *other,
                wanted: *wanted,
            });
        }
        requests.push(address::remove(device, *other).tolerating(Errno::EADDRNOTAVAIL));
    }
    // EEXIST: another ADD was faster.
    let missing = gateways.iter().filter(|net| !present.contains(net));
    requests.extend(missing.map(|net| address::add(device, *net, false).tolerating(Errno::EEXIST)));
    host.apply_all(requests)?;
    forward(host, sysctls, gateways)
}

/// A bridge has one network of IPv4; networks of IPv6 may be several unless they overlap.
fn conflict(wanted: IpNetwork, present: IpNetwork) -> bool {
    wanted.is_ipv4() == present.is_ipv4()
        && (wanted.is_ipv4() || wanted.contains(present.ip()) || present.contains(wanted.ip()))
}

/// The forwarding switches that these gateways need.
pub fn forwarding_keys(gateways: &[IpNetwork]) -> impl Iterator<Item = &'static str> {
    let v4 = gateways
        .iter()
        .any(IpNetwork::is_ipv4)
        .then_some(FORWARD_V4);
    let v6 = gateways
        .iter()
        .any(IpNetwork::is_ipv6)
        .then_some(FORWARD_V6);
    [v4, v6].into_iter().flatten()
}

/// On a node where somebody else manages these switches they are never written.
fn forward(host: &mut Rtnl, sysctls: &Sysctls, gateways: &[IpNetwork]) -> Result<(), Error> {
    for key in forwarding_keys(gateways) {
        let on = match key {
            FORWARD_V4 => host.forwards_v4()?,
            _ => host.forwards_v6()?,
        };
        if on != Some(true) {
            sysctls.ensure(key, "1")?;
        }
    }
    Ok(())
}
