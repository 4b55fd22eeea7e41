//! `ValidateVolumeCapabilities`: whether a volume can be what a caller expects.

use super::plan;
use crate::driver::Driver;
use crate::error::Error;
use crate::record::Volume;
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
            if let Err(why) = plan::suits(&volume, capability, pool.filesystem()) {
                return Ok(Err(format!("volume {} {why}", volume.id)));
            }
        }
        if !wanted.context.is_empty()
            && wanted.context != reply::context(volume.kind(), &volume.pool)
        {
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
