//! CHECK: is all that ADD made still there and as it was? (CHK-1 to CHK-7)
//!
//! What is listed in the earlier result is compared with it, what is not (port settings, sysctls, packet filter) with
//! the configuration. The host's end may have got another MAC meanwhile; services on the host do that. An attachment
//! that the reference plugin made, before its executable was replaced, is held to what that plugin makes.

use crate::conf::Settings;
use crate::error::Error;
use crate::filter::Membership;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::pod::{self, Pod};
use crate::{gateway, uplink};
use cni::{AddResult, Interface, Verb};
use cni_plugin::Request;
use kernel::Termination;
use kernel::net::sysctl::Sysctls;
use kernel::net::{Device, Link, Mac, Rtnl, link};
use std::os::fd::AsFd;

/// Succeeds if everything is as it should be; otherwise the error names the first difference.
pub fn check(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request)?;
    let network = request.config().network();
    let result = request.config().prev_result()?;
    let result = result.ok_or_else(|| Error::NoPrevResult {
        network: network.to_string(),
    })?;
    let stop = Termination::defer().map_err(Error::Signals)?;
    if let Some(ipam) = &settings.ipam {
        request
            .delegate(ipam)?
            .run(request, Verb::Check, Some(stop.as_fd()))?;
    }
    let ifname = request.attachment()?.ifname.as_str();
    let mut check = Check {
        host: Rtnl::open()?,
        sysctls: Sysctls::open()?,
        pod: Pod::open(request.netns().unwrap_or_else(|| "".as_ref()))?,
        identity: Identity::of(network, request.attachment()?),
        plan: plan_of(&settings, network.as_str(), &result, ifname)?,
        settings,
    };
    let listed = |name: &str| {
        result
            .interfaces
            .iter()
            .find(|interface| interface.name == name)
    };
    let bridge = check.bridge(listed(&check.settings.bridge))?;
    let in_pod = result
        .interfaces
        .iter()
        .find(|interface| interface.name == ifname && !interface.sandbox.is_empty());
    let interface = check.interface(ifname, in_pod)?;
    let port = check.port(&bridge, &interface)?;
    check.addresses_and_routes(&interface.device)?;
    check.gateway(&bridge)?;
    check.sysctls(&port, &interface.device)?;
    check.filter(&port, interface.mac)
}

/// The plan that the earlier result came from, as far as it concerns the pod's interface.
fn plan_of(
    settings: &Settings,
    network: &str,
    result: &AddResult,
    ifname: &str,
) -> Result<Plan, Error> {
    let on_interface = |index: usize| {
        result
            .interfaces
            .get(index)
            .is_some_and(|interface| interface.name == ifname)
    };
    let ips = result
        .ips
        .iter()
        .filter(|ip| ip.interface.is_none_or(on_interface))
        .cloned()
        .collect();
    Plan::build(
        settings,
        network,
        AddResult {
            ips,
            routes: result.routes.clone(),
            ..AddResult::default()
        },
    )
}

struct Check {
    settings: Settings,
    identity: Identity,
    plan: Plan,
    host: Rtnl,
    sysctls: Sysctls,
    pod: Pod,
}

fn differs<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Differs(text.into()))
}

fn expect(holds: bool, text: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { differs(text()) }
}

impl Check {
    fn bridge(&mut self, listed: Option<&Interface>) -> Result<Link, Error> {
        let name = &self.settings.bridge;
        let Some(bridge) = uplink::observe(&mut self.host, &self.settings)? else {
            return differs(format!("bridge {name} does not exist"));
        };
        expect(bridge.up, || format!("bridge {name} is down"))?;
        expect(bridge.promiscuous || !self.settings.promiscuous, || {
            format!("bridge {name} is not promiscuous")
        })?;
        let filters = bridge.vlan_filtering == Some(true);
        expect(filters || self.settings.vlan_key().is_none(), || {
            format!("bridge {name} does not filter VLANs")
        })?;
        // A bridge whose MAC follows its ports is one that somebody else made.
        if link::keeps_its_mac(&bridge) != Some(false) {
            same_mac(&bridge, listed)?;
        }
        Ok(bridge)
    }

