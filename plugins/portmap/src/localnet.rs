//! The node's own way to a mapped port by 127.0.0.1.
//!
//! The kernel sends nothing from or to 127.0.0.0/8 by any link but `lo`, unless a sysctl of the link says so. With it the
//! node reaches a pod by 127.0.0.1, and anybody on that link would reach what listens on the node's 127.0.0.1
//! (CVE-2020-8558); so the guard is there before.

use crate::error::Error;
use crate::table::LOCALNET;
use kernel::net::nft::{Batch, Element, Key, Socket, Value};
use kernel::net::{Device, Rtnl, sysctl};
use membership::or_none;
use std::net::IpAddr;

const COMMENT: &str = "route_localnet is on";

/// Lets 127.0.0.1 be answered by the link that leads to the pod. It is shared, and stays.
pub fn ensure(pod: IpAddr) -> Result<(), Error> {
    let Some(link) = Rtnl::open()?.towards(pod)? else {
        return Ok(());
    };
    let key = key(&link);
    let mut nft = Socket::open()?;
    if nft.element(LOCALNET, &key)?.is_none() {
        let mut batch = Batch::new();
        batch.add_element(LOCALNET, &Element::new(key).comment(COMMENT));
        nft.commit(&batch)?;
    }
    sysctl::ensure(&sysctl_of(&link), "1")?;
    Ok(())
}

/// Tells what is missing of it.
pub fn missing(nft: &mut Socket, pod: IpAddr) -> Result<Option<String>, Error> {
    let Some(link) = Rtnl::open()?.towards(pod)? else {
        return Ok(Some(format!("the node has no route to {pod}")));
    };
    if or_none(nft.element(LOCALNET, &key(&link)))?
        .flatten()
        .is_none()
    {
        return Ok(Some(format!("{LOCALNET} has no element {}", link.name)));
    }
    let name = sysctl_of(&link);
    let is_on = sysctl::get(&name)?.is_none_or(|value| value == "1");
    Ok((!is_on).then(|| format!("sysctl {name} is not 1")))
}

fn key(link: &Device) -> Key {
    Value::Ifname(link.name.clone()).into()
}

fn sysctl_of(link: &Device) -> String {
    format!("ipv4/conf/{}/route_localnet", link.name)
}
