//! The verbs. There is so little to each that they share a file.

use crate::error::Error;
use cni::{AddResult, Interface, IpConfig};
use cni_plugin::Request;
use ipnetwork::IpNetwork;
use kernel::Termination;
use kernel::net::{Device, Link, Netns, Rtnl, link};
use std::path::Path;

const NAME: &str = "lo";

/// Brings `lo` up and reports it, or what the plugins before it reported.
///
/// There is nothing to undo: a pod whose ADD failed is one whose namespace goes away, and until then `lo` harms nobody.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let _stop = Termination::defer().map_err(Error::Signals)?;
    let earlier = request.config().prev_result()?;
    let netns = request.netns().unwrap_or_else(|| Path::new(""));
    let mut pod = enter(netns)?;
    let lo = lo(&mut pod, netns)?;
    refuse_foreign(&mut pod, &lo.device, netns)?;
    pod.apply(link::up(&lo.device))?;
    match earlier {
        Some(earlier) => Ok(earlier),
        None => report(&mut pod, &lo, netns),
    }
}

/// Brings `lo` down. Without the namespace there is no `lo` either.
pub fn del(request: &Request) -> Result<(), Error> {
    let _stop = Termination::defer().map_err(Error::Signals)?;
    let Some(mut pod) = request.netns().and_then(|path| enter(path).ok()) else {
        return Ok(());
    };
    match pod.link(NAME)? {
        Some(lo) => Ok(pod.apply(link::down(&lo.device))?),
        None => Ok(()),
    }
}

/// Verifies that `lo` is up and has the addresses that were reported for it.
pub fn check(request: &Request) -> Result<(), Error> {
    let earlier = request.config().prev_result()?.unwrap_or_default();
    let netns = request.netns().unwrap_or_else(|| Path::new(""));
    let mut pod = enter(netns)?;
    let lo = lo(&mut pod, netns)?;
    if !lo.up {
        return Err(Error::Differs(format!("lo of {} is down", netns.display())));
    }
    let present = pod.addresses(&lo.device)?;
    for address in reported(&earlier) {
        if !present.iter().any(|present| present.net == address) {
            let netns = netns.display();
            return Err(Error::Differs(format!("lo of {netns} has lost {address}")));
        }
    }
    Ok(())
}

fn enter(netns: &Path) -> Result<Rtnl, Error> {
    let home = Netns::current()?;
    Ok(Netns::open(netns)?.enter(&home, Rtnl::open)?)
}

fn lo(pod: &mut Rtnl, netns: &Path) -> Result<Link, Error> {
    let lo = pod.link(NAME)?;
    lo.ok_or_else(|| Error::NoLoopback(netns.display().to_string()))
}

fn refuse_foreign(pod: &mut Rtnl, lo: &Device, netns: &Path) -> Result<(), Error> {
    let present = pod.addresses(lo)?;
    let mut foreign = present
        .iter()
        .filter(|address| !address.net.ip().is_loopback());
    foreign.next().map_or(Ok(()), |address| {
        Err(Error::Foreign {
            netns: netns.display().to_string(),
            address: address.net,
        })
    })
}

fn report(pod: &mut Rtnl, lo: &Link, netns: &Path) -> Result<AddResult, Error> {
    let v4 = pod.addresses_v4(&lo.device)?;
    let v6 = pod.addresses_v6(&lo.device)?;
    let first = [v4.first(), v6.first()].into_iter().flatten();
    let ips = first.map(|address| IpConfig {
        address: address.net,
        gateway: None,
        interface: Some(0),
    });
    let interface = Interface {
        name: NAME.to_owned(),
        mac: lo
            .mac
            .map_or_else(|| "00:00:00:00:00:00".to_owned(), |mac| mac.to_string()),
        sandbox: netns.display().to_string(),
        ..Interface::default()
    };
    Ok(AddResult {
        ips: ips.collect(),
        interfaces: vec![interface],
        ..AddResult::default()
    })
}

/// The addresses that a result gives to `lo`.
fn reported(result: &AddResult) -> impl Iterator<Item = IpNetwork> {
    let is_lo = |index| {
        let interface = result.interfaces.get(index);
        interface.is_some_and(|interface: &Interface| interface.name == NAME)
    };
    let ips = result.ips.iter();
    ips.filter(move |ip| ip.interface.is_some_and(is_lo))
        .map(|ip| ip.address)
}
