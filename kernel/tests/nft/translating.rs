//! Translations, and the marks by which later rules know of them: as `nft` would have built them, and with packets.

use super::namespace::run;
use super::packets::{
    LOCALHOST, assert_answered, assert_silent, bound, heard, loopback, own, send,
};
use super::{commit, in_a_namespace, ruleset};
use kernel::net::nft::{
    Batch, Chain, Element, Expression, Family, Hook, Key, Policy, Set, Socket, Table, Type, Value,
    Verdict, clear_mark, concat, dnat_to, ip_daddr, ip_saddr, l4proto, mark_has, masquerade,
    set_mark, th_dport, to_this_host,
};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

const TABLE: Table = Table::new(Family::Inet, "t");
const PORT: &[Type] = &[Type::InetProto, Type::InetService];
const PORTS4: Set = TABLE.map("ports4", PORT, &[Type::Ipv4Addr, Type::InetService]);
const PORTS6: Set = TABLE.map("ports6", PORT, &[Type::Ipv6Addr, Type::InetService]);
const OUTPUT: Chain = TABLE.chain("output");
const POSTROUTING: Chain = TABLE.chain("postrouting");
const BIT: u32 = 0x40;
const UDP: u8 = 17;

/// Another address of this host, of each family.
const POD4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const POD6_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
const POD6: IpAddr = IpAddr::V6(POD6_ADDRESS);

fn lead(port: u16, to: IpAddr) -> Element {
    Element::new([Value::Proto(UDP), Value::Service(port)])
        .holding(Key::from([to.into(), Value::Service(53)]))
}

/// Port 5353 leads to the pods' port 53, by these rules for what this namespace sends.
fn translating(socket: &mut Socket, rules: Vec<Vec<Expression>>) {
    let mut batch = Batch::new();
    batch.add_table(TABLE).add_set(PORTS4).add_set(PORTS6);
    batch.add_element(PORTS4, &lead(5353, POD4));
    batch.add_element(PORTS6, &lead(5353, POD6));
    batch.add_base_chain(OUTPUT, Hook::NatOutput(Hook::DSTNAT), Policy::Accept);
    for rule in rules {
        batch.add_rule(OUTPUT, rule);
    }
    socket.commit(&batch).expect("commit");
    loopback();
    own(POD6_ADDRESS);
}

fn port() -> kernel::net::nft::Selector {
    concat([l4proto(), th_dport()])
}

#[test]
fn translations_are_what_nft_would_have_built() {
    in_a_namespace(|mut socket| {
        let pods: ipnetwork::IpNetwork = "10.1.0.0/16".parse().expect("network");
        commit(&mut socket, |batch| {
            let at = TABLE.map(
                "at4",
                &[Type::Ipv4Addr, Type::InetProto, Type::InetService],
                &[Type::Ipv4Addr, Type::InetService],
            );
            batch
                .add_table(TABLE)
                .add_set(PORTS4)
                .add_set(PORTS6)
                .add_set(at);
            batch.add_chain(OUTPUT);
            batch.add_base_chain(
                POSTROUTING,
                Hook::NatPostrouting(Hook::SRCNAT),
                Policy::Accept,
            );
            let key = concat([ip_daddr(), l4proto(), th_dport()]);
            batch
                .add_rule(OUTPUT, [to_this_host(), port().dnat_by(PORTS4)])
                .add_rule(OUTPUT, [port().dnat_by(PORTS6)])
                .add_rule(OUTPUT, [key.dnat_marking(at, BIT)])
                .add_rule(OUTPUT, [set_mark(BIT), dnat_to(POD4, 80)])
                .add_rule(OUTPUT, [dnat_to(POD6, 80)])
                .add_rule(
                    POSTROUTING,
                    [mark_has(BIT), ip_saddr().within(pods), masquerade()],
                )
                .add_rule(POSTROUTING, [clear_mark(BIT)]);
        })
        .expect("commit");
        let expected = "\
	chain output {
		fib daddr type local dnat ip to meta l4proto . th dport map @ports4
		dnat ip6 to meta l4proto . th dport map @ports6
		meta nfproto ipv4 meta mark set meta mark | 0x00000040 dnat ip to ip daddr . meta l4proto . th dport map @at4
		meta mark set meta mark | 0x00000040 dnat ip to 127.0.0.2:80
		dnat ip6 to [fd00::7]:80
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00000040 == 0x00000040 ip saddr 10.1.0.0/16 masquerade
		meta mark set meta mark & 0xffffffbf
	}
}
";
        let listed = ruleset();
        assert!(listed.ends_with(expected), "{listed}");
    });
}

#[test]
fn a_map_leads_packets_to_another_address_and_port() {
    in_a_namespace(|mut socket| {
        let rules = vec![vec![port().dnat_by(PORTS4)], vec![port().dnat_by(PORTS6)]];
        translating(&mut socket, rules);
        for (host, pod) in [(LOCALHOST, POD4), (Ipv6Addr::LOCALHOST.into(), POD6)] {
            let (server, client) = (bound(pod, 53), bound(host, 4000));
            send(&client, (host, 5353));
            assert_answered(&server, &client, (host, 5353));
            // A port that the map does not hold is the host's own.
            let own = bound(host, 5354);
            send(&client, (host, 5354));
            assert_answered(&own, &client, (host, 5354));
            assert_silent([&server]);
        }
    });
}

