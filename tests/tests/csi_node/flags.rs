//! Mount flags, filesystems and groups: honoured, or refused with nothing left.

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::Code;

use crate::{
    BTRFS, DIRECTORY, EXT4, Sort, UNENFORCED, XFS, can, give_back, id, refused, sh, spare,
    unpublish_at,
};

fn has(options: &str, option: &str) -> bool {
    options.split(',').any(|has| has == option)
}

#[test]
fn np_06_every_filesystem_is_what_was_asked_for() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        for sort in [EXT4, XFS, BTRFS] {
            let pv = scene.volume(sort.request("pvc-1"));
            let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
            let mount = scene.node.mount_at(&path).unwrap();
            assert_eq!(mount.filesystem, sort.filesystem, "{pool:?}");
            assert_eq!(sh(&scene, "findmnt -nro FSTYPE $1", &path), sort.filesystem);
            give_back(&scene, &pv, &["pod-1"]);
        }
    }
}

#[test]
fn np_06_flags_of_a_mount() {
    // What is asked for, what the mount then has, and what it then has not.
    let cases: [(&[&str], &[&str], &[&str]); 7] = [
        (&[], &["rw", "nosuid", "nodev", "relatime"], &["noexec"]),
        (&["noexec"], &["noexec", "nosuid", "nodev"], &[]),
        (&["suid", "dev"], &["rw"], &["nosuid", "nodev"]),
        (&["suid,dev,nosuid"], &["nosuid"], &["nodev"]),
        (
            &["noatime,nodiratime"],
            &["noatime", "nodiratime"],
            &["relatime"],
        ),
        (&["strictatime"], &[], &["relatime", "noatime"]),
        (&["ro"], &["ro"], &["rw"]),
    ];
    let scene = Scene::on(PoolKind::Xfs);
    for sort in [EXT4, UNENFORCED] {
        for (flags, with, without) in cases {
            let request = flags
                .iter()
                .fold(sort.request("pvc-1"), |request, flag| request.flag(flag));
            let pv = scene.volume(request);
            let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
            let options = scene.node.mount_at(&path).unwrap().options;
            assert!(
                with.iter().all(|option| has(&options, option)),
                "{flags:?}: {options}"
            );
            assert!(
                !without.iter().any(|option| has(&options, option)),
                "{flags:?}: {options}"
            );
            scene.kubelet.restart().unwrap();
            assert_eq!(scene.node.mount_at(&path).unwrap().options, options);
            give_back(&scene, &pv, &["pod-1"]);
        }
    }
}

#[test]
fn np_06_flags_do_what_they_say() {
    let scene = Scene::on(PoolKind::Btrfs);
    for sort in [EXT4, DIRECTORY] {
        let usual = scene.volume(sort.request("usual"));
        let path = scene.kubelet.publish(&usual, "pod-1").unwrap();
        let program = "printf '#!/bin/sh\n' > $1/program; chmod +x $1/program";
        sh(&scene, program, &path);
        assert!(can(&scene, "$1/program", &path), "{sort:?}");
        sh(&scene, "mknod $1/null c 1 3", &path);
        assert!(!can(&scene, "echo > $1/null", &path), "{sort:?}: nodev");
        give_back(&scene, &usual, &["pod-1"]);

        let other = scene.volume(sort.request("other").flag("noexec,dev"));
        let path = scene.kubelet.publish(&other, "pod-1").unwrap();
        sh(&scene, program, &path);
        assert!(!can(&scene, "$1/program", &path), "{sort:?}: noexec");
        sh(&scene, "mknod $1/null c 1 3; echo > $1/null", &path);
        give_back(&scene, &other, &["pod-1"]);
    }
}

#[test]
fn np_06_options_of_a_filesystem() {
    let scene = Scene::on(PoolKind::Xfs);
    let cases = [
        (EXT4, "commit=7", "commit=7"),
        (EXT4, "discard", "discard"),
        (XFS, "logbsize=64k,noquota", "logbsize=64k"),
        (BTRFS, "compress=zstd:3", "compress=zstd:3"),
    ];
    for (sort, flag, option) in cases {
        let pv = scene.volume(sort.request("pvc-1").flag(flag));
        let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
        let options = scene.node.mount_at(&path).unwrap().superblock_options;
        assert!(has(&options, option), "{option}: {options}");
        give_back(&scene, &pv, &["pod-1"]);
    }
}

/// Stages a volume with a flag that its request did not have.
fn stages_with(scene: &Scene, pv: &Pv, flag: &str) -> Result<(), tonic::Status> {
    scene.kubelet.stage(&pv.clone().flag(flag))
}

