//! `ControllerPublishVolume` and its counterpart. Nothing is attached in a local driver: the record is the attachment.

use crate::access::Access;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::{Attached, Volume};
use crate::request;
use crate::store::Change;

impl Driver {
    /// Attaches a volume to this node (CP-01).
    pub fn attach(&self, wanted: &request::Attach) -> Result<(), Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        // How many are attached may only be counted by one at a time.
        let _all = self.locks.hold("the list of attached volumes")?;
        let mut volume = self.volume(&wanted.volume)?;
        if wanted.node != self.settings.node {
            return Err(Error::Missing {
                what: "node",
                id: wanted.node.clone(),
            });
        }
        if (wanted.capability.access == Access::Block) != volume.block {
            let is = if volume.block {
                "a raw device"
            } else {
                "a filesystem"
            };
            return Err(Error::Invalid(format!(
                "volume {} is {is}, volume_capability says otherwise",
                volume.id
            )));
        }
        let attached = Attached {
            node: wanted.node.clone(),
            readonly: wanted.readonly,
            mode: wanted.capability.mode.into(),
        };
        if let Some(before) = volume
            .attached
            .iter()
            .find(|before| before.node == attached.node)
        {
            return if *before == attached {
                Ok(())
            } else {
                Err(differs(&volume, before))
            };
        }
        self.check_limit()?;
        volume.attached.push(attached);
        Ok(self.store.commit(vec![Change::PutVolume(volume)])?)
    }

    /// Detaches a volume (CU-01). What is not attached, or does not exist, is detached.
    pub fn detach(&self, wanted: &request::Detach) -> Result<(), Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let Some(mut volume) = self.store.volume(wanted.volume.as_str())? else {
            return Ok(());
        };
        let before = volume.attached.len();
        volume.attached.retain(|attached| {
            wanted
                .node
                .as_ref()
                .is_some_and(|node| *node != attached.node)
        });
        if volume.attached.len() == before {
            return Ok(());
        }
        let observed = self.observe(&volume)?;
        if observed.in_use() {
            return Err(Error::Unready(format!(
                "volume {} is staged or published on this node",
                volume.id
            )));
        }
        Ok(self.store.commit(vec![Change::PutVolume(volume)])?)
    }

    fn check_limit(&self) -> Result<(), Error> {
        let limit = usize::try_from(self.settings.attach_limit).unwrap_or(usize::MAX);
        if limit == 0 {
            return Ok(());
        }
        let volumes = self.store.volumes(None, None)?.items;
        let attached = volumes
            .iter()
            .filter(|volume| !volume.attached.is_empty())
            .count();
        if attached >= limit {
            return Err(Error::Full(format!(
                "{attached} volumes are attached to this node, its limit is {limit}"
            )));
        }
        Ok(())
    }
}

fn differs(volume: &Volume, before: &Attached) -> Error {
    let how = if before.readonly {
        "read-only"
    } else {
        "read-write"
    };
    Error::Differs(format!(
        "volume {} is attached to node {} {how} with access mode {:?}, detach it first",
        volume.id,
        before.node,
        before.mode()
    ))
}
