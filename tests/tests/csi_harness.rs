//! The harness for storage drivers itself: filesystems come and go, a fingerprint sees what is different, a client speaks
//! to whoever serves.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use proto::csi::identity_server::{Identity, IdentityServer};
use proto::csi::snapshot_metadata_server::{SnapshotMetadata, SnapshotMetadataServer};
use proto::csi::*;
use testkit::at_once;
use testkit::csi::requests::*;
use testkit::csi::{Client, Fingerprint, Leaks, Node, PoolDisk, PoolKind, Setup, Tree};
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

#[test]
fn a_pool_is_a_filesystem_of_its_kind_and_size() {
    for kind in PoolKind::FILESYSTEMS {
        let node = Node::new();
        let pool = PoolDisk::new(&node, kind, 1 << 30);
        let mount = node.mount_at(pool.path()).unwrap();
        assert_eq!(Some(mount.filesystem.as_str()), kind.filesystem());
        let loops = node.beneath(pool.path()).loops();
        assert!(
            loops.is_empty(),
            "the pool's own device is beneath it: {loops:?}"
        );
        let size = node.sh(&format!("lsblk -bno SIZE {}", mount.source));
        assert_eq!(size, (1 << 30).to_string());
        assert!(
            pool.used() < 200 << 20,
            "{} of a new pool are used",
            pool.used()
        );
        let can_reflink = node.succeeds(&format!(
            "cd {} && echo x > a && cp --reflink=always a b",
            pool.path().display()
        ));
        assert_eq!(can_reflink, kind != PoolKind::Ext4, "{kind:?}");
    }
}

#[test]
fn a_dropped_pool_takes_everything_on_it_along() {
    for kind in [
        PoolKind::Ext4,
        PoolKind::Xfs,
        PoolKind::Btrfs,
        PoolKind::Plain,
    ] {
        let node = Node::new();
        let before = Leaks::of(&node, &[]);
        let pool = PoolDisk::new(&node, kind, 1 << 30);
        let device = node.mount_at(pool.path()).unwrap().source;
        let file = node.sh(&format!(
            "losetup -nO BACK-FILE {device} 2>/dev/null || true"
        ));
        assert_eq!(file.is_empty(), kind == PoolKind::Plain);
        let dir = pool.path().display();
        node.sh(&format!(
            "cd {dir}
             truncate -s 64M image raw
             mkfs.ext4 -q image
             mkdir mounted
             mount -o loop image mounted
             fsfreeze --freeze mounted
             losetup --find raw
             rm raw"
        ));
        let within = node.beneath(pool.path());
        assert_eq!(within.loops().len(), 2, "{:?}", within.loops());
        assert_eq!(within.mounts().len(), 2, "{:?}", within.mounts());
        drop(pool);
        assert!(within.loops().is_empty() && within.mounts().is_empty());
        assert!(
            file.is_empty() || node.sh("losetup -a").find(&file).is_none(),
            "{file} is still looped"
        );
        node.sh(&format!("rmdir {}", within.dir().display()));
        before.assert_none();
    }
}

#[test]
fn a_test_that_panics_leaves_nothing() {
    let (tell, told) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let node = Node::new();
        let pool = PoolDisk::new(&node, PoolKind::Ext4, 1 << 30);
        node.sh(&format!(
            "cd {} && truncate -s 1M raw && losetup --find raw",
            pool.path().display()
        ));
        tell.send((node.place().clone(), node.root().to_owned(), node.loops()))
            .unwrap();
        panic!("as a failed assertion would");
    })
    .join();
    assert!(panicked.is_err());
    let (place, root, loops) = told.recv().unwrap();
    assert_eq!(loops.len(), 1);
    let mounts = place
        .run(|| std::fs::read_to_string("/proc/thread-self/mountinfo"))
        .unwrap();
    assert!(!mounts.contains(&root.display().to_string()), "{mounts}");
    let name = loops[0].device.file_name().unwrap().to_owned();
    let file = Path::new("/sys/block").join(name).join("loop/backing_file");
    let bound = std::fs::read_to_string(file).unwrap_or_default();
    assert!(!bound.contains(&root.display().to_string()), "{bound}");
}

#[test]
fn a_leak_of_each_kind_is_named() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Plain, 0);
    let leaks = Leaks::of(&node, &[&pool]);
    let (dir, kubelet) = (pool.path().display(), node.kubelet_dir());
    let kubelet = kubelet.display();
    let cases = [
        (
            format!("touch {dir}/a"),
            format!("rm {dir}/a"),
            format!("+ file {dir}/a"),
        ),
        (
            format!("mkdir -p {kubelet}/pods/1"),
            format!("rm -r {kubelet}/pods/1"),
            format!("+ file {kubelet}/pods/1"),
        ),
        (
            format!("mount -t tmpfs tmpfs {kubelet}"),
            format!("umount {kubelet}"),
            format!("+ mount {kubelet}"),
        ),
        (
            format!("truncate -s 1M {dir}/image; losetup -f {dir}/image"),
            format!("losetup -d $(losetup -nO NAME -j {dir}/image); rm {dir}/image"),
            "+ loop device /dev/loop".to_owned(),
        ),
    ];
    for (leak, repair, line) in cases {
        node.sh(&leak);
        let diff = leaks.diff();
        let named = diff.lines().iter().any(|found| found.starts_with(&line));
        assert!(named, "no {line:?} in\n{diff}");
        node.sh(&repair);
        leaks.assert_none();
    }
}

