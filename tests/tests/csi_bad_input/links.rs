//! Symbolic links that somebody planted: where mounts go, and where data lies.

use testkit::csi::requests::*;
use testkit::csi::{Answer, Fingerprint, PoolKind, Pv, Scene};
use tonic::Code;

/// A scene, and a directory beside everything that is the driver's, with files that no call may touch.
fn guarded(pool: PoolKind) -> (Scene, String, Fingerprint) {
    let scene = Scene::on(pool);
    let outside = scene.node.root().join("outside");
    let path = outside.display().to_string();
    scene.node.sh(&format!("mkdir -p {path}/data {path}/pod {path}/empty; echo precious | tee {path}/file {path}/data/file"));
    let before = Fingerprint::of(scene.node.place(), &outside);
    (scene, path, before)
}

#[track_caller]
fn untouched(scene: &Scene, outside: &str, before: &Fingerprint) {
    let now = Fingerprint::of(scene.node.place(), outside);
    assert!(before.diff(&now).is_empty(), "{}", before.diff(&now));
    let beneath = scene.node.beneath(outside);
    assert!(beneath.mounts().is_empty(), "{:?}", beneath.mounts());
}

#[test]
fn ns_01_np_01_no_link_is_followed_to_a_staging_path_or_target() {
    let (scene, outside, before) = guarded(PoolKind::Xfs);
    let (client, node) = (&scene.client, &scene.node);
    let made = |request| client.create_volume(request).unwrap().volume.unwrap();
    let volume = made(create_volume("v").size(16 * MIB).filesystem("ext4"));
    let other = made(create_volume("other").size(16 * MIB).filesystem("ext4"));
    let pv = Pv::of("pv", &volume);
    scene.kubelet.stage(&pv).unwrap();
    let staging = scene.kubelet.staging_path(&pv);
    let pods = node.kubelet_dir().join("pods");
    let planted = pods.display();
    node.sh(&format!(
        "cd {planted}; ln -s {outside} out; ln -s {outside}/empty last; ln -s {outside}/none dangling; ln -s . round; \
         ln -s {outside}/file file; ln -s loop loop; echo text > text"
    ));
    let leaks = scene.leaks();
    // A link on the way, at the end, to nothing, to itself, back into the same directory; and a file on the way.
    let places = [
        "out/pod",
        "last",
        "dangling",
        "loop",
        "loop/pod",
        "round/pod",
        "file",
        "text/pod",
    ];
    for place in places {
        let path = pods.join(place);
        let names = path
            .parent()
            .filter(|parent| *parent != pods)
            .unwrap_or(&path);
        let names = names.display().to_string();
        let invalid = Code::InvalidArgument;
        let published = client.node_publish_volume(publish(&volume.volume_id, &staging, &path));
        published.refused(format!("publish at {place}"), invalid, &names);
        let staged = client.node_stage_volume(stage(&other.volume_id, &path));
        staged.refused(format!("stage at {place}"), invalid, &names);
        let unpublished = client.node_unpublish_volume(unpublish(&volume.volume_id, &path));
        unpublished.refused(format!("unpublish at {place}"), invalid, &names);
        let unstaged = client.node_unstage_volume(unstage(&other.volume_id, &path));
        unstaged.refused(format!("unstage at {place}"), invalid, &names);
        leaks.assert_none();
    }
    untouched(&scene, &outside, &before);
    scene.kubelet.unstage(&pv).unwrap();
}

#[test]
fn dv_01_links_in_a_volume_lead_nowhere_when_it_is_deleted() {
    for pool in PoolKind::FILESYSTEMS {
        let (scene, outside, before) = guarded(pool);
        let (client, node) = (&scene.client, &scene.node);
        let kind = if pool == PoolKind::Btrfs {
            "directory"
        } else {
            "unenforced-directory"
        };
        let leaks = scene.leaks();
        let request = create_volume("v").size(MIB).parameter("kind", kind);
        let volume = client.create_volume(request).unwrap().volume.unwrap();
        let pv = Pv::of("pv", &volume);
        let path = scene.kubelet.publish(&pv, "pod").unwrap();
        let within = path.display();
        node.sh(&format!(
            "cd {within}; ln -s {outside} out; ln -s {outside}/file file; ln -s / root; mkdir deep; \
             ln -s ../../../../.. deep/up; ln -s {within} deep/self"
        ));
        scene.kubelet.unpublish(&pv, "pod").unwrap();
        scene.kubelet.unstage(&pv).unwrap();
        client
            .delete_volume(delete_volume(&volume.volume_id))
            .unwrap();
        leaks.assert_none();
        untouched(&scene, &outside, &before);
    }
}

#[test]
fn a_link_in_place_of_a_volumes_data_is_not_followed() {
    let (scene, outside, before) = guarded(PoolKind::Xfs);
    let (client, node) = (&scene.client, &scene.node);
    node.sh(&format!(
        "truncate -s 16M {outside}/disk; mkfs.ext4 -q {outside}/disk"
    ));
    let disk = Fingerprint::of(node.place(), &outside);
    assert!(!before.diff(&disk).is_empty());
    let pool = scene.pool.path().display();
    let requests = [
        (
            "image",
            create_volume("image").size(16 * MIB).filesystem("ext4"),
            "disk",
        ),
        (
            "data",
            create_volume("data")
                .size(MIB)
                .parameter("kind", "unenforced-directory"),
            "data",
        ),
    ];
    for (part, request, to) in requests {
        let volume = client.create_volume(request).unwrap().volume.unwrap();
        let pv = Pv::of(part, &volume);
        let id = volume.volume_id.as_str();
        let home = format!("{pool}/volumes/{id}");
        node.sh(&format!(
            "mv {home}/{part} {pool}/aside; ln -s {outside}/{to} {home}/{part}"
        ));
        let staged = scene.kubelet.stage(&pv).unwrap_err();
        assert_eq!(staged.code(), Code::Internal, "{staged}");
        assert!(staged.message().contains(id), "{staged}");
        let clone = client
            .create_volume(create_volume("clone").cloning(id))
            .unwrap_err();
        assert_eq!(clone.code(), Code::Internal, "{clone}");
        untouched(&scene, &outside, &disk);
        // It can be deleted all the same, and what the link leads to stays.
        client.delete_volume(delete_volume(id)).unwrap();
        untouched(&scene, &outside, &disk);
        node.sh(&format!("rm -r {pool}/aside"));
    }
}
