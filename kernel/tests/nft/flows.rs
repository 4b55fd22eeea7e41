//! What the kernel remembers of UDP flows that were translated, and forgetting it.

use super::packets::{LOCALHOST, assert_silent, bound, heard, loopback, own, send};
use super::{commit, in_a_namespace};
use kernel::net::Conntrack;
use kernel::net::conntrack::Flow;
use kernel::net::nft::{
    Chain, Element, Family, Hook, Key, Policy, Set, Socket, Table, Type, Value, concat, l4proto,
    th_dport,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

const TABLE: Table = Table::new(Family::Inet, "t");
const PORT: &[Type] = &[Type::InetProto, Type::InetService];
const PORTS4: Set = TABLE.map("ports4", PORT, &[Type::Ipv4Addr, Type::InetService]);
const PORTS6: Set = TABLE.map("ports6", PORT, &[Type::Ipv6Addr, Type::InetService]);
const OUTPUT: Chain = TABLE.chain("output");

const fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

const fn v6_address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)
}

const fn v6(last: u16) -> IpAddr {
    IpAddr::V6(v6_address(last))
}

fn key(port: u16) -> Key {
    Key::from([Value::Proto(17), Value::Service(port)])
}

fn lead(port: u16, to: IpAddr) -> Element {
    Element::new(key(port)).holding(Key::from([to.into(), Value::Service(53)]))
}

/// A namespace in which the ports 5353 and 5354 lead to the second and third address of each family.
fn with_ports(test: impl FnOnce(Socket, Conntrack) + Send + 'static) {
    in_a_namespace(|mut socket| {
        loopback();
        for last in 1..5 {
            own(v6_address(last));
        }
        commit(&mut socket, |batch| {
            batch.add_table(TABLE);
            batch.add_base_chain(OUTPUT, Hook::NatOutput(Hook::DSTNAT), Policy::Accept);
            for (map, second, third) in [(PORTS4, v4(2), v4(3)), (PORTS6, v6(2), v6(3))] {
                let port = concat([l4proto(), th_dport()]);
                batch.add_set(map).add_rule(OUTPUT, [port.dnat_by(map)]);
                batch.add_element(map, &lead(5353, second));
                batch.add_element(map, &lead(5354, third));
            }
        })
        .expect("commit");
        test(socket, Conntrack::open().expect("conntrack"));
    });
}

/// Where a flow was sent, and who answers.
fn way(flow: &Flow) -> [(IpAddr, u16); 2] {
    [
        (flow.destination, flow.port),
        (flow.answerer, flow.answering_port),
    ]
}

#[test]
fn a_flow_is_listed_with_where_it_was_sent_and_who_answers() {
    with_ports(|_, mut conntrack| {
        let listener = TcpListener::bind((LOCALHOST, 5353)).expect("bind");
        let client = TcpStream::connect((LOCALHOST, 5353)).expect("connect");
        drop(listener.accept().expect("accept"));
        drop(client);
        assert_eq!(conntrack.udp_flows(false, &[5353]).expect("flows"), []);
        for (v6, host, pod) in [(false, v4(1), v4(2)), (true, v6(1), v6(2))] {
            let (client, server) = (bound(host, 4000), bound(pod, 53));
            send(&client, (host, 5353));
            assert!(heard(&server).is_some());
            let flows = conntrack.udp_flows(v6, &[5353]).expect("flows");
            let ways: Vec<_> = flows.iter().map(way).collect();
            assert_eq!(ways, [[(host, 5353), (pod, 53)]]);
            assert_eq!(conntrack.udp_flows(v6, &[5355]).expect("flows"), []);
        }
    });
}

#[test]
fn flows_to_several_ports_are_listed_at_once() {
    with_ports(|_, mut conntrack| {
        let clients = [4000, 4001, 4002].map(|port| bound(v4(1), port));
        for (client, port) in clients.iter().zip([5353, 5354, 5355]) {
            send(client, (v4(1), port));
        }
        let mut ports: Vec<_> = conntrack
            .udp_flows(false, &[5353, 5355])
            .expect("flows")
            .iter()
            .map(|flow| flow.port)
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, [5353, 5355]);
    });
}

#[test]
fn a_flow_goes_on_past_a_change_until_it_is_forgotten() {
    with_ports(|mut socket, mut conntrack| {
        for (map, host, old, new, other) in [
            (PORTS4, v4(1), v4(2), v4(4), v4(3)),
            (PORTS6, v6(1), v6(2), v6(4), v6(3)),
        ] {
            let clients = [bound(host, 4000), bound(host, 4001)];
            let servers = [bound(old, 53), bound(new, 53), bound(other, 53)];
            let is_led = |client: &UdpSocket, port: u16, to: usize| {
                send(client, (host, port));
                assert!(heard(&servers[to]).is_some(), "{host}, port {port}");
                assert_silent(&servers);
            };
            is_led(&clients[0], 5353, 0);
            is_led(&clients[1], 5354, 2);
            commit(&mut socket, |batch| {
                batch.delete_element(map, &key(5353));
                batch.add_new_element(map, &lead(5353, new));
            })
            .expect("commit");
            is_led(&clients[0], 5353, 0);
            let is_v6 = host.is_ipv6();
            let others = conntrack.udp_flows(is_v6, &[5354]).expect("flows");
            assert_eq!(others.len(), 1);
            let flows = conntrack.udp_flows(is_v6, &[5353]).expect("flows");
            assert_eq!(flows.len(), 1);
            assert!(conntrack.forget(&flows[0]).expect("forget"));
            assert!(!conntrack.forget(&flows[0]).expect("forget"), "twice");
            is_led(&clients[0], 5353, 1);
            assert_eq!(conntrack.udp_flows(is_v6, &[5354]).expect("flows"), others);
        }
    });
}