#[test]
fn np_06_what_cannot_be_honoured_is_refused() {
    let scene = Scene::on(PoolKind::Ext4);
    let image = scene.volume(EXT4.request("pvc-1"));
    let directory = scene.volume(UNENFORCED.request("pvc-2"));
    let leaks = scene.leaks();
    let invalid = [
        (&image, "bind", "bind"),
        (&image, "loop", "loop"),
        (&image, "remount", "remount"),
        (&image, "shared", "shared"),
        (&image, "errors=panic", "errors=panic"),
        (&image, "journal_path=/dev/sda", "journal_path"),
        (&image, "x-systemd.automount", "x-"),
        (&image, "context=\"no end", "quote"),
        (&directory, "commit=7", "image"),
        (&directory, "context=\"a:b:c:s0\"", "image"),
    ];
    for (pv, flag, words) in invalid {
        refused(stages_with(&scene, pv, flag), Code::InvalidArgument, words);
    }
    let unknown = stages_with(&scene, &image, "no_such_option=1").unwrap_err();
    assert!(unknown.message().contains("no_such_option"), "{unknown}");
    for pv in [&image, &directory] {
        let staging = scene.kubelet.staging_path(pv);
        sh(
            &scene,
            "cd $(dirname $1); rmdir globalmount; rm vol_data.json; rmdir $PWD",
            &staging,
        );
    }
    leaks.assert_none();
}

#[test]
fn np_06_options_that_come_too_late_are_refused() {
    let scene = Scene::on(PoolKind::Ext4);
    let pv = scene.volume(EXT4.request("pvc-1"));
    scene.kubelet.stage(&pv).unwrap();
    let staging = scene.kubelet.staging_path(&pv);
    let target = spare(&scene, "target");
    let late = publish(id(&pv), &staging, &target)
        .filesystem("ext4")
        .flag("commit=7");
    refused(
        scene.client.node_publish_volume(late),
        Code::FailedPrecondition,
        "mount flags",
    );
    let here = publish(id(&pv), &staging, &target)
        .filesystem("ext4")
        .flag("noexec");
    scene.client.node_publish_volume(here).unwrap();
    let noexec = |path| has(&scene.node.mount_at(path).unwrap().options, "noexec");
    assert!(noexec(&target) && !noexec(&staging));
    unpublish_at(&scene, &pv, &target).unwrap();
    give_back(&scene, &pv, &[]);
}

/// Owner, group and mode of what lies in a volume.
fn owners(scene: &Scene, path: &std::path::Path) -> String {
    sh(scene, "cd $1; stat -c '%n %u:%g %A' . dir dir/file", path)
}

fn with_files(scene: &Scene, sort: Sort) -> Pv {
    let pv = scene.volume(sort.request("pvc-1").mode(Mode::SingleNodeMultiWriter));
    let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
    sh(
        scene,
        "cd $1; mkdir -m 755 dir; echo > dir/file; chmod 640 dir/file; ln -s /etc/passwd link",
        &path,
    );
    scene.kubelet.unpublish(&pv, "pod-1").unwrap();
    pv
}

#[test]
fn np_06_a_group_owns_what_it_is_given() {
    let scene = Scene::with(PoolKind::Btrfs, |setup| {
        setup.flag("enable-volume-mount-group", "true")
    });
    let outside = scene.node.sh("stat -c %g /etc/passwd");
    for sort in [EXT4, DIRECTORY] {
        let pv = with_files(&scene, sort);
        let grouped = pv.clone().group(4242);
        let path = scene.kubelet.publish(&grouped, "pod-2").unwrap();
        let found = owners(&scene, &path);
        assert_eq!(found.matches(":4242 ").count(), 3, "{found}");
        assert!(found.contains("dir/file 0:4242 -rw-rw----"), "{found}");
        assert!(found.contains("dir 0:4242 drwxrws"), "{found}");
        // What the pod's user makes belongs to the group as well.
        let made = "cd $1; setpriv --reuid 1000 --regid 4242 --clear-groups sh -c 'umask 007; echo > dir/new'";
        sh(&scene, made, &path);
        assert_eq!(sh(&scene, "stat -c %g $1/dir/new", &path), "4242");
        assert_eq!(scene.node.sh("stat -c %g /etc/passwd"), outside);
        scene.kubelet.unpublish(&grouped, "pod-2").unwrap();

        // Who only reads changes nothing.
        let reader = pv.clone().group(77).readonly();
        let path = scene.kubelet.publish(&reader, "pod-3").unwrap();
        assert_eq!(owners(&scene, &path), found);
        scene.kubelet.unpublish(&reader, "pod-3").unwrap();
        give_back(&scene, &pv, &[]);
    }
}

#[test]
fn np_06_a_group_is_refused_where_it_is_not_offered() {
    let scene = Scene::on(PoolKind::Ext4);
    let pv = with_files(&scene, EXT4);
    let answer = scene.kubelet.publish(&pv.clone().group(4242), "pod-2");
    refused(answer, Code::InvalidArgument, "volume_mount_group");
    give_back(&scene, &pv, &[]);
}
