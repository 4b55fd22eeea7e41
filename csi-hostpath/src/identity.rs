//! The service Identity: who the driver is, what it offers, and how it is.

use proto::csi::identity_server::Identity;
use proto::csi::plugin_capability::service::Type as Service;
use proto::csi::plugin_capability::volume_expansion::Type as Expansion;
use proto::csi::plugin_capability::{self, Type};
use proto::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, PluginCapability, ProbeRequest, ProbeResponse,
};
use tonic::{Request, Response, Status};

use crate::call::Calls;
use crate::driver::Offers;
use crate::error::Error;
use crate::health::{Health, Verdict};

/// The service.
pub struct IdentityService {
    /// The frame of its calls.
    pub calls: Calls,
    /// What `Probe` looks at.
    pub health: Health,
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        request: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        let info = GetPluginInfoResponse {
            name: self.calls.driver().settings.name.clone(),
            vendor_version: env!("CARGO_PKG_VERSION").to_owned(),
            manifest: [].into(),
        };
        self.calls
            .tell("GetPluginInfo", &request, async { Ok(info) })
            .await
    }

    async fn get_plugin_capabilities(
        &self,
        request: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let capabilities = capabilities(self.calls.driver().settings.offers);
        self.calls
            .tell("GetPluginCapabilities", &request, async {
                Ok(GetPluginCapabilitiesResponse { capabilities })
            })
            .await
    }

    async fn probe(
        &self,
        request: Request<ProbeRequest>,
    ) -> Result<Response<ProbeResponse>, Status> {
        let answer = async {
            match self.health.look().await {
                Verdict::Well => Ok(ProbeResponse { ready: Some(true) }),
                Verdict::Starting => Ok(ProbeResponse { ready: Some(false) }),
                Verdict::Ill(why) => Err(Error::Unready(why)),
            }
        };
        self.calls.tell("Probe", &request, answer).await
    }
}

/// The same in every mode (G-14).
fn capabilities(offers: Offers) -> Vec<PluginCapability> {
    let service = |service: Service| {
        Type::Service(plugin_capability::Service {
            r#type: service.into(),
        })
    };
    let expansion = Type::VolumeExpansion(plugin_capability::VolumeExpansion {
        r#type: Expansion::Online.into(),
    });
    let offered = [
        (true, service(Service::ControllerService)),
        (true, service(Service::GroupControllerService)),
        (
            offers.topology,
            service(Service::VolumeAccessibilityConstraints),
        ),
        (offers.metadata, service(Service::SnapshotMetadataService)),
        (offers.expansion, expansion),
    ];
    offered
        .into_iter()
        .filter(|(is_offered, _)| *is_offered)
        .map(|(_, capability)| PluginCapability {
            r#type: Some(capability),
        })
        .collect()
}
