//! What the modes and the switches of the driver switch: capabilities and calls, and nothing else (C-01, G-04, G-14).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use proto::csi::*;
use std::collections::BTreeSet;
use testkit::csi::{Client, PoolKind, Scene};
use tonic::Code;

/// Names of capabilities and calls, each with its service.
type Names = BTreeSet<String>;

fn names<const N: usize>(service: &str, names: [&str; N]) -> Names {
    names.map(|name| format!("{service} {name}")).into()
}

/// The capabilities of a service by their names in the specification; none where it is not served.
macro_rules! capabilities {
    ($client:ident.$method:ident($request:ident), $service:literal, $kind:ident) => {
        $client.$method($request {}).map_or_else(
            |_| Names::new(),
            |answer| {
                let types = answer
                    .capabilities
                    .into_iter()
                    .filter_map(|capability| capability.r#type);
                let name = |$kind::Type::Rpc(rpc): $kind::Type| {
                    $kind::rpc::Type::try_from(rpc.r#type)
                        .unwrap()
                        .as_str_name()
                };
                types
                    .map(|kind| format!("{} {}", $service, name(kind)))
                    .collect()
            },
        )
    };
}

/// Everything that services say they can do.
fn offered(client: &Client) -> Names {
    let plugin = client.get_plugin_capabilities(GetPluginCapabilitiesRequest {});
    let plugin = plugin.unwrap().capabilities.into_iter().map(|capability| {
        match capability.r#type.unwrap() {
            plugin_capability::Type::Service(service) => {
                plugin_capability::service::Type::try_from(service.r#type)
                    .unwrap()
                    .as_str_name()
            }
            plugin_capability::Type::VolumeExpansion(growth) => {
                plugin_capability::volume_expansion::Type::try_from(growth.r#type)
                    .unwrap()
                    .as_str_name()
            }
        }
    });
    let mut all: Names = plugin.map(|name| format!("plugin {name}")).collect();
    let controller = capabilities!(
        client.controller_get_capabilities(ControllerGetCapabilitiesRequest),
        "controller",
        controller_service_capability
    );
    let group = capabilities!(
        client.group_controller_get_capabilities(GroupControllerGetCapabilitiesRequest),
        "group",
        group_controller_service_capability
    );
    let node = capabilities!(
        client.node_get_capabilities(NodeGetCapabilitiesRequest),
        "node",
        node_service_capability
    );
    all.extend(controller.into_iter().chain(group).chain(node));
    all
}

/// Every call that is answered otherwise than that it is not offered. Empty requests are enough to see that.
fn answered(client: &Client) -> Names {
    macro_rules! answered {
        ($($service:literal: $($method:ident),+ $(; $($stream:ident),+)?.)+) => {
            [$(
                $((format!("{} {}", $service, stringify!($method)), client.$method(Default::default()).err()),)+
                $($((format!("{} {}", $service, stringify!($stream)), client.$stream(Default::default()).end.err()),)+)?
            )+]
        };
    }
    let answers = answered! {
        "plugin": get_plugin_info, get_plugin_capabilities, probe.
        "controller": create_volume, delete_volume, controller_publish_volume, controller_unpublish_volume,
            validate_volume_capabilities, list_volumes, get_capacity, controller_get_capabilities, create_snapshot,
            delete_snapshot, list_snapshots, get_snapshot, controller_expand_volume, controller_get_volume,
            controller_modify_volume.
        "group": group_controller_get_capabilities, create_volume_group_snapshot, delete_volume_group_snapshot,
            get_volume_group_snapshot; get_metadata_allocated, get_metadata_delta.
        "node": node_stage_volume, node_unstage_volume, node_publish_volume, node_unpublish_volume,
            node_get_volume_stats, node_expand_volume, node_get_capabilities, node_get_info.
    };
    let is_answered = |refused: &Option<tonic::Status>| {
        refused
            .as_ref()
            .is_none_or(|status| status.code() != Code::Unimplemented)
    };
    answers
        .into_iter()
        .filter(|(_, refused)| is_answered(refused))
        .map(|(call, _)| call)
        .collect()
}

/// Starts the driver with a flag more, and tells what it offers and answers then.
fn with(scene: &mut Scene, flag: &str, value: &str) -> [Names; 2] {
    scene.driver.start_with(|setup| setup.flag(flag, value));
    [offered(&scene.client), answered(&scene.client)]
}

const SWITCHES: [&str; 6] = [
    "enable-attach",
    "enable-topology",
    "enable-volume-expansion",
    "enable-controller-modify-volume",
    "enable-snapshot-metadata",
    "enable-volume-mount-group",
];

/// The capabilities and calls that come and go with a switch.
fn switched(switch: &str) -> [Names; 2] {
    match switch {
        "enable-attach" => [
            names(
                "controller",
                [
                    "PUBLISH_UNPUBLISH_VOLUME",
                    "PUBLISH_READONLY",
                    "LIST_VOLUMES_PUBLISHED_NODES",
                ],
            ),
            names(
                "controller",
                ["controller_publish_volume", "controller_unpublish_volume"],
            ),
        ],
        "enable-topology" => [
            names("plugin", ["VOLUME_ACCESSIBILITY_CONSTRAINTS"]),
            Names::new(),
        ],
        "enable-volume-expansion" => [
            [
                "plugin ONLINE",
                "controller EXPAND_VOLUME",
                "node EXPAND_VOLUME",
            ]
            .map(str::to_owned)
            .into(),
            [
                "controller controller_expand_volume",
                "node node_expand_volume",
            ]
            .map(str::to_owned)
            .into(),
        ],
        "enable-controller-modify-volume" => [
            names("controller", ["MODIFY_VOLUME"]),
            names("controller", ["controller_modify_volume"]),
        ],
        "enable-snapshot-metadata" => [
            names("plugin", ["SNAPSHOT_METADATA_SERVICE"]),
            names("group", ["get_metadata_allocated", "get_metadata_delta"]),
        ],
        "enable-volume-mount-group" => [names("node", ["VOLUME_MOUNT_GROUP"]), Names::new()],
        other => panic!("say what {other} switches"),
    }
}

#[test]
fn c_01_g_08_a_switch_switches_its_capabilities_and_calls_and_nothing_else() {
    let mut scene = Scene::on(PoolKind::Plain);
    for switch in SWITCHES {
        let off = with(&mut scene, switch, "false");
        let on = with(&mut scene, switch, "true");
        for ((on, off), switched) in on.iter().zip(&off).zip(switched(switch)) {
            assert!(
                on.is_superset(off),
                "{switch} takes away {:?}",
                off.difference(on)
            );
            let more: Names = on.difference(off).cloned().collect();
            assert_eq!(more, switched, "{switch}");
        }
    }
}

#[test]
fn i_02_c_01_with_all_switches_on_everything_is_offered() {
    let scene = Scene::with(PoolKind::Plain, |setup| {
        SWITCHES
            .into_iter()
            .fold(setup, |setup, switch| setup.flag(switch, "true"))
    });
    let offered = offered(&scene.client);
    let of = |service: &str| {
        offered
            .iter()
            .filter(|name| name.starts_with(service))
            .count()
    };
    // The specification has no more of them, but for offline expansion, which online expansion includes.
    assert_eq!(
        [of("plugin"), of("controller"), of("group"), of("node")],
        [5, 15, 1, 6],
        "{offered:#?}"
    );
    assert_eq!(answered(&scene.client).len(), 32);
}

#[test]
fn g_04_g_14_a_mode_serves_its_services_and_every_mode_says_the_same() {
    let mut scene = Scene::on(PoolKind::Plain);
    let plugin = |offered: &Names| {
        let plugin = offered.iter().filter(|name| name.starts_with("plugin"));
        plugin.cloned().collect::<Names>()
    };
    let [all_offered, all_answered] = with(&mut scene, "mode", "all");
    let modes = [
        ("controller", ["plugin", "controller", "group"].as_slice()),
        ("node", &["plugin", "node"]),
    ];
    for (mode, services) in modes {
        let [offered, answered] = with(&mut scene, "mode", mode);
        assert_eq!(plugin(&offered), plugin(&all_offered), "{mode}");
        let serves = |name: &&String| services.contains(&name.split(' ').next().unwrap());
        assert_eq!(
            offered,
            all_offered.iter().filter(serves).cloned().collect(),
            "{mode}"
        );
        assert_eq!(
            answered,
            all_answered.iter().filter(serves).cloned().collect(),
            "{mode}"
        );
    }
}

#[test]
fn i_01_a_driver_has_a_domains_name_of_at_most_63_characters() {
    let mut scene = Scene::on(PoolKind::Plain);
    scene.driver.stop();
    let longest = format!("{}.io", "n".repeat(60));
    let too_long = format!("n{longest}");
    for name in [
        "", "-a", "a-", ".a", "a.", "a_b", "a/b", "ä", "a b", &too_long,
    ] {
        let (status, said) = scene
            .driver
            .setup()
            .clone()
            .flag("drivername", name)
            .fails();
        assert!(
            !status.success() && said.contains("--drivername"),
            "{name:?}: {said}"
        );
    }
    for name in ["a", "csi.9", "A-b.C", &longest] {
        let socket = scene.driver.setup().socket();
        scene
            .driver
            .start_with(|setup| setup.flag("drivername", name).flag("registration", "false"));
        assert!(scene.node.run(|| socket.exists()));
        let info = scene
            .client
            .get_plugin_info(GetPluginInfoRequest {})
            .unwrap();
        assert_eq!(info.name, name);
        assert!(!info.vendor_version.is_empty());
    }
}