#[test]
fn a_good_copy_of_a_tree_has_its_fingerprint() {
    for kind in PoolKind::FILESYSTEMS {
        let node = Node::new();
        let pool = PoolDisk::new(&node, kind, 1 << 30);
        let tree = Tree::plant(node.place(), pool.path().join("tree"));
        let copy = pool.path().join("copy");
        node.sh(&format!(
            "cp -a --sparse=always {} {}",
            tree.dir().display(),
            copy.display()
        ));
        tree.assert_survives_at(&copy);
        let again = Fingerprint::of(node.place(), &copy);
        assert_eq!(again.sha256(), tree.planted().sha256());
    }
}

#[test]
fn a_fingerprint_sees_each_difference() {
    let node = Node::new();
    let pool = PoolDisk::new(&node, PoolKind::Ext4, 1 << 30);
    let tree = Tree::plant(node.place(), pool.path().join("tree"));
    // What is done to a copy, and the difference that must be told.
    let cases = [
        ("rm empty", "- \"empty\""),
        ("touch new", "+ \"new\""),
        ("printf Small > small", "~ \"small\" .sha256"),
        ("truncate -s +1 large", "~ \"large\" .size"),
        (
            "cp --sparse=never sparse s; cat s > sparse; rm s",
            "~ \"sparse\" .has holes",
        ),
        (
            "cp --remove-destination -p small links/small\\ three",
            "~ \"links/small three\" .linked with",
        ),
        ("chmod 600 secret", "~ \"secret\" .mode: \"400\" -> \"600\""),
        ("chown 1001:0 owned", "~ \"owned\" .owner"),
        (
            "touch -d '2001-09-09 01:46:41.123456788' large",
            "~ \"large\" .modified",
        ),
        ("touch -h links/dangling", "~ \"links/dangling\" .modified"),
        ("touch .", "~ \".\" .modified"),
        ("ln -sfn elsewhere links/near", "~ \"links/near\" .target"),
        (
            "rm special/disk; mknod special/disk b 253 8",
            "~ \"special/disk\" .device",
        ),
        (
            "rm special/fifo; touch special/fifo",
            "~ \"special/fifo\" .kind",
        ),
        (
            "setfattr -n user.text -v Text attributes",
            "~ \"attributes\" .attributes .user.text",
        ),
        (
            "setfacl -b attributes",
            "~ \"attributes\" .attributes .system.posix_acl_access",
        ),
        (
            "setfattr -x security.capability program",
            "~ \"program\" .attributes .security.capability",
        ),
        ("mv names/-- names/-", "- \"names/--\""),
        ("rmdir 'empty dir/below'", "- \"empty dir/below\""),
    ];
    let copy = pool.path().join("copy");
    for (change, line) in cases {
        node.sh(&format!(
            "rm -rf {copy}; cp -a --sparse=always {tree} {copy}",
            tree = tree.dir().display(),
            copy = copy.display()
        ));
        node.sh(&format!("cd {}; {change}", copy.display()));
        let diff = tree.planted().diff(&Fingerprint::of(node.place(), &copy));
        let told = diff.lines().iter().any(|found| found.starts_with(line));
        assert!(told, "{change}: no {line:?} in\n{diff}");
    }
}

/// A driver that knows its name, needs a while for its capabilities, and is not well.
struct Stub;

