//! Reflection, as `grpcurl` uses it: the services are listed, and each is described with all that it needs.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::running::{Caller, Home, call};

fn ask(caller: &Caller, message: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let stream = tokio_stream::once(request);
    let mut answers = call!(
        caller,
        ServerReflectionClient,
        server_reflection_info,
        stream
    )
    .unwrap();
    let answer = caller.runtime.block_on(answers.message()).unwrap().unwrap();
    answer.message_response.unwrap()
}

/// All services.
fn services(caller: &Caller) -> Vec<String> {
    let list = ask(caller, MessageRequest::ListServices(String::new()));
    let MessageResponse::ListServicesResponse(list) = list else {
        panic!("{list:?}");
    };
    list.service
        .into_iter()
        .map(|service| service.name)
        .collect()
}

/// The services of CSI.
pub fn listed(caller: &Caller) -> Vec<String> {
    let mut services = services(caller);
    services.retain(|name| name.starts_with("csi.v1."));
    services
}

fn files(caller: &Caller, message: MessageRequest) -> Vec<FileDescriptorProto> {
    let files = ask(caller, message);
    let MessageResponse::FileDescriptorResponse(files) = files else {
        panic!("{files:?}");
    };
    let files = files.file_descriptor_proto.iter();
    files
        .map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap())
        .collect()
}

#[test]
fn every_service_is_described_with_all_that_it_needs() {
    let home = Home::new();
    let driver = home.start(&[]);
    let caller = driver.caller();
    let services = services(&caller);
    assert!(
        services.len() >= 6 && services.contains(&"grpc.health.v1.Health".to_owned()),
        "{services:?}"
    );
    for service in services {
        let symbol = MessageRequest::FileContainingSymbol(service.clone());
        let mut open = files(&caller, symbol);
        let (package, name) = service.rsplit_once('.').unwrap();
        let is_described = open.iter().any(|file| {
            file.package() == package && file.service.iter().any(|service| service.name() == name)
        });
        assert!(is_described, "{service} is in {open:?}");
        let mut known = BTreeMap::new();
        while let Some(file) = open.pop() {
            for needed in &file.dependency {
                if !known.contains_key(needed) {
                    let by_name = MessageRequest::FileByFilename(needed.clone());
                    open.extend(files(&caller, by_name));
                }
            }
            known.insert(file.name().to_owned(), file);
        }
    }
}

/// The call of the page's quick start is one that the description knows.
#[test]
fn a_method_is_found_by_its_name() {
    let home = Home::new();
    let driver = home.start(&[]);
    let symbol = MessageRequest::FileContainingSymbol("csi.v1.CreateVolumeRequest".to_owned());
    let found = files(&driver.caller(), symbol);
    let request = found
        .iter()
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == "CreateVolumeRequest")
        .unwrap();
    let fields: Vec<_> = request.field.iter().map(|field| field.name()).collect();
    for field in ["name", "capacity_range", "volume_capabilities"] {
        assert!(fields.contains(&field), "{fields:?}");
    }
}
