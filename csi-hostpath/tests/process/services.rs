//! What is offered, as it says itself and as it is; and what its log keeps to itself.

use proto::csi::controller_client::ControllerClient;
use proto::csi::controller_service_capability as controller;
use proto::csi::group_controller_client::GroupControllerClient;
use proto::csi::identity_client::IdentityClient;
use proto::csi::node_client::NodeClient;
use proto::csi::node_service_capability as node;
use proto::csi::plugin_capability;
use proto::csi::snapshot_metadata_client::SnapshotMetadataClient;
use proto::csi::volume_capability::{AccessType, MountVolume};
use proto::csi::*;
use tonic::Code;

use super::reflection::listed;
use super::running::{Caller, Home, call};

const EVERYTHING: [&str; 5] = [
    "--enable-attach",
    "--enable-controller-modify-volume",
    "--enable-snapshot-metadata",
    "--enable-volume-mount-group",
    "--attach-limit=7",
];
const NOTHING: [&str; 2] = ["--enable-topology=false", "--enable-volume-expansion=false"];

fn plugin(caller: &Caller) -> Vec<String> {
    let request = GetPluginCapabilitiesRequest {};
    let answer = call!(caller, IdentityClient, get_plugin_capabilities, request).unwrap();
    let name = |capability: &PluginCapability| match capability.r#type.unwrap() {
        plugin_capability::Type::Service(service) => service.r#type().as_str_name().to_owned(),
        plugin_capability::Type::VolumeExpansion(expansion) => {
            expansion.r#type().as_str_name().to_owned()
        }
    };
    answer.capabilities.iter().map(name).collect()
}

fn controller(caller: &Caller) -> Vec<String> {
    let request = ControllerGetCapabilitiesRequest {};
    let answer = call!(
        caller,
        ControllerClient,
        controller_get_capabilities,
        request
    )
    .unwrap();
    let name = |capability: &ControllerServiceCapability| {
        let controller::Type::Rpc(rpc) = capability.r#type.unwrap();
        rpc.r#type().as_str_name().to_owned()
    };
    answer.capabilities.iter().map(name).collect()
}

fn node(caller: &Caller) -> Vec<String> {
    let request = NodeGetCapabilitiesRequest {};
    let answer = call!(caller, NodeClient, node_get_capabilities, request).unwrap();
    let name = |capability: &NodeServiceCapability| {
        let node::Type::Rpc(rpc) = capability.r#type.unwrap();
        rpc.r#type().as_str_name().to_owned()
    };
    answer.capabilities.iter().map(name).collect()
}

#[test]
fn what_is_switched_off_is_not_said() {
    let home = Home::new();
    let driver = home.start(&NOTHING);
    let caller = driver.caller();
    assert_eq!(
        plugin(&caller),
        ["CONTROLLER_SERVICE", "GROUP_CONTROLLER_SERVICE"]
    );
    assert_eq!(
        controller(&caller),
        [
            "CREATE_DELETE_VOLUME",
            "LIST_VOLUMES",
            "GET_CAPACITY",
            "CREATE_DELETE_SNAPSHOT",
            "LIST_SNAPSHOTS",
            "CLONE_VOLUME",
            "VOLUME_CONDITION",
            "GET_VOLUME",
            "SINGLE_NODE_MULTI_WRITER",
            "GET_SNAPSHOT"
        ]
    );
    assert_eq!(
        node(&caller),
        [
            "STAGE_UNSTAGE_VOLUME",
            "GET_VOLUME_STATS",
            "VOLUME_CONDITION",
            "SINGLE_NODE_MULTI_WRITER"
        ]
    );
    let info = call!(caller, NodeClient, node_get_info, NodeGetInfoRequest {}).unwrap();
    assert_eq!(
        (info.node_id.as_str(), info.max_volumes_per_node),
        ("n1", 0)
    );
    assert_eq!(info.accessible_topology, None);
}

