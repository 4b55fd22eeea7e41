//! From a request as it came to one that the driver works with. Pure: nothing here looks at volumes, files or clocks.
//!
//! Every function is named after its RPC and takes the same two things, so that a call's way in is always the same.
//! What is wrong with a request itself comes first (`INVALID_ARGUMENT`), then what it refers to (`NOT_FOUND` for an id
//! that we never issue). Secrets are looked at and dropped: this driver needs none (G-12).

mod capability;
mod controller;
mod group;
mod ids;
mod metadata;
mod node;
mod page;
mod path;
mod range;
mod snapshot;
mod text;
mod topology;

pub use controller::{
    controller_expand_volume, controller_get_volume, controller_modify_volume,
    controller_publish_volume, controller_unpublish_volume, create_volume, delete_volume,
    get_capacity, list_volumes, validate_volume_capabilities,
};
pub use group::{
    create_volume_group_snapshot, delete_volume_group_snapshot, get_volume_group_snapshot,
};
pub use metadata::{get_metadata_allocated, get_metadata_delta};
pub use node::{
    node_expand_volume, node_get_volume_stats, node_publish_volume, node_stage_volume,
    node_unpublish_volume, node_unstage_volume,
};
pub use snapshot::{create_snapshot, delete_snapshot, get_snapshot, list_snapshots};

use crate::driver::{Offers, Settings};
use crate::error::Error;

#[cfg(test)]
mod tests;

/// What checking has to know of the driver.
#[derive(Debug, Clone)]
pub struct Rules {
    /// This node's id.
    pub node: String,
    /// The key under which topology names nodes.
    pub topology_key: String,
    /// Which optional RPCs are offered.
    pub offers: Offers,
    /// Whether this process answers for volumes of other nodes.
    pub remote: bool,
}

impl Rules {
    /// The rules of a driver that was started like this.
    pub fn new(settings: &Settings) -> Self {
        Self {
            node: settings.node.clone(),
            topology_key: format!("topology.{}/node", settings.name),
            offers: settings.offers,
            remote: settings.remote,
        }
    }
}

/// Refuses an RPC that is switched off.
fn offered(is_offered: bool, rpc: &'static str) -> Result<(), Error> {
    if is_offered {
        Ok(())
    } else {
        Err(Error::NotOffered(rpc))
    }
}

/// A required field that is not there.
fn absent(field: &str, way_out: &str) -> Error {
    Error::Invalid(format!("{field} is missing: {way_out}"))
}
