//! The driver as a whole on that kernel.

use super::{MACHINE, MIB, fill_there, grow, made, publish, put_away};
use std::path::Path;
use std::process::Command;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Scene};
use testkit::eventually;

#[test]
fn volumes_of_every_kind_live_on_pools_of_every_kind() {
    MACHINE.where_able(false, || {
        for kind in PoolKind::FILESYSTEMS.into_iter().chain(PoolKind::PROJECTS) {
            let scene = Scene::on(kind);
            let leaks = scene.leaks();
            let filesystem = kind.filesystem().unwrap();
            let image = create_volume("image").parameter("kind", "image");
            let volumes = [
                create_volume("default").size(GIB / 16),
                create_volume("block").size(GIB / 16).block(),
                image.size(GIB / 3).filesystem(filesystem),
            ]
            .map(|request| {
                let capability = request.volume_capabilities[0].clone();
                made(&scene, request).used_as(capability)
            });
            for pv in &volumes {
                scene.kubelet.publish(pv, "pod").unwrap();
                let stats = scene.kubelet.stats(pv, "pod").unwrap();
                assert!(stats.usage[0].total > 0, "{stats:?}");
            }
            scene.kubelet.restart().unwrap();
            for pv in &volumes {
                put_away(&scene, pv, "pod");
            }
            leaks.assert_none();
        }
    });
}

#[test]
fn ext4_in_an_image_grows_under_a_pod_that_writes_on() {
    MACHINE.where_able(false, || {
        let scene = Scene::on(PoolKind::Ext4);
        let pv = made(&scene, create_volume("pvc-1").size(GIB / 32));
        let path = publish(&scene, &pv, "pod");
        let total = || scene.kubelet.stats(&pv, "pod").unwrap().usage[0].total;
        let before = total();
        let mut pod = writer(&path);
        let mut pod = scene.node.spawn(&mut pod);
        let lines = || {
            let text = scene.node.read(path.join("log"));
            text.map_or(0, |text| text.lines().count())
        };
        eventually("the pod writes", || lines() > 0);
        grow(&scene, &pv, "pod", 64);
        let (then, grown) = (lines(), total());
        assert!(grown > before * 3 / 2, "{before} became {grown}");
        eventually("the pod writes on", || lines() > then);
        assert_eq!(fill_there(&scene, &path.join("file"), 40), 40 * MIB);
        scene.node.write(path.join("end"), "");
        assert!(pod.wait().unwrap().success());
        put_away(&scene, &pv, "pod");
    });
}

/// A pod that writes lines until there is a file `end`, and fails when it cannot.
fn writer(volume: &Path) -> Command {
    let script = "while ! [ -e end ]; do echo line >>log || exit 1; done";
    let mut command = Command::new("busybox");
    command
        .args(["sh", "-c"])
        .arg(format!("cd {} && {script}", volume.display()));
    command
}
