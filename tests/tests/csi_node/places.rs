//! Where volumes may go: by no link, onto nothing that is somebody else's.

use std::path::{Path, PathBuf};

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::{Code, Status};

use crate::{
    EXT4, RAW, Sort, UNENFORCED, XFS, give_back, id, publish_at, published, refused, sh, spare,
    text, unpublish_at,
};

const SORTS: [Sort; 3] = [EXT4, RAW, UNENFORCED];

fn stages(scene: &Scene, pv: &Pv, at: &Path) -> Result<(), Status> {
    let request = stage(id(pv), at).used_as(pv.capability.clone());
    scene.client.node_stage_volume(request).map(drop)
}

fn unstages(scene: &Scene, pv: &Pv, at: &Path) -> Result<(), Status> {
    scene
        .client
        .node_unstage_volume(unstage(id(pv), at))
        .map(drop)
}

/// Links of every sort, to a directory that holds something, within kubelet's and outside, and paths through them.
fn links(scene: &Scene) -> Vec<PathBuf> {
    let precious = scene.node.root().join("precious");
    scene.node.write(precious.join("file"), "kept");
    let near = spare(scene, "near");
    scene.node.write(near.join("file"), "kept");
    let links = [
        ("out", precious.as_path()),
        ("in", near.as_path()),
        ("up", Path::new("..")),
        ("root", Path::new("/")),
        ("self", Path::new("/proc/self/root")),
        ("dangling", Path::new("/nowhere/at/all")),
    ];
    let paths = links.map(|(name, to)| {
        let link = spare(scene, name);
        scene
            .node
            .sh(&format!("ln -sfn {} {}", to.display(), link.display()));
        [link.join("below"), link]
    });
    paths.into_iter().flatten().collect()
}

#[test]
fn links_are_refused_and_untouched() {
    let scene = Scene::on(PoolKind::Ext4);
    let links = links(&scene);
    for sort in SORTS {
        let pv = scene.volume(sort.request("pvc-1"));
        let (mounts, state) = (scene.node.mounts(), scene.leaks());
        for link in &links {
            refused(stages(&scene, &pv, link), Code::InvalidArgument, "");
        }
        assert_eq!(scene.node.mounts(), mounts);
        state.assert_none();
        scene.kubelet.stage(&pv).unwrap();
        let (mounts, state) = (scene.node.mounts(), scene.leaks());
        for link in &links {
            refused(publish_at(&scene, &pv, link), Code::InvalidArgument, "");
            let unpublished = unpublish_at(&scene, &pv, link);
            assert!(unpublished.is_err(), "{sort:?} {}", link.display());
            let unstaged = unstages(&scene, &pv, link);
            assert!(unstaged.is_err(), "{sort:?} {}", link.display());
        }
        assert_eq!(scene.node.mounts(), mounts);
        state.assert_none();
        give_back(&scene, &pv, &[]);
    }
    let precious = scene.node.root().join("precious");
    assert_eq!(text(&scene, precious.join("file")), "kept");
}

#[test]
fn np_01_what_is_in_the_way_is_refused_and_untouched() {
    let scene = Scene::on(PoolKind::Ext4);
    for sort in SORTS {
        let pv = scene.volume(sort.request("pvc-1"));
        scene.kubelet.stage(&pv).unwrap();
        let target = spare(&scene, "target");
        // What is there, the code, and how it is taken away again.
        let wrong = if sort.raw {
            "mkdir $1"
        } else {
            "echo kept > $1"
        };
        let cases = [
            (wrong, Code::InvalidArgument, "rm -d $1"),
            ("mkfifo $1", Code::InvalidArgument, "rm $1"),
            (
                "mkdir $1; mount -t tmpfs tmpfs $1; echo kept > $1/file",
                Code::FailedPrecondition,
                "umount $1; rmdir $1",
            ),
            (
                "echo > $1; mount --bind /etc/passwd $1",
                Code::FailedPrecondition,
                "umount $1; rm $1",
            ),
        ];
        for (there, code, away) in cases {
            sh(&scene, there, &target);
            let state = (
                scene.node.mounts(),
                sh(&scene, "stat -c '%F %s' $1", &target),
            );
            refused(publish_at(&scene, &pv, &target), code, "target");
            assert_eq!(
                (
                    scene.node.mounts(),
                    sh(&scene, "stat -c '%F %s' $1", &target)
                ),
                state,
                "{there}"
            );
            sh(&scene, away, &target);
        }
        publish_at(&scene, &pv, &target).unwrap();
        unpublish_at(&scene, &pv, &target).unwrap();
        give_back(&scene, &pv, &[]);
    }
}

