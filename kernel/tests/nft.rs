//! The nf_tables client against the kernel that runs the tests, each in a network namespace of its own.
//!
//! The judge is `nft list ruleset`, run in that namespace: what we build must be, to the letter, what its language
//! would have built.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used)]

mod namespace;

use kernel::net::nft::{
    Batch, Chain, Data, Element, Error, Family, Hook, Key, Policy, Set, Socket, Table, Type, Value,
    Verdict, concat, ether_saddr, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr, l4proto,
    masquerade, masquerade_fully_random, oifname,
};
use namespace::run;
use nix::errno::Errno;
use std::net::{Ipv4Addr, Ipv6Addr};

const MASQUERADE: Table = Table::new(Family::Inet, "hawser_masquerade");
const PODS4: Set = MASQUERADE.verdict_map("pods4", &[Type::Ipv4Addr]);
const PODS6: Set = MASQUERADE.verdict_map("pods6", &[Type::Ipv6Addr]);
const LEAVING: Chain = MASQUERADE.chain("leaving_podnet");
const POSTROUTING: Chain = MASQUERADE.chain("postrouting");

const ANTISPOOF: Table = Table::new(Family::Bridge, "hawser_antispoof");
const GUARDED: Set = ANTISPOOF.set("guarded", &[Type::Ifname]);
const ALLOWED: Set = ANTISPOOF.set("allowed", &[Type::Ifname, Type::EtherAddr]);
const PREROUTING: Chain = ANTISPOOF.chain("prerouting");

fn in_a_namespace(test: impl FnOnce(Socket) + Send + 'static) {
    namespace::inside(|| test(Socket::open().expect("nf_tables")));
}

fn ruleset() -> String {
    run("nft", "list ruleset")
}

fn masquerading() -> Batch {
    let mut batch = Batch::new();
    batch
        .add_table(MASQUERADE)
        .add_set(PODS4)
        .add_set(PODS6)
        .add_chain(LEAVING)
        .add_base_chain(
            POSTROUTING,
            Hook::NatPostrouting(Hook::SRCNAT),
            Policy::Accept,
        );
    let pods: ipnetwork::IpNetwork = "10.1.0.0/16".parse().expect("network");
    let multicast4: ipnetwork::IpNetwork = "224.0.0.0/4".parse().expect("network");
    let multicast6: ipnetwork::IpNetwork = "ff00::/8".parse().expect("network");
    batch
        .add_rule(LEAVING, [ip_daddr().within(pods), Verdict::Return.into()])
        .add_rule(LEAVING, [masquerade()])
        .add_rule(
            POSTROUTING,
            [ip_daddr().within(multicast4), Verdict::Return.into()],
        )
        .add_rule(
            POSTROUTING,
            [ip6_daddr().within(multicast6), Verdict::Return.into()],
        )
        .add_rule(POSTROUTING, [ip_saddr().vmap(PODS4)])
        .add_rule(POSTROUTING, [ip6_saddr().vmap(PODS6)]);
    batch
}

fn guarding() -> Batch {
    let mut batch = Batch::new();
    batch
        .add_table(ANTISPOOF)
        .add_set(GUARDED)
        .add_set(ALLOWED)
        .add_base_chain(
            PREROUTING,
            Hook::FilterPrerouting(Hook::BRIDGE_DSTNAT),
            Policy::Accept,
        )
        .add_rule(
            PREROUTING,
            [
                iifname().is_in(GUARDED),
                concat([iifname(), ether_saddr()]).not_in(ALLOWED),
                Verdict::Drop.into(),
            ],
        );
    batch
}

fn address(index: u16) -> Key {
    let [high, low] = index.to_be_bytes();
    Value::Ipv4(Ipv4Addr::new(10, 1, high, low)).into()
}

fn pod(index: u16) -> Element {
    Element::new(address(index))
        .holding(Verdict::Goto(LEAVING.name.into()))
        .comment(format!("podnet/c{index}/eth0"))
}

fn commit(socket: &mut Socket, change: impl FnOnce(&mut Batch)) -> Result<(), Error> {
    let mut batch = Batch::new();
    change(&mut batch);
    socket.commit(&batch)
}

