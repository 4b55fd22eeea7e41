//! The kubelet of the harness, against a driver that only binds what it has: paths, notes, pins, and rmdir.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::os::unix::net::UnixListener;

use proto::csi::node_server::{Node as NodeService, NodeServer};
use proto::csi::volume_capability::AccessType;
use proto::csi::*;
use proto::registration::registration_server::{Registration, RegistrationServer};
use proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use serde_json::json;
use testkit::Place;
use testkit::csi::requests::*;
use testkit::csi::{Client, Kubelet, Leaks, Node, PoolDisk, PoolKind, Pv};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

const DRIVER: &str = "binder.test";
/// The only volume, and its SHA-256.
const VOLUME: &str = "vol-1";
const SHA256: &str = "d2e8363faaac7ae76def3b14091d8eb5755f6b92e9531627aeec833a8731cc49";

/// A driver whose volume is the pool's directory `data`, or the device of its file `image`. It tells in `calls` of the pool
/// what it was called with.
#[derive(Clone)]
struct Binder {
    place: Place,
    endpoint: String,
    pool: String,
}

impl Binder {
    fn sh<T: Default>(&self, call: &str, script: &str) -> Result<Response<T>, Status> {
        let pool = &self.pool;
        self.place
            .sh(&format!("cd {pool}; echo '{call}' >> calls; {script}"));
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl NodeService for Binder {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        let path = request.staging_target_path;
        let bind = match request.volume_capability.unwrap().access_type.unwrap() {
            AccessType::Mount(_) => format!("mountpoint -q {path} || mount --bind data {path}"),
            AccessType::Block(_) => format!("test -d {path}"),
        };
        self.sh(&format!("stage {}", request.volume_id), &bind)
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        let path = request.staging_target_path;
        let unbind = format!("! mountpoint -q {path} || umount {path}");
        self.sh(&format!("unstage {}", request.volume_id), &unbind)
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let (target, staging) = (request.target_path, request.staging_target_path);
        let bind = match request.volume_capability.unwrap().access_type.unwrap() {
            AccessType::Mount(_) => format!("mkdir -p {target}; mount --bind data {target}"),
            AccessType::Block(_) => format!(
                "touch {target}; mount --bind $(losetup -nO NAME -j image | head -n 1) {target}"
            ),
        };
        let bind = format!("grep -q ' {target} ' /proc/self/mountinfo || {{ {bind}; }}");
        let ephemeral = &request.volume_context["csi.storage.k8s.io/ephemeral"];
        let staged = if staging.is_empty() {
            "unstaged"
        } else {
            "staged"
        };
        let call = format!("publish {} {staged} {ephemeral}", request.volume_id);
        self.sh(&call, &bind)
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let target = request.target_path;
        let unbind = format!("umount {target}; rm -d {target}");
        self.sh(&format!("unpublish {}", request.volume_id), &unbind)
    }

    async fn node_get_volume_stats(
        &self,
        _: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        Err(Status::unimplemented("no stats"))
    }

    async fn node_expand_volume(
        &self,
        _: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        Err(Status::unimplemented("no growth"))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        Err(Status::unimplemented("no capabilities"))
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        let node_id = "node-7".to_owned();
        Ok(Response::new(NodeGetInfoResponse {
            node_id,
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl Registration for Binder {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec!["1.0.0".to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        let call = format!("registered {} {}", status.plugin_registered, status.error);
        self.sh(&call, "true")
    }
}

/// A node with a pool, the driver, and its kubelet.
struct Scene {
    kubelet: Kubelet,
    pool: PoolDisk,
    node: Node,
}

impl Scene {
    fn new() -> Self {
        let node = Node::new();
        let pool = PoolDisk::new(&node, PoolKind::Ext4, 1 << 30);
        node.sh(&format!(
            "cd {} && mkdir data && touch calls",
            pool.path().display()
        ));
        let socket = node.root().join("csi.sock");
        let binder = Binder {
            place: node.place().clone(),
            endpoint: socket.display().to_string(),
            pool: pool.path().display().to_string(),
        };
        let registry = node.kubelet_dir().join("plugins_registry");
        let sockets = [socket.clone(), registry.join(format!("{DRIVER}-reg.sock"))];
        for socket in sockets {
            serve(
                binder.clone(),
                node.run(|| UnixListener::bind(socket)).unwrap(),
            );
        }
        let client = Client::on(node.place(), socket);
        let kubelet = Kubelet::new(node.place(), node.kubelet_dir(), DRIVER, &client);
        Self {
            kubelet,
            pool,
            node,
        }
    }

    fn volume(&self) -> Pv {
        let volume_id = VOLUME.to_owned();
        Pv::of(
            "pv-1",
            &Volume {
                volume_id,
                ..Volume::default()
            },
        )
    }

    /// What the driver was called with since the last time.
    fn calls(&self) -> Vec<String> {
        let calls = self.pool.path().join("calls");
        let said = self.node.read(&calls).unwrap();
        self.node.write(&calls, "");
        said.lines().map(str::to_owned).collect()
    }
}

fn serve(binder: Binder, listener: UnixListener) {
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let served = tonic::transport::Server::builder()
                .add_service(NodeServer::new(binder.clone()))
                .add_service(RegistrationServer::new(binder))
                .serve_with_incoming(UnixListenerStream::new(listener));
            served.await.unwrap();
        });
    });
}

#[test]
fn a_mount_lives_where_kubelet_has_it() {
    let scene = Scene::new();
    let (node, kubelet, pv) = (&scene.node, &scene.kubelet, scene.volume());
    let leaks = Leaks::of(node, &[&scene.pool]);
    let target = kubelet.publish(&pv, "pod-1").unwrap();
    let dir = node.kubelet_dir();
    let volumes = dir.join("pods/pod-1/volumes/kubernetes.io~csi/pv-1");
    assert_eq!(target, volumes.join("mount"));
    assert!(node.mount_at(&target).is_some());
    let staging = dir.join(format!(
        "plugins/kubernetes.io/csi/{DRIVER}/{SHA256}/globalmount"
    ));
    assert!(node.mount_at(&staging).is_some());
    for notes in [&target, &staging].map(|path| path.with_file_name("vol_data.json")) {
        let notes: serde_json::Value = serde_json::from_str(&node.read(notes).unwrap()).unwrap();
        assert_eq!(notes["volumeHandle"], json!(VOLUME));
    }
    assert_eq!(scene.calls(), ["stage vol-1", "publish vol-1 staged false"]);

    kubelet.publish(&pv, "pod-2").unwrap();
    kubelet.restart().unwrap();
    let again = "publish vol-1 staged false";
    assert_eq!(scene.calls(), [again, "stage vol-1", again, again]);

    for pod in ["pod-1", "pod-2"] {
        kubelet.unpublish(&pv, pod).unwrap();
    }
    assert!(!node.run(|| volumes.exists()));
    kubelet.unstage(&pv).unwrap();
    leaks.assert_none();
}

#[test]
fn a_block_volume_is_pinned() {
    let scene = Scene::new();
    let (node, kubelet, pv) = (&scene.node, &scene.kubelet, scene.volume().block());
    let image = scene.pool.path().join("image");
    let image = image.display();
    node.sh(&format!("truncate -s 8M {image}; losetup --find {image}"));
    let leaks = Leaks::of(node, &[&scene.pool]);
    let target = kubelet.publish(&pv, "pod-1").unwrap();
    let devices = node
        .kubelet_dir()
        .join("plugins/kubernetes.io/csi/volumeDevices");
    assert_eq!(target, devices.join("publish/pv-1/pod-1"));
    assert!(node.run(|| devices.join("staging/pv-1").is_dir()));
    assert!(node.run(|| devices.join("pv-1/data/vol_data.json").is_file()));
    let pins = || node.beneath(&target).loops();
    let [pin] = &pins()[..] else {
        panic!("one pin: {:?}", pins());
    };
    assert_eq!(pin.size, 8 << 20);
    kubelet.restart().unwrap();
    assert_eq!(pins().len(), 1);
    kubelet.unpublish(&pv, "pod-1").unwrap();
    kubelet.unstage(&pv).unwrap();
    leaks.assert_none();
}

#[test]
fn an_inline_volume_is_only_published() {
    let scene = Scene::new();
    let pv = Pv::inline("scratch", &[("size", "1Gi")]);
    let handles = ["pod-1", "pod-2"].map(|pod| pv.handle(pod));
    assert_ne!(handles[0], handles[1]);
    assert_eq!(handles[0].len(), 68);
    scene.kubelet.publish(&pv, "pod-1").unwrap();
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    let expected = [
        format!("publish {} unstaged true", handles[0]),
        format!("unpublish {}", handles[0]),
    ];
    assert_eq!(scene.calls(), expected);
}

#[test]
fn a_reboot_takes_mounts_and_leaves_directories() {
    let scene = Scene::new();
    let pv = scene.volume();
    let target = scene.kubelet.publish(&pv, "pod-1").unwrap();
    scene.kubelet.lose_mounts();
    assert!(scene.node.mount_at(&target).is_none());
    assert!(scene.node.run(|| target.is_dir()));
    scene.calls();
    scene.kubelet.restart().unwrap();
    assert!(scene.calls().is_empty(), "kubelet remembers");
    scene.kubelet.publish_unstaged(&pv, "pod-1").unwrap();
    assert_eq!(scene.calls(), ["publish vol-1 staged false"]);
}

#[test]
fn a_directory_that_is_not_empty_is_not_removed() {
    let scene = Scene::new();
    let (kubelet, pv) = (&scene.kubelet, scene.volume());
    let target = kubelet.publish(&pv, "pod-1").unwrap();
    let stray = target.with_file_name("stray");
    scene.node.write(&stray, "somebody's");
    let removal = std::panic::AssertUnwindSafe(|| kubelet.unpublish(&pv, "pod-1"));
    let panic = std::panic::catch_unwind(removal).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("stray"), "{said}");
    assert!(scene.node.run(|| stray.exists()));
}

#[test]
fn registration_asks_the_driver_where_it_is() {
    let scene = Scene::new();
    let (info, node) = scene.kubelet.register().unwrap();
    assert_eq!(info.name, DRIVER);
    assert_eq!(node.node_id, "node-7");
    assert_eq!(scene.calls(), ["registered true "]);
    scene.kubelet.notify(false, "no such node").unwrap();
    assert_eq!(scene.calls(), ["registered false no such node"]);
}
