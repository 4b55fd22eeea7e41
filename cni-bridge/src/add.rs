//! ADD: give one pod one port on the bridge.
//!
//! Whatever is made for the pod is recorded first and taken back when a later step goes wrong or a signal asks to stop.
//! The bridge itself is shared and stays. The IPAM plugin works while the kernel makes the veth pair.

use crate::conf::Settings;
use crate::error::Error;
use crate::filter::Membership;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::pod::Pod;
use crate::port::{self, Pair};
use crate::undo::{Made, Record};
use crate::{gateway, uplink};
use cni::{AddResult, Interface, Verb};
use cni_plugin::{Request, Running};
use kernel::net::sysctl::Sysctls;
use kernel::net::{Link, Rtnl};
use kernel::{Termination, Undo};
use std::os::fd::AsFd;
use std::path::Path;

/// Attaches the pod and reports the attachment.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let settings = Settings::parse(request)?;
    let stop = Termination::defer().map_err(Error::Signals)?;
    let mut undo = Undo::new();
    match attach(request, &settings, &stop, &mut undo) {
        Ok(result) => {
            undo.keep();
            Ok(result)
        }
        Err(error) => Err(error.and_undo(undo.revert())),
    }
}

fn attach<'a>(
    request: &'a Request,
    settings: &Settings,
    stop: &Termination,
    undo: &mut Record<'a>,
) -> Result<AddResult, Error> {
    let network = request.config().network();
    let identity = Identity::of(network, request.attachment()?);
    let mut host = Rtnl::open()?;
    let mut pod = refuse_second(request, &host, &identity)?;
    let lease = start_ipam(request, settings, undo)?;
    let sysctls = Sysctls::open()?;
    let bridge = uplink::ensure(&mut host, &sysctls, settings)?;
    let ifname = request.attachment()?.ifname.as_str();
    let ends = (pod.netns(), ifname);
    let pair = port::create(
        &mut host, &sysctls, ends, settings, &bridge, &identity, undo,
    )?;
    let ipam = lease.map(|lease| lease.finish(Some(stop.as_fd())));
    let ipam = ipam.transpose()?.flatten().unwrap_or_default();
    let plan = Plan::build(settings, network.as_str(), ipam)?;

    if !settings.pod_end_down {
        pod.configure(&sysctls, &pair.pod, settings, &plan)?;
    }
    let gateway = gateway::ensure(&mut host, &sysctls, settings, &bridge, &plan)?;
    let membership = Membership::of(settings, &identity, pair.pod_mac, &plan);
    undo.record(Made::Membership(membership.clone()));
    membership.join()?;
    let mtu = await_service(&mut host, &mut pod, settings, &bridge, &pair, &plan, stop)?;
    if !settings.pod_end_down {
        pod.announce(&sysctls, &pair, &plan)?;
    }
    if stop.requested() {
        return Err(Error::Stopped);
    }
    Ok(report(request, &bridge, &pair, mtu, gateway, plan))
}

/// A second ADD for the same attachment must leave the first one as it is (ADD-4, ADD-5). Looked at before the IPAM
/// plugin is asked, because releasing a refused lease (ADD-6) would release the first one's.
fn refuse_second(request: &Request, host: &Rtnl, identity: &Identity) -> Result<Pod, Error> {
    let attachment = request.attachment()?;
    if host.has_link(&identity.port)? {
        return Err(Error::AlreadyAttached {
            label: identity.label.clone(),
            port: identity.port.clone(),
        });
    }
    let pod = Pod::open_without(attachment.ifname.as_str(), netns(request))?;
    pod.ok_or_else(|| Error::InterfaceExists {
        ifname: attachment.ifname.to_string(),
        netns: netns(request).display().to_string(),
        container_id: attachment.container_id.to_string(),
    })
}

/// Waits until the pod can be reached; returns the pair's MTU.
fn await_service(
    host: &mut Rtnl,
    pod: &mut Pod,
    settings: &Settings,
    bridge: &Link,
    pair: &Pair,
    plan: &Plan,
    stop: &Termination,
) -> Result<Option<u32>, Error> {
    if settings.pod_end_down {
        return Ok(host.link_at(pair.host.index)?.map(|link| link.mtu));
    }
    let link = port::await_forwarding(host, &pair.host, stop)?;
    let forwarding = link.port.is_some_and(|port| port.forwarding);
    if forwarding && !bridge.operational {
        // It is the first forwarding port that gives a bridge its carrier.
        port::await_link(host, &bridge.device, stop, |bridge| bridge.running)?;
    }
    if plan.addresses().any(|net| net.is_ipv6()) {
        pod.await_ipv6(&pair.pod, plan, stop)?;
    }
    Ok(Some(link.mtu))
}

/// The namespace; the frame lets no ADD pass without one.
fn netns(request: &Request) -> &Path {
    request.netns().unwrap_or_else(|| Path::new(""))
}

fn start_ipam<'a>(
    request: &'a Request,
    settings: &Settings,
    undo: &mut Record<'a>,
) -> Result<Option<Running>, Error> {
    let Some(ipam_type) = &settings.ipam else {
        return Ok(None);
    };
    let ipam = request.delegate(ipam_type)?;
    undo.record(Made::Lease {
        ipam: ipam.clone(),
        request,
    });
    Ok(Some(ipam.start(request, Verb::Add)?))
}

fn report(
    request: &Request,
    bridge: &Link,
    pair: &Pair,
    mtu: Option<u32>,
    gateway: Option<Link>,
    plan: Plan,
) -> AddResult {
    let sandbox = netns(request).display().to_string();
    let of_link = |link: &Link| Interface {
        name: link.device.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        mtu: Some(link.mtu),
        ..Interface::default()
    };
    let host = Interface {
        name: pair.host.name.clone(),
        mac: pair.host_mac.to_string(),
        mtu,
        ..Interface::default()
    };
    let pod = Interface {
        name: pair.pod.name.clone(),
        mac: pair.pod_mac.to_string(),
        mtu,
        sandbox,
        ..Interface::default()
    };
    let mut interfaces = vec![of_link(bridge), host, pod];
    interfaces.extend(gateway.as_ref().map(of_link));
    AddResult {
        interfaces,
        ips: plan.ips,
        routes: plan.routes,
        dns: plan.dns,
    }
}