    fn interface(&mut self, ifname: &str, listed: Option<&Interface>) -> Result<Link, Error> {
        let Some(listed) = listed else {
            return differs(format!(
                "prevResult lists no interface {ifname} in a sandbox"
            ));
        };
        let Some(found) = self.pod.link(ifname)? else {
            return differs(format!(
                "interface {ifname} does not exist in {}",
                listed.sandbox
            ));
        };
        expect(found.kind == "veth", || {
            format!(
                "interface {ifname} is not a veth device but {:?}",
                found.kind
            )
        })?;
        expect(found.up != self.settings.pod_end_down, || {
            format!(
                "interface {ifname} is {}",
                if found.up { "up" } else { "down" }
            )
        })?;
        same_mac(&found, Some(listed))?;
        self.same_mtu(&found)?;
        Ok(found)
    }

    fn port(&mut self, bridge: &Link, interface: &Link) -> Result<Link, Error> {
        let (ifname, on) = (&interface.device.name, &bridge.device.name);
        let found = interface
            .peer
            .map(|index| self.host.link_at(index))
            .transpose()?
            .flatten();
        let Some(port) =
            found.filter(|port| port.kind == "veth" && port.peer == Some(interface.device.index))
        else {
            return differs(format!(
                "the host's end of interface {ifname} does not exist"
            ));
        };
        let name = &port.device.name;
        expect(port.master == Some(bridge.device.index), || {
            format!("{name}, the host's end of {ifname}, is not a port of {on}")
        })?;
        expect(port.up, || format!("bridge port {name} is down"))?;
        self.same_mtu(&port)?;
        let (found, wanted) = (port.port.unwrap_or_default().settings, self.settings.port());
        expect(found.hairpin == wanted.hairpin, || {
            format!(
                "bridge port {name} has hairpin mode {}, not {}",
                found.hairpin, wanted.hairpin
            )
        })?;
        expect(found.isolated == wanted.isolated, || {
            format!(
                "bridge port {name} has isolation {}, not {}",
                found.isolated, wanted.isolated
            )
        })?;
        let settings = self.settings.clone();
        self.vlans(&port.device, &settings)?;
        Ok(port)
    }

    fn vlans(&mut self, port: &Device, settings: &Settings) -> Result<(), Error> {
        if settings.vlan_key().is_none() {
            return Ok(());
        }
        let found = self.host.port_vlans(port)?;
        let wanted = settings.port_vlans();
        for vlan in &wanted {
            expect(found.contains(vlan), || {
                format!(
                    "bridge port {} does not carry VLAN {} as configured",
                    port.name, vlan.id
                )
            })?;
        }
        let stranger = found
            .iter()
            .find(|vlan| wanted.iter().all(|wanted| wanted.id != vlan.id));
        match stranger {
            Some(vlan) if !settings.preserve_default_vlan => differs(format!(
                "bridge port {} carries VLAN {}, which is not configured",
                port.name, vlan.id
            )),
            _ => Ok(()),
        }
    }

    fn same_mtu(&self, link: &Link) -> Result<(), Error> {
        let wanted = self.settings.mtu.unwrap_or(link.mtu);
        expect(link.mtu == wanted, || {
            format!("{} has MTU {}, not {wanted}", link.device.name, link.mtu)
        })
    }

    fn addresses_and_routes(&mut self, device: &Device) -> Result<(), Error> {
        let found = self.pod.rtnl.addresses(device)?;
        for wanted in self.plan.addresses() {
            expect(found.iter().any(|address| address.net == wanted), || {
                format!("interface {} does not have address {wanted}", device.name)
            })?;
        }
        let found = self.pod.rtnl.routes(device)?;
        for wanted in self.plan.pod_routes() {
            expect(found.iter().any(|there| wanted.is_met_by(there)), || {
                let through = wanted
                    .gateway
                    .map(|gateway| format!(" via {gateway}"))
                    .unwrap_or_default();
                format!(
                    "there is no route to {}{through} through {} as in prevResult",
                    wanted.destination, device.name
                )
            })?;
        }
        Ok(())
    }

