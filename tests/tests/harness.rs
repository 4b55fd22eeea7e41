//! The harness itself: a host is its own world, nothing of it reaches the machine, and a dump sees what changes.

use serde_json::json;
use std::path::Path;
use testkit::{Attachment, Dump, Host, Network, Stub, Uplink, bridge, host_local, merged};

#[test]
fn a_host_has_its_own_network_and_directories() {
    let (one, other) = (Host::new(), Host::new());
    one.sh("ip link add br0 type bridge");
    one.write("/run/mark", "1");
    one.write("/var/lib/cni/mark", "1");
    assert!(!one.link("br0").is_null());
    assert!(other.link("br0").is_null());
    assert_eq!(other.list("/sys/class/net"), ["lo"]);
    for file in ["/run/mark", "/var/lib/cni/mark"] {
        assert!(one.read(file).is_some());
        assert!(
            other.read(file).is_none() && !Path::new(file).exists(),
            "{file} left the host"
        );
    }
}

#[test]
fn nothing_of_a_host_is_mounted_on_the_machine() {
    let host = Host::new();
    host.pod("a");
    let machine = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!machine.contains("/run/netns/a") && !machine.contains("/run/testkit"));
}

#[test]
fn a_removed_pod_is_gone_with_its_links() {
    let host = Host::new();
    let pod = host.pod("a");
    host.sh("ip link add v0 type veth peer name eth0 netns a");
    pod.remove();
    testkit::eventually("the pod's end of the pair takes ours with it", || {
        host.link("v0").is_null()
    });
    assert!(!host.run(|| pod.path().exists()));
}

#[test]
fn a_pretended_reboot_changes_the_boot_id_each_time() {
    let host = Host::new();
    let boot_id = || host.read("/proc/sys/kernel/random/boot_id").unwrap();
    let first = boot_id();
    host.pretend_reboot();
    let second = boot_id();
    assert_ne!(first, second);
    assert_eq!(first.len(), second.len());
    host.pretend_reboot();
    assert_ne!(second, boot_id());
}

#[test]
fn a_dump_sees_each_kind_of_change() {
    let host = Host::new();
    let pod = host.pod("a");
    host.sh("ip link add br0 type bridge; ip link set br0 up");
    let before = Dump::of(&host).and(&[&pod]);
    let changes = [
        ("ip link add v0 type veth peer name v1", "+ host link v0"),
        (
            "ip address add 10.0.0.1/24 dev br0",
            "+ host address 10.0.0.1/24 on br0",
        ),
        (
            "ip route add 10.9.0.0/24 dev lo table 7",
            "+ host ip route 10.9.0.0/24 in table 7 on lo",
        ),
        ("ip -6 rule add from 2001:db8::1 table 7", "+ host ip6 rule"),
        (
            "ip link set br0 mtu 1400",
            "~ host link br0 .mtu: 1500 -> 1400",
        ),
        (
            "nft add table inet t; nft add set inet t s '{ type ipv4_addr; elements = { 10.0.0.9 } }'",
            "+ host nft element of inet t s: ",
        ),
        (
            "echo 0 >/proc/sys/net/ipv6/conf/br0/accept_ra",
            "~ host sysctl net/ipv6/conf/br0 .accept_ra: \"1\" -> \"0\"",
        ),
        (
            "mkdir -p /var/lib/cni/networks/n; echo hello >/var/lib/cni/networks/n/10.0.0.2",
            "+ file /var/lib/cni/networks/n/10.0.0.2: \"hello\\n\"",
        ),
        (
            "mkdir /run/m; mount -t tmpfs tmpfs /run/m",
            "+ mount /run/m",
        ),
        ("ip netns exec a ip link set lo up", "~ a link lo .flags"),
    ];
    for (change, expected) in changes {
        host.sh(change);
        let diff = before.diff(&Dump::of(&host).and(&[&pod]));
        assert!(
            diff.lines().iter().any(|line| line.starts_with(expected)),
            "{change}: no {expected:?} in\n{diff}"
        );
    }
}

#[test]
fn a_dump_of_nothing_changed_is_the_same() {
    let host = Host::new();
    let world = Uplink::of(&host);
    let before = Dump::of(&host).and(&[&world.outside]);
    assert!(world.outside.ping(Uplink::HOST[0]) && world.outside.ping(Uplink::HOST[1]));
    before.assert_same(&Dump::of(&host).and(&[&world.outside]));
}

#[test]
fn the_runtime_injects_what_libcni_injects() {
    let host = Host::new();
    let printed = r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}'"#;
    let (first, second) = (
        Stub::new(&host, "first", printed),
        Stub::new(&host, "second", printed),
    );
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "first", "capabilities": {"mac": true, "ips": false}},
        {"type": "second", "key": "value"}
    ]});
    let network = Network::new(&host, list)
        .searching(first.dir())
        .searching(second.dir());
    let attachment = Attachment::new("c", "eth0", "/run/netns/a")
        .args("A=1")
        .offering(json!({"mac": "m", "ips": ["10.0.0.3"]}));
    network.add(&attachment).ok();
    network.check(&attachment).ok();
    network.del(&attachment).ok();

    let read = |stub: &Stub, verb: &str| {
        serde_json::from_str::<serde_json::Value>(&stub.stdin(verb)).unwrap()
    };
    let result = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]});
    let plain = json!({"cniVersion": "1.0.0", "name": "net", "type": "first", "runtimeConfig": {"mac": "m"}});
    assert_eq!(read(&first, "ADD"), plain);
    assert_eq!(
        read(&first, "DEL"),
        merged(plain, json!({"prevResult": result}))
    );
    let chained = json!({"cniVersion": "1.0.0", "name": "net", "type": "second", "key": "value", "prevResult": result});
    for verb in ["ADD", "CHECK", "DEL"] {
        assert_eq!(read(&second, verb), chained);
    }
    let env = first.env("DEL");
    for variable in [
        "CNI_COMMAND=DEL",
        "CNI_CONTAINERID=c",
        "CNI_NETNS=/run/netns/a",
        "CNI_IFNAME=eth0",
        "CNI_ARGS=A=1",
    ] {
        assert!(
            env.iter().any(|set| set == variable),
            "no {variable} in {env:?}"
        );
    }
    assert_eq!(network.result(&attachment), None);
}

#[test]
fn a_chain_is_deleted_backwards() {
    let host = Host::new();
    let order = host.scratch("order");
    let note = |name: &str| format!("echo {name} >>{}", order.display());
    let (first, second) = (
        Stub::new(&host, "first", &note("first")),
        Stub::new(&host, "second", &note("second")),
    );
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "first"}, {"type": "second"}]});
    let network = Network::new(&host, list)
        .searching(first.dir())
        .searching(second.dir());
    network.del(&Attachment::new("c", "eth0", "")).ok();
    assert_eq!(host.read(order).unwrap(), "second\nfirst\n");
}

#[test]
fn a_patch_merges_replaces_and_removes() {
    assert_eq!(
        host_local(json!({"subnet": "10.0.0.0/24"}))["ipam"]["type"],
        "host-local"
    );
    let config = bridge(json!({"ipam": {"subnet": null, "ranges": [[]]}, "mtu": 1400}));
    assert_eq!(
        config["ipam"],
        json!({"type": "host-local", "ranges": [[]]})
    );
    assert_eq!(config["mtu"], 1400);
}