#[test]
fn masquerading_is_what_nft_would_have_built() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        let pod6 = Element::new(Value::Ipv6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7)))
            .holding(Verdict::Goto(LEAVING.name.into()))
            .comment("podnet/c7/eth0");
        batch.add_element(PODS4, &pod(7)).add_element(PODS6, &pod6);
        socket.commit(&batch).expect("commit");
        let expected = "\
table inet hawser_masquerade {
	map pods4 {
		type ipv4_addr : verdict
		elements = { 10.1.0.7 comment \"podnet/c7/eth0\" : goto leaving_podnet }
	}

	map pods6 {
		type ipv6_addr : verdict
		elements = { fd00::7 comment \"podnet/c7/eth0\" : goto leaving_podnet }
	}

	chain leaving_podnet {
		ip daddr 10.1.0.0/16 return
		masquerade
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr 224.0.0.0/4 return
		ip6 daddr ff00::/8 return
		ip saddr vmap @pods4
		ip6 saddr vmap @pods6
	}
}
";
        assert_eq!(ruleset(), expected);
    });
}

#[test]
fn guarding_is_what_nft_would_have_built() {
    in_a_namespace(|mut socket| {
        let mut batch = guarding();
        let name = || Value::Ifname("veth0".into());
        let port =
            Element::new([name(), Value::Ether([2, 0, 0, 0, 0, 1])]).comment("podnet/c1/eth0");
        batch.add_element(GUARDED, &Element::new(name()).comment("podnet/c1/eth0"));
        batch.add_element(ALLOWED, &port);
        socket.commit(&batch).expect("commit");
        let expected = "\
table bridge hawser_antispoof {
	set guarded {
		type ifname
		elements = { \"veth0\" comment \"podnet/c1/eth0\" }
	}

	set allowed {
		type ifname . ether_addr
		elements = { \"veth0\" . 02:00:00:00:00:01 comment \"podnet/c1/eth0\" }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy accept;
		iifname @guarded iifname . ether saddr != @allowed drop
	}
}
";
        assert_eq!(ruleset(), expected);
        assert_eq!(socket.elements(ALLOWED).expect("elements"), [port]);
    });
}

#[test]
fn every_expression_is_what_nft_would_have_built() {
    in_a_namespace(|mut socket| {
        const TABLE: Table = Table::new(Family::Inet, "t");
        const PORTS: Set = TABLE.map(
            "ports",
            &[Type::InetProto, Type::InetService],
            &[Type::Ipv4Addr, Type::InetService],
        );
        const HERE: Chain = TABLE.chain("here");
        const THERE: Chain = TABLE.chain("there");
        let four: ipnetwork::IpNetwork = "10.1.128.0/17".parse().expect("network");
        let all: ipnetwork::IpNetwork = "0.0.0.0/0".parse().expect("network");
        let six: ipnetwork::IpNetwork = "fd00::/30".parse().expect("network");
        let host: ipnetwork::IpNetwork = "10.1.0.7/32".parse().expect("network");
        let entry = Element::new([Value::Proto(6), Value::Service(8080)]).holding(Key::from([
            Value::Ipv4(Ipv4Addr::new(10, 1, 0, 7)),
            Value::Service(80),
        ]));
        let mut batch = Batch::new();
        batch
            .add_new_table(TABLE)
            .add_set(PORTS)
            .add_element(PORTS, &entry)
            .add_base_chain(THERE, Hook::NatPostrouting(-7), Policy::Accept)
            .add_base_chain(TABLE.chain("closed"), Hook::FilterForward(0), Policy::Drop)
            .add_new_chain(HERE)
            .add_rule(
                HERE,
                [
                    ip_saddr().outside(four),
                    ip_daddr().within(host),
                    Verdict::Accept.into(),
                ],
            )
            .add_rule(HERE, [ip_saddr().within(all), Verdict::Drop.into()])
            .add_rule(HERE, [ip6_saddr().within(six), Verdict::Continue.into()])
            .add_rule(
                HERE,
                [
                    ip6_daddr().is(Value::Ipv6(Ipv6Addr::LOCALHOST)),
                    Verdict::Return.into(),
                ],
            )
            .add_rule(
                HERE,
                [
                    oifname().is_not(Value::Ifname("lo".into())),
                    l4proto().is(Value::Proto(6)),
                ],
            )
            .add_commented_rule(
                HERE,
                [
                    ether_saddr().is(Value::Ether([2, 0, 0, 0, 0, 9])),
                    masquerade(),
                ],
                "mine",
            )
            .add_rule(THERE, [masquerade_fully_random()])
            .add_rule(
                THERE,
                [
                    iifname().is(Value::Ifname("eth0".into())),
                    Verdict::Jump("here".into()).into(),
                ],
            );
        socket.commit(&batch).expect("commit");
        let expected = "\
table inet t {
	map ports {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 10.1.0.7 . 80 }
	}

	chain there {
		type nat hook postrouting priority filter - 7; policy accept;
		masquerade fully-random
		iifname \"eth0\" jump here
	}

	chain closed {
		type filter hook forward priority filter; policy drop;
	}

	chain here {
		ip saddr != 10.1.128.0/17 ip daddr 10.1.0.7 accept
		ip saddr 0.0.0.0/0 drop
		ip6 saddr fd00::/30 continue
		ip6 daddr ::1 return
		oifname != \"lo\" meta l4proto tcp
		ether saddr 02:00:00:00:00:09 masquerade comment \"mine\"
	}
}
";
        assert_eq!(ruleset(), expected);
        assert_eq!(socket.elements(PORTS).expect("elements"), [entry]);
        assert_eq!(
            socket.chains(TABLE).expect("chains"),
            ["there", "closed", "here"]
        );
        let rules = socket.rules(THERE).expect("rules");
        assert_eq!(rules[1].targets().collect::<Vec<_>>(), ["here"]);
        assert!(rules[1].leads_to("here") && !rules[0].leads_to("here"));
        let rules = socket.rules(HERE).expect("rules");
        let comments: Vec<_> = rules
            .iter()
            .filter_map(|rule| rule.comment.as_deref())
            .collect();
        assert_eq!(comments, ["mine"]);
    });
}

