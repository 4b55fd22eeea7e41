//! The keys `vlan`, `vlanTrunk` and `preserveDefaultVlan` of `bridge`, with real packets. They need a kernel whose
//! bridges filter VLANs; where this one does not, the tests run in a VM.

mod check;
mod gateway;
mod pods;
mod ports;

use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::OnceLock;
use testkit::{Host, Network, Place, Pod, Scene, Uplink, addresses, bridge, merged, vm};

const NO_TRUNK: &str = "Debian's reference is older than vlanTrunk and preserveDefaultVlan";
const STAYS: &str = "it keeps VLAN 1 on the port, and looks at no VLAN in CHECK";

fn able() -> bool {
    static ABLE: OnceLock<bool> = OnceLock::new();
    *ABLE.get_or_init(vm::filters_vlans)
}

#[expect(
    clippy::unwrap_used,
    reason = "addresses written here are read back here"
)]
fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The VLANs of a bridge port as `bridge vlan` words them: `100 PVID Egress Untagged`.
fn vlans(host: &Place, port: &str) -> Vec<String> {
    let shown = host.json(&format!("bridge -j vlan show dev {port}"));
    let vlans = shown[0]["vlans"].as_array().cloned().unwrap_or_default();
    let words = |vlan: &Value| {
        let flags = vlan["flags"].as_array().cloned().unwrap_or_default();
        let flags = flags.iter().filter_map(|flag| flag.as_str());
        let id = vlan["vlan"].to_string();
        [id.as_str()]
            .into_iter()
            .chain(flags)
            .collect::<Vec<_>>()
            .join(" ")
    };
    vlans.iter().map(words).collect()
}

fn native(id: u16) -> String {
    format!("{id} PVID Egress Untagged")
}

fn name(link: &Value) -> String {
    link["ifname"].as_str().unwrap_or_default().to_owned()
}

/// A dual-stack gateway in VLAN 100, with all that could be in its way.
fn gateway() -> Value {
    let ranges = json!([[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00:10::/64"}]]);
    bridge(json!({
        "vlan": 100, "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true,
        "ipam": {"subnet": null, "ranges": ranges}
    }))
}

/// The bridge port behind the gateway's device.
fn gateway_port(host: &Host) -> String {
    host.link("cni0.100")["link"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// A network on `cni0` whose pods have addresses from 10.10.0.`first` on.
fn network(host: &Host, first: u8, patch: Value) -> Network {
    let config = json!({
        "name": format!("net{first}"),
        "ipam": {"rangeStart": format!("10.10.0.{first}"), "rangeEnd": format!("10.10.0.{}", first + 9)},
    });
    Network::new(host, bridge(merged(config, patch)))
}

#[track_caller]
fn join(host: &Host, network: &Network, name: &str) -> Pod {
    let pod = host.pod(name);
    network.add(&pod.attachment()).ok();
    pod
}

/// Kernels before 6.2 do not return a link that they have made (NLM_F_ECHO); it has to be asked for.
#[test]
fn an_older_kernel_serves_a_pod_all_the_same() {
    vm::where_able(false, || {
        let config = bridge(json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}));
        let scene = Scene::shared(config);
        let world = Uplink::of(&scene.host);
        let before = scene.dump();
        let result = scene.add();
        let (port, eth0) = (scene.port(), scene.pod.link("eth0"));
        assert_eq!(result["interfaces"][1]["name"], port["ifname"]);
        assert_eq!(result["interfaces"][1]["mac"], port["address"]);
        assert_eq!(result["interfaces"][2]["mac"], eth0["address"]);
        assert_eq!(result["ips"][0]["address"], "10.10.0.3/24");
        assert_eq!(addresses(&eth0), ["10.10.0.3/24"]);
        let seen = scene.pod.seen_by(world.outside.place(), Uplink::OUTSIDE[0]);
        assert_eq!(seen.unwrap(), Uplink::HOST[0]);
        scene.network.check(&scene.eth0()).silent();
        scene.network.del(&scene.eth0()).silent();
        before.assert_same(&scene.dump());
        assert_eq!(
            scene.network.result(&scene.eth0()),
            None,
            "DEL makes the runtime forget"
        );
    });
}
