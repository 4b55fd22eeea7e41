//! `CreateVolume`: a whole volume under its name, or nothing.

use std::collections::BTreeMap;

use super::plan::{self, Abilities, Origin, Shape};
use crate::access::{Capability, Filesystem};
use crate::driver::Driver;
use crate::error::Error;
use crate::id::VolumeId;
use crate::locks::Held;
use crate::pool::{Making, Pool, Shelf, Writable};
use crate::record::{Progress, Snapshot, Volume};
use crate::request::{self, CreateVolume, Source};
use crate::tools;

/// What a volume is copied from, held so that it stays.
struct Content {
    origin: Origin,
    from: From,
    _held: Held,
}

enum From {
    Snapshot(Snapshot),
    Volume(Box<Volume>),
}

impl Driver {
    /// Makes a volume, or returns the one that the same request made before (CV-01 to CV-11).
    pub fn create_volume(&self, wanted: CreateVolume) -> Result<Volume, Error> {
        let _name = self
            .locks
            .hold(&format!("volume named {:?}", wanted.name))?;
        if let Some(volume) = self.store.volume_named(&wanted.name)? {
            plan::same(&volume, &wanted, self.pools.get(&volume.pool)?.filesystem())?;
            return Ok(volume);
        }
        let id = VolumeId::mint()
            .map_err(|errno| kernel::storage::Error::new("draw a random id", errno))?;
        self.make_volume(id, wanted)
    }

    /// Makes an inline volume, or returns it if it is there and the same (K-13). The caller holds its lock.
    pub fn create_inline(
        &self,
        volume: &VolumeId,
        wanted: &request::Ephemeral,
        capability: &Capability,
    ) -> Result<Volume, Error> {
        let wanted = CreateVolume {
            // Not a name that a caller of CreateVolume can take: those hold no control characters (G-13).
            name: format!("\u{1}{volume}"),
            range: wanted.size.map(|size| request::SizeRange {
                required: size,
                limit: None,
            }),
            capabilities: vec![capability.clone()],
            class: wanted.class.clone(),
            parameters: wanted.parameters.clone(),
            attributes: Default::default(),
            source: None,
        };
        match self.store.volume(volume.as_str())? {
            Some(volume) => {
                plan::same(&volume, &wanted, self.pools.get(&volume.pool)?.filesystem())?;
                Ok(volume)
            }
            None => self.make_volume(volume.clone(), wanted),
        }
    }

    fn make_volume(&self, id: VolumeId, wanted: CreateVolume) -> Result<Volume, Error> {
        let content = wanted
            .source
            .as_ref()
            .map(|source| self.content(source))
            .transpose()?;
        let pool = self.pool_for(&wanted, content.as_ref())?;
        let abilities = Abilities {
            enforcement: pool.enforcement(),
            filesystem: pool.filesystem(),
        };
        let origin = content.as_ref().map(|content| &content.origin);
        let shape = plan::shape(&wanted, origin, abilities)?;
        let size = plan::size(wanted.range, shape, origin, self.settings.max_volume_size)?;
        let _room = pool.reserve(|| Ok(self.store.promised(pool.name())?), size)?;

        let making = pool.make(id.as_str())?.bound_to(shape.kind, size);
        match &content {
            None => fill_empty(&making, shape, size)?,
            Some(content) => self.fill_from(&making, content, shape, size)?,
        }
        // An inline volume is used at once, and its id may come again.
        let later = pool.settles_later(shape.kind) && !id.is_inline();
        if content.is_some() || !later {
            making.settle()?;
        }

        let volume = record(&id, wanted, pool, shape, size, origin, making.project());
        self.put_volume(volume.clone(), later)?;
        making.finish(Shelf::Volumes);
        Ok(volume)
    }

    /// What a source names, held, and fit to be copied (CV-07).
    fn content(&self, source: &Source) -> Result<Content, Error> {
        match source {
            Source::Snapshot(id) => {
                let held = self.locks.share(&format!("snapshot {id}"))?;
                let snapshot = self.snapshot(id)?;
                if snapshot.progress() != Progress::Ready {
                    return Err(Error::Unready(format!(
                        "snapshot {id} is not ready to use yet, try again"
                    )));
                }
                Ok(Content {
                    origin: Origin::of_snapshot(&snapshot),
                    from: From::Snapshot(snapshot),
                    _held: held,
                })
            }
            Source::Volume(id) if id.is_inline() => Err(Error::Invalid(format!(
                "volume {id} is an inline volume, which ends with its pod and cannot be copied"
            ))),
            Source::Volume(id) => {
                let held = self.hold_volume(id.as_str())?;
                let volume = self.volume(id)?;
                Ok(Content {
                    origin: Origin::of_volume(&volume),
                    from: From::Volume(Box::new(volume)),
                    _held: held,
                })
            }
        }
    }