#[test]
fn what_is_missing_is_not_found() {
    in_a_namespace(|mut socket| {
        let refused = commit(&mut socket, |batch| {
            batch.add_element(PODS4, &pod(7));
        })
        .expect_err("no table");
        assert!(refused.is_not_found());
        assert_eq!(
            refused.to_string(),
            "add element 10.1.0.7 to map pods4 of inet hawser_masquerade: No such file or directory (ENOENT)"
        );
        assert!(!socket.table_exists(MASQUERADE).expect("asked"));
        assert!(!socket.chain_exists(LEAVING).expect("asked"));
        assert!(!socket.set_exists(PODS4).expect("asked"));
        for missing in [
            socket.element(PODS4, &address(7)).map(drop),
            socket.elements(PODS4).map(drop),
            socket.rules(LEAVING).map(drop),
            socket.chains(MASQUERADE).map(drop),
        ] {
            assert!(missing.expect_err("no table").is_not_found());
        }

        socket.commit(&masquerading()).expect("commit");
        assert!(socket.table_exists(MASQUERADE).expect("asked"));
        assert!(socket.chain_exists(LEAVING).expect("asked"));
        assert!(socket.set_exists(PODS4).expect("asked"));
        assert_eq!(socket.element(PODS4, &address(7)).expect("asked"), None);
        assert_eq!(socket.elements(PODS4).expect("asked"), []);
        assert!(
            socket
                .rules(MASQUERADE.chain("other"))
                .expect_err("no chain")
                .is_not_found()
        );
        let gone = commit(&mut socket, |batch| {
            batch.delete_element(PODS4, &address(7));
        });
        assert!(gone.expect_err("no element").is_not_found());
    });
}

