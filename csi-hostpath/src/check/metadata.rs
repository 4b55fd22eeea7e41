//! The SnapshotMetadata service.

use proto::csi::{GetMetadataAllocatedRequest, GetMetadataDeltaRequest};

use super::{Rules, ids, offered, page, text};
use crate::error::Error;
use crate::request::Blocks;

/// `GetMetadataAllocated` (SM-03 to SM-05).
pub fn get_metadata_allocated(
    rules: &Rules,
    request: GetMetadataAllocatedRequest,
) -> Result<Blocks, Error> {
    offered(rules.offers.metadata, "GetMetadataAllocated")?;
    text::secrets(&request.secrets)?;
    let target = ids::snapshot("snapshot_id", &request.snapshot_id)?;
    let most = page::at_most("max_results", request.max_results)?;
    Ok(Blocks {
        base: None,
        target: target.known()?,
        from: offset(request.starting_offset)?,
        most,
    })
}

/// `GetMetadataDelta` (SM-03 to SM-05).
pub fn get_metadata_delta(
    rules: &Rules,
    request: GetMetadataDeltaRequest,
) -> Result<Blocks, Error> {
    offered(rules.offers.metadata, "GetMetadataDelta")?;
    text::secrets(&request.secrets)?;
    let base = ids::snapshot("base_snapshot_id", &request.base_snapshot_id)?;
    let target = ids::snapshot("target_snapshot_id", &request.target_snapshot_id)?;
    let most = page::at_most("max_results", request.max_results)?;
    Ok(Blocks {
        base: Some(base.known()?),
        target: target.known()?,
        from: offset(request.starting_offset)?,
        most,
    })
}

fn offset(offset: i64) -> Result<u64, Error> {
    u64::try_from(offset)
        .map_err(|_| Error::Size(format!("starting_offset {offset} is less than 0")))
}
