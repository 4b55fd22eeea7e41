//! Ending: calls in flight finish, and nothing is left.

use proto::csi::controller_client::ControllerClient;
use proto::csi::identity_client::IdentityClient;
use proto::csi::volume_capability::access_mode::Mode;
use proto::csi::volume_capability::{AccessMode, AccessType, MountVolume};
use proto::csi::{
    CreateVolumeRequest, ListVolumesRequest, ProbeRequest, ProbeResponse, VolumeCapability,
};
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use super::running::{Home, call};

#[test]
fn both_signals_end_it_well_and_remove_its_sockets() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut driver = home.start(&[]);
        driver.says("waiting for kubelet");
        call!(driver.caller(), IdentityClient, probe, ProbeRequest {}).unwrap();
        driver.signal(signal);
        let (status, log) = driver.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!home.socket().exists() && !home.registration().exists());
    }
}

#[test]
fn a_call_in_flight_is_answered() {
    let home = Home::new();
    let mut driver = home.start(&[]);
    let caller = driver.caller();
    caller.runtime.block_on(async {
        // The head of a call, whose request comes later.
        let (request, body) = mpsc::channel(1);
        let mut client = Grpc::new(caller.channel.clone());
        client.ready().await.unwrap();
        let answer = tokio::spawn(async move {
            let path = PathAndQuery::from_static("/csi.v1.Identity/Probe");
            let codec = ProstCodec::<ProbeRequest, ProbeResponse>::default();
            let body = Request::new(ReceiverStream::new(body));
            client.client_streaming(body, path, codec).await
        });
        // A second call on the connection is answered, so the first one's head has arrived.
        let mut second = IdentityClient::new(caller.channel.clone());
        tokio::task::yield_now().await;
        second.probe(ProbeRequest {}).await.unwrap();
        driver.signal(Signal::TERM);
        driver.says("ending");
        request.send(ProbeRequest {}).await.unwrap();
        drop(request);
        let answered = answer.await.unwrap().unwrap().into_inner();
        assert!(answered.ready.is_some());
    });
    drop(caller);
    assert_eq!(driver.end().0.code(), Some(0));
}

#[test]
fn work_goes_on_when_the_caller_has_gone() {
    let home = Home::new();
    let mut driver = home.start(&["-v=debug"]);
    // Before that a call waits, and one that nobody waits for is not begun.
    driver.says("recovered");
    let caller = driver.caller();
    let request = CreateVolumeRequest {
        name: "pvc-1".to_owned(),
        volume_capabilities: vec![VolumeCapability {
            access_type: Some(AccessType::Mount(MountVolume::default())),
            access_mode: Some(AccessMode {
                mode: Mode::SingleNodeWriter.into(),
            }),
        }],
        ..Default::default()
    };
    caller.runtime.block_on(async {
        let mut client = ControllerClient::new(caller.channel.clone());
        let call = tokio::spawn(async move { client.create_volume(request).await });
        // The call needs this thread until the driver has it.
        while !driver.has_said("pvc-1") {
            tokio::task::yield_now().await;
        }
        call.abort();
    });
    drop(caller);
    driver.says("ends");
    let volumes = call!(
        driver.caller(),
        ControllerClient,
        list_volumes,
        ListVolumesRequest::default()
    );
    assert_eq!(volumes.unwrap().entries.len(), 1);
}