#[test]
fn a_batch_with_one_refusal_changes_nothing() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        batch.add_element(PODS4, &pod(1));
        socket.commit(&batch).expect("commit");
        let before = ruleset();
        let refused = commit(&mut socket, |batch| {
            batch
                .add_new_element(PODS4, &pod(2))
                .add_new_element(PODS4, &pod(1))
                .add_new_element(PODS4, &pod(3));
        })
        .expect_err("exists");
        assert!(refused.already_exists());
        assert_eq!(refused.errno(), Some(Errno::EEXIST));
        let text = refused.to_string();
        let what =
            "add element 10.1.0.1 to map pods4 of inet hawser_masquerade: File exists (EEXIST)";
        assert!(text.starts_with(what), "{text}");
        assert_eq!(ruleset(), before);
        // The socket is as good as before.
        commit(&mut socket, |batch| {
            batch
                .add_element(PODS4, &pod(1))
                .add_new_element(PODS4, &pod(2));
        })
        .expect("commit");
        assert_eq!(
            socket.element(PODS4, &address(2)).expect("asked"),
            Some(pod(2))
        );
    });
}

#[test]
fn a_chain_in_use_cannot_be_deleted() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        batch.add_element(PODS4, &pod(1));
        socket.commit(&batch).expect("commit");
        let refused = commit(&mut socket, |batch| {
            batch.flush_chain(LEAVING).delete_chain(LEAVING);
        })
        .expect_err("in use");
        assert!(refused.is_in_use(), "{refused}");
        commit(&mut socket, |batch| {
            batch
                .flush_set(PODS4)
                .flush_chain(LEAVING)
                .delete_chain(LEAVING);
        })
        .expect("commit");
        assert_eq!(socket.chains(MASQUERADE).expect("chains"), ["postrouting"]);
        commit(&mut socket, |batch| {
            batch
                .flush_chain(POSTROUTING)
                .delete_set(PODS4)
                .delete_table(MASQUERADE);
        })
        .expect("commit");
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn what_is_there_already_stays_as_it_is() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        batch.add_element(PODS4, &pod(1));
        socket.commit(&batch).expect("commit");
        let before = ruleset();
        let mut again = Batch::new();
        again
            .add_table(MASQUERADE)
            .add_chain(LEAVING)
            .add_chain(POSTROUTING);
        again.flush_chain(LEAVING).flush_chain(POSTROUTING);
        socket.commit(&again).expect("commit");
        socket.commit(&masquerading()).expect("commit");
        assert_eq!(ruleset(), before);

        let mut others = [Batch::new(), Batch::new(), Batch::new()];
        others[0].add_new_table(MASQUERADE);
        others[1].add_new_chain(LEAVING);
        others[2].add_set(MASQUERADE.set("pods4", &[Type::Ipv6Addr]));
        for other in others {
            let refused = socket.commit(&other).expect_err("is there");
            assert!(refused.already_exists(), "{refused}");
        }
        let mut other = Batch::new();
        other.add_base_chain(
            POSTROUTING,
            Hook::NatPostrouting(Hook::SRCNAT + 1),
            Policy::Accept,
        );
        let refused = socket.commit(&other).expect_err("another hook");
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn an_element_is_replaced_in_one_transaction() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        batch.add_element(PODS4, &pod(1));
        socket.commit(&batch).expect("commit");
        let replacement = Element::new(address(1))
            .holding(Verdict::Accept)
            .comment("podnet/other/eth0");
        commit(&mut socket, |batch| {
            batch
                .delete_element(PODS4, &address(1))
                .add_new_element(PODS4, &replacement);
        })
        .expect("commit");
        let found = socket
            .element(PODS4, &address(1))
            .expect("asked")
            .expect("element");
        assert_eq!(found, replacement);
        assert_eq!(found.comment.as_deref(), Some("podnet/other/eth0"));
        assert_eq!(found.data, Some(Data::Verdict(Verdict::Accept)));
        let other_data = commit(&mut socket, |batch| {
            batch.add_element(PODS4, &pod(1));
        });
        assert!(other_data.expect_err("other data").already_exists());
    });
}

