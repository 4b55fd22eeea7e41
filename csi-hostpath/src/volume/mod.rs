//! Volumes: made, deleted, grown, modified, told about. To be written.

use crate::driver::{Condition, Driver};
use crate::error::Error;
use crate::id::VolumeId;
use crate::record::Volume;
use crate::request;
use crate::store::Part;

/// The room that a pool has for volumes of one class, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// For all new volumes together.
    pub available: u64,
    /// For the largest one.
    pub largest: u64,
    /// The smallest that can be made.
    pub smallest: u64,
}

#[allow(unused_variables, missing_docs)]
impl Driver {
    pub fn create_volume(&self, wanted: request::CreateVolume) -> Result<Volume, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// Makes an inline volume, or returns it if it is there and the same. The caller holds its lock.
    pub fn create_inline(
        &self,
        volume: &VolumeId,
        wanted: &request::Ephemeral,
        capability: &crate::access::Capability,
    ) -> Result<Volume, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// Deletes a volume that nothing uses. The caller holds its lock.
    pub fn destroy(&self, volume: &Volume) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    /// `None`: the id cannot be ours, there is nothing to delete.
    pub fn delete_volume(&self, volume: Option<&VolumeId>) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn volume(&self, volume: &VolumeId) -> Result<Volume, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn list_volumes(&self, page: &request::Page) -> Result<Part<Volume>, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn condition(&self, volume: &Volume) -> Condition {
        Condition::default()
    }
    pub fn room(&self, wanted: &request::Capacity) -> Result<Room, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// Returns the volume if all fits; the reason otherwise (C-02).
    pub fn validate(&self, wanted: &request::Validate) -> Result<Result<Volume, String>, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// Returns the size promised.
    pub fn expand(&self, wanted: &request::Expand) -> Result<u64, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn modify(&self, wanted: &request::Modify) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn attach(&self, wanted: &request::Attach) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn detach(&self, wanted: &request::Detach) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
}
