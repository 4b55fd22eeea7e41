//! `ControllerExpandVolume`: promises a size. The node that has the volume makes it true.

use super::plan;
use crate::access::Access;
use crate::driver::Driver;
use crate::error::Error;
use crate::quantity::Bytes;
use crate::record::Volume;
use crate::request;
use crate::store::Change;

/// A promise of a larger size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expanded {
    /// The size promised, in bytes.
    pub size: u64,
    /// Whether the node has still to grow the volume.
    pub node: bool,
}

impl Driver {
    /// Promises a volume a larger size (CE-01). Volumes are node-local, so the node grows them.
    pub fn expand(&self, wanted: &request::Expand) -> Result<Expanded, Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let Some(volume) = self.store.volume(wanted.volume.as_str())? else {
            return self.expand_elsewhere(wanted);
        };
        suits(&volume, wanted)?;
        let size = self.promise(volume, wanted.range)?;
        let volume = self.volume(&wanted.volume)?;
        Ok(Expanded {
            size,
            node: volume.backing < size || volume.filled < size,
        })
    }

    /// Promises `volume` a size in `range` and records it. The caller holds its lock.
    pub(crate) fn promise(
        &self,
        mut volume: Volume,
        range: request::SizeRange,
    ) -> Result<u64, Error> {
        let size = larger(&volume, range, self.settings.max_volume_size)?;
        if size > volume.size {
            let pool = self.pools.get(&volume.pool)?;
            let _room =
                pool.reserve(|| Ok(self.store.promised(pool.name())?), size - volume.size)?;
            volume.size = size;
            self.store.commit(vec![Change::PutVolume(volume)])?;
        }
        Ok(size)
    }

    /// A volume of another node: its own driver checks when it grows it.
    fn expand_elsewhere(&self, wanted: &request::Expand) -> Result<Expanded, Error> {
        if !self.settings.remote {
            return Err(Error::Missing {
                what: "volume",
                id: wanted.volume.to_string(),
            });
        }
        let largest = self.settings.max_volume_size;
        let size = plan::fit(
            wanted.range.required,
            wanted.range.limit.unwrap_or(u64::MAX).min(largest),
        );
        let size = size.ok_or_else(|| impossible(wanted.range, largest))?;
        Ok(Expanded { size, node: true })
    }
}

/// The size that a volume will have.
fn larger(volume: &Volume, range: request::SizeRange, largest: u64) -> Result<u64, Error> {
    if range.limit.is_some_and(|limit| limit < volume.size) {
        return Err(Error::Size(format!(
            "volume {} has {}, more than the limit of {}: volumes do not shrink",
            volume.id,
            Bytes(volume.size),
            Bytes(range.limit.unwrap_or_default())
        )));
    }
    if volume.size >= range.required {
        return Ok(volume.size);
    }
    plan::fit(range.required, range.limit.unwrap_or(u64::MAX).min(largest))
        .ok_or_else(|| impossible(range, largest))
}

fn impossible(range: request::SizeRange, largest: u64) -> Error {
    Error::Size(format!(
        "no size from {} on is possible: the limit is {}, no volume here is larger than {}",
        Bytes(range.required),
        range
            .limit
            .map_or_else(|| "not given".to_owned(), |limit| Bytes(limit).to_string()),
        Bytes(largest)
    ))
}

fn suits(volume: &Volume, wanted: &request::Expand) -> Result<(), Error> {
    let Some(capability) = &wanted.capability else {
        return Ok(());
    };
    if (capability.access == Access::Block) == volume.block {
        return Ok(());
    }
    let is = if volume.block {
        "a raw device"
    } else {
        "a filesystem"
    };
    Err(Error::Invalid(format!(
        "volume {} is {is}, volume_capability says otherwise",
        volume.id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SizeRange;

    fn volume() -> Volume {
        Volume {
            id: "vol-1".to_owned(),
            size: 1 << 20,
            ..Volume::default()
        }
    }

    #[test]
    fn ce_01_sizes() {
        let grown =
            |required, limit| larger(&volume(), SizeRange { required, limit }, 1 << 30).ok();
        assert_eq!(grown(2 << 20, None), Some(2 << 20), "as asked");
        assert_eq!(
            grown((2 << 20) + 1, None),
            Some((2 << 20) + 4096),
            "rounded up"
        );
        assert_eq!(
            grown((2 << 20) + 1, Some((2 << 20) + 600)),
            Some((2 << 20) + 512),
            "within the limit"
        );
        assert_eq!(
            grown((2 << 20) + 1, Some((2 << 20) + 100)),
            None,
            "no sector fits"
        );
        assert_eq!(grown(1 << 19, None), Some(1 << 20), "big enough");
        assert_eq!(grown(0, Some(1 << 19)), None, "never shrinks");
        assert_eq!(grown((1 << 30) + 1, None), None, "over the largest");
        assert_eq!(grown(u64::MAX, None), None, "no overflow");
    }
}
