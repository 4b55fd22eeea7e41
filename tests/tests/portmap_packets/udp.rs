//! UDP: led as TCP is, and what the kernel remembers of it.

use super::{LOCALHOST, PATIENCE, World, tcp};
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::{
    Attachment, Network, Place, Pod, Uplink, chained, merged, strace, unlike_the_reference,
};

/// A socket in a place.
pub fn bound(place: &Place, address: &str) -> UdpSocket {
    let socket = place.run(|| UdpSocket::bind(address)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Whether a datagram from the client is answered by the server.
fn answered(server: &UdpSocket, client: &UdpSocket, to: (IpAddr, u16)) -> io::Result<IpAddr> {
    client.send_to(b"hello", to)?;
    let mut heard = [0; 5];
    let (_, peer) = server.recv_from(&mut heard)?;
    server.send_to(b"there", peer)?;
    client.recv_from(&mut heard)?;
    Ok(peer.ip().to_canonical())
}

#[test]
fn udp_is_led_and_its_answers_find_back() {
    let world = World::new(json!({}));
    let mapping = json!([{"hostPort": 5353, "containerPort": 53, "protocol": "UDP"}]);
    let pod = world.pod("dns", mapping);
    let server = bound(&pod, "[::]:53");
    for (host, outside) in Uplink::HOST.into_iter().zip(Uplink::OUTSIDE) {
        let client = bound(world.outside(), "[::]:0");
        assert_eq!(
            answered(&server, &client, (host.to_mapped(), 5353)).unwrap(),
            outside
        );
    }
    let client = bound(world.host.place(), "127.0.0.1:0");
    assert!(answered(&server, &client, (LOCALHOST, 5353)).is_ok());
}

/// As sockets of both families want an address.
trait Mapped {
    fn to_mapped(self) -> IpAddr;
}

impl Mapped for IpAddr {
    fn to_mapped(self) -> IpAddr {
        match self {
            Self::V4(v4) => v4.to_ipv6_mapped().into(),
            v6 @ Self::V6(_) => v6,
        }
    }
}

#[test]
fn a_flow_that_began_before_the_pod_is_led_to_it() {
    let world = World::new(json!({}));
    let mapping = json!([{"hostPort": 5353, "containerPort": 53, "protocol": "udp"}]);
    // Something made the kernel track connections before.
    drop(world.pod("earlier", json!([tcp(9999)])));
    let client = bound(world.outside(), "192.0.2.2:4000");
    let to = (Uplink::HOST[0], 5353);
    let before = bound(world.host.place(), "192.0.2.1:5353");
    assert!(answered(&before, &client, to).is_ok());
    drop(before);
    let first = world.pod("first", mapping.clone());
    let server = bound(&first, "[::]:53");
    assert!(
        answered(&server, &client, to).is_ok(),
        "the node's own flow is forgotten"
    );
    // And when another pod takes the port over.
    let offered = json!({"portMappings": mapping});
    world
        .network
        .del(&first.attachment().offering(offered))
        .silent();
    let second = world.pod("second", mapping);
    let server = bound(&second, "[::]:53");
    assert!(
        answered(&server, &client, to).is_ok(),
        "the first pod's flow is forgotten"
    );
}

/// A mapping of the node's port to this one.
fn dns(container_port: u16) -> Value {
    json!([{"hostPort": 5353, "containerPort": container_port, "protocol": "udp"}])
}

const PORT: (IpAddr, u16) = (Uplink::HOST[0], 5353);

/// portmap by itself for a pod that is on the network, so that it can be added again.
fn alone(world: &World, pod: &Pod, container_port: u16) -> (Network, Attachment) {
    let keys = json!({"cniVersion": "1.1.0", "prevResult": world.network.result(&pod.attachment()),
        "runtimeConfig": {"portMappings": dns(container_port)}});
    (
        Network::new(&world.host, chained("portmap", keys)),
        pod.attachment(),
    )
}

/// Does something while a client sends and never pauses.
fn while_sending<T>(client: &UdpSocket, job: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // There may be nobody there at the moment.
                let _ = client.send_to(b"hello", PORT);
                std::thread::yield_now();
            }
        });
        let outcome = catch_unwind(AssertUnwindSafe(job));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[test]