#[tonic::async_trait]
impl Identity for Stub {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        let name = "stub".to_owned();
        Ok(Response::new(GetPluginInfoResponse {
            name,
            ..Default::default()
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        std::future::pending().await
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        Err(Status::failed_precondition("no disk"))
    }
}

type Metadata<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl SnapshotMetadata for Stub {
    type GetMetadataAllocatedStream = Metadata<GetMetadataAllocatedResponse>;
    type GetMetadataDeltaStream = Metadata<GetMetadataDeltaResponse>;

    async fn get_metadata_allocated(
        &self,
        _: Request<GetMetadataAllocatedRequest>,
    ) -> Result<Response<Self::GetMetadataAllocatedStream>, Status> {
        let message = GetMetadataAllocatedResponse::default();
        let messages = vec![
            Ok(message.clone()),
            Ok(message),
            Err(Status::data_loss("torn")),
        ];
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn get_metadata_delta(
        &self,
        _: Request<GetMetadataDeltaRequest>,
    ) -> Result<Response<Self::GetMetadataDeltaStream>, Status> {
        let messages = vec![Ok(GetMetadataDeltaResponse::default())];
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

/// A server that can be ended.
struct Server {
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Asks it to end, and waits until it has.
    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Serves a stub at `socket` of a node until it is ended or dropped.
fn serve(node: &Node, socket: &Path) -> Server {
    let listener = node.run(|| UnixListener::bind(socket)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (end, ended) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let served = tonic::transport::Server::builder()
                .add_service(IdentityServer::new(Stub))
                .add_service(SnapshotMetadataServer::new(Stub))
                .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                    let _ = ended.await;
                });
            served.await.unwrap();
        });
    });
    Server { end, thread }
}

#[test]
fn a_client_calls_with_a_deadline_and_keeps_what_it_is_told() {
    let node = Node::new();
    let socket = node.root().join("csi.sock");
    let client = Client::on(node.place(), &socket);
    let absent = client.probe(ProbeRequest {}).unwrap_err();
    assert_eq!(absent.code(), Code::Unavailable);
    let _server = serve(&node, &socket);
    let info = client.get_plugin_info(GetPluginInfoRequest {}).unwrap();
    assert_eq!(info.name, "stub");
    let unwell = client.probe(ProbeRequest {}).unwrap_err();
    assert_eq!(
        (unwell.code(), unwell.message()),
        (Code::FailedPrecondition, "no disk")
    );
    let hasty = client.clone().within(Duration::from_millis(20));
    let late = hasty
        .get_plugin_capabilities(GetPluginCapabilitiesRequest {})
        .unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let unknown = client.node_get_info(NodeGetInfoRequest {}).unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
}

#[test]
fn a_stream_keeps_its_messages_and_its_end() {
    let node = Node::new();
    let socket = node.root().join("csi.sock");
    let _server = serve(&node, &socket);
    let client = Client::on(node.place(), &socket);
    let torn = client.get_metadata_allocated(allocated("snap"));
    assert_eq!(torn.messages.len(), 2);
    assert_eq!(torn.refused().code(), Code::DataLoss);
    assert_eq!(client.get_metadata_delta(delta("a", "b")).ok().len(), 1);
}

#[test]
fn a_client_hears_that_its_server_ends() {
    let node = Node::new();
    let socket = node.root().join("csi.sock");
    let end = serve(&node, &socket);
    let client = Client::on(node.place(), &socket);
    client.get_plugin_info(GetPluginInfoRequest {}).unwrap();
    let told = std::time::Instant::now();
    // The server waits for its clients to hang up.
    end.end();
    assert!(
        told.elapsed() < Duration::from_secs(5),
        "the client does not listen"
    );
    let gone = client.get_plugin_info(GetPluginInfoRequest {}).unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable);
}

#[test]
fn clients_call_at_once() {
    let node = Node::new();
    let socket = node.root().join("csi.sock");
    let _server = serve(&node, &socket);
    let client = Client::on(node.place(), &socket);
    let clients = vec![client; 16];
    let names = at_once(&clients, |client| {
        client
            .get_plugin_info(GetPluginInfoRequest {})
            .unwrap()
            .name
    });
    assert_eq!(names, ["stub"; 16]);
}

#[test]
fn words_change_what_they_name() {
    let request = create_volume("a")
        .size(MIB)
        .limit(GIB)
        .filesystem("xfs")
        .flag("noatime")
        .group(7);
    let request = request
        .mode(Mode::SingleNodeSingleWriter)
        .parameter("kind", "image");
    let range = request.capacity_range.unwrap();
    assert_eq!(
        (range.required_bytes, range.limit_bytes),
        (1 << 20, 1 << 30)
    );
    let [capability] = request.volume_capabilities.as_slice() else {
        panic!("one capability: {request:?}");
    };
    let expected = mount().filesystem("xfs").flag("noatime").group(7);
    assert_eq!(capability, &expected.mode(Mode::SingleNodeSingleWriter));
    assert_eq!(request.parameters["kind"], "image");
    let staged = stage("vol", "/a/b")
        .block()
        .secret("key", "value")
        .context("a", "b");
    assert_eq!(staged.volume_capability, Some(block()));
    assert_eq!(staged.secrets["key"], "value");
    assert_eq!(staged.staging_target_path, "/a/b");
    assert_eq!(staged.volume_context["a"], "b");
}

#[test]
fn a_driver_that_ends_tells_why() {
    let node = Node::new();
    let program = node.root().join("driver");
    node.write(&program, "#!/bin/sh\necho \"no room for $5\" >&2\nexit 3\n");
    node.sh(&format!("chmod +x {}", program.display()));
    let setup = || Setup::on(&node, Path::new("/state")).running(&program);
    let (status, said) = setup().fails();
    let socket = setup().socket();
    assert_eq!(status.code(), Some(3));
    assert_eq!(
        said,
        format!("no room for --endpoint=unix://{}\n", socket.display())
    );
    let start = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| setup().start()));
    let panic = start.unwrap_err();
    let why = panic.downcast_ref::<String>().unwrap();
    assert!(
        why.contains("has ended") && why.contains("no room for"),
        "{why}"
    );
}
