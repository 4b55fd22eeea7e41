//! Every call, capability and access mode, and the switches that offer them.

use std::collections::{BTreeMap, BTreeSet};

use csi_hostpath::check::{self, Rules};
use csi_hostpath::driver::Offers;
use proto::csi::controller_client::ControllerClient;
use proto::csi::group_controller_client::GroupControllerClient;
use proto::csi::identity_client::IdentityClient;
use proto::csi::node_client::NodeClient;
use proto::csi::volume_capability::access_mode::Mode;
use proto::csi::volume_capability::{AccessMode, AccessType, BlockVolume};
use proto::csi::*;

use super::page::{codes, rows, specified};
use super::running::{Caller, Home, call};

/// An enumeration of capabilities, and a value of it.
type Capability = (String, String);

/// The enumerations as the specification's table and as the page's first column have them.
const ENUMERATIONS: [(&str, &str); 5] = [
    ("PluginCapability.Service.Type", "plugin"),
    ("PluginCapability.VolumeExpansion.Type", "plugin, expansion"),
    ("ControllerServiceCapability.RPC.Type", "controller"),
    ("NodeServiceCapability.RPC.Type", "node"),
    ("GroupControllerServiceCapability.RPC.Type", "group"),
];

#[test]
fn calls_are_those_of_the_specification() {
    let told: Vec<_> = rows("### Calls")
        .iter()
        .map(|row| codes(&row[1])[0].to_owned())
        .collect();
    let wanted: Vec<_> = specified("csi-services.tsv")
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(told), sorted(wanted));
}

/// The capabilities of the page, each with the cell that says when it is offered.
fn told() -> BTreeMap<Capability, String> {
    let rows = rows("### Capabilities").into_iter();
    rows.map(|row| {
        (
            (row[0].clone(), codes(&row[1])[0].to_owned()),
            row[2].clone(),
        )
    })
    .collect()
}

#[test]
fn capabilities_are_those_of_the_specification() {
    let known = specified("csi-enums.tsv").into_iter().filter_map(|row| {
        let mut names = ENUMERATIONS.iter();
        let (_, name) = names.find(|(specified, _)| *specified == row[0])?;
        (row[1] != "UNKNOWN").then(|| ((*name).to_owned(), row[1].clone()))
    });
    assert_eq!(told().into_keys().collect::<BTreeSet<_>>(), known.collect());
}

#[test]
fn each_switch_offers_what_the_page_says() {
    let told = told();
    let switches: BTreeSet<_> = told.values().flat_map(|cell| codes(cell)).collect();
    assert!(!switches.is_empty());
    for on in switches.iter().copied().map(Some).chain([None]) {
        let flags = switches
            .iter()
            .map(|switch| format!("{switch}={}", on == Some(switch)));
        let flags: Vec<_> = flags.collect();
        let home = Home::new();
        let driver = home.start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let offered =
            |cell: &str| cell == "always" || on.is_some_and(|on| codes(cell).contains(&on));
        let wanted = told.iter().filter(|(_, cell)| offered(cell));
        assert_eq!(
            offers(&driver.caller()),
            wanted.map(|(capability, _)| capability.clone()).collect(),
            "with {on:?} alone"
        );
    }
}

/// What a driver says that it offers.
fn offers(caller: &Caller) -> BTreeSet<Capability> {
    let mut offers = BTreeSet::new();
    let mut add = |enumeration: &str, name: &str| {
        offers.insert((enumeration.to_owned(), name.to_owned()));
    };
    let request = GetPluginCapabilitiesRequest {};
    let plugin = call!(caller, IdentityClient, get_plugin_capabilities, request).unwrap();
    for capability in plugin.capabilities {
        match capability.r#type.unwrap() {
            plugin_capability::Type::Service(service) => {
                add("plugin", service.r#type().as_str_name());
            }
            plugin_capability::Type::VolumeExpansion(expansion) => {
                add("plugin, expansion", expansion.r#type().as_str_name());
            }
        }
    }
    let request = ControllerGetCapabilitiesRequest {};
    let controller = call!(
        caller,
        ControllerClient,
        controller_get_capabilities,
        request
    );
    for capability in controller.unwrap().capabilities {
        let controller_service_capability::Type::Rpc(rpc) = capability.r#type.unwrap();
        add("controller", rpc.r#type().as_str_name());
    }
    let request = NodeGetCapabilitiesRequest {};
    let node = call!(caller, NodeClient, node_get_capabilities, request);
    for capability in node.unwrap().capabilities {
        let node_service_capability::Type::Rpc(rpc) = capability.r#type.unwrap();
        add("node", rpc.r#type().as_str_name());
    }
    let request = GroupControllerGetCapabilitiesRequest {};
    let group = call!(
        caller,
        GroupControllerClient,
        group_controller_get_capabilities,
        request
    );
    for capability in group.unwrap().capabilities {
        let group_controller_service_capability::Type::Rpc(rpc) = capability.r#type.unwrap();
        add("group", rpc.r#type().as_str_name());
    }
    offers
}

/// Whether a volume with this access mode is made.
fn is_taken(mode: &str) -> bool {
    let rules = Rules {
        node: "node".to_owned(),
        topology_key: String::new(),
        offers: Offers {
            attach: false,
            topology: true,
            expansion: true,
            modify: false,
            metadata: false,
            mount_group: false,
        },
        remote: false,
    };
    let mode = Mode::from_str_name(mode).unwrap().into();
    let capability = VolumeCapability {
        access_mode: Some(AccessMode { mode }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    };
    let request = CreateVolumeRequest {
        name: "volume".to_owned(),
        volume_capabilities: vec![capability],
        ..CreateVolumeRequest::default()
    };
    check::create_volume(&rules, request).is_ok()
}

#[test]
fn access_modes_are_taken_as_the_page_says() {
    let rows = rows("## Access modes");
    let told: BTreeSet<_> = rows
        .iter()
        .map(|row| codes(&row[0])[0].to_owned())
        .collect();
    let specified = specified("csi-enums.tsv").into_iter();
    let modes = specified.filter(|row| row[0].ends_with("AccessMode.Mode") && row[1] != "UNKNOWN");
    assert_eq!(told, modes.map(|row| row[1].clone()).collect());
    for row in rows {
        assert_eq!(is_taken(codes(&row[0])[0]), row[2] != "refused", "{row:?}");
    }
}
