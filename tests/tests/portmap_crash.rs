//! `portmap` interrupted: killed in front of every call of an ADD, and of a DEL, that changes something. Whatever that
//! leaves, DEL takes away, and so does GC, and the next pod has the ports.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used)]

use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::Duration;
use testkit::{
    Attachment, Dump, Host, Moment, Network, Place, Pod, chained, eventually, reference_under_test,
    report_difference,
};

/// What strace shows of the calls that change something: transactions, flows forgotten; a sysctl set, the answer printed.
/// Everything else is a question.
const CHANGING: [&str; 3] = ["BATCH_BEGIN", "CT_DELETE", "write("];
/// How long a datagram that should arrive may take.
const PATIENCE: Duration = Duration::from_millis(900);
/// The victim's address, and that of the pod that comes after it.
const ADDRESSES: [&str; 2] = ["10.1.0.7", "10.1.0.8"];
/// What belongs to the node and stays.
const SHARED: [&str; 3] = ["localnet", "addresses4", "addresses6"];
const LOCALNET: &str = "net/ipv4/conf/cni0/route_localnet";

/// Which verb is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The node's very first ADD.
    FirstAdd,
    /// An ADD of an attachment that has been added before.
    SecondAdd,
    Del,
}

/// A node that is wired to a pod, which has the addresses of two attachments.
struct World {
    host: Host,
    pod: Pod,
    client: UdpSocket,
}

impl World {
    fn new() -> Self {
        let host = Host::new();
        let pod = host.pod("a");
        host.sh(
            "ip link add cni0 type veth peer name eth0 netns a; ip address add 192.0.2.1/32 dev lo
                 ip address add 10.1.0.1/16 dev cni0; ip link set cni0 up",
        );
        for address in ADDRESSES {
            pod.sh(&format!("ip address add {address}/16 dev eth0"));
        }
        pod.sh("ip link set eth0 up; ip route add default via 10.1.0.1");
        let client = bound(host.place(), "192.0.2.1:4000");
        Self { host, pod, client }
    }

    /// The network as an attachment of this address meets it.
    fn network(&self, address: &str) -> Network {
        let mapping = |protocol: &str, ports: [u16; 2], ip: &str| json!({"protocol": protocol, "hostPort": ports[0], "containerPort": ports[1], "hostIP": ip});
        let mappings = json!([
            mapping("tcp", [8080, 80], ""),
            mapping("udp", [5353, 53], ""),
            mapping("tcp", [8081, 81], "192.0.2.1"),
            mapping("tcp", [8082, 81], "fd00:1::1"),
        ]);
        let ips = json!([{"address": format!("{address}/16")}, {"address": "fd00::7/64"}]);
        // One family's mappings are plain, the other's have chains of their own.
        let keys = json!({
            "cniVersion": "1.1.0", "conditionsV6": ["!", "-i", "nowhere"],
            "runtimeConfig": {"portMappings": mappings}, "prevResult": {"cniVersion": "1.1.0", "ips": ips},
        });
        Network::new(&self.host, chained("portmap", keys))
    }

    /// The state from which the verb to kill starts.
    fn prepare(&self, victim: Victim) {
        match victim {
            Victim::FirstAdd => {
                self.host.set_sysctl(LOCALNET, "0");
                self.host.sh("nft flush ruleset");
            }
            Victim::SecondAdd | Victim::Del => {
                self.network(ADDRESSES[0]).first("ADD", &pod()).run().ok();
                // The flow is older than the next pod.
                assert!(self.leads_to(ADDRESSES[0]));
            }
        }
    }

    /// Whether what the node sends to a port of its own arrives at this address of the pod.
    fn leads_to(&self, address: &str) -> bool {
        let server = bound(self.pod.place(), &format!("{address}:53"));
        let sent = self.client.send_to(b"hello", "192.0.2.1:5353");
        sent.is_ok() && server.recv(&mut [0; 5]).is_ok()
    }