    fn gateway(&mut self, bridge: &Link) -> Result<(), Error> {
        if self.plan.gateways.is_empty() {
            return Ok(());
        }
        let device = match gateway::device_name(&self.settings) {
            None => bridge.device.clone(),
            Some(name) => self.vlan_device(bridge, &name)?,
        };
        let found = self.host.addresses(&device)?;
        for wanted in &self.plan.gateways {
            expect(found.iter().any(|address| address.net == *wanted), || {
                format!(
                    "{} does not have the gateway's address {wanted}",
                    device.name
                )
            })?;
        }
        for key in uplink::forwarding_keys(&self.plan.gateways) {
            self.same_sysctl(key, "1")?;
        }
        Ok(())
    }

    fn vlan_device(&mut self, bridge: &Link, name: &str) -> Result<Device, Error> {
        let Some(found) = self.host.link(name)? else {
            return differs(format!("VLAN device {name}, the gateway, does not exist"));
        };
        expect(found.up, || {
            format!("VLAN device {name}, the gateway, is down")
        })?;
        if let Some(port) = gateway::port_of(&mut self.host, &found)? {
            let (port_name, on) = (&port.device.name, &bridge.device.name);
            expect(port.master == Some(bridge.device.index), || {
                format!("{port_name}, the other end of {name}, is not a port of {on}")
            })?;
            expect(port.up, || format!("bridge port {port_name} is down"))?;
            self.vlans(&port.device, &gateway::native(&self.settings))?;
        }
        Ok(found.device)
    }

    fn sysctls(&mut self, port: &Link, interface: &Device) -> Result<(), Error> {
        for name in [&self.settings.bridge, &port.device.name] {
            self.same_sysctl(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
        }
        if self.settings.pod_end_down {
            return Ok(());
        }
        let ours = port.device.name == self.identity.port;
        let mut wanted = pod::wanted_sysctls(interface, &self.settings, &self.plan);
        wanted.extend(pod::announcing_sysctls(interface, &self.plan));
        let found = self.pod.inside(|| {
            wanted
                .iter()
                .map(|(key, _)| self.sysctls.get(key))
                .collect::<Result<Vec<_>, _>>()
        })?;
        for ((key, wanted), found) in wanted.iter().zip(found) {
            // The reference plugin leaves unsolicited neighbour advertisements off.
            let excused = !ours && key.ends_with("/ndisc_notify");
            let same = found.as_deref().is_none_or(|found| found == *wanted);
            expect(same || excused, || {
                format!(
                    "sysctl net/{key} in the pod is {}, not {wanted}",
                    found.unwrap_or_default()
                )
            })?;
        }
        Ok(())
    }

    /// Compares one of the host's. A key that this kernel does not have cannot differ.
    fn same_sysctl(&self, key: &str, wanted: &str) -> Result<(), Error> {
        match self.sysctls.get(key)? {
            Some(found) if found != wanted => {
                differs(format!("sysctl net/{key} is {found}, not {wanted}"))
            }
            _ => Ok(()),
        }
    }

    fn filter(&self, port: &Link, mac: Option<Mac>) -> Result<(), Error> {
        // The reference plugin's rules are its own; what became of them is not looked at.
        let Some(mac) = mac.filter(|_| port.device.name == self.identity.port) else {
            return Ok(());
        };
        let membership = Membership::of(&self.settings, &self.identity, mac, &self.plan);
        membership.missing()?.map_or(Ok(()), differs)
    }
}

fn same_mac(link: &Link, listed: Option<&Interface>) -> Result<(), Error> {
    let name = &link.device.name;
    let Some(listed) = listed else {
        return differs(format!("prevResult does not list {name}"));
    };
    let found = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    let same = listed.mac.is_empty() || listed.mac.eq_ignore_ascii_case(&found);
    expect(same, || {
        format!(
            "{name} has MAC {found}, not {} as in prevResult",
            listed.mac
        )
    })
}
