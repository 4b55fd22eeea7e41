//! Who may use a volume, at how many targets, and whether for writing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::Code;

use crate::{DIRECTORY, EXT4, RAW, Sort, UNENFORCED, can, give_back, open, refused, sh};

const SORTS: [Sort; 3] = [EXT4, RAW, UNENFORCED];

/// Whether a pod can write to a volume. The kernel lets root open a device that refuses every write.
fn is_writable(scene: &Scene, pv: &Pv, path: &Path) -> bool {
    if *pv != pv.clone().block() {
        return can(scene, "echo more >> $1/file", path);
    }
    let device = open(scene, path, OpenOptions::new().read(true).write(true));
    device.is_ok_and(|mut device| device.write_all(&[0; 512]).is_ok() && device.sync_all().is_ok())
}

#[test]
fn np_04_k_16_modes_and_second_targets() {
    // How a volume is used, whether it can be written, and whether a second pod gets it as well.
    let modes = [
        (Mode::SingleNodeWriter, true, false),
        (Mode::SingleNodeSingleWriter, true, false),
        (Mode::SingleNodeReaderOnly, false, false),
        (Mode::SingleNodeMultiWriter, true, true),
        (Mode::MultiNodeReaderOnly, false, true),
    ];
    let scene = Scene::on(PoolKind::Ext4);
    let leaks = scene.leaks();
    for sort in SORTS {
        for (mode, written, shared) in modes {
            let pv = scene.volume(sort.request("pvc-1").mode(mode));
            let first = scene.kubelet.publish(&pv, "pod-1").unwrap();
            assert_eq!(
                is_writable(&scene, &pv, &first),
                written,
                "{sort:?} {mode:?}"
            );
            let second = scene.kubelet.publish(&pv, "pod-2");
            if shared {
                let second = second.unwrap();
                assert_eq!(
                    is_writable(&scene, &pv, &second),
                    written,
                    "{sort:?} {mode:?}"
                );
            } else {
                refused(
                    second,
                    Code::FailedPrecondition,
                    &first.display().to_string(),
                );
                let target = scene.kubelet.target_path(&pv, "pod-2");
                assert!(!scene.node.run(|| target.exists()), "{sort:?} {mode:?}");
            }
            // Without the first pod there is room for the second.
            scene.kubelet.unpublish(&pv, "pod-1").unwrap();
            scene.kubelet.publish(&pv, "pod-2").unwrap();
            give_back(&scene, &pv, &["pod-2"]);
        }
    }
    leaks.assert_none();
}

#[test]
fn np_05_readonly_is_meant() {
    for pool in [PoolKind::Xfs, PoolKind::Btrfs] {
        let scene = Scene::on(pool);
        let leaks = scene.leaks();
        let directory = if pool == PoolKind::Btrfs {
            DIRECTORY
        } else {
            UNENFORCED
        };
        for sort in [EXT4, RAW, directory] {
            let pv = scene.volume(sort.request("pvc-1").mode(Mode::SingleNodeMultiWriter));
            let writer = scene.kubelet.publish(&pv, "writer").unwrap();
            let reader = scene
                .kubelet
                .publish(&pv.clone().readonly(), "reader")
                .unwrap();
            assert!(is_writable(&scene, &pv, &writer), "{sort:?}");
            assert!(!is_writable(&scene, &pv, &reader), "{sort:?}");
            if sort.raw {
                let word = "printf word | dd of=$1 conv=fsync,notrunc status=none";
                sh(&scene, word, &writer);
                assert_eq!(
                    sh(
                        &scene,
                        "dd if=$1 bs=4 count=1 iflag=nocache status=none",
                        &reader
                    ),
                    "word"
                );
                assert!(!can(&scene, word, &reader) && !can(&scene, "blkdiscard -f $1", &reader));
            } else {
                assert!(
                    !can(&scene, "rm $1/file", &reader) && !can(&scene, "touch $1/new", &reader)
                );
                assert!(!can(
                    &scene,
                    "mount -o remount,bind,rw $1 && false",
                    &reader
                ));
                assert!(can(&scene, "grep -q more $1/file", &reader));
            }
            let condition = scene
                .kubelet
                .stats(&pv.clone().readonly(), "reader")
                .unwrap()
                .volume_condition;
            assert!(!condition.unwrap().abnormal, "{sort:?}");
            scene
                .kubelet
                .unpublish(&pv.clone().readonly(), "reader")
                .unwrap();
            assert!(is_writable(&scene, &pv, &writer), "{sort:?}");
            give_back(&scene, &pv, &["writer"]);
        }
        leaks.assert_none();
    }
}
