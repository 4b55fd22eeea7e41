//! What is asked for, before it is done: incomplete calls, unknown volumes, calls that do not suit the volume, and calls
//! that undo what was never done.

use proto::csi::*;
use testkit::csi::requests::*;
use testkit::csi::{Client, PoolKind, Pv, Scene};
use tonic::{Code, Status};

use crate::{EXT4, RAW, UNENFORCED, XFS, give_back, id, refused, spare};

/// Ids that name no volume. As paths, some of them would lead elsewhere.
const FOREIGN: [&str; 6] = [
    "vol-00000000000000000000000000000000",
    "no-such",
    "..",
    "../../etc/passwd",
    "/",
    "csi-../../../../etc",
];

/// A call, without its answer.
type Call<'a> = Box<dyn Fn(&Client) -> Result<(), Status> + 'a>;

fn staging<'a>(request: NodeStageVolumeRequest) -> Call<'a> {
    Box::new(move |client| client.node_stage_volume(request.clone()).map(drop))
}

fn unstaging<'a>(request: NodeUnstageVolumeRequest) -> Call<'a> {
    Box::new(move |client| client.node_unstage_volume(request.clone()).map(drop))
}

fn publishing<'a>(request: NodePublishVolumeRequest) -> Call<'a> {
    Box::new(move |client| client.node_publish_volume(request.clone()).map(drop))
}

fn unpublishing<'a>(request: NodeUnpublishVolumeRequest) -> Call<'a> {
    Box::new(move |client| client.node_unpublish_volume(request.clone()).map(drop))
}

fn measuring<'a>(request: NodeGetVolumeStatsRequest) -> Call<'a> {
    Box::new(move |client| client.node_get_volume_stats(request.clone()).map(drop))
}

fn expanding<'a>(request: NodeExpandVolumeRequest) -> Call<'a> {
    Box::new(move |client| client.node_expand_volume(request.clone()).map(drop))
}

#[test]
fn ns_01_nu_01_np_01_nn_01_ng_01_ne_01_incomplete_calls_are_refused() {
    let scene = Scene::on(PoolKind::Ext4);
    let pv = scene.volume(EXT4.request("pvc-1"));
    let (id, path) = (id(&pv), spare(&scene, "path"));
    let no_capability = NodeStageVolumeRequest {
        volume_capability: None,
        ..stage(id, &path)
    };
    let no_target_capability = NodePublishVolumeRequest {
        volume_capability: None,
        ..publish(id, &path, &path)
    };
    let cases = [
        (staging(stage("", &path)), "volume_id"),
        (staging(stage(id, "")), "staging_target_path"),
        (staging(stage(id, "relative/path")), "staging_target_path"),
        (staging(stage(id, "/a/../b")), "staging_target_path"),
        (staging(no_capability), "volume_capability"),
        (
            staging(stage(id, &path).used_as(VolumeCapability::default())),
            "volume_capability",
        ),
        (staging(stage(id, &path).mode(Mode::Unknown)), "mode"),
        (
            staging(stage(id, &path).mode(Mode::MultiNodeMultiWriter)),
            "MULTI_NODE_MULTI_WRITER",
        ),
        (unstaging(unstage("", &path)), "volume_id"),
        (unstaging(unstage(id, "")), "staging_target_path"),
        (publishing(publish("", &path, &path)), "volume_id"),
        (publishing(publish(id, &path, "")), "target_path"),
        (publishing(no_target_capability), "volume_capability"),
        (unpublishing(unpublish("", &path)), "volume_id"),
        (unpublishing(unpublish(id, "")), "target_path"),
        (measuring(stats("", &path)), "volume_id"),
        (measuring(stats(id, "")), "volume_path"),
        (expanding(node_expand("", &path)), "volume_id"),
        (expanding(node_expand(id, "")), "volume_path"),
        (expanding(node_expand(id, &path).size(-1)), "required_bytes"),
        (
            expanding(node_expand(id, &path).size(2).limit(1)),
            "limit_bytes",
        ),
    ];
    for (call, words) in cases {
        refused(call(&scene.client), Code::InvalidArgument, words);
    }
    refused(
        scene.client.node_publish_volume(publish(id, "", &path)),
        Code::FailedPrecondition,
        "staging_target_path",
    );
    assert!(!scene.node.run(|| path.exists()));
}

#[test]
fn ns_01_nu_01_np_01_nn_01_ng_01_ne_01_unknown_volumes() {
    let scene = Scene::on(PoolKind::Ext4);
    let path = spare(&scene, "path");
    scene.node.write(path.join("file"), "kept");
    let leaks = scene.leaks();
    for unknown in FOREIGN {
        let missing = [
            staging(stage(unknown, &path)),
            publishing(publish(unknown, &path, path.with_file_name("target"))),
            measuring(stats(unknown, &path)),
            expanding(node_expand(unknown, &path)),
        ];
        for call in missing {
            let status = call(&scene.client).unwrap_err();
            let expected = if unknown.starts_with("csi-") || unknown.starts_with("vol-") {
                [Code::NotFound, Code::InvalidArgument].contains(&status.code())
            } else {
                status.code() == Code::NotFound
            };
            assert!(expected, "{unknown}: {status}");
        }
        unstaging(unstage(unknown, &path))(&scene.client).unwrap();
        unpublishing(unpublish(unknown, path.with_file_name("target")))(&scene.client).unwrap();
        // It is not empty, so it is not removed, whoever asks.
        let kept = unpublishing(unpublish(unknown, &path))(&scene.client);
        assert!(
            kept.is_ok() || kept.unwrap_err().code() == Code::FailedPrecondition,
            "{unknown}"
        );
    }
    leaks.assert_none();
}

