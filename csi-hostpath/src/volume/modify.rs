//! `ControllerModifyVolume`: reserves a volume's space, or gives the reservation back.

use std::path::Path;

use kernel::storage::{extents, freeze};
use rustix::fs::FallocateFlags;

use crate::driver::Driver;
use crate::error::Error;
use crate::record::{Kind, Volume};
use crate::request;
use crate::store::Change;

impl Driver {
    /// Changes what may change while a volume exists (MV-01): all of it, or nothing.
    pub fn modify(&self, wanted: &request::Modify) -> Result<(), Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let mut volume = self.volume(&wanted.volume)?;
        let Some(thick) = wanted.attributes.thick else {
            return Ok(());
        };
        if volume.kind() != Kind::Image {
            if !thick {
                return Ok(());
            }
            return Err(Error::Invalid(format!(
                "volume {} is a directory, which cannot reserve space: provisioning thick needs kind image",
                volume.id
            )));
        }
        volume.thick = thick;
        volume.mutable.insert(
            "provisioning".to_owned(),
            if thick { "thick" } else { "thin" }.to_owned(),
        );
        if thick {
            self.pools
                .get(&volume.pool)?
                .grow(&volume, volume.backing)?;
        } else {
            self.give_back(&volume)?;
        }
        Ok(self.store.commit(vec![Change::PutVolume(volume)])?)
    }

    /// Frees what a volume reserves and does not use. A raw device in use keeps its place: only whoever writes to it
    /// knows what is free.
    fn give_back(&self, volume: &Volume) -> Result<(), Error> {
        let observed = self.observe(volume)?;
        if let (Some(staged), false) = (&observed.staged, volume.block) {
            freeze::trim(staged, Path::new(&volume.id))?;
            return Ok(());
        }
        if observed.in_use() {
            return Ok(());
        }
        let image = self.pools.get(&volume.pool)?.image(volume)?;
        for extent in extents::of(&image)?
            .iter()
            .filter(|extent| extent.is_unwritten())
        {
            rustix::fs::fallocate(
                &image,
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                extent.logical,
                extent.length,
            )
            .map_err(|errno| {
                kernel::storage::Error::new(
                    format!("free the reserve of volume {}", volume.id),
                    errno,
                )
            })?;
        }
        Ok(())
    }
}