#[test]
fn what_no_kernel_would_take_is_refused_before_it_is_asked() {
    in_a_namespace(|mut socket| {
        type Change = fn(&mut Batch);
        let cases: [(Change, &str); 5] = [
            (
                |batch| {
                    batch.add_element(
                        PODS4,
                        &Element::new(Value::Service(80)).holding(Verdict::Drop),
                    );
                },
                "add element 80 to map pods4 of inet hawser_masquerade: 80 is not of the type [Ipv4Addr]",
            ),
            (
                |batch| {
                    batch.add_element(PODS4, &Element::new(address(1)));
                },
                "add element 10.1.0.1 to map pods4 of inet hawser_masquerade: the map holds verdicts",
            ),
            (
                |batch| {
                    batch.add_table(Table::new(Family::Ip6, ""));
                },
                "add table ip6 : \"\" is not a name of nf_tables (1 to 255 bytes)",
            ),
            (
                |batch| {
                    batch.add_rule(POSTROUTING, [ip_saddr().vmap(PODS6)]);
                },
                "add rule to chain postrouting of inet hawser_masquerade: ip saddr is not of the type [Ipv6Addr]",
            ),
            (
                |batch| {
                    batch.add_rule(POSTROUTING, vec![masquerade(); 10_000]);
                },
                "add rule to chain postrouting of inet hawser_masquerade: it is too long for one netlink message",
            ),
        ];
        for (change, text) in cases {
            let refused = commit(&mut socket, change).expect_err(text);
            assert!(matches!(refused, Error::Invalid { .. }));
            assert_eq!(refused.to_string(), text);
        }
        let long = "c".repeat(252);
        let refused = commit(&mut socket, |batch| {
            batch.add_element(PODS4, &pod(1).comment(long));
        });
        assert!(
            refused
                .expect_err("long")
                .to_string()
                .contains("has 252 bytes and may have 251")
        );
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn the_longest_comment_is_kept_whole() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        let pod = pod(1).comment("c".repeat(251));
        batch.add_element(PODS4, &pod);
        socket.commit(&batch).expect("commit");
        assert_eq!(
            socket.element(PODS4, &address(1)).expect("asked"),
            Some(pod)
        );
        assert!(ruleset().contains(&"c".repeat(251)));
    });
}

#[test]
fn thousands_of_elements_come_in_one_transaction_and_are_listed_whole() {
    const PODS: u16 = 3000;
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        for index in 0..PODS {
            batch.add_new_element(PODS4, &pod(index));
        }
        socket.commit(&batch).expect("commit");
        let mut elements = socket.elements(PODS4).expect("elements");
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(elements.len(), usize::from(PODS));
        assert!(
            elements
                .iter()
                .zip(0..)
                .all(|(element, index)| *element == pod(index))
        );
        // A transaction that is refused thousands of times still tells the first refusal.
        let mut batch = Batch::new();
        for index in 0..PODS {
            batch.add_new_element(PODS4, &pod(index));
        }
        let refused = socket.commit(&batch).expect_err("exist");
        assert!(
            refused.to_string().starts_with("add element 10.1.0.0 to"),
            "{refused}"
        );
        assert_eq!(
            socket.elements(PODS4).expect("elements").len(),
            usize::from(PODS)
        );
    });
}

