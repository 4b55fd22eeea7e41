//! Volumes: made, deleted, grown, modified, told about. One verb a file; `plan` decides, purely.

mod attach;
mod create;
mod delete;
mod expand;
mod modify;
mod plan;
mod show;
mod validate;

pub use expand::Expanded;
pub use show::Room;

use crate::driver::Driver;
use crate::error::Error;
use crate::id::VolumeId;
use crate::locks::Held;
use crate::record::Volume;

impl Driver {
    /// The volume `id`, or NOT_FOUND.
    pub fn volume(&self, id: &VolumeId) -> Result<Volume, Error> {
        self.store
            .volume(id.as_str())?
            .ok_or_else(|| Error::Missing {
                what: "volume",
                id: id.to_string(),
            })
    }

    /// Holds the volume `id` alone, whether or not it exists.
    pub(crate) fn hold_volume(&self, id: &str) -> Result<Held, Error> {
        self.locks.hold(&format!("volume {id}"))
    }
}
