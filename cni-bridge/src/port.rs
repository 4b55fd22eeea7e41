//! The host's end of a pod's veth pair: a port of the bridge.

use crate::conf::Settings;
use crate::error::Error;
use crate::identity::Identity;
use crate::undo::{Made, Record};
use crate::uplink;
use kernel::Termination;
use kernel::net::link::{self, VethPair};
use kernel::net::monitor::{self, Events};
use kernel::net::port::{self, Port, PortVlan};
use kernel::net::sysctl::Sysctls;
use kernel::net::{Device, Link, Mac, Netns, Rtnl};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a port may take to pass packets.
const FORWARDING_LIMIT: Duration = Duration::from_secs(10);
const DEFAULT_VLAN: u16 = 1;

/// A veth pair between the bridge and a pod.
#[derive(Debug)]
pub struct Pair {
    /// The end that is a port of the bridge.
    pub host: Device,
    /// Its MAC.
    pub host_mac: Mac,
    /// The end that is the pod's interface.
    pub pod: Device,
    /// Its MAC.
    pub pod_mac: Mac,
}

/// Makes the pair with the pod's end, of that name, in the pod's namespace from the start, and lets the host's end join the bridge.
///
/// Both MACs are given rather than left to the kernel, so that no service on the host replaces them.
pub fn create(
    host: &mut Rtnl,
    sysctls: &Sysctls,
    (netns, ifname): (&Netns, &str),
    settings: &Settings,
    bridge: &Link,
    identity: &Identity,
    undo: &mut Record<'_>,
) -> Result<Pair, Error> {
    let pair = VethPair {
        name: &identity.port,
        mac: Mac::random()?,
        port: Some((bridge.device.index, settings.port())),
        peer_name: ifname,
        peer_mac: settings.mac.map_or_else(Mac::random, Ok)?,
        peer_netns: Some(netns.as_fd()),
        mtu: settings.mtu,
        alias: &identity.label,
    };
    undo.record(Made::Port(identity.port.clone()));
    let (device, pod) = host.add_veth(&pair)?;
    prepare(sysctls, &device.name)?;
    host.apply(link::up(&device))?;
    join_vlans(host, &device, bridge, settings)?;
    Ok(Pair {
        host: device,
        host_mac: pair.mac,
        pod,
        pod_mac: pair.peer_mac,
    })
}

/// What a port of the bridge needs before it goes up. What comes in by it is the bridge's, so IPv6 of its own would serve
/// nobody, and only announce itself to the pod and lengthen the node's routes.
pub fn prepare(sysctls: &Sysctls, name: &str) -> Result<(), Error> {
    sysctls.set(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
    uplink::refuse_router_advertisements(sysctls, name)
}

impl Settings {
    /// What kind of port the network wants.
    pub const fn port(&self) -> Port {
        Port {
            hairpin: self.hairpin,
            isolated: self.isolated,
        }
    }

    /// The VLANs that a pod's port carries, beside what the bridge gave it, by id.
    pub fn port_vlans(&self) -> Vec<PortVlan> {
        let tagged = |id: &u16| PortVlan {
            id: *id,
            pvid: false,
            untagged: false,
        };
        let native = self.vlan.or(self.trunk.is_some().then_some(DEFAULT_VLAN));
        let trunk = self
            .trunk
            .iter()
            .flat_map(BTreeSet::iter)
            .filter(|id| Some(**id) != native)
            .map(tagged);
        let native = native.map(|id| PortVlan {
            id,
            pvid: true,
            untagged: true,
        });
        let mut vlans: Vec<_> = native.into_iter().chain(trunk).collect();
        vlans.sort_unstable();
        vlans
    }
}

/// Lets a port carry the wanted VLANs and, unless it is preserved, not the one that the bridge gave it.
pub fn join_vlans(
    host: &mut Rtnl,
    device: &Device,
    bridge: &Link,
    settings: &Settings,
) -> Result<(), Error> {
    let Some(key) = settings.vlan_key() else {
        return Ok(());
    };
    let wanted = settings.port_vlans();
    let given = bridge
        .default_vlan
        .filter(|id| !settings.preserve_default_vlan && wanted.iter().all(|w| w.id != *id));
    let mut requests: Vec<_> = given
        .map(|id| port::remove_vlan(device, id))
        .into_iter()
        .collect();
    requests.push(port::add_vlans(device, &wanted));
    host.apply_all(requests)
        .map_err(|error| match error.errno() {
            Some(Errno::EOPNOTSUPP) => Error::NoVlanFiltering { key },
            _ => error.into(),
        })
}

/// Waits until the port passes packets, and returns it as it then is.
pub fn await_forwarding(
    host: &mut Rtnl,
    device: &Device,
    stop: &Termination,
) -> Result<Link, Error> {
    await_link(host, device, stop, |link| {
        link.operational && link.port.is_none_or(|port| !port.disabled)
    })
}

/// Waits until a link is as it has to be to pass packets.
pub fn await_link(
    host: &mut Rtnl,
    device: &Device,
    stop: &Termination,
    ready: impl Fn(&Link) -> bool,
) -> Result<Link, Error> {
    let what = format!("wait until {} passes packets", device.name);
    let probe = |host: &mut Rtnl| Ok(host.link_at(device.index)?.filter(&ready));
    let limit = FORWARDING_LIMIT;
    Ok(monitor::wait(
        host,
        Events::Links,
        limit,
        stop.as_fd(),
        &what,
        probe,
    )?)
}
