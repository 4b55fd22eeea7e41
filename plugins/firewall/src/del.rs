//! DEL: take the pod's elements away, whatever else became of it.
//!
//! They are known by the attachment's label, so neither the namespace nor the earlier result nor an unchanged
//! configuration is needed (DEL-1, DEL-3), and coming again is no error (DEL-2). What is shared stays: without elements it
//! lets nothing through and keeps nobody out.
//!
//! The earlier result tells where the elements are. Only where it tells of none, the sets are listed, so a DEL costs the
//! same whatever the number of pods; what an attachment got under other addresses by a second ADD is left to GC.

use crate::error::Error;
use crate::plan::{SETS, addresses, places};
use crate::reference;
use cni_plugin::Request;
use kernel::Termination;
use membership::label;

/// Removes the pod.
pub fn del(request: &Request) -> Result<(), Error> {
    let _stop = Termination::defer().map_err(Error::Signals)?;
    let label = label::of(request.config().network(), request.attachment()?);
    let Some(mut nft) = membership::open()? else {
        return Ok(());
    };
    // An earlier result that cannot be read is none (DEL-3).
    let earlier = request
        .config()
        .prev_result()
        .ok()
        .flatten()
        .unwrap_or_default();
    let belongs = |of: &str| of == label;
    if membership::leave_known(&mut nft, belongs, &places(&earlier))?.is_empty() {
        membership::leave(&mut nft, &SETS, belongs, &[])?;
    }
    reference::leave(&mut nft, &addresses(&earlier))
}