#[test]
fn ns_01_what_a_volume_is_not_it_is_not_staged_as() {
    let scene = Scene::on(PoolKind::Ext4);
    let wrong = |pv: &Pv, change: fn(Pv) -> Pv, words: &str| {
        let answer = scene.kubelet.stage(&change(pv.clone()));
        refused(answer, Code::FailedPrecondition, words);
        let wrong_staging = scene.kubelet.staging_path(&change(pv.clone()));
        assert!(scene.node.mount_at(wrong_staging).is_none());
        scene.node.beneath(scene.pool.path()).has_no_loops();
    };
    let image = scene.volume(EXT4.request("pvc-1"));
    wrong(&image, |pv| pv.filesystem("xfs"), "xfs");
    wrong(&image, Used::block, "filesystem");
    let raw = scene.volume(RAW.request("pvc-2"));
    wrong(&raw, |pv| pv.filesystem("ext4"), "raw device");
    let directory = scene.volume(UNENFORCED.request("pvc-3"));
    wrong(&directory, Used::block, "filesystem");
    wrong(&directory, |pv| pv.filesystem("btrfs"), "btrfs");
    scene
        .kubelet
        .stage(&directory.clone().filesystem("ext4"))
        .unwrap();
    scene.kubelet.unstage(&directory).unwrap();
}

#[test]
fn ns_01_np_03_the_same_again_and_something_else() {
    let scene = Scene::on(PoolKind::Ext4);
    let many = EXT4.request("pvc-1").mode(Mode::SingleNodeMultiWriter);
    let pv = scene.volume(many);
    let target = scene.kubelet.publish(&pv, "pod-1").unwrap();
    let staging = scene.kubelet.staging_path(&pv);
    let staged = || stage(id(&pv), &staging).used_as(pv.capability.clone());
    let published = || publish(id(&pv), &staging, &target).used_as(pv.capability.clone());
    let mounts = scene.node.mounts();
    for _ in 0..2 {
        scene.client.node_stage_volume(staged()).unwrap();
        scene.client.node_publish_volume(published()).unwrap();
    }
    let elsewhere = spare(&scene, "staging");
    scene.node.sh(&format!("mkdir {}", elsewhere.display()));
    let other_path = NodeStageVolumeRequest {
        staging_target_path: elsewhere.display().to_string(),
        ..staged()
    };
    let readonly = NodePublishVolumeRequest {
        readonly: true,
        ..published()
    };
    let differ = [
        crate::calls::staging(other_path),
        crate::calls::staging(staged().mode(Mode::SingleNodeWriter)),
        crate::calls::staging(staged().flag("noatime")),
        publishing(readonly),
        publishing(published().mode(Mode::SingleNodeWriter)),
        publishing(published().flag("noexec")),
    ];
    for call in differ {
        refused(call(&scene.client), Code::AlreadyExists, id(&pv));
    }
    assert_eq!(scene.node.mounts(), mounts);
    give_back(&scene, &pv, &["pod-1"]);
}

#[test]
fn nu_01_nn_01_what_was_never_done_is_undone() {
    let scene = Scene::on(PoolKind::Xfs);
    for sort in [XFS, RAW] {
        let pv = scene.volume(sort.request("pvc-1"));
        let (staging, target) = (spare(&scene, "staging"), spare(&scene, "a/b/target"));
        let nowhere = scene.node.kubelet_dir().join("nowhere/at/all");
        let undo = || {
            for _ in 0..2 {
                for path in [&target, &nowhere] {
                    scene
                        .client
                        .node_unpublish_volume(unpublish(id(&pv), path))
                        .unwrap();
                }
                for path in [&staging, &nowhere] {
                    scene
                        .client
                        .node_unstage_volume(unstage(id(&pv), path))
                        .unwrap();
                }
            }
        };
        undo();
        scene.node.sh(&format!("mkdir {}", staging.display()));
        let staged = stage(id(&pv), &staging).used_as(pv.capability.clone());
        scene.client.node_stage_volume(staged).unwrap();
        let published = publish(id(&pv), &staging, &target).used_as(pv.capability.clone());
        scene.client.node_publish_volume(published).unwrap();
        // Somebody was faster.
        scene.node.sh(&format!(
            "umount {0}; rm -d {0}; rmdir {1}",
            target.display(),
            target.parent().unwrap().display()
        ));
        undo();
        scene.node.beneath(scene.pool.path()).has_no_loops();
        scene.node.sh(&format!("rmdir {}", staging.display()));
        undo();
        scene.client.delete_volume(delete_volume(id(&pv))).unwrap();
        undo();
    }
}

#[test]
fn n_01_what_the_node_can_do() {
    use node_service_capability::Type;
    use node_service_capability::rpc::Type as Rpc;
    let scene = Scene::with(PoolKind::Plain, |setup| {
        setup.flag("enable-volume-mount-group", "true")
    });
    let told = scene
        .client
        .node_get_capabilities(NodeGetCapabilitiesRequest {});
    let mut told: Vec<Rpc> = told
        .unwrap()
        .capabilities
        .into_iter()
        .map(|capability| match capability.r#type.unwrap() {
            Type::Rpc(rpc) => Rpc::try_from(rpc.r#type).unwrap(),
        })
        .collect();
    told.sort();
    let all = [
        Rpc::StageUnstageVolume,
        Rpc::GetVolumeStats,
        Rpc::ExpandVolume,
        Rpc::VolumeCondition,
        Rpc::SingleNodeMultiWriter,
        Rpc::VolumeMountGroup,
    ];
    assert_eq!(told, all);
}