#[test]
fn what_is_switched_on_is_said() {
    let home = Home::new();
    let driver = home.start(&EVERYTHING);
    let caller = driver.caller();
    let more = [
        "VOLUME_ACCESSIBILITY_CONSTRAINTS",
        "SNAPSHOT_METADATA_SERVICE",
        "ONLINE",
    ];
    assert_eq!(plugin(&caller)[2..], more);
    let offered = controller(&caller);
    assert_eq!(offered.len(), 15);
    for rpc in [
        "PUBLISH_UNPUBLISH_VOLUME",
        "PUBLISH_READONLY",
        "LIST_VOLUMES_PUBLISHED_NODES",
        "EXPAND_VOLUME",
        "MODIFY_VOLUME",
    ] {
        assert!(offered.iter().any(|offered| offered == rpc), "{rpc}");
    }
    assert_eq!(node(&caller).len(), 6);
    let request = GroupControllerGetCapabilitiesRequest {};
    let group = call!(
        caller,
        GroupControllerClient,
        group_controller_get_capabilities,
        request
    );
    assert_eq!(group.unwrap().capabilities.len(), 1);
    let info = call!(caller, NodeClient, node_get_info, NodeGetInfoRequest {}).unwrap();
    assert_eq!(info.max_volumes_per_node, 7);
    let segments = info.accessible_topology.unwrap().segments;
    assert_eq!(segments["topology.hostpath.hawser.io/node"], "n1");
}

#[test]
fn what_is_not_said_is_not_done() {
    let home = Home::new();
    let driver = home.start(&NOTHING);
    let caller = driver.caller();
    let refused = [
        call!(
            caller,
            ControllerClient,
            controller_publish_volume,
            ControllerPublishVolumeRequest::default()
        )
        .map(drop),
        call!(
            caller,
            ControllerClient,
            controller_expand_volume,
            ControllerExpandVolumeRequest::default()
        )
        .map(drop),
        call!(
            caller,
            ControllerClient,
            controller_modify_volume,
            ControllerModifyVolumeRequest::default()
        )
        .map(drop),
        call!(
            caller,
            SnapshotMetadataClient,
            get_metadata_allocated,
            GetMetadataAllocatedRequest::default()
        )
        .map(drop),
    ];
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        assert!(refused.message().contains("is not offered"), "{refused}");
    }
}

#[test]
fn a_mode_serves_what_it_lists() {
    let controllers = [
        "csi.v1.Controller",
        "csi.v1.GroupController",
        "csi.v1.SnapshotMetadata",
    ];
    for (mode, lists) in [
        ("node", vec!["csi.v1.Identity", "csi.v1.Node"]),
        (
            "controller",
            [&["csi.v1.Identity"], &controllers[..]].concat(),
        ),
        (
            "all",
            [&["csi.v1.Identity"], &controllers[..], &["csi.v1.Node"]].concat(),
        ),
    ] {
        let home = Home::new();
        let driver = home.start(&[&format!("--mode={mode}")]);
        let caller = driver.caller();
        assert_eq!(listed(&caller), lists, "{mode}");
        let node = call!(caller, NodeClient, node_get_info, NodeGetInfoRequest {});
        let list = call!(
            caller,
            ControllerClient,
            list_volumes,
            ListVolumesRequest::default()
        );
        let code = |failed: Option<tonic::Status>| failed.map_or(Code::Ok, |status| status.code());
        let expected = |serves| {
            if serves {
                Code::Ok
            } else {
                Code::Unimplemented
            }
        };
        assert_eq!(code(node.err()), expected(mode != "controller"), "{mode}");
        assert_eq!(code(list.err()), expected(mode != "node"), "{mode}");
        // Every instance says the same (G-14).
        assert_eq!(plugin(&caller).len(), 4, "{mode}");
    }
}

#[test]
fn the_plugin_has_a_name_and_a_version() {
    let home = Home::new();
    let driver = home.start(&["--drivername=other.example"]);
    let request = GetPluginInfoRequest {};
    let info = call!(driver.caller(), IdentityClient, get_plugin_info, request).unwrap();
    assert_eq!(info.name, "other.example");
    assert_eq!(info.vendor_version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn no_log_has_secrets() {
    for format in ["text", "json"] {
        let home = Home::new();
        let format = format!("--log-format={format}");
        let mut driver = home.start(&["-v", "trace", &format, "--registration=false"]);
        let mount = MountVolume {
            mount_flags: vec!["password=hunter2".to_owned()],
            ..Default::default()
        };
        let request = CreateVolumeRequest {
            name: "pvc-1".to_owned(),
            secrets: [("key".to_owned(), "hunter2".to_owned())].into(),
            volume_capabilities: vec![VolumeCapability {
                access_type: Some(AccessType::Mount(mount)),
                access_mode: None,
            }],
            ..Default::default()
        };
        let refused = call!(driver.caller(), ControllerClient, create_volume, request);
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        let line = driver.says("InvalidArgument");
        assert!(
            line.contains("pvc-1") && line.contains("CreateVolume"),
            "{line}"
        );
        driver.signal(rustix::process::Signal::TERM);
        let (_, log) = driver.end();
        assert!(
            log.contains("secrets: (1 not shown)") && !log.contains("hunter2"),
            "{log}"
        );
        if format.ends_with("json") {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
