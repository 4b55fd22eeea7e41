//! Rules, sets and maps, to the letter what `nft` would have built of its language.

use super::{
    ALLOWED, GUARDED, LEAVING, PODS4, PODS6, guarding, in_a_namespace, masquerading, pod, ruleset,
};
use kernel::net::nft::{
    Batch, Chain, Element, Family, Hook, Key, Policy, Set, Table, Type, Value, Verdict,
    ether_saddr, iifname, ip_daddr, ip_saddr, ip6_daddr, ip6_saddr, l4proto, masquerade,
    masquerade_fully_random, oifname,
};
use std::net::{Ipv4Addr, Ipv6Addr};

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
