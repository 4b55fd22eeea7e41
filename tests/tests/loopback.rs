//! `loopback`: the pod's own `lo`.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use testkit::{Attachment, Host, Network, Place, merged, unlike_the_reference};

fn loopback(patch: Value) -> Value {
    let plain = json!({"cniVersion": "1.0.0", "name": "lo", "type": "loopback"});
    merged(plain, patch)
}

fn is_up(pod: &Place) -> bool {
    pod.json("ip -j link show lo")[0]["flags"]
        .as_array()
        .is_some_and(|flags| flags.contains(&json!("UP")))
}

#[test]
fn lo_goes_up_is_reported_checked_and_goes_down() {
    let host = Host::new();
    let pod = host.pod("a");
    let network = Network::new(&host, loopback(json!({})));
    // Runtimes call it with the name of the pod's interface as well; it is lo all the same.
    for ifname in ["lo", "eth0"] {
        let attachment = pod.attachment().ifname(ifname);
        let result = network.add(&attachment).ok();
        assert!(is_up(&pod), "{ifname}");
        assert_eq!(result["interfaces"][0]["name"], "lo");
        assert_eq!(
            result["interfaces"][0]["sandbox"],
            pod.path().to_str().unwrap()
        );
        assert_eq!(result["ips"][0]["address"], "127.0.0.1/8");
        assert_eq!(result["ips"][1]["address"], "::1/128");
        network.check(&attachment).silent();
        network.del(&attachment).silent();
        assert!(!is_up(&pod), "{ifname}");
        network.del(&attachment).silent();
    }
}

/// Adds and deletes under a version; the first address in that version's shape is at `place` of the result.
fn first_address(version: &str, place: &str) {
    let host = Host::new();
    let pod = host.pod("a");
    let network = Network::new(&host, loopback(json!({"cniVersion": version})));
    let result = network.add(&pod.attachment()).ok();
    assert_eq!(result["cniVersion"], version);
    assert_eq!(
        result.pointer(place),
        Some(&json!("127.0.0.1/8")),
        "{version}: {result}"
    );
    network.del(&pod.attachment()).silent();
}

#[test]
fn every_version_gets_its_shape() {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
        first_address(version, "/ips/0/address");
    }
    unlike_the_reference(
        "loopback answers to 0.1.0 and 0.2.0 in the shape of later versions",
        || {
            for version in ["0.1.0", "0.2.0"] {
                first_address(version, "/ip4/ip");
            }
        },
    );
}

#[test]
fn an_earlier_result_passes_through() {
    let host = Host::new();
    let pod = host.pod("a");
    let network = Network::new(&host, loopback(json!({})));
    let earlier = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": pod.path()}],
        "ips": [{"address": "10.1.0.7/24", "gateway": "10.1.0.1", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {"nameservers": ["10.1.0.1"]}
    });
    let config = loopback(json!({"prevResult": earlier}));
    let call = network.first("ADD", &pod.attachment());
    let result = call.stdin(config.to_string()).run().ok();
    assert_eq!(result, earlier);
    assert!(is_up(&pod));
}

#[test]
fn check_sees_what_is_missing() {
    let host = Host::new();
    let pod = host.pod("a");
    let network = Network::new(&host, loopback(json!({})));
    network.add(&pod.attachment()).ok();
    pod.sh("ip link set lo down");
    network.check(&pod.attachment()).failed();
    pod.sh("ip link set lo up; ip address del 127.0.0.1/8 dev lo");
    unlike_the_reference("CHECK of loopback looks at the flag of lo alone", || {
        let outcome = network.check(&pod.attachment());
        outcome.refused_naming(103, &["lo of", "127.0.0.1/8"]);
    });
}

#[test]
fn an_address_of_another_kind_is_refused() {
    let host = Host::new();
    let pod = host.pod("a");
    pod.sh("ip address add 192.0.2.7/32 dev lo");
    let network = Network::new(&host, loopback(json!({})));
    unlike_the_reference(
        "an address that was there before lo went up is not seen",
        || {
            let outcome = network.add(&pod.attachment());
            outcome.refused_naming(101, &["192.0.2.7/32", "not a loopback address"]);
            assert!(!is_up(&pod), "nothing is changed by an ADD that fails");
        },
    );
}

#[test]
fn del_needs_no_namespace_and_add_does() {
    let host = Host::new();
    let network = Network::new(&host, loopback(json!({})));
    for (netns, code) in [("", 4), ("/run/netns/nowhere", 3)] {
        let gone = Attachment::new("a", "lo", netns);
        network.del(&gone).silent();
        network.add(&gone).refused(code);
    }
}

#[test]
fn gc_and_status_have_nothing_to_object_to() {
    unlike_the_reference("it knows neither GC nor STATUS", || {
        let host = Host::new();
        let network = Network::new(&host, loopback(json!({"cniVersion": "1.1.0"})));
        network.status().silent();
        network.gc(&[]).silent();
    });
}
