//! GC: reservations of this network that belong to no valid attachment go (GC-1, GC-2).
//!
//! An empty list of valid attachments is meaningful: everything goes. The cursors and the lock are no reservations, and
//! a file that no plugin wrote is not ours to remove.

use crate::conf;
use crate::error::Error;
use crate::store::{Age, Boot, Reservation, Store};
use cni::Attachment;
use cni_plugin::Request;

pub(crate) fn gc(request: &Request) -> Result<(), cni::Error> {
    Ok(serve(request)?)
}

fn serve(request: &Request) -> Result<(), Error> {
    let valid = request.config().valid_attachments()?;
    let path = conf::store_of(request.config())?;
    let boot = Boot::current().map_err(Error::BootId)?;
    let Some(store) = Store::open(&path, boot)? else {
        return Ok(());
    };
    let mut locked = store.lock()?;
    let errors = locked.sweep(|reservation| is_needed(reservation, &valid))?;
    locked.seal();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::NotRemoved(errors))
    }
}

/// Whether a reservation is to stay.
fn is_needed(reservation: &Reservation, valid: &[Attachment]) -> bool {
    let Some(holder) = &reservation.holder else {
        return true;
    };
    // The runtime that lists the valid attachments knows its own node's only.
    reservation.age == Age::OtherNode
        || valid.iter().any(|attachment| {
            attachment.container_id.as_str() == holder.container_id
                && (holder.ifname.is_empty() || attachment.ifname.as_str() == holder.ifname)
        })
}
