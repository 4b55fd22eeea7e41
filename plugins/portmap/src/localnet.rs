//! The node's own way to a mapped port by 127.0.0.1.
//!
//! The kernel sends nothing from or to 127.0.0.0/8 by any link but `lo`, unless a sysctl of the link says so. With it the
//! node reaches a pod by 127.0.0.1, and anybody on that link would reach what listens on the node's 127.0.0.1
//! (CVE-2020-8558); so the guard is there before.

use crate::error::Error;
use crate::table::LOCALNET;
use kernel::net::conf::{self, Ipv4Setting};
use kernel::net::nft::{Batch, Element, Key, Socket, Value};
use kernel::net::{Device, Rtnl};
use membership::or_none;
use std::net::IpAddr;

const COMMENT: &str = "route_localnet is on";

/// Lets 127.0.0.1 be answered by the link that leads to the pod. It is shared, and stays.
pub fn ensure(pod: IpAddr) -> Result<(), Error> {
    let mut host = Rtnl::open()?;
    let Some(link) = host.towards(pod)? else {
        return Ok(());
    };
    let key = key(&link.device);
    let mut nft = Socket::open()?;
    if nft.element(LOCALNET, &key)?.is_none() {
        let mut batch = Batch::new();
        batch.add_element(LOCALNET, &Element::new(key).comment(COMMENT));
        nft.commit(&batch)?;
    }
    if !link.ip.route_localnet {
        host.apply(conf::turn_on(&link.device, Ipv4Setting::RouteLocalnet))?;
    }
    Ok(())
}

/// Tells what is missing of it.
pub fn missing(nft: &mut Socket, pod: IpAddr) -> Result<Option<String>, Error> {
    let Some(link) = Rtnl::open()?.towards(pod)? else {
        return Ok(Some(format!("the node has no route to {pod}")));
    };
    if or_none(nft.element(LOCALNET, &key(&link.device)))?
        .flatten()
        .is_none()
    {
        return Ok(Some(format!(
            "{LOCALNET} has no element {}",
            link.device.name
        )));
    }
    let off = format!(
        "sysctl net/ipv4/conf/{}/route_localnet is not 1",
        link.device.name
    );
    Ok((!link.ip.route_localnet).then_some(off))
}

fn key(link: &Device) -> Key {
    Value::Ifname(link.name.clone()).into()
}
