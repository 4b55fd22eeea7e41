//! The Node service.

use std::collections::BTreeMap;

use proto::csi::{
    NodeExpandVolumeRequest, NodeGetVolumeStatsRequest, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
};

use super::{Rules, capability, ids, offered, path, range, text};
use crate::access::Access;
use crate::error::Error;
use crate::id::VolumeId;
use crate::parameters::{Inline, KUBERNETES};
use crate::request::{Ephemeral, NodeExpand, Publish, Stage, Stats, Unpublish, Unstage};

/// What kubelet says of an inline volume, if the CSIDriver object has `podInfoOnMount` (K-13).
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";

/// `NodeStageVolume` (NS-01).
pub fn node_stage_volume(rules: &Rules, request: NodeStageVolumeRequest) -> Result<Stage, Error> {
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let path = path::absolute("staging_target_path", &request.staging_target_path)?;
    let capability = capability::required(rules, request.volume_capability)?;
    text::map("publish_context", request.publish_context)?;
    text::map("volume_context", request.volume_context)?;
    Ok(Stage {
        volume: volume.persistent()?,
        path,
        capability,
    })
}

/// `NodeUnstageVolume` (NU-01).
pub fn node_unstage_volume(_: &Rules, request: NodeUnstageVolumeRequest) -> Result<Unstage, Error> {
    let volume = ids::volume("volume_id", &request.volume_id)?;
    Ok(Unstage {
        volume: volume.if_ours(),
        path: path::absolute("staging_target_path", &request.staging_target_path)?,
    })
}

/// `NodePublishVolume` (NP-01, NP-02, K-13).
pub fn node_publish_volume(
    rules: &Rules,
    request: NodePublishVolumeRequest,
) -> Result<Publish, Error> {
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let target = path::absolute("target_path", &request.target_path)?;
    let capability = capability::required(rules, request.volume_capability)?;
    text::map("publish_context", request.publish_context)?;
    let context = text::map("volume_context", request.volume_context)?;
    let staging = path::optional("staging_target_path", &request.staging_target_path)?;
    let inline = context.get(EPHEMERAL).is_some_and(|flag| flag == "true");
    let (volume, staging, ephemeral) = if inline {
        (
            inline_id(volume)?,
            None,
            Some(ephemeral(&capability.access, context)?),
        )
    } else {
        (staged_id(volume, staging.is_some())?, staging, None)
    };
    Ok(Publish {
        volume,
        staging,
        target,
        capability,
        readonly: request.readonly,
        ephemeral,
    })
}

/// The id of an inline volume. Kubelet makes it from the pod, so that it cannot be that of anybody else's volume; any
/// other id would be.
fn inline_id(volume: ids::Given<VolumeId>) -> Result<VolumeId, Error> {
    volume.if_ours().filter(VolumeId::is_inline).ok_or_else(|| {
        Error::Invalid(format!(
            "volume_context has {EPHEMERAL} = true, but volume_id is not an inline volume's: csi- and 64 hexadecimal \
             digits, as kubelet makes them"
        ))
    })
}

/// The id of a volume that was staged. An inline volume's id without the flag is either a CSIDriver object that keeps
/// kubelet from telling, or a volume handle written by hand to get at another pod's volume: both need a person.
fn staged_id(volume: ids::Given<VolumeId>, has_staging: bool) -> Result<VolumeId, Error> {
    if volume.is_inline() {
        return Err(Error::Invalid(format!(
            "volume_id is an inline volume's, but volume_context has no {EPHEMERAL} = true: set podInfoOnMount and \
             the lifecycle mode Ephemeral in the CSIDriver object"
        )));
    }
    if !has_staging {
        return Err(Error::Unready(
            "staging_target_path is missing: stage the volume first and say where".to_owned(),
        ));
    }
    volume.persistent()
}

fn ephemeral(access: &Access, context: BTreeMap<String, String>) -> Result<Ephemeral, Error> {
    if *access == Access::Block {
        return Err(Error::Invalid(
            "volume_capability is block, but an inline volume can only be mounted".to_owned(),
        ));
    }
    let inline = Inline::parse(&context).map_err(Error::Invalid)?;
    // What kubelet adds may change from call to call and may hold tokens: it is not part of the volume.
    let attributes = context
        .into_iter()
        .filter(|(key, _)| !key.starts_with(KUBERNETES));
    Ok(Ephemeral {
        size: inline.size,
        class: inline.class,
        parameters: attributes.collect(),
    })
}

/// `NodeUnpublishVolume` (NN-01).
pub fn node_unpublish_volume(
    _: &Rules,
    request: NodeUnpublishVolumeRequest,
) -> Result<Unpublish, Error> {
    let volume = ids::volume("volume_id", &request.volume_id)?;
    Ok(Unpublish {
        volume: volume.if_ours(),
        target: path::absolute("target_path", &request.target_path)?,
    })
}

/// `NodeGetVolumeStats` (NG-01).
pub fn node_get_volume_stats(
    _: &Rules,
    request: NodeGetVolumeStatsRequest,
) -> Result<Stats, Error> {
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let path = path::place("volume_path", &request.volume_path)?;
    path::optional("staging_target_path", &request.staging_target_path)?;
    let volume = volume.known()?;
    let path = path.known(&volume)?;
    Ok(Stats { volume, path })
}

/// `NodeExpandVolume` (NE-01).
pub fn node_expand_volume(
    rules: &Rules,
    request: NodeExpandVolumeRequest,
) -> Result<NodeExpand, Error> {
    offered(rules.offers.expansion, "NodeExpandVolume")?;
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let path = path::place("volume_path", &request.volume_path)?;
    path::optional("staging_target_path", &request.staging_target_path)?;
    let range = range::optional(request.capacity_range)?;
    let capability = capability::optional(rules, request.volume_capability)?;
    let volume = volume.known()?;
    Ok(NodeExpand {
        path: path.known(&volume)?,
        volume,
        range,
        capability,
    })
}
