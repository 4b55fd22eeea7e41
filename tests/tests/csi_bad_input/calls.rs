//! Every call of CSI with requests that are right in every field, and the node on which they are.

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use proto::csi::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use testkit::csi::requests::*;
use testkit::csi::{Client, PoolKind, Pv, Scene, Setup};
use tonic::Status;

/// Makes a call with an encoded request.
type Caller = fn(&Client, &[u8]) -> Result<(), Status>;

/// A call, and a request for it.
pub struct Call {
    /// As the specification calls it.
    pub rpc: &'static str,
    /// What is right, or as far as a test has changed it, wrong.
    pub request: DynamicMessage,
    caller: Caller,
}

impl Call {
    /// Makes the call with another request.
    pub fn with(&self, client: &Client, request: &DynamicMessage) -> Result<(), Status> {
        (self.caller)(client, &request.encode_to_vec())
    }
}

/// A scene with everything switched on, and the objects that requests name.
pub struct Stage {
    /// The node.
    pub scene: Scene,
    /// A raw device that nobody uses.
    pub device: String,
    /// A snapshot of it.
    pub snapshot: String,
    /// A group with one more snapshot of it.
    pub group: VolumeGroupSnapshot,
    /// A volume that a pod has.
    pub pv: Pv,
}

impl Stage {
    /// Everything on a node of its own.
    pub fn new(change: impl FnOnce(Setup) -> Setup) -> Self {
        let scene = Scene::with(PoolKind::Xfs, |setup| change(everything(setup)));
        let client = &scene.client;
        let made =
            |request: CreateVolumeRequest| client.create_volume(request).unwrap().volume.unwrap();
        let device = made(create_volume("device").block().size(4096)).volume_id;
        let snapshot = client
            .create_snapshot(create_snapshot("s", &device))
            .unwrap();
        let group = client
            .create_volume_group_snapshot(create_group("g", &[&device]))
            .unwrap();
        let mounted = made(create_volume("mounted").size(16 * MIB).filesystem("ext4"));
        let pv = Pv::of("pv", &mounted);
        scene.kubelet.publish(&pv, "pod").unwrap();
        Self {
            device,
            snapshot: snapshot.snapshot.unwrap().snapshot_id,
            group: group.group_snapshot.unwrap(),
            pv,
            scene,
        }
    }

    /// Where the volume is staged, and where the pod has it.
    pub fn paths(&self) -> [PathBuf; 2] {
        let kubelet = &self.scene.kubelet;
        [
            kubelet.staging_path(&self.pv),
            kubelet.target_path(&self.pv, "pod"),
        ]
    }

    /// A path beside the pod's where nothing is.
    pub fn beside(&self) -> PathBuf {
        self.paths()[1].with_file_name("beside")
    }
}

impl Drop for Stage {
    /// The pool can only go when no pod has a volume of it. A test that has failed leaves it to the node.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.scene.kubelet.lose_mounts();
        }
    }
}

fn everything(setup: Setup) -> Setup {
    let switches = [
        "attach",
        "topology",
        "volume-expansion",
        "controller-modify-volume",
        "snapshot-metadata",
        "volume-mount-group",
    ];
    let on = |setup: Setup, switch: &str| setup.flag(&format!("enable-{switch}"), "true");
    switches.into_iter().fold(setup, on)
}

macro_rules! calls {
    ($pool:ident: $($rpc:literal $method:ident $message:ident { $($request:expr),+ } $end:ident;)+) => {
        vec![$($(Call {
            rpc: $rpc,
            request: {
                let request: $message = $request;
                let descriptor = $pool.get_message_by_name(concat!("csi.v1.", stringify!($message))).unwrap();
                DynamicMessage::decode(descriptor, request.encode_to_vec().as_slice()).unwrap()
            },
            caller: |client, request| calls!(@ $end client.$method($message::decode(request).unwrap())),
        },)+)+]
    };
    (@ unary $answer:expr) => { $answer.map(drop) };
    (@ stream $answer:expr) => { $answer.end };
}

