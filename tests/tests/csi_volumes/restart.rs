//! The driver ends, in its own time or not, and comes back.

use super::{listed, made, small};
use proto::csi::GetCapacityRequest;
use testkit::csi::requests::*;
use testkit::csi::{Client, Driver, Leaks, PoolKind, Pv, Scene};

/// Everything that is told about volumes, snapshots, and the room that a limit leaves.
fn told(client: &Client) -> String {
    let snapshots = client.list_snapshots(list_snapshots(0, "")).unwrap();
    let room = client.get_capacity(GetCapacityRequest::default()).unwrap();
    format!("{:#?}\n{snapshots:#?}\n{room:#?}", listed(client))
}

const ENDS: [fn(&mut Driver); 3] = [Driver::restart, Driver::crash, Driver::restart];

#[test]
fn g_10_everything_outlives_the_driver() {
    for pool in PoolKind::FILESYSTEMS {
        let mut scene = Scene::with(pool, |setup| {
            setup
                .flag("enable-attach", "true")
                .flag("capacity", "default=1Gi")
        });
        let client = &scene.client;
        let requests = [
            create_volume("mount").size(32 * MIB),
            create_volume("image").size(32 * MIB).filesystem("ext4"),
            small("device"),
            small("thick").parameter("provisioning", "thick"),
        ];
        let volumes = requests.clone().map(|request| made(client, request));
        let clone = small("clone").cloning(&volumes[2].volume_id);
        made(client, clone.clone());
        let snapshot = create_snapshot("s", &volumes[2].volume_id);
        client.create_snapshot(snapshot.clone()).unwrap();
        client
            .controller_publish_volume(attach(&volumes[0].volume_id, "node-1"))
            .unwrap();
        client
            .controller_expand_volume(expand(&volumes[3].volume_id, MIB))
            .unwrap();
        let pv = Pv::of("pv", &volumes[0]);
        let path = scene.kubelet.publish(&pv, "pod").unwrap();
        scene.node.write(path.join("file"), "precious");
        let before = told(&scene.client);
        let leaks = Leaks::of(&scene.node, &[&scene.pool]);

        for end in ENDS {
            end(&mut scene.driver);
            assert_eq!(told(&scene.client), before, "{pool:?}");
            for (request, volume) in requests.iter().zip(&volumes).take(3) {
                assert_eq!(made(&scene.client, request.clone()), *volume, "{pool:?}");
            }
            made(&scene.client, clone.clone());
            scene.client.create_snapshot(snapshot.clone()).unwrap();
            assert_eq!(
                scene.node.read(path.join("file")).as_deref(),
                Some("precious")
            );
            assert_eq!(told(&scene.client), before, "{pool:?}");
        }
        leaks.assert_none();
        scene.kubelet.unpublish(&pv, "pod").unwrap();
        scene.kubelet.unstage(&pv).unwrap();
    }
}
