//! `portmap` with real packets: from outside, from the node, from the pod itself and its neighbours, over TCP and UDP.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

mod udp;

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use testkit::{
    Host, Network, Place, Plugins, Pod, Uplink, dual_stack, eventually, merged,
    unlike_the_reference,
};
use udp::bound;

/// How long a packet may take that should arrive, and how long one is waited for that should not.
const PATIENCE: Duration = Duration::from_millis(900);
const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const GATEWAYS: [&str; 2] = ["10.10.0.1", "fd00:10::1"];

/// The chain of bridge and portmap, with `patch` for portmap.
fn chain(patch: Value) -> Value {
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    // Where bridged packets pass through iptables, a pod that is sent back to itself leaves by the port it came in by.
    let mut bridge = dual_stack(json!({"ipMasq": true, "hairpinMode": true}));
    let fields = bridge.as_object_mut().unwrap();
    let (name, version) = (fields.remove("name"), fields.remove("cniVersion"));
    json!({"name": name, "cniVersion": version, "plugins": [bridge, merged(portmap, patch)]})
}

/// A node with an outside and a network.
struct World {
    host: Host,
    uplink: Uplink,
    network: Network,
}

impl World {
    fn new(patch: Value) -> Self {
        let host = Host::new();
        let uplink = Uplink::of(&host);
        let network = Network::new(&host, chain(patch));
        Self {
            host,
            uplink,
            network,
        }
    }

    fn outside(&self) -> &Place {
        self.uplink.outside.place()
    }

    /// A pod with these mappings, reachable.
    fn pod(&self, name: &str, mappings: Value) -> Pod {
        let pod = self.host.pod(name);
        let offered = json!({"portMappings": mappings});
        self.network.add(&pod.attachment().offering(offered)).ok();
        eventually("the gateways answer", || {
            GATEWAYS.into_iter().all(|gateway| pod.ping(gateway))
        });
        pod
    }

    fn address(&self, pod: &Pod, index: usize) -> IpAddr {
        let result = self.network.result(&pod.attachment()).unwrap();
        let address = result["ips"][index]["address"].as_str().unwrap();
        address.split('/').next().unwrap().parse().unwrap()
    }
}

fn tcp(host_port: u16) -> Value {
    json!({"hostPort": host_port, "containerPort": 80, "protocol": "tcp"})
}

