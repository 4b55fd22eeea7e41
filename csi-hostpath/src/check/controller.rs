//! The Controller service's RPCs about volumes.

use proto::csi::volume_content_source::Type;
use proto::csi::{
    ControllerExpandVolumeRequest, ControllerGetVolumeRequest, ControllerModifyVolumeRequest,
    ControllerPublishVolumeRequest, ControllerUnpublishVolumeRequest, CreateVolumeRequest,
    DeleteVolumeRequest, GetCapacityRequest, ListVolumesRequest, ValidateVolumeCapabilitiesRequest,
    VolumeContentSource,
};

use super::{Rules, absent, capability, ids, offered, page, range, text, topology};
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::id::VolumeId;
use crate::parameters::{Attributes, Class};
use crate::request::{
    Attach, Capacity, CreateVolume, Detach, Expand, Modify, Page, Source, Validate,
};

/// `CreateVolume` (CV-01 to CV-03, CV-07 to CV-09).
pub fn create_volume(rules: &Rules, request: CreateVolumeRequest) -> Result<CreateVolume, Error> {
    text::secrets(&request.secrets)?;
    let name = text::name(request.name)?;
    let capabilities = capability::several(rules, request.volume_capabilities)?;
    let range = range::optional(request.capacity_range)?;
    let parameters = text::map("parameters", request.parameters)?;
    let mutable = text::map("mutable_parameters", request.mutable_parameters)?;
    if !mutable.is_empty() && !rules.offers.modify {
        return Err(Error::Invalid(
            "mutable_parameters is set, but this driver was started without them: leave the volume attributes class \
             out, or start the driver with --enable-controller-modify-volume"
                .to_owned(),
        ));
    }
    let made = CreateVolume {
        name,
        range,
        capabilities: capabilities.map_err(Error::Invalid)?,
        class: Class::parse(&parameters).map_err(Error::Invalid)?,
        parameters,
        attributes: Attributes::parse(&mutable).map_err(Error::Invalid)?,
        source: request.volume_content_source.map(source).transpose()?,
    };
    topology::reachable(rules, request.accessibility_requirements)?;
    Ok(made)
}

fn source(given: VolumeContentSource) -> Result<Source, Error> {
    match given.r#type {
        Some(Type::Snapshot(given)) => {
            let field = "volume_content_source.snapshot.snapshot_id";
            let snapshot = ids::snapshot(field, &given.snapshot_id)?;
            snapshot.known().map(Source::Snapshot)
        }
        Some(Type::Volume(given)) => {
            let field = "volume_content_source.volume.volume_id";
            let volume = ids::volume(field, &given.volume_id)?;
            volume.persistent().map(Source::Volume)
        }
        None => Err(absent(
            "volume_content_source",
            "it has neither snapshot nor volume, set one",
        )),
    }
}

/// `DeleteVolume` (DV-01); `None` when there cannot be such a volume.
pub fn delete_volume(_: &Rules, request: DeleteVolumeRequest) -> Result<Option<VolumeId>, Error> {
    text::secrets(&request.secrets)?;
    Ok(ids::volume("volume_id", &request.volume_id)?.if_ours())
}

/// `ControllerPublishVolume` (CP-01).
pub fn controller_publish_volume(
    rules: &Rules,
    request: ControllerPublishVolumeRequest,
) -> Result<Attach, Error> {
    offered(rules.offers.attach, "ControllerPublishVolume")?;
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    text::required("node_id", &request.node_id, text::NODE)?;
    let capability = capability::required(rules, request.volume_capability)?;
    text::map("volume_context", request.volume_context)?;
    let volume = volume.persistent()?;
    if request.node_id != rules.node && !rules.remote {
        let id = excerpt(&request.node_id);
        return Err(Error::Missing { what: "node", id });
    }
    Ok(Attach {
        volume,
        node: request.node_id,
        capability,
        readonly: request.readonly,
    })
}

/// `ControllerUnpublishVolume` (CU-01); `None` when there cannot be such a volume.
pub fn controller_unpublish_volume(
    rules: &Rules,
    request: ControllerUnpublishVolumeRequest,
) -> Result<Option<Detach>, Error> {
    offered(rules.offers.attach, "ControllerUnpublishVolume")?;
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    text::optional("node_id", &request.node_id, text::NODE)?;
    let node = Some(request.node_id).filter(|node| !node.is_empty());
    Ok(volume.if_ours().map(|volume| Detach { volume, node }))
}

/// `ValidateVolumeCapabilities` (C-02).
pub fn validate_volume_capabilities(
    rules: &Rules,
    request: ValidateVolumeCapabilitiesRequest,
) -> Result<Validate, Error> {
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let capabilities = capability::several(rules, request.volume_capabilities)?;
    let context = text::map("volume_context", request.volume_context)?;
    let parameters = text::map("parameters", request.parameters)?;
    let mutable_parameters = text::map("mutable_parameters", request.mutable_parameters)?;
    Ok(Validate {
        volume: volume.persistent()?,
        capabilities,
        context,
        parameters,
        mutable_parameters,
    })
}

/// `ListVolumes` (LV-01).
pub fn list_volumes(_: &Rules, request: ListVolumesRequest) -> Result<Page, Error> {
    page::read(request.max_entries, request.starting_token, |token| {
        VolumeId::parse(token).is_some()
    })
}

/// `GetCapacity` (GC-01). What cannot be served has no room, which is an answer and not an error.
pub fn get_capacity(rules: &Rules, request: GetCapacityRequest) -> Result<Capacity, Error> {
    let capabilities = capability::any_number(rules, request.volume_capabilities)?;
    let parameters = text::map("parameters", request.parameters)?;
    Ok(Capacity {
        capabilities: capabilities.ok(),
        class: Class::parse(&parameters).ok(),
        here: topology::here(rules, request.accessible_topology)?,
    })
}

/// `ControllerGetVolume` (GV-01).
pub fn controller_get_volume(
    _: &Rules,
    request: ControllerGetVolumeRequest,
) -> Result<VolumeId, Error> {
    ids::volume("volume_id", &request.volume_id)?.known()
}

/// `ControllerExpandVolume` (CE-01).
pub fn controller_expand_volume(
    rules: &Rules,
    request: ControllerExpandVolumeRequest,
) -> Result<Expand, Error> {
    offered(rules.offers.expansion, "ControllerExpandVolume")?;
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let Some(range) = range::optional(request.capacity_range)? else {
        return Err(absent(
            "capacity_range",
            "say how large the volume is to be",
        ));
    };
    let capability = capability::optional(rules, request.volume_capability)?;
    Ok(Expand {
        volume: volume.persistent()?,
        range,
        capability,
    })
}

/// `ControllerModifyVolume` (MV-01).
pub fn controller_modify_volume(
    rules: &Rules,
    request: ControllerModifyVolumeRequest,
) -> Result<Modify, Error> {
    offered(rules.offers.modify, "ControllerModifyVolume")?;
    text::secrets(&request.secrets)?;
    let volume = ids::volume("volume_id", &request.volume_id)?;
    let parameters = text::map("mutable_parameters", request.mutable_parameters)?;
    if parameters.is_empty() {
        return Err(absent("mutable_parameters", "say what is to change"));
    }
    let attributes = Attributes::parse(&parameters).map_err(Error::Invalid)?;
    Ok(Modify {
        volume: volume.persistent()?,
        attributes,
    })
}
