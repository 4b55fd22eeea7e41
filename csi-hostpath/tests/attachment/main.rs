//! A volume's way into a pod and out of it, on the real kernel. Wants root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail in its helpers too"
)]

mod node;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use csi_hostpath::access::{Access, Filesystem, Mode};
use csi_hostpath::error::Error;
use csi_hostpath::id::VolumeId;
use csi_hostpath::record::Kind;
use csi_hostpath::request;
use csi_hostpath::store::Change;
use node::{Made, is_mount, mounted, on_a_node, on_a_node_with_btrfs, raw, run};
use tonic::Code;

const MANY: Mode = Mode::SingleNodeMultiWriter;

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.unwrap_err().code()
}

fn ext4(node: &node::Node) -> Made {
    node.create(Kind::Image, 16, &mounted(Some(Filesystem::Ext4), MANY, &[]))
}

#[test]
fn a_filesystem_goes_into_pods_and_out_again() {
    on_a_node(|node| {
        let volume = ext4(node);
        let (staging, first, second) = (node.staging(), node.path("first"), node.path("second"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &first, false).unwrap();
        volume.publish(&staging, &second, true).unwrap();
        fs::write(first.join("file"), "kept").unwrap();
        assert_eq!(fs::read_to_string(second.join("file")).unwrap(), "kept");
        let refused = fs::write(second.join("other"), "").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);

        let observed = volume.driver.observe(&volume.record()).unwrap();
        assert!(observed.staged.is_some() && observed.written());
        assert_eq!(observed.targets.len(), 2);
        drop(observed);
        assert_eq!(code(volume.unstage(&staging)), Code::FailedPrecondition);

        for target in [&first, &second] {
            volume.unpublish(target).unwrap();
            assert!(!target.exists());
            volume.unpublish(target).unwrap();
        }
        for _ in 0..2 {
            volume.unstage(&staging).unwrap();
        }
        assert!(staging.is_dir() && !is_mount(&staging));
        assert!(volume.has_devices(0));
        let record = volume.record();
        assert!(record.staged.is_none() && record.published.is_empty());

        volume.stage(&staging).unwrap();
        assert_eq!(fs::read_to_string(staging.join("file")).unwrap(), "kept");
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn every_filesystem_is_staged_and_measured() {
    for (filesystem, mib) in [(Filesystem::Xfs, 300), (Filesystem::Btrfs, 256)] {
        on_a_node(move |node| {
            let volume = node.create(Kind::Image, mib, &mounted(Some(filesystem), MANY, &[]));
            let (staging, target) = (node.staging(), node.path("target"));
            volume.stage(&staging).unwrap();
            volume.publish(&staging, &target, false).unwrap();
            fs::write(target.join("file"), "x").unwrap();
            let stats = volume.stats(&target).unwrap();
            assert!(stats.measured && !stats.condition.abnormal, "{stats:?}");
            assert!(stats.bytes.total <= mib << 20 && stats.bytes.used > 0);
            volume.unpublish(&target).unwrap();
            volume.unstage(&staging).unwrap();
            assert!(volume.has_devices(0));
        });
    }
}

#[test]
fn a_directory_is_mounted_itself() {
    on_a_node(|node| {
        let kind = Kind::UnenforcedDirectory;
        let volume = node.create(kind, 16, &mounted(None, MANY, &["noexec"]));
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        let program = target.join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let refused = std::process::Command::new(&program).status().unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
        volume.stage(&staging).unwrap();
        assert!(staging.join("program").exists());
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn a_directory_on_btrfs_has_its_quota() {
    on_a_node_with_btrfs(|node| {
        let volume = node.create(Kind::Directory, 32, &mounted(None, MANY, &[]));
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        let stats = volume.stats(&target).unwrap();
        assert_eq!((stats.bytes.total, stats.measured), (32 << 20, true));
        let written = fs::write(target.join("large"), vec![1; 48 << 20]);
        assert_eq!(
            written.unwrap_err().kind(),
            std::io::ErrorKind::QuotaExceeded
        );
        assert_eq!(volume.expand(&target, 64).unwrap(), 64 << 20);
        fs::write(target.join("large"), vec![1; 48 << 20]).unwrap();
        rustix::fs::syncfs(fs::File::open(&target).unwrap()).unwrap();
        let stats = volume.stats(&target).unwrap();
        assert_eq!(stats.bytes.total, 64 << 20);
        assert!(stats.bytes.used >= 48 << 20, "{stats:?}");
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn a_raw_device_is_a_device_of_the_volumes_size() {
    on_a_node(|node| {
        let volume = node.create(Kind::Image, 16, &raw(MANY));
        let (staging, target, reader) = (node.staging(), node.path("raw"), node.path("reader"));
        volume.stage(&staging).unwrap();
        volume.stage(&staging).unwrap();
        assert!(!is_mount(&staging));
        volume.publish(&staging, &target, false).unwrap();
        assert!(fs::metadata(&target).unwrap().file_type().is_block_device());
        let mut device = fs::File::options().write(true).open(&target).unwrap();
        device.write_all(&[7; 4096]).unwrap();
        device.sync_all().unwrap();
        drop(device);
        assert_eq!(volume.stats(&target).unwrap().bytes.total, 16 << 20);

        volume.publish(&staging, &reader, true).unwrap();
        assert!(volume.has_devices(2));
        assert_eq!(fs::read(&reader).unwrap()[..4096], [7; 4096]);
        let written = fs::File::options()
            .write(true)
            .open(&reader)
            .and_then(|mut device| device.write_all(&[8; 4096]));
        assert!(written.is_err());

        assert_eq!(volume.expand(&target, 32).unwrap(), 32 << 20);
        assert_eq!(fs::read(&target).unwrap().len(), 32 << 20);
        assert_eq!(volume.expand(&staging, 16).unwrap(), 32 << 20, "big enough");

        volume.unpublish(&reader).unwrap();
        assert!(volume.has_devices(1));
        volume.unpublish(&target).unwrap();
        assert!(!target.exists());
        volume.unstage(&staging).unwrap();
        assert!(volume.has_devices(0));
        assert_eq!(
            code(volume.publish(&staging, &target, false)),
            Code::FailedPrecondition
        );
    });
}

#[test]
fn np_03_one_target_has_one_meaning() {
    on_a_node(|node| {
        let mut volume = ext4(node);
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        assert_eq!(
            code(volume.publish(&staging, &target, true)),
            Code::AlreadyExists
        );
        volume.capability.mode = Mode::SingleNodeSingleWriter;
        assert_eq!(
            code(volume.publish(&staging, &target, false)),
            Code::AlreadyExists
        );
        let second = node.path("second");
        assert_eq!(
            code(volume.publish(&staging, &second, false)),
            Code::FailedPrecondition
        );
        assert!(!second.exists());
        assert_eq!(code(volume.stage(&staging)), Code::AlreadyExists);
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn k_14_what_is_recorded_but_not_mounted_is_not_there() {
    on_a_node(|node| {
        let volume = ext4(node);
        let (staging, target) = (node.staging(), node.path("target"));
        assert_eq!(
            code(volume.publish(&staging, &target, false)),
            Code::FailedPrecondition
        );
        assert!(!target.exists(), "never bind an empty staging path");
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        // As after a reboot: the records are there, the mounts are not.
        run("umount", &[], &target);
        run("umount", &[], &staging);
        assert!(!volume.driver.observe(&volume.record()).unwrap().in_use());
        assert!(volume.stats(&target).unwrap().condition.abnormal);
        assert_eq!(
            code(volume.publish(&staging, &target, false)),
            Code::FailedPrecondition
        );
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        assert!(is_mount(&target));
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn what_is_not_the_volume_is_left_alone() {
    on_a_node(|node| {
        let volume = ext4(node);
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        fs::create_dir(&target).unwrap();
        run("mount", &["-t", "tmpfs", "none"], &target);
        assert_eq!(
            code(volume.publish(&staging, &target, false)),
            Code::FailedPrecondition
        );
        assert_eq!(code(volume.unpublish(&target)), Code::FailedPrecondition);
        assert!(is_mount(&target));
        run("umount", &[], &target);
        fs::write(target.join("precious"), "").unwrap();
        assert_eq!(code(volume.unpublish(&target)), Code::FailedPrecondition);
        assert!(target.join("precious").exists());
        assert_eq!(code(volume.stats(&target)), Code::NotFound);

        let link = node.path("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(volume.publish(&staging, &link, false).is_err());
        assert!(
            volume
                .publish(&staging, &link.join("below"), false)
                .is_err()
        );
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn what_is_in_use_is_waited_for_and_then_told() {
    on_a_node(|node| {
        let volume = ext4(node);
        let staging = node.staging();
        volume.stage(&staging).unwrap();
        let open = fs::File::open(&staging).unwrap();
        let error = volume.unstage(&staging).unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
        assert!(error.to_string().contains("in use"), "{error}");
        assert!(volume.record().staged.is_some());
        drop(open);
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn stacked_and_forgotten_mounts_are_taken_down() {
    on_a_node(|node| {
        let volume = ext4(node);
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        let staging_text = staging.to_str().unwrap();
        run("mount", &["--bind", staging_text], &target);
        volume
            .driver
            .store
            .commit(vec![Change::DropVolume(volume.id.to_string())])
            .unwrap();
        volume.unpublish(&target).unwrap();
        assert!(!target.exists());
        volume.unstage(&staging).unwrap();
        assert!(!is_mount(&staging) && volume.has_devices(0));
    });
}

#[test]
fn a_forgotten_directory_is_known_by_its_path() {
    on_a_node(|node| {
        let kind = Kind::UnenforcedDirectory;
        let volume = node.create(kind, 16, &mounted(None, MANY, &[]));
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        let forget = Change::DropVolume(volume.id.to_string());
        volume.driver.store.commit(vec![forget]).unwrap();
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
        assert!(!target.exists() && !is_mount(&staging));
    });
}

#[test]
fn what_fails_leaves_nothing() {
    on_a_node(|node| {
        let mut volume = ext4(node);
        let staging = node.staging();
        volume.capability = mounted(None, MANY, &["no_such_option"]);
        let error = volume.stage(&staging).unwrap_err();
        assert!(error.to_string().contains("no_such_option"), "{error}");
        assert!(volume.record().staged.is_none());
        assert!(!is_mount(&staging) && volume.has_devices(0));

        volume.capability = mounted(Some(Filesystem::Xfs), MANY, &[]);
        assert_eq!(code(volume.stage(&staging)), Code::FailedPrecondition);
        volume.capability = raw(MANY);
        assert_eq!(code(volume.stage(&staging)), Code::FailedPrecondition);
        volume.capability = mounted(None, MANY, &[]);
        assert_eq!(
            code(volume.stage(&node.path("missing"))),
            Code::FailedPrecondition
        );
    });
}

#[test]
fn k_13_an_inline_volume_lives_as_long_as_its_pod() {
    on_a_node(|node| {
        let id = VolumeId::parse(&format!("csi-{}", "a".repeat(64))).unwrap();
        let target = node.path("target");
        let publish = |flags: &[&str]| {
            node.driver.publish(&request::Publish {
                volume: id.clone(),
                staging: None,
                target: target.clone(),
                capability: mounted(Some(Filesystem::Ext4), MANY, flags),
                readonly: false,
                ephemeral: Some(request::Ephemeral {
                    size: Some(16 << 20),
                    class: Default::default(),
                    parameters: Default::default(),
                }),
            })
        };
        assert!(publish(&["no_such_option"]).is_err());
        assert!(
            node.driver.volume(&id).is_err(),
            "what fails leaves nothing"
        );
        assert!(!target.exists());
        publish(&[]).unwrap();
        publish(&[]).unwrap();
        fs::write(target.join("file"), "x").unwrap();
        let made = Made {
            id: id.clone(),
            capability: mounted(None, MANY, &[]),
            driver: node.driver.clone(),
        };
        made.unpublish(&target).unwrap();
        assert!(!target.exists());
        assert!(node.driver.volume(&id).is_err());
        assert!(made.has_devices(0));
        made.unpublish(&target).unwrap();
    });
}

#[test]
fn a_filesystem_grows_with_its_volume() {
    on_a_node(|node| {
        let volume = node.create(Kind::Image, 300, &mounted(Some(Filesystem::Xfs), MANY, &[]));
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, true).unwrap();
        let before = volume.stats(&target).unwrap().bytes.total;
        assert_eq!(volume.expand(&target, 400).unwrap(), 400 << 20);
        let grown = volume.stats(&target).unwrap().bytes.total - before;
        assert!(grown > 90 << 20, "{grown}");
        let record = volume.record();
        assert_eq!((record.backing, record.filled), (400 << 20, 400 << 20));
        assert_eq!(
            code(volume.expand(Path::new("/nowhere"), 400)),
            Code::NotFound
        );
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn a_group_gets_what_it_is_given() {
    on_a_node(|node| {
        let mut volume = ext4(node);
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        if let Access::Mount(options) = &mut volume.capability.access {
            options.group = Some(4242);
        }
        volume.publish(&staging, &target, false).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().gid(), 4242);
        volume.unpublish(&target).unwrap();
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn ext4_grows_at_once_or_when_it_is_staged_next() {
    on_a_node(|node| {
        let volume = ext4(node);
        let staging = node.staging();
        volume.stage(&staging).unwrap();
        let expanded = volume.expand(&staging, 64);
        if !kernel::storage::grow::may_resize_ext4() {
            let error = expanded.unwrap_err();
            assert_eq!(error.code(), Code::FailedPrecondition);
            assert!(error.to_string().contains("CAP_SYS_RESOURCE"), "{error}");
        }
        volume.unstage(&staging).unwrap();
        volume.stage(&staging).unwrap();
        assert!(volume.stats(&staging).unwrap().bytes.total > 48 << 20);
        assert_eq!(volume.expand(&staging, 64).unwrap(), 64 << 20);
        volume.unstage(&staging).unwrap();
    });
}

#[test]
fn a_filesystem_that_shut_down_is_told_and_taken_down() {
    on_a_node(|node| {
        let volume = node.create(Kind::Image, 300, &mounted(Some(Filesystem::Xfs), MANY, &[]));
        let (staging, target) = (node.staging(), node.path("target"));
        volume.stage(&staging).unwrap();
        volume.publish(&staging, &target, false).unwrap();
        run("xfs_io", &["-x", "-c", "shutdown"], &target);
        let condition = volume.stats(&target).unwrap().condition;
        assert!(condition.abnormal, "{condition:?}");
        assert!(condition.message.contains("shut down"), "{condition:?}");
        volume.unpublish(&target).unwrap();
        assert!(!target.exists());
        volume.unstage(&staging).unwrap();
        assert!(volume.has_devices(0));
    });
}

#[test]
fn ext4_that_found_errors_is_told_and_checked_when_staged() {
    on_a_node(|node| {
        let volume = ext4(node);
        let staging = node.staging();
        volume.stage(&staging).unwrap();
        let number = volume.devices()[0];
        let trigger = format!("/sys/fs/ext4/loop{number}/trigger_fs_error");
        fs::write(trigger, "a test").unwrap();
        let condition = volume.stats(&staging).unwrap().condition;
        assert!(condition.abnormal, "{condition:?}");
        volume.unstage(&staging).unwrap();
        volume.stage(&staging).unwrap();
        let condition = volume.stats(&staging).unwrap().condition;
        assert!(!condition.abnormal, "{condition:?}");
        fs::write(staging.join("file"), "x").unwrap();
        volume.unstage(&staging).unwrap();
    });
}