#[test]
fn ns_01_a_staging_path_is_an_empty_place() {
    let scene = Scene::on(PoolKind::Ext4);
    for sort in SORTS {
        let pv = scene.volume(sort.request("pvc-1"));
        let staging = spare(&scene, "staging");
        refused(
            stages(&scene, &pv, &staging),
            Code::FailedPrecondition,
            "does not exist",
        );
        let far = staging.join("far");
        refused(
            stages(&scene, &pv, &far),
            Code::FailedPrecondition,
            "does not exist",
        );
        sh(&scene, "echo kept > $1", &staging);
        refused(
            stages(&scene, &pv, &staging),
            Code::InvalidArgument,
            "directory",
        );
        sh(&scene, "rm $1; mkdir $1; mount -t tmpfs tmpfs $1", &staging);
        refused(
            stages(&scene, &pv, &staging),
            Code::FailedPrecondition,
            "not the volume",
        );
        sh(&scene, "umount $1", &staging);
        stages(&scene, &pv, &staging).unwrap();
        unstages(&scene, &pv, &staging).unwrap();
        sh(&scene, "rmdir $1", &staging);
        scene.client.delete_volume(delete_volume(id(&pv))).unwrap();
    }
}

#[test]
fn nn_01_another_volumes_target_is_not_unmounted() {
    let scene = Scene::on(PoolKind::Ext4);
    for sort in SORTS {
        let pv = scene.volume(sort.request("pvc-1"));
        let other = scene.volume(sort.request("pvc-2"));
        let target = scene.kubelet.publish(&pv, "pod-1").unwrap();
        scene.kubelet.stage(&other).unwrap();
        let mounts = scene.node.mounts();
        refused(
            unpublish_at(&scene, &other, &target),
            Code::FailedPrecondition,
            "not the volume",
        );
        refused(
            publish_at(&scene, &other, &target),
            Code::FailedPrecondition,
            "not the volume",
        );
        if !sort.raw {
            let staging = scene.kubelet.staging_path(&pv);
            refused(
                unstages(&scene, &other, &staging),
                Code::FailedPrecondition,
                "not the volume",
            );
        }
        assert_eq!(scene.node.mounts(), mounts, "{sort:?}");
        give_back(&scene, &pv, &["pod-1"]);
        give_back(&scene, &other, &[]);
    }
}

#[test]
fn nn_01_every_mount_of_the_volume_goes_and_nothing_else() {
    let scene = Scene::on(PoolKind::Xfs);
    for sort in [XFS, RAW, UNENFORCED] {
        let pv = scene.volume(sort.request("pvc-1"));
        let target = published(&scene, &pv);
        sh(&scene, "mount --bind $1 $1; mount --bind $1 $1", &target);
        unpublish_at(&scene, &pv, &target).unwrap();
        assert!(scene.node.mount_at(&target).is_none(), "{sort:?}");

        // What somebody wrote into the empty place is not ours to remove.
        publish_at(&scene, &pv, &target).unwrap();
        let file = if sort.raw {
            target.clone()
        } else {
            target.join("file")
        };
        sh(&scene, "umount $1", &target);
        scene.node.write(&file, "kept");
        refused(
            unpublish_at(&scene, &pv, &target),
            Code::FailedPrecondition,
            "not empty",
        );
        assert_eq!(text(&scene, &file), "kept", "{sort:?}");
        sh(&scene, "rm $1", &file);
        unpublish_at(&scene, &pv, &target).unwrap();
        give_back(&scene, &pv, &[]);
    }
}