/// Serves TCP in a pod.
fn serve(pod: &Place, port: u16) -> TcpListener {
    // Both families.
    let listener = pod.run(|| TcpListener::bind(("::", port))).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Who the server sees when the client connects; an error when nobody comes.
fn seen(listener: &TcpListener, client: &Place, to: (IpAddr, u16)) -> io::Result<IpAddr> {
    let mut stream = client.run(|| TcpStream::connect_timeout(&SocketAddr::from(to), PATIENCE))?;
    // The connection is complete: it waits to be accepted, or somebody else has it.
    let (mut session, peer) = listener.accept()?;
    stream.write_all(b"hello")?;
    session.set_nonblocking(false)?;
    session.set_read_timeout(Some(PATIENCE))?;
    let mut heard = [0; 5];
    session.read_exact(&mut heard)?;
    Ok(peer.ip().to_canonical())
}

#[test]
fn a_port_of_the_node_leads_to_the_pod_from_everywhere() {
    let world = World::new(json!({}));
    let pod = world.pod("web", json!([tcp(8080)]));
    let neighbour = world.pod("neighbour", json!([]));
    let listener = serve(&pod, 80);
    for (host, outside) in Uplink::HOST.into_iter().zip(Uplink::OUTSIDE) {
        let from_outside = seen(&listener, world.outside(), (host, 8080));
        assert_eq!(from_outside.unwrap(), outside, "outside is seen as it is");
        for (who, client) in [
            ("the node", world.host.place()),
            ("the pod itself", pod.place()),
            ("its neighbour", neighbour.place()),
        ] {
            let seen = seen(&listener, client, (host, 8080));
            assert!(seen.is_ok(), "{who} by {host}: {seen:?}");
        }
    }
    for gateway in GATEWAYS {
        let by_gateway = (gateway.parse().unwrap(), 8080);
        assert!(
            seen(&listener, neighbour.place(), by_gateway).is_ok(),
            "{gateway}"
        );
    }
    let local = seen(&listener, world.host.place(), (LOCALHOST, 8080));
    assert_eq!(
        local.unwrap().to_string(),
        GATEWAYS[0],
        "the node, by 127.0.0.1"
    );
    // Other ports are the node's own.
    assert!(seen(&listener, world.outside(), (Uplink::HOST[0], 8081)).is_err());
}

#[test]
fn a_pod_that_left_has_no_ports() {
    let world = World::new(json!({}));
    let pod = world.pod("web", json!([tcp(8080)]));
    let listener = serve(&pod, 80);
    let offered = json!({"portMappings": [tcp(8080)]});
    world
        .network
        .del(&pod.attachment().offering(offered))
        .silent();
    for client in [world.host.place(), world.outside()] {
        let seen = seen(&listener, client, (Uplink::HOST[0], 8080));
        assert_eq!(seen.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    // And whoever comes next can have them.
    let heir = world.pod("heir", json!([tcp(8080)]));
    let listener = serve(&heir, 80);
    assert!(seen(&listener, world.outside(), (Uplink::HOST[0], 8080)).is_ok());
}

#[test]
fn mappings_that_the_reference_made_go_on_beside_ours() {
    let world = World::new(json!({}));
    let older = Network::new(&world.host, chain(json!({}))).served_by(Plugins::reference());
    let pod = world.host.pod("older");
    let offered = json!({"portMappings": [tcp(8080)]});
    older.add(&pod.attachment().offering(offered)).ok();
    eventually("the gateways answer", || {
        GATEWAYS.into_iter().all(|gateway| pod.ping(gateway))
    });
    let ours = world.pod("ours", json!([tcp(9090)]));
    let (listens, also) = (serve(&pod, 80), serve(&ours, 80));
    for (listener, port) in [(&listens, 8080), (&also, 9090)] {
        let to = (Uplink::HOST[0], port);
        for (who, client, to) in [
            ("the node", world.host.place(), (LOCALHOST, port)),
            ("the pod", pod.place(), to),
            ("our pod", ours.place(), to),
            ("outside", world.outside(), to),
        ] {
            let seen = seen(listener, client, to);
            assert!(seen.is_ok(), "{who}, port {port}: {seen:?}");
        }
        let seen = seen(listener, world.outside(), to).unwrap();
        assert_eq!(seen, Uplink::OUTSIDE[0], "nobody's source is hidden by it");
    }
}

#[test]
fn an_address_of_the_node_has_its_own_ports() {
    unlike_the_reference(
        "a hostIP of one family fails for a pod that has both",
        || {
            let world = World::new(json!({}));
            world.host.sh("ip address add 192.0.2.11/24 dev uplink");
            let at = |ip: &str, port: u16| json!([{"hostPort": 8080, "containerPort": port, "hostIP": ip}]);
            let first = world.pod("first", at("192.0.2.1", 80));
            let second = world.pod("second", at("192.0.2.11", 81));
            let (listens, also) = (serve(&first, 80), serve(&second, 81));
            let second_ip: IpAddr = "192.0.2.11".parse().unwrap();
            assert!(seen(&listens, world.outside(), (Uplink::HOST[0], 8080)).is_ok());
            assert!(seen(&also, world.outside(), (second_ip, 8080)).is_ok());
            assert!(seen(&listens, world.host.place(), (LOCALHOST, 8080)).is_err());
            assert!(seen(&listens, world.outside(), (Uplink::HOST[1], 8080)).is_err());
        },
    );
}

#[test]
fn whose_source_the_pod_sees_is_configured() {
    let hides_the_outside = |keys: Value| {
        let world = World::new(keys);
        let pod = world.pod("web", json!([tcp(8080)]));
        let listener = serve(&pod, 80);
        let seen = seen(&listener, world.outside(), (Uplink::HOST[0], 8080)).unwrap();
        seen != Uplink::OUTSIDE[0]
    };
    assert!(!hides_the_outside(json!({})));
    assert!(!hides_the_outside(json!({"snat": false})));
    unlike_the_reference("masqAll is not known to it (newer ones know it)", || {
        assert!(hides_the_outside(json!({"masqAll": true})));
    });
    // Without it the node's own 127.0.0.1 has no way back, and none is made for it.
    let world = World::new(json!({"snat": false}));
    let pod = world.pod("web", json!([tcp(8080)]));
    let listener = serve(&pod, 80);
    assert!(seen(&listener, world.host.place(), (LOCALHOST, 8080)).is_err());
    assert_eq!(
        world
            .host
            .sysctl("net/ipv4/conf/cni0/route_localnet")
            .as_deref(),
        Some("0")
    );
}

#[test]
fn conditions_hold_for_their_pod_alone() {
    let world = World::new(json!({"conditionsV4": ["!", "-s", "192.0.2.2/32"]}));
    let closed = world.pod("closed", json!([tcp(8080)]));
    let open = Network::new(&world.host, chain(json!({})));
    let other = world.host.pod("open");
    let offered = json!({"portMappings": [tcp(8081)]});
    open.add(&other.attachment().offering(offered)).ok();
    eventually("the gateway answers", || other.ping(GATEWAYS[0]));
    let (listens, also) = (serve(&closed, 80), serve(&other, 80));
    let host = Uplink::HOST[0];
    assert!(seen(&listens, world.outside(), (host, 8080)).is_err());
    assert!(seen(&also, world.outside(), (host, 8081)).is_ok());
    world.outside().sh("ip address add 192.0.2.3/24 dev wire");
    world
        .outside()
        .sh("ip route add 192.0.2.1 dev wire src 192.0.2.3");
    assert!(seen(&listens, world.outside(), (host, 8080)).is_ok());
}

#[test]
fn what_is_sent_through_the_node_is_left_alone() {
    // CVE-2025-67499: a port of the node is a port of the node, not of everything behind it.
    let world = World::new(json!({}));
    let pod = world.pod("web", json!([tcp(80)]));
    let listener = serve(&pod, 80);
    let beyond: IpAddr = "198.51.100.1".parse().unwrap();
    // The outside serves another address, to which pods go through the node.
    world
        .outside()
        .sh("ip address add 198.51.100.1/32 dev lo; ip link set lo up");
    world.host.sh("ip route add 198.51.100.1 via 192.0.2.2");
    let server = serve(world.outside(), 80);
    let client = world.pod("client", json!([]));
    assert!(seen(&server, client.place(), (beyond, 80)).is_ok());
    assert!(seen(&server, world.host.place(), (beyond, 80)).is_ok());
    assert!(listener.accept().is_err(), "the pod was left alone");
}

#[test]
fn services_come_first() {
    // CVE-2019-9946: a mapping must not take a service's traffic.
    let world = World::new(json!({}));
    let service = world.host.pod("service");
    world.network.add(&service.attachment()).ok();
    let backend = world.address(&service, 0);
    world.host.sh(&format!(
        "iptables -t nat -A PREROUTING -d 192.0.2.1 -p tcp --dport 8080 -j DNAT --to-destination {backend}:81"
    ));
    let pod = world.pod("web", json!([tcp(8080)]));
    let (greedy, listener) = (serve(&pod, 80), serve(&service, 81));
    assert!(seen(&listener, world.outside(), (Uplink::HOST[0], 8080)).is_ok());
    assert!(greedy.accept().is_err());
}

#[test]
fn nobody_reaches_the_nodes_own_127_0_0_1() {
    unlike_the_reference(
        "route_localnet opens what listens on the node's 127.0.0.1 to pods (CVE-2020-8558)",
        || {
            let world = World::new(json!({}));
            let pod = world.pod("web", json!([tcp(8080)]));
            assert_eq!(
                world
                    .host
                    .sysctl("net/ipv4/conf/cni0/route_localnet")
                    .as_deref(),
                Some("1")
            );
            let server = bound(world.host.place(), "127.0.0.1:7000");
            // A pod that puts 127.0.0.1 on the wire.
            pod.sh(
                "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.1/32 via 10.10.0.1 dev eth0",
            );
            let client = bound(&pod, "10.10.0.2:0");
            client.send_to(b"hello", (LOCALHOST, 7000)).unwrap();
            let mut heard = [0; 5];
            let nothing = server.recv_from(&mut heard);
            assert!(nothing.is_err(), "{nothing:?}");
        },
    );
}

#[test]
fn sctp_is_led_where_the_kernel_speaks_it() {
    let world = World::new(json!({}));
    let mapping = json!([{"hostPort": 9899, "containerPort": 9899, "protocol": "sctp"}]);
    let pod = world.pod("diameter", mapping);
    // Without an SCTP of its own the kernel still forwards it: the first packet is made by hand.
    let init = "import socket,struct
def crc32c(data):
    crc=0xffffffff
    for byte in data:
        crc^=byte
        for _ in range(8): crc=(crc>>1)^(0x82f63b78 if crc&1 else 0)
    return struct.pack('<I',crc^0xffffffff)
chunk=struct.pack('!BBHIIHHI',1,0,20,1,65535,1,1,1)
header=lambda crc: struct.pack('!HHI',4000,9899,0)+crc
packet=header(crc32c(header(bytes(4))+chunk))+chunk
socket.socket(socket.AF_INET,socket.SOCK_RAW,132).sendto(packet,('192.0.2.1',0))";
    let raw = pod.run(|| {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::empty(),
            None,
        )
    });
    drop(raw);
    let heard = pod.run(sctp_socket);
    world.host.write("/run/testkit/init.py", init);
    world.outside().sh("python3 /run/testkit/init.py");
    let mut packet = [0; 256];
    let length = nix::unistd::read(&heard, &mut packet).expect("an SCTP packet in the pod");
    // IPv4 header, then the ports.
    assert!(length >= 24, "{length}");
    assert_eq!(u16::from_be_bytes([packet[22], packet[23]]), 9899);
}

/// A raw socket that hears SCTP.
fn sctp_socket() -> std::os::fd::OwnedFd {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    use nix::sys::time::{TimeVal, TimeValLike};
    let fd = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Sctp,
    )
    .unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(2)).unwrap();
    fd
}
