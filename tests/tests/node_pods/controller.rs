//! The driver that grants growth, in the pod of its StatefulSet.

use crate::machine::{Machine, daemonset};
use proto::csi::{GetPluginInfoRequest, ProbeRequest};
use testkit::csi::Client;
use testkit::csi::requests::*;
use testkit::manifests::{find, render};

#[test]
fn the_controllers_driver_grants_growth_and_has_no_rights() {
    let machine = Machine::new();
    let _agent = machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    let objects = render("overlays/minikube");
    let workload = find(&objects, "StatefulSet", "hawser-csi-controller");
    let driver = machine.start(workload, "driver");
    machine.assert_without_rights(&driver);

    // What its sidecars do at the socket that they share with it.
    let volumes = driver.pod.dir.join("volumes/kubernetes.io~empty-dir");
    let sidecar = Client::on(machine.node.place(), volumes.join("socket/csi.sock"));
    let info = sidecar.get_plugin_info(GetPluginInfoRequest {}).unwrap();
    assert_eq!(info.name, crate::machine::DRIVER);
    assert_eq!(sidecar.probe(ProbeRequest {}).unwrap().ready, Some(true));
    let of_another_node = format!("vol-{}", "0".repeat(32));
    let granted = sidecar.controller_expand_volume(expand(&of_another_node, GIB));
    let granted = granted.unwrap();
    assert!(granted.node_expansion_required && granted.capacity_bytes >= GIB);
    machine.end(&driver);
}