fn a_pod_that_left_has_no_flows() {
    unlike_the_reference(
        "a flow to a pod that left goes on for as long as somebody sends",
        || {
            let ways = ["DEL", "DEL, told nothing", "GC"];
            let for_some = json!({"conditionsV4": ["-s", "192.0.2.0/24"]});
            let seen = json!({"snat": false});
            let seen_for_some = merged(for_some.clone(), seen.clone());
            let rows = [json!({}), for_some, seen, seen_for_some].into_iter();
            for (keys, how) in rows.flat_map(|keys| ways.map(|how| (keys.clone(), how))) {
                let world = World::new(keys.clone());
                let pod = world.pod("dns", dns(53));
                let client = bound(world.outside(), "192.0.2.2:4000");
                let server = bound(&pod, "[::]:53");
                assert!(answered(&server, &client, PORT).is_ok());
                let own = bound(world.host.place(), "192.0.2.1:5353");
                let (network, attachment) = alone(&world, &pod, 53);
                let untold = json!({"cniVersion": "1.1.0", "name": "podnet", "type": "portmap"});
                let untold = Network::new(&world.host, untold);
                let heard = while_sending(&client, || {
                    match how {
                        "DEL" => network.first("DEL", &attachment).run().silent(),
                        "GC" => untold.gc(&[]).silent(),
                        _ => untold.first("DEL", &attachment).run().silent(),
                    }
                    own.recv(&mut [0; 5])
                });
                assert!(heard.is_ok(), "{how} {keys}");
            }
        },
    );
}

#[test]
fn a_flow_follows_a_mapping_that_changes() {
    // Whoever removes the mapping forgets its flows, but may be killed in between.
    const LOST: &str =
        "for map in any4 any6 holders; do nft flush map inet hawser_portmap $map; done";
    unlike_the_reference("a repeated ADD leaves the rules of the first", || {
        for before in ["", LOST] {
            let world = World::new(json!({}));
            let pod = world.pod("dns", dns(53));
            let client = bound(world.outside(), "192.0.2.2:4000");
            let servers = [53, 54].map(|port| bound(&pod, &format!("[::]:{port}")));
            assert!(answered(&servers[0], &client, PORT).is_ok());
            world.host.sh(before);
            let (network, attachment) = alone(&world, &pod, 54);
            network.first("ADD", &attachment).run().ok();
            assert!(answered(&servers[1], &client, PORT).is_ok(), "{before}");
        }
    });
}

#[test]
fn a_flow_that_cannot_be_forgotten_is_told_of() {
    unlike_the_reference("its words are others", || {
        let world = World::new(json!({}));
        let pod = world.pod("dns", dns(53));
        let (network, attachment) = alone(&world, &pod, 53);
        let (outcome, moments) = network.first("ADD", &attachment).moments(&world.host);
        assert_eq!(outcome.stderr, "", "nothing to tell");
        // How often it asks differs from run to run, but not which socket is for the flows.
        let opens = moments.iter().rfind(|moment| moment.shows(&["socket("]));
        let refusal = opens.expect("a socket to conntrack").failure("EPERM");
        let options = ["-o", "/dev/null", "-e", &refusal];
        let outcome = network
            .first("ADD", &attachment)
            .under(&strace(&options))
            .run();
        outcome.ok();
        let (told, wanted) = (&outcome.stderr, "conntrack -D -p udp --orig-port-dst 5353");
        assert!(
            told.starts_with("portmap: open a socket to conntrack: "),
            "{told}"
        );
        assert!(told.contains(wanted), "{told}");
    });
}
