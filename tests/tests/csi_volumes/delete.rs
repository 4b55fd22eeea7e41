//! Volumes that go, and volumes that must not.

use super::{FOREIGN, delete, listed, made, small};
use testkit::csi::requests::*;
use testkit::csi::{Answer, PoolKind, Pv, Scene};
use tonic::Code;

#[test]
fn dv_01_what_is_gone_or_never_was_is_deleted() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let client = &scene.client;
        let keeps = made(client, small("keeps"));
        let leaks = scene.leaks();
        let requests = [create_volume("any").size(16 * MIB), small("device")];
        for request in requests {
            let id = made(client, request).volume_id;
            for _ in 0..3 {
                delete(client, &id);
            }
            client
                .controller_get_volume(get_volume(&id))
                .refused(&id, Code::NotFound, &id);
        }
        for id in FOREIGN {
            delete(client, id);
        }
        client.delete_volume(delete_volume("")).refused(
            "no id",
            Code::InvalidArgument,
            "volume_id",
        );
        let left: Vec<_> = listed(client)
            .into_iter()
            .map(|entry| entry.volume().unwrap())
            .collect();
        assert_eq!(left, [keeps], "{pool:?}");
        leaks.assert_none();
    }
}

#[test]
fn dv_02_a_volume_in_use_stays_as_it_is() {
    for pool in PoolKind::FILESYSTEMS {
        let scene = Scene::on(pool);
        let (client, kubelet, node) = (&scene.client, &scene.kubelet, &scene.node);
        let volume = made(client, create_volume("v").size(32 * MIB));
        let pv = Pv::of("pv", &volume);
        let deletion = || client.delete_volume(delete_volume(&volume.volume_id));
        let path = kubelet.publish(&pv, "pod").unwrap();
        node.write(path.join("file"), "precious");
        let mounts = node.mounts();
        deletion().refused("published", Code::FailedPrecondition, "unpublish it first");
        assert_eq!(
            node.read(path.join("file")).as_deref(),
            Some("precious"),
            "{pool:?}"
        );
        assert_eq!(node.mounts(), mounts, "{pool:?}");

        kubelet.unpublish(&pv, "pod").unwrap();
        deletion().refused("staged", Code::FailedPrecondition, "unstage it first");
        let path = kubelet.publish(&pv, "pod").unwrap();
        assert_eq!(
            node.read(path.join("file")).as_deref(),
            Some("precious"),
            "{pool:?}"
        );

        kubelet.unpublish(&pv, "pod").unwrap();
        kubelet.unstage(&pv).unwrap();
        deletion().unwrap();
        assert!(listed(client).is_empty(), "{pool:?}");
    }
}
