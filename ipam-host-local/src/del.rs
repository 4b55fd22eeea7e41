//! DEL: what the attachment holds is free again, however often it is asked (DEL-1, DEL-2).
//!
//! Only the store's place and the attachment's name are needed: ranges may have changed or broken since the ADD, the
//! store may be gone, and no previous result is asked for (DEL-3).

use crate::conf;
use crate::error::Error;
use crate::store::{Boot, Holder, Store};
use cni_plugin::Request;

pub(crate) fn del(request: &Request) -> Result<(), cni::Error> {
    Ok(serve(request)?)
}

fn serve(request: &Request) -> Result<(), Error> {
    let path = conf::store_of(request.config())?;
    let holder = Holder::from(request.attachment()?);
    let boot = Boot::current().map_err(Error::BootId)?;
    let Some(store) = Store::open(&path, boot)? else {
        return Ok(());
    };
    let mut locked = store.lock()?;
    // A file that names only the container may be about another of its interfaces: the second choice.
    for holder in [holder.clone(), holder.without_ifname()] {
        let held = locked.holdings(&holder)?;
        for (address, _) in &held {
            locked.release(*address, &holder)?;
        }
        if !held.is_empty() {
            break;
        }
    }
    locked.seal();
    Ok(())
}