#[test]
fn a_rule_leads_packets_to_another_address_and_port() {
    in_a_namespace(|mut socket| {
        let of_port = |number| th_dport().is(Value::Service(number));
        let rules = vec![
            vec![
                l4proto().is(Value::Proto(UDP)),
                of_port(1),
                dnat_to(POD4, 53),
            ],
            vec![
                l4proto().is(Value::Proto(UDP)),
                of_port(2),
                dnat_to(POD6, 53),
            ],
        ];
        translating(&mut socket, rules);
        let hosts = [(LOCALHOST, 1, POD4), (Ipv6Addr::LOCALHOST.into(), 2, POD6)];
        for (host, port, pod) in hosts {
            let (server, client) = (bound(pod, 53), bound(host, 4000));
            send(&client, (host, port));
            assert_answered(&server, &client, (host, port));
        }
    });
}

#[test]
fn what_is_sent_elsewhere_is_not_sent_to_this_host() {
    in_a_namespace(|mut socket| {
        translating(
            &mut socket,
            vec![vec![to_this_host(), port().dnat_by(PORTS4)]],
        );
        // The way there is the loopback itself: translated, it would arrive.
        run("ip", "route add 198.51.100.1 dev lo");
        let (server, client) = (bound(POD4, 53), bound(LOCALHOST, 4000));
        send(&client, (Ipv4Addr::new(198, 51, 100, 1), 5353));
        assert_silent([&server]);
        send(&client, (LOCALHOST, 5353));
        assert_answered(&server, &client, (LOCALHOST, 5353));
        assert_silent([&server]);
    });
}

/// Whether a packet to port 5353, which a map leads elsewhere, and one to port 5354, which none does, come to a chain
/// with the bit.
fn marked(socket: &mut Socket, first: Vec<Expression>) -> [bool; 2] {
    translating(socket, vec![first, vec![port().dnat_by(PORTS4)]]);
    let filter = TABLE.chain("filter");
    commit(socket, |batch| {
        let hook = Hook::FilterPostrouting(Hook::FILTER);
        batch.add_base_chain(filter, hook, Policy::Accept);
        batch.add_rule(filter, [mark_has(BIT), Verdict::Drop.into()]);
    })
    .expect("commit");
    let (server, own) = (bound(POD4, 53), bound(LOCALHOST, 5354));
    let client = bound(LOCALHOST, 4000);
    [(server, 5353), (own, 5354)].map(|(server, port)| {
        // That a packet was dropped on its way out is told to the sender.
        let sent = client.send_to(b"hello", (LOCALHOST, port));
        assert!(sent.is_err() || heard(&server).is_some());
        assert_silent([&server]);
        sent.is_err()
    })
}

#[test]
fn a_mark_is_set_where_the_map_holds_something() {
    in_a_namespace(|mut socket| {
        let rule = vec![port().dnat_marking(PORTS4, BIT)];
        assert_eq!(marked(&mut socket, rule), [true, false]);
    });
}

#[test]
fn a_mark_is_set_and_cleared_bit_by_bit() {
    in_a_namespace(|mut socket| {
        assert_eq!(marked(&mut socket, vec![set_mark(BIT)]), [true, true]);
    });
    in_a_namespace(|mut socket| {
        let rule = vec![set_mark(BIT | 1), clear_mark(BIT)];
        assert_eq!(marked(&mut socket, rule), [false, false]);
    });
    in_a_namespace(|mut socket| {
        let rule = vec![set_mark(BIT | 1), clear_mark(1)];
        assert_eq!(marked(&mut socket, rule), [true, true]);
    });
}

/// Runs `job` in a namespace at the other end of a wire.
fn at_the_other_end<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    let here = std::process::id();
    let own = || File::open("/proc/thread-self/ns/net").expect("a namespace");
    let home = own();
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("unshare");
            let there = own();
            setns(&home, CloneFlags::CLONE_NEWNET).expect("setns");
            let path = format!("/proc/{here}/fd/{}", there.as_raw_fd());
            run(
                "ip",
                &format!("link add near type veth peer name far netns {path}"),
            );
            setns(&there, CloneFlags::CLONE_NEWNET).expect("setns");
            run("ip", "address add 192.0.2.2/24 dev far");
            run("ip", "link set far up");
            job()
        });
        there.join().expect("the other end")
    })
}

#[test]
fn masquerading_hides_the_source() {
    in_a_namespace(|mut socket| {
        commit(&mut socket, |batch| {
            let pods: ipnetwork::IpNetwork = "10.1.0.0/16".parse().expect("network");
            batch.add_table(TABLE);
            batch.add_base_chain(
                POSTROUTING,
                Hook::NatPostrouting(Hook::SRCNAT),
                Policy::Accept,
            );
            batch.add_rule(POSTROUTING, [ip_saddr().within(pods), masquerade()]);
        })
        .expect("commit");
        let server = at_the_other_end(|| bound(Ipv4Addr::new(192, 0, 2, 2), 53));
        for change in [
            "address add 192.0.2.1/24 dev near",
            "address add 10.1.0.7/32 dev near",
            "link set near up",
        ] {
            run("ip", change);
        }
        // Only who is hidden is known there: to the pod's own address there is no way back.
        let pod = bound(Ipv4Addr::new(10, 1, 0, 7), 4000);
        send(&pod, (Ipv4Addr::new(192, 0, 2, 2), 53));
        let seen = heard(&server).expect("a datagram");
        assert_eq!(seen.ip(), Ipv4Addr::new(192, 0, 2, 1));
        server.send_to(b"there", seen).expect("send");
        assert!(heard(&pod).is_some(), "the answer finds back");
    });
}
