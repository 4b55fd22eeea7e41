//! CHECK: is all that ADD made still there and as it was? (CHK-3, CHK-4) It only looks.
//!
//! A pod that the reference plugin attached, before its executable was replaced, is held to what that plugin makes.

use crate::add::plan_of;
use crate::conf::Settings;
use crate::error::Error;
use crate::{conditional, localnet, reference, table};
use cni_plugin::Request;
use kernel::net::nft::Socket;

/// Succeeds if everything is as it should be; otherwise the error names the first difference.
pub fn check(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request)?;
    let (plan, _) = plan_of(request, &settings)?;
    if plan.ways.is_empty() {
        return Ok(());
    }
    let mut nft = Socket::open()?;
    if let Some(absent) = membership::absent(&mut nft, &plan.members())? {
        if reference::leads(&mut nft, request.config().network(), request.attachment()?)? {
            return Ok(());
        }
        return Err(Error::Differs(absent));
    }
    let mut lost = table::missing(&mut nft, &plan.subnets())?;
    if lost.is_none() {
        lost = conditional::missing(&mut nft, &plan)?;
    }
    if let (None, Some(pod)) = (&lost, plan.from_localhost()) {
        lost = localnet::missing(&mut nft, pod)?;
    }
    lost.map_or(Ok(()), |lost| Err(Error::Differs(lost)))
}
