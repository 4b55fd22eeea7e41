//! The service Node: volumes on their way into pods and out of them.

use proto::csi::node_server::Node;
use proto::csi::node_service_capability::rpc::Type as Offer;
use proto::csi::node_service_capability::{Rpc, Type};
use proto::csi::*;
use tonic::{Request, Response, Status};

use crate::call::Calls;
use crate::check;
use crate::driver::Offers;
use crate::reply;

/// The service.
pub struct NodeService {
    /// The frame of its calls.
    pub calls: Calls,
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_get_info(
        &self,
        request: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        let settings = &self.calls.driver().settings;
        let info = NodeGetInfoResponse {
            node_id: settings.node.clone(),
            max_volumes_per_node: settings.attach_limit.into(),
            accessible_topology: reply::topology(settings),
        };
        self.calls
            .tell("NodeGetInfo", &request, async { Ok(info) })
            .await
    }

    async fn node_get_capabilities(
        &self,
        request: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let capabilities = capabilities(self.calls.driver().settings.offers);
        self.calls
            .tell("NodeGetCapabilities", &request, async {
                Ok(NodeGetCapabilitiesResponse { capabilities })
            })
            .await
    }

    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        self.calls
            .answer(
                "NodeStageVolume",
                request,
                check::node_stage_volume,
                |driver, wanted| {
                    driver.stage(&wanted)?;
                    Ok(NodeStageVolumeResponse {})
                },
            )
            .await
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        self.calls
            .answer(
                "NodeUnstageVolume",
                request,
                check::node_unstage_volume,
                |driver, wanted| {
                    driver.unstage(&wanted)?;
                    Ok(NodeUnstageVolumeResponse {})
                },
            )
            .await
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        self.calls
            .answer(
                "NodePublishVolume",
                request,
                check::node_publish_volume,
                |driver, wanted| {
                    driver.publish(&wanted)?;
                    Ok(NodePublishVolumeResponse {})
                },
            )
            .await
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        self.calls
            .answer(
                "NodeUnpublishVolume",
                request,
                check::node_unpublish_volume,
                |driver, wanted| {
                    driver.unpublish(&wanted)?;
                    Ok(NodeUnpublishVolumeResponse {})
                },
            )
            .await
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        self.calls
            .answer(
                "NodeGetVolumeStats",
                request,
                check::node_get_volume_stats,
                |driver, wanted| {
                    let stats = driver.stats(&wanted)?;
                    Ok(NodeGetVolumeStatsResponse {
                        usage: reply::usage(&stats),
                        volume_condition: Some(reply::condition(stats.condition)),
                    })
                },
            )
            .await
    }

    async fn node_expand_volume(
        &self,
        request: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        self.calls
            .answer(
                "NodeExpandVolume",
                request,
                check::node_expand_volume,
                |driver, wanted| {
                    Ok(NodeExpandVolumeResponse {
                        capacity_bytes: reply::bytes(driver.node_expand(&wanted)?),
                    })
                },
            )
            .await
    }
}

fn capabilities(offers: Offers) -> Vec<NodeServiceCapability> {
    let offered = [
        (true, Offer::StageUnstageVolume),
        (true, Offer::GetVolumeStats),
        (offers.expansion, Offer::ExpandVolume),
        (true, Offer::VolumeCondition),
        (true, Offer::SingleNodeMultiWriter),
        (offers.mount_group, Offer::VolumeMountGroup),
    ];
    offered
        .into_iter()
        .filter(|(is_offered, _)| *is_offered)
        .map(|(_, rpc)| NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: rpc.into() })),
        })
        .collect()
}
