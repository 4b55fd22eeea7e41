//! What is told about volumes and the room for them.

use std::collections::{BTreeMap, HashSet};

use prost::Message;

use super::plan::{self, Abilities, Shape};
use crate::driver::{Condition, Driver};
use crate::error::Error;
use crate::pool::Shelf;
use crate::quantity::Bytes;
use crate::record::Volume;
use crate::request::{self, CreateVolume};
use crate::store::{Most, Part};

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

impl Driver {
    /// One page of the volumes, in the order of their ids (LV-01), each told as `tell` has it. Inline volumes belong to
    /// their pods and are not told.
    pub fn list_volumes<T: Message>(
        &self,
        after: Option<&str>,
        most: Most,
        tell: impl Fn(Volume, Condition) -> T,
    ) -> Result<Part<T>, Error> {
        // The ids of inline volumes begin with "csi-" and come before all others.
        let after = after.unwrap_or_default().max("vol-");
        let shelved = self.shelved(most.entries);
        let tell = |volume: Volume| {
            let condition = match shelved.get(volume.pool.as_str()) {
                Some(shelved) if shelved.contains(&volume.id) => condition(&volume, Ok(())),
                _ => self.condition(&volume),
            };
            tell(volume, condition)
        };
        Ok(self.store.volumes_as(Some(after), most, tell)?)
    }

    /// Whether a volume is well, as far as that can be told without looking into it.
    pub fn condition(&self, volume: &Volume) -> Condition {
        let reached = self
            .pools
            .get(&volume.pool)
            .and_then(|pool| pool.reaches(Shelf::Volumes, &volume.id));
        condition(volume, reached)
    }

    /// What lies on the shelves of pools. A directory that is read at once costs less than a question about each entry,
    /// unless most of it is not asked for. Where it cannot be read, the question about each says why.
    fn shelved(&self, asked: usize) -> BTreeMap<&str, HashSet<String>> {
        let shelved = self.pools.all().filter_map(|pool| {
            let all = self.store.promised(pool.name()).ok()?.volumes;
            if (asked as u64) < all / 4 {
                return None;
            }
            Some((pool.name(), pool.volumes().ok()?.into_iter().collect()))
        });
        shelved.collect()
    }

    /// The room for volumes of a class (GC-01). No room where such volumes cannot be made on this node.
    pub fn room(&self, wanted: &request::Capacity) -> Result<Room, Error> {
        let (Some(capabilities), Some(class), true) =
            (&wanted.capabilities, &wanted.class, wanted.here)
        else {
            return Ok(Room::default());
        };
        let Ok(pool) = self.pools.wanted(class.pool.as_deref()) else {
            return Ok(Room::default());
        };
        let abilities = Abilities {
            enforcement: pool.enforcement(),
            filesystem: pool.filesystem(),
        };
        let Ok(shape) = shape(capabilities, class, abilities) else {
            return Ok(Room::default());
        };
        let room = pool.room(self.store.promised(pool.name())?)?;
        Ok(Room {
            available: room.available,
            largest: room.available.min(self.settings.max_volume_size),
            smallest: plan::smallest(shape),
        })
    }
}

fn condition(volume: &Volume, reached: Result<(), Error>) -> Condition {
    let (abnormal, message) = match reached {
        Err(error) => (
            true,
            format!(
                "the data of volume {} cannot be reached: {error}",
                volume.id
            ),
        ),
        // Growth that is due is no illness.
        Ok(()) if volume.filled < volume.size || volume.backing < volume.size => (
            false,
            format!(
                "volume {} grows to {} on its node",
                volume.id,
                Bytes(volume.size)
            ),
        ),
        Ok(()) => (false, "the volume is well".to_owned()),
    };
    Condition { abnormal, message }
}

/// The shape that volumes of a class would have.
fn shape(
    capabilities: &[crate::access::Capability],
    class: &crate::parameters::Class,
    abilities: Abilities,
) -> Result<Shape, Error> {
    let wanted = CreateVolume {
        name: String::new(),
        range: None,
        capabilities: capabilities.to_vec(),
        class: class.clone(),
        parameters: Default::default(),
        attributes: Default::default(),
        source: None,
    };
    plan::shape(&wanted, None, abilities)
}