    /// A copy lies where its source lies, unless the class says otherwise.
    fn pool_for(&self, wanted: &CreateVolume, content: Option<&Content>) -> Result<&Pool, Error> {
        let home = content.map(|content| match &content.from {
            From::Snapshot(snapshot) => snapshot.pool.as_str(),
            From::Volume(volume) => volume.pool.as_str(),
        });
        self.pools.wanted(wanted.class.pool.as_deref().or(home))
    }

    fn fill_from(
        &self,
        making: &Making<'_>,
        content: &Content,
        shape: Shape,
        size: u64,
    ) -> Result<(), Error> {
        match &content.from {
            From::Snapshot(snapshot) => self.fill_from_snapshot(making, snapshot)?,
            From::Volume(volume) => self.fill_from_volume(making, volume)?,
        }
        if shape.kind.is_directory() {
            return Ok(());
        }
        making.size_image(size, shape.thick)?;
        if shape.filesystem == Some(Filesystem::Btrfs) {
            tools::new_identity_btrfs(&making.image_path())?;
        }
        Ok(())
    }

    fn fill_from_snapshot(&self, making: &Making<'_>, snapshot: &Snapshot) -> Result<(), Error> {
        let pool = self.pools.get(&snapshot.pool)?;
        if snapshot.kind().is_directory() {
            let from = pool.snapshot_data(snapshot)?;
            if making.shares_with(pool) && pool.has_subvolumes() {
                return making.subvolume(from, Writable::Yes);
            }
            return making.copy_data(from, &|| self.goes_on());
        }
        let from = pool.snapshot_image(snapshot)?;
        if making.reflink_image(&from)? {
            return Ok(());
        }
        making.copy_image(&from, &|| self.goes_on())
    }

    /// The bytes of a volume as they are at one moment.
    fn fill_from_volume(&self, making: &Making<'_>, volume: &Volume) -> Result<(), Error> {
        let cut = self.begin_cut(std::slice::from_ref(volume))?;
        if !self.cut_now(volume, making, Writable::Yes)? {
            cut.may_copy()?;
            self.cut_slowly(volume, making)?;
        }
        cut.end()
    }
}

fn fill_empty(making: &Making<'_>, shape: Shape, size: u64) -> Result<(), Error> {
    if shape.kind.is_directory() {
        return making.empty_data();
    }
    making.empty_image()?;
    making.size_image(size, shape.thick)?;
    if let Some(filesystem) = shape.filesystem {
        tools::make(filesystem, &making.image_path())?;
    }
    Ok(())
}

fn record(
    id: &VolumeId,
    wanted: CreateVolume,
    pool: &Pool,
    shape: Shape,
    size: u64,
    origin: Option<&Origin>,
    project: Option<u32>,
) -> Volume {
    let (from_snapshot, from_volume) = match &wanted.source {
        Some(Source::Snapshot(id)) => (Some(id.to_string()), None),
        Some(Source::Volume(id)) => (None, Some(id.to_string())),
        None => (None, None),
    };
    Volume {
        id: id.to_string(),
        name: wanted.name,
        pool: pool.name().to_owned(),
        kind: shape.kind.into(),
        block: shape.block,
        filesystem: shape.filesystem.map(Into::into),
        size,
        backing: size,
        // The filesystem of a copy is as large as it was; staging grows it.
        filled: match (shape.filesystem, origin) {
            (Some(_), Some(origin)) => origin.filled,
            _ => size,
        },
        thick: shape.thick,
        from_snapshot,
        from_volume,
        parameters: wanted.parameters,
        mutable: wanted
            .attributes
            .thick
            .map(|thick| {
                BTreeMap::from([(
                    "provisioning".to_owned(),
                    if thick { "thick" } else { "thin" }.to_owned(),
                )])
            })
            .unwrap_or_default(),
        created: crate::driver::now(),
        ephemeral: id.is_inline(),
        project,
        ..Volume::default()
    }
}