#[test]
fn a_listing_is_whole_while_others_change_the_ruleset() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        for index in 0..1000 {
            batch.add_new_element(PODS4, &pod(index));
        }
        socket.commit(&batch).expect("commit");
        let mut other = Socket::open().expect("socket");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let changing = std::thread::spawn(move || {
            let mut changes = 0u32;
            while let Err(std::sync::mpsc::TryRecvError::Empty) = stopped.try_recv() {
                commit(&mut other, |batch| {
                    batch.add_new_element(PODS4, &pod(5000));
                })
                .expect("commit");
                commit(&mut other, |batch| {
                    batch.delete_element(PODS4, &address(5000));
                })
                .expect("commit");
                changes += 1;
                std::thread::yield_now();
            }
            changes
        });
        for _ in 0..50 {
            match socket.elements(PODS4) {
                Ok(elements) => {
                    let old = elements
                        .iter()
                        .filter(|element| element.key < address(1000));
                    assert_eq!(old.count(), 1000);
                }
                Err(Error::Unsettled { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        drop(stop);
        assert!(changing.join().expect("thread") > 0);
    });
}

#[test]
fn rules_and_chains_of_iptables_are_found_and_deleted() {
    in_a_namespace(|mut socket| {
        for (iptables, family, pod, range) in [
            ("iptables-nft", Family::Ip, "10.1.0.7/32", "224.0.0.0/4"),
            ("ip6tables-nft", Family::Ip6, "fd00::7/128", "ff00::/8"),
        ] {
            for rule in [
                "-N CNI-0123456789abcdef".to_owned(),
                format!("-A CNI-0123456789abcdef -d {pod} -j ACCEPT"),
                format!("-A CNI-0123456789abcdef ! -d {range} -j MASQUERADE"),
                "-N OTHER".to_owned(),
                "-A POSTROUTING -j OTHER".to_owned(),
                format!(
                    "-A POSTROUTING -s {pod} -m comment --comment podnet:c7 -j CNI-0123456789abcdef"
                ),
                format!("-A POSTROUTING -s {range} -j CNI-0123456789abcdef"),
            ] {
                run(iptables, &format!("-t nat {rule}"));
            }
            let postrouting = Table::new(family, "nat").chain("POSTROUTING");
            let legacy = Table::new(family, "nat").chain("CNI-0123456789abcdef");
            let rules = socket.rules(postrouting).expect("rules");
            let comments: Vec<_> = rules.iter().map(|rule| rule.comment.as_deref()).collect();
            assert_eq!(comments, [None, Some("podnet:c7"), None]);
            let leading: Vec<_> = rules
                .iter()
                .filter(|rule| rule.leads_to(legacy.name))
                .collect();
            assert_eq!(leading.len(), 2);
            commit(&mut socket, |batch| {
                for rule in leading {
                    batch.delete_rule(postrouting, rule.handle);
                }
                batch.flush_chain(legacy).delete_chain(legacy);
            })
            .expect("commit");
            let left = run(iptables, "-t nat -S");
            assert!(
                !left.contains("CNI-") && left.contains("-A POSTROUTING -j OTHER"),
                "{left}"
            );
        }
    });
}

#[test]
fn rules_and_chains_of_the_reference_are_found_and_deleted() {
    in_a_namespace(|mut socket| {
        const RULESET: &str = "\
add table inet cni_plugins_masquerade
add chain inet cni_plugins_masquerade masq_checks
add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.1.0.7 ip daddr != 10.1.0.0/16 masquerade comment \"abc-123, net: podnet, if: eth0, id: c7\"
add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.1.0.8 masquerade comment \"def-456, net: podnet, if: eth0, id: c8\"
add table bridge nat
add chain bridge nat PREROUTING { type filter hook prerouting priority -300; }
add chain bridge nat cni-br-iface-c7-eth0
add chain bridge nat cni-br-iface-c7-eth0-mac
add rule bridge nat PREROUTING iifname \"veth7\" jump cni-br-iface-c7-eth0 comment \"macspoofchk-c7-eth0\"
add rule bridge nat cni-br-iface-c7-eth0 jump cni-br-iface-c7-eth0-mac
add rule bridge nat cni-br-iface-c7-eth0-mac ether saddr 02:00:00:00:00:07 return
add rule bridge nat cni-br-iface-c7-eth0-mac drop
";
        for line in RULESET.lines() {
            run("nft", line);
        }
        let checks = Table::new(Family::Inet, "cni_plugins_masquerade").chain("masq_checks");
        let nat = Table::new(Family::Bridge, "nat");
        let (spoof, mac) = (
            nat.chain("cni-br-iface-c7-eth0"),
            nat.chain("cni-br-iface-c7-eth0-mac"),
        );
        let prerouting = nat.chain("PREROUTING");
        let mut batch = Batch::new();
        for rule in socket.rules(checks).expect("rules") {
            if rule
                .comment
                .is_some_and(|comment| comment.starts_with("abc-123"))
            {
                batch.delete_rule(checks, rule.handle);
            }
        }
        for rule in socket.rules(prerouting).expect("rules") {
            if rule.leads_to(spoof.name) {
                batch.delete_rule(prerouting, rule.handle);
            }
        }
        batch
            .flush_chain(spoof)
            .flush_chain(mac)
            .delete_chain(spoof)
            .delete_chain(mac);
        socket.commit(&batch).expect("commit");
        let left = ruleset();
        assert!(!left.contains("c7") && left.contains("def-456"), "{left}");
        assert_eq!(socket.chains(nat).expect("chains"), ["PREROUTING"]);
    });
}