    /// The sets and maps with elements of attachments, and the chains of attachments.
    fn left(&self) -> Vec<String> {
        let ruleset = self.host.json("nft -j list ruleset");
        let objects = ruleset["nftables"].as_array().into_iter().flatten();
        let left = |object: &Value| {
            let held = ["set", "map"]
                .map(|kind| &object[kind])
                .into_iter()
                .find(|set| {
                    let shared = SHARED.iter().any(|name| set["name"] == *name);
                    set["elem"].is_array() && !shared
                });
            let chain = object["chain"]["name"].as_str();
            let own = chain.filter(|name| name.starts_with("if_"));
            held.map(Value::to_string).or(own.map(str::to_owned))
        };
        objects.filter_map(left).collect()
    }

    /// Nobody on the pod's link may use the node's way to its own 127.0.0.1, at no moment (CVE-2020-8558).
    fn assert_guarded(&self, moment: &Moment) {
        let open = self.host.sysctl(LOCALNET).as_deref() == Some("1");
        let guard = "nft get element inet hawser_portmap localnet '{ cni0 }'";
        assert!(!open || self.host.succeeds(guard), "open after {moment}");
    }
}

fn bound(place: &Place, address: &str) -> UdpSocket {
    let socket = place.run(|| UdpSocket::bind(address)).expect(address);
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

fn pod() -> Attachment {
    Attachment::new("victim", "eth0", "/run/netns/a")
}

fn heir() -> Attachment {
    Attachment::new("heir", "eth0", "/run/netns/a")
}

/// Kills a verb at every moment that matters, and `clean`s after it, told nothing but the name of the network.
fn sweep(victim: Victim, clean: impl Fn(&Network)) {
    if reference_under_test() {
        return report_difference("it undoes nothing, so a crash is not swept");
    }
    let world = World::new();
    let verb = if victim == Victim::Del { "DEL" } else { "ADD" };
    let [network, next] = ADDRESSES.map(|address| world.network(address));
    let forgetful = json!({"cniVersion": "1.1.0", "name": "podnet", "type": "portmap"});
    let forgetful = Network::new(&world.host, forgetful);
    world.prepare(victim);
    let (outcome, mut moments) = network.first(verb, &pod()).moments(&world.host);
    outcome.ok();
    moments.retain(|moment| moment.shows(&CHANGING));
    assert!(moments.len() > 1, "{moments:?}");
    let mut killed = 0;
    for moment in &moments {
        world.prepare(victim);
        killed += usize::from(network.first(verb, &pod()).killed_at(moment));
        world.assert_guarded(moment);
        clean(&forgetful);
        eventually(&format!("nothing is left after {moment}"), || {
            world.left().is_empty()
        });
        assert!(!Dump::of(&world.host).mentions("victim"), "after {moment}");
        next.first("ADD", &heir()).run().ok();
        next.first("CHECK", &heir()).run().silent();
        assert!(world.leads_to(ADDRESSES[1]), "after {moment}");
        next.first("DEL", &heir()).run().silent();
    }
    Moment::assert_most(killed, moments.len());
}

fn del(network: &Network) {
    network.first("DEL", &pod()).run().silent();
}

fn gc(network: &Network) {
    network.gc(&[&heir()]).silent();
}

#[test]
fn del_cleans_up_after_a_crash_of_the_first_add() {
    sweep(Victim::FirstAdd, del);
}

#[test]
fn gc_cleans_up_after_a_crash_of_the_first_add() {
    sweep(Victim::FirstAdd, gc);
}

#[test]
fn del_cleans_up_after_a_crash_of_a_second_add() {
    sweep(Victim::SecondAdd, del);
}

#[test]
fn gc_cleans_up_after_a_crash_of_a_second_add() {
    sweep(Victim::SecondAdd, gc);
}

#[test]
fn del_cleans_up_after_a_crash_of_a_del() {
    sweep(Victim::Del, del);
}

#[test]
fn gc_cleans_up_after_a_crash_of_a_del() {
    sweep(Victim::Del, gc);
}
