//! The reference's `portmap` replaced by ours under running pods: what it made for them goes with them, and nothing else.

use serde_json::json;
use testkit::{
    Attachment, Dump, Host, Network, Plugins, chained, reference_under_test, report_difference,
};

/// portmap by itself, so that the reference needs no more than the earlier result.
fn network(host: &Host) -> Network {
    let mapping =
        |protocol: &str| json!({"hostPort": 8080, "containerPort": 80, "protocol": protocol});
    let mappings = json!({"portMappings": [mapping("tcp"), mapping("udp")]});
    // The reference sets a sysctl of the link by which it finds the pod.
    host.sh(
        "ip link add cni0 type bridge; ip address add 10.1.0.1/16 dev cni0; ip link set cni0 up",
    );
    Network::new(host, chained("portmap", json!({"runtimeConfig": mappings})))
}

fn pod(name: &str) -> Attachment {
    Attachment::new(name, "eth0", "/run/netns/a")
}

/// What the reference's nf_tables backend, which it has from 1.6 on, makes for a container.
fn native(host: &Host, id: &str, port: u16) {
    for (family, pod, to) in [
        ("ip", "10.1.0.7", "10.1.0.7:80"),
        ("ip6", "fd00::7", "[fd00::7]:80"),
    ] {
        let table = format!("{family} cni_hostport");
        for line in [
            format!("add table {table}"),
            format!("add chain {table} hostports"),
            format!("add chain {table} hostip_hostports"),
            format!(
                "add chain {table} masquerading {{ type nat hook postrouting priority srcnat ; }}"
            ),
            format!("add rule {table} hostports tcp dport {port} dnat to {to} comment \"{id}\""),
            format!(
                "add rule {table} hostip_hostports tcp dport {port} dnat to {to} comment \"{id}\""
            ),
            format!(
                "add rule {table} masquerading {family} saddr {pod} masquerade comment \"{id}\""
            ),
        ] {
            host.sh(&format!("nft '{line}'"));
        }
    }
}

#[test]
fn chains_of_iptables_go_with_their_pod() {
    let host = Host::new();
    let network = network(&host).served_by(Plugins::reference());
    for name in ["keeper", "a"] {
        network.first("ADD", &pod(name)).run().ok();
    }
    let chains = || host.sh("nft list ruleset").matches("chain CNI-DN-").count();
    assert_eq!(chains(), 4, "one in each family");
    let network = network.served_by(Plugins::under_test());
    if reference_under_test() {
        report_difference("CHECK of portmap does not find its own rules in iptables-nft");
    } else {
        network.first("CHECK", &pod("a")).run().silent();
    }
    network.first("DEL", &pod("a")).run().silent();
    assert_eq!(chains(), 2);
    network.first("DEL", &pod("keeper")).run().silent();
    assert_eq!(chains(), 0);
}

#[test]
fn rules_of_the_nf_tables_backend_go_with_their_pod() {
    if reference_under_test() {
        return report_difference("the reference here knows no nf_tables (newer ones do)");
    }
    let host = Host::new();
    let network = network(&host);
    native(&host, "keeper", 8081);
    let before = Dump::of(&host);
    native(&host, "a", 8080);
    network.first("CHECK", &pod("a")).run().silent();
    network.first("DEL", &pod("a")).run().silent();
    before.assert_same(&Dump::of(&host));
    network.first("CHECK", &pod("a")).run().refused(103);
    // Told nothing but the names, too.
    native(&host, "b", 8080);
    let untold = json!({"cniVersion": "1.0.0", "name": "podnet", "type": "portmap"});
    let untold = Network::new(&host, untold);
    untold.first("DEL", &pod("b")).run().silent();
    before.assert_same(&Dump::of(&host));
}
