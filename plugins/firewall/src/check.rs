//! CHECK: is all that ADD made still there and as it was? (CHK-3, CHK-4) It only looks.
//!
//! A pod that the reference plugin attached, before its executable was replaced, is held to what that plugin makes.

use crate::add::plan_of;
use crate::conf::Settings;
use crate::error::Error;
use crate::{filter, iptables, reference};
use cni_plugin::Request;
use kernel::net::nft::Socket;

/// Succeeds if everything is as it should be; otherwise the error names the first difference.
pub fn check(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request)?;
    let (plan, _) = plan_of(request, &settings)?;
    if plan.addresses.is_empty() {
        return Ok(());
    }
    let mut nft = Socket::open()?;
    if let Some(absent) = membership::absent(&mut nft, &plan.members())? {
        if reference::lets_through(&mut nft, &plan.addresses)? {
            return Ok(());
        }
        return Err(Error::Differs(absent));
    }
    let mut difference = filter::missing(&mut nft, &settings.admin_chain, &plan)?;
    if difference.is_none() {
        difference = iptables::missing(&mut nft, &settings, &plan)?;
    }
    if difference.is_none() {
        difference = filter::foreign(&mut nft, &plan)?;
    }
    difference.map_or(Ok(()), |difference| Err(Error::Differs(difference)))
}
