//! `ValidateVolumeCapabilities`: whether a volume can be what a caller expects.

use super::plan;
use crate::access::{Access, Capability};
use crate::driver::Driver;
use crate::error::Error;
use crate::record::{Kind, Volume};
use crate::reply;
use crate::request;

impl Driver {
    /// Returns the volume if all fits; the reason otherwise (C-02).
    pub fn validate(&self, wanted: &request::Validate) -> Result<Result<Volume, String>, Error> {
        let volume = self.volume(&wanted.volume)?;
        let pool = self.pools.get(&volume.pool)?;
        let capabilities = match &wanted.capabilities {
            Ok(capabilities) => capabilities,
            Err(reason) => return Ok(Err(reason.clone())),
        };
        for capability in capabilities {
            if let Err(reason) = suits(&volume, capability, pool.filesystem()) {
                return Ok(Err(reason));
            }
        }
        if !wanted.context.is_empty() && wanted.context != reply::context(&volume) {
            return Ok(Err(format!(
                "volume_context is not the one that volume {} was made with",
                volume.id
            )));
        }
        if !wanted.parameters.is_empty()
            && plan::own(&wanted.parameters) != plan::own(&volume.parameters)
        {
            return Ok(Err(format!(
                "volume {} was made with other parameters",
                volume.id
            )));
        }
        let thick = if volume.thick { "thick" } else { "thin" };
        if wanted
            .mutable_parameters
            .get("provisioning")
            .is_some_and(|wanted| wanted != thick)
        {
            return Ok(Err(format!("volume {} is provisioned {thick}", volume.id)));
        }
        Ok(Ok(volume))
    }
}

fn suits(
    volume: &Volume,
    capability: &Capability,
    pool: kernel::storage::filesystem::Kind,
) -> Result<(), String> {
    match &capability.access {
        Access::Block if volume.block => Ok(()),
        Access::Block => Err(format!(
            "volume {} is a filesystem, not a raw device",
            volume.id
        )),
        Access::Mount(_) if volume.block => Err(format!(
            "volume {} is a raw device, not a filesystem",
            volume.id
        )),
        Access::Mount(options) => match options.filesystem {
            Some(asked) if volume.kind() == Kind::Image && volume.filesystem() != asked => {
                Err(format!(
                    "volume {} holds {}, not {}",
                    volume.id,
                    volume.filesystem().name(),
                    asked.name()
                ))
            }
            Some(asked) if volume.kind().is_directory() && !plan::is(asked, pool) => Err(format!(
                "volume {} has the filesystem of its pool, not {}",
                volume.id,
                asked.name()
            )),
            _ => Ok(()),
        },
    }
}