/// All calls. Those about objects name objects of the stage; nothing would be refused.
pub fn calls(on: &Stage) -> Vec<Call> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let (id, device, snapshot) = (
        on.pv.volume.volume_id.as_str(),
        on.device.as_str(),
        on.snapshot.as_str(),
    );
    let [staging, target] = on.paths();
    let also_staged = |mut request: NodeGetVolumeStatsRequest| {
        request.staging_target_path = staging.display().to_string();
        request
    };
    let calls = calls! { pool:
        "GetPluginInfo" get_plugin_info GetPluginInfoRequest { GetPluginInfoRequest {} } unary;
        "GetPluginCapabilities" get_plugin_capabilities GetPluginCapabilitiesRequest {
            GetPluginCapabilitiesRequest {}
        } unary;
        "Probe" probe ProbeRequest { ProbeRequest {} } unary;
        "CreateVolume" create_volume CreateVolumeRequest {
            topological(create_volume("new").size(MIB).limit(GIB)),
            create_volume("copy").block().cloning(device),
            create_volume("restored").block().restoring(snapshot)
        } unary;
        "DeleteVolume" delete_volume DeleteVolumeRequest { delete_volume(device) } unary;
        "ControllerPublishVolume" controller_publish_volume ControllerPublishVolumeRequest {
            attach(id, "node-1")
        } unary;
        "ControllerUnpublishVolume" controller_unpublish_volume ControllerUnpublishVolumeRequest {
            detach(device, "node-1")
        } unary;
        "ValidateVolumeCapabilities" validate_volume_capabilities ValidateVolumeCapabilitiesRequest {
            validate(id)
        } unary;
        "ListVolumes" list_volumes ListVolumesRequest { list_volumes(1, id) } unary;
        "ControllerGetVolume" controller_get_volume ControllerGetVolumeRequest { get_volume(id) } unary;
        "ControllerModifyVolume" controller_modify_volume ControllerModifyVolumeRequest {
            modify(device).mutable("provisioning", "thin")
        } unary;
        "GetCapacity" get_capacity GetCapacityRequest {
            GetCapacityRequest { volume_capabilities: vec![mount()], accessible_topology: Some(here()), ..Default::default() }
        } unary;
        "ControllerGetCapabilities" controller_get_capabilities ControllerGetCapabilitiesRequest {
            ControllerGetCapabilitiesRequest {}
        } unary;
        "CreateSnapshot" create_snapshot CreateSnapshotRequest { create_snapshot("new", device) } unary;
        "DeleteSnapshot" delete_snapshot DeleteSnapshotRequest { delete_snapshot(snapshot) } unary;
        "ListSnapshots" list_snapshots ListSnapshotsRequest { list_snapshots(1, snapshot) } unary;
        "GetSnapshot" get_snapshot GetSnapshotRequest { get_snapshot(snapshot) } unary;
        "ControllerExpandVolume" controller_expand_volume ControllerExpandVolumeRequest {
            expand(device, 8192).limit(MIB).block()
        } unary;
        "GroupControllerGetCapabilities" group_controller_get_capabilities GroupControllerGetCapabilitiesRequest {
            GroupControllerGetCapabilitiesRequest {}
        } unary;
        "CreateVolumeGroupSnapshot" create_volume_group_snapshot CreateVolumeGroupSnapshotRequest {
            create_group("new", &[device])
        } unary;
        "DeleteVolumeGroupSnapshot" delete_volume_group_snapshot DeleteVolumeGroupSnapshotRequest {
            delete_group(&on.group)
        } unary;
        "GetVolumeGroupSnapshot" get_volume_group_snapshot GetVolumeGroupSnapshotRequest {
            get_group(&on.group)
        } unary;
        "GetMetadataAllocated" get_metadata_allocated GetMetadataAllocatedRequest { allocated(snapshot) } stream;
        "GetMetadataDelta" get_metadata_delta GetMetadataDeltaRequest { delta(snapshot, snapshot) } stream;
        "NodeStageVolume" node_stage_volume NodeStageVolumeRequest { stage(id, &staging) } unary;
        "NodeUnstageVolume" node_unstage_volume NodeUnstageVolumeRequest { unstage(device, on.beside()) } unary;
        "NodePublishVolume" node_publish_volume NodePublishVolumeRequest { publish(id, &staging, &target) } unary;
        "NodeUnpublishVolume" node_unpublish_volume NodeUnpublishVolumeRequest {
            unpublish(device, on.beside())
        } unary;
        "NodeGetVolumeStats" node_get_volume_stats NodeGetVolumeStatsRequest {
            also_staged(stats(id, &target))
        } unary;
        "NodeExpandVolume" node_expand_volume NodeExpandVolumeRequest {
            node_expand(id, &target).size(16 * MIB).used_as(mount())
        } unary;
        "NodeGetCapabilities" node_get_capabilities NodeGetCapabilitiesRequest { NodeGetCapabilitiesRequest {} } unary;
        "NodeGetInfo" node_get_info NodeGetInfoRequest { NodeGetInfoRequest {} } unary;
    };
    let listed: BTreeSet<&str> = calls.iter().map(|call| call.rpc).collect();
    let defined = defined(&pool);
    let defined: BTreeSet<&str> = defined.keys().map(String::as_str).collect();
    assert_eq!(listed, defined, "list every call");
    calls
}

/// Every call of the specification, and its request.
fn defined(pool: &DescriptorPool) -> BTreeMap<String, MessageDescriptor> {
    let services = pool
        .services()
        .filter(|service| service.package_name() == "csi.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .map(|method| (method.name().to_owned(), method.input()))
        .collect()
}

fn here() -> Topology {
    let key = "topology.hostpath.hawser.io/node".to_owned();
    Topology {
        segments: [(key, "node-1".to_owned())].into(),
    }
}

fn topological(mut request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.accessibility_requirements = Some(TopologyRequirement {
        requisite: vec![here()],
        preferred: vec![here()],
    });
    request
}
