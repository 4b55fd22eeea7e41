//! The pod's side: its namespace, and its interface there.

use crate::conf::Settings;
use crate::error::Error;
use crate::plan::Plan;
use crate::port::Pair;
use ipnetwork::IpNetwork;
use kernel::Termination;
use kernel::net::conf::{self, Ipv4Setting};
use kernel::net::monitor::{self, Events};
use kernel::net::sysctl::Sysctls;
use kernel::net::{self, Device, Link, Netns, Rtnl, address, link, route};
use nix::errno::Errno;
use std::iter;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// How long duplicate address detection may take; the kernel's default is one second and some jitter.
const DETECTION_LIMIT: Duration = Duration::from_secs(10);

/// A pod's namespace, with a socket in it.
#[derive(Debug)]
pub struct Pod {
    home: Netns,
    netns: Netns,
    /// Speaks with the kernel inside the namespace.
    pub rtnl: Rtnl,
}

impl Pod {
    /// Opens the namespace at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let home = Netns::current()?;
        let netns = Netns::open(path)?;
        let rtnl = netns.enter(&home, Rtnl::open)?;
        Ok(Self { home, netns, rtnl })
    }

    /// Opens the namespace at `path` for an interface that is to be made; `None` when there is one of that name.
    pub fn open_without(ifname: &str, path: &Path) -> Result<Option<Self>, Error> {
        let pod = Self::open(path)?;
        let taken = pod.rtnl.has_link(ifname)?;
        Ok((!taken).then_some(pod))
    }

    /// The namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Runs `work` inside the namespace, where sysctls are the pod's.
    pub fn inside<T>(&self, work: impl FnOnce() -> Result<T, net::Error>) -> Result<T, Error> {
        Ok(self.netns.enter(&self.home, work)?)
    }

    /// Gives the interface its addresses and routes and brings it up.
    pub fn configure(
        &mut self,
        sysctls: &Sysctls,
        device: &Device,
        settings: &Settings,
        plan: &Plan,
    ) -> Result<(), Error> {
        self.inside(|| set_sysctls(sysctls, &wanted_sysctls(device, settings, plan)))?;
        let ipv6 = plan.addresses().find(|net| net.is_ipv6());
        let mut requests = Vec::new();
        requests.extend(
            plan.addresses()
                .map(|net| address::add(device, net, settings.detect_duplicates)),
        );
        requests.push(link::up(device));
        // The first of two routes to the same place wins, and one of them may be the kernel's own to the subnet.
        requests.extend(
            plan.pod_routes()
                .iter()
                .map(|wanted| route::add(device, wanted).tolerating(Errno::EEXIST)),
        );
        self.rtnl
            .apply_all(requests)
            .map_err(|error| match (error.errno(), ipv6) {
                (Some(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT), Some(net)) => {
                    Error::NoIpv6(net.ip())
                }
                _ => error.into(),
            })
    }

    /// Waits until neighbours can find the pod by its IPv6 addresses, and until duplicate address detection, where it is
    /// on, is done with them.
    pub fn await_ipv6(
        &mut self,
        device: &Device,
        plan: &Plan,
        stop: &Termination,
    ) -> Result<(), Error> {
        let wanted = ipv6_addresses(plan);
        let what = format!(
            "wait until the IPv6 addresses of {} are usable",
            device.name
        );
        let Self { home, netns, rtnl } = self;
        let duplicate = netns.enter(home, || {
            monitor::wait(
                rtnl,
                Events::AddressesV6,
                DETECTION_LIMIT,
                stop.as_fd(),
                &what,
                |rtnl| {
                    let present = rtnl.addresses_v6(device)?;
                    let mut its = present
                        .iter()
                        .filter(|a| wanted.iter().any(|wanted| a.net.ip() == *wanted));
                    if let Some(duplicate) = its.clone().find(|address| address.duplicate) {
                        return Ok(Some(Some(duplicate.net.ip())));
                    }
                    let settled = its.all(|address| !address.tentative);
                    for address in &wanted {
                        if !settled || !address::answers_neighbours(device, *address)? {
                            return Ok(None);
                        }
                    }
                    Ok(Some(None))
                },
            )
        })?;
        duplicate.map_or(Ok(()), |address: IpAddr| {
            Err(Error::DuplicateAddress(address))
        })
    }

    /// Lets the neighbours learn the pod at once: the kernel sends a gratuitous ARP request and unsolicited neighbour
    /// advertisements for all addresses when a link is given its MAC, even if it has it already. A neighbour that knew
    /// the address under another MAC, and the bridge, learn the new one.
    ///
    /// The settings that ask for it are made only now: earlier the kernel would tell when the interface goes up as well,
    /// to a port that may not pass packets yet or, on a full bridge, once more to hundreds of pods.
    pub fn announce(&mut self, sysctls: &Sysctls, pair: &Pair, plan: &Plan) -> Result<(), Error> {
        let pod = &pair.pod;
        if !ipv6_addresses(plan).is_empty() {
            self.inside(|| set_sysctls(sysctls, &[ndisc_notify(pod)]))?;
        }
        let notify = conf::turn_on(pod, Ipv4Setting::ArpNotify);
        Ok(self
            .rtnl
            .apply_all(vec![notify, link::mac(pod, pair.pod_mac)])?)
    }

    /// The pod's interface of that name.
    pub fn link(&mut self, ifname: &str) -> Result<Option<Link>, Error> {
        Ok(self.rtnl.link(ifname)?)
    }
}

fn ipv6_addresses(plan: &Plan) -> Vec<Ipv6Addr> {
    let address = |net: IpNetwork| match net.ip() {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    };
    plan.addresses().filter_map(address).collect()
}

/// A sysctl of the pod: its key below `net/`, and its value.
pub type Sysctl = (String, &'static str);

/// The sysctls by which the interface's addresses are announced whenever it goes up or gets another MAC.
pub fn announcing_sysctls(device: &Device, plan: &Plan) -> Vec<Sysctl> {
    let v4 = (format!("ipv4/conf/{}/arp_notify", device.name), "1");
    let v6 = (!ipv6_addresses(plan).is_empty()).then(|| ndisc_notify(device));
    iter::once(v4).chain(v6).collect()
}

fn ndisc_notify(device: &Device) -> Sysctl {
    (format!("ipv6/conf/{}/ndisc_notify", device.name), "1")
}

/// The sysctls that the interface needs before it goes up.
pub fn wanted_sysctls(device: &Device, settings: &Settings, plan: &Plan) -> Vec<Sysctl> {
    let name = &device.name;
    let v6 = |key: &str, value| (format!("ipv6/conf/{name}/{key}"), value);
    let mut wanted = Vec::new();
    if settings.detect_duplicates {
        wanted.extend([v6("enhanced_dad", "1"), v6("accept_dad", "1")]);
    } else {
        wanted.push(v6("accept_dad", "0"));
    }
    if plan.addresses().any(|net| net.is_ipv6()) {
        wanted.extend([
            ("ipv6/conf/lo/disable_ipv6".to_owned(), "0"),
            v6("disable_ipv6", "0"),
            v6("keep_addr_on_down", "1"),
        ]);
    }
    wanted
}

/// A key that the kernel does not have is passed over: without IPv6 there is nothing to set.
fn set_sysctls(sysctls: &Sysctls, wanted: &[Sysctl]) -> Result<(), net::Error> {
    for (key, value) in wanted {
        sysctls.set(key, value)?;
    }
    Ok(())
}
