//! Rules in iptables' own tables, and packets' marks and connections.
//!
//! The judges are `iptables-save` and `nft list ruleset`: each must read what we build as what it would have built.

use super::namespace::run;
use super::{commit, in_a_namespace};
use kernel::net::nft::{
    Chain, CtState, CtStatus, Expression, Family, Hook, Policy, Table, Verdict, clear_mark,
    counter, ct_state, ct_status, mark_has, set_mark, xt_comment, xt_mark,
};

const BIT: u32 = 0x1000;

fn jump(comment: &str, to: Chain<'_>) -> Vec<Expression> {
    vec![
        xt_comment(comment),
        counter(),
        Verdict::Jump(to.name.into()).into(),
    ]
}

/// What a program of the family prints between its remarks.
fn saved(program: &str) -> Vec<String> {
    let rule = |line: &&str| line.starts_with(':') || line.starts_with('-');
    let printed = run(program, "");
    printed.lines().filter(rule).map(str::to_owned).collect()
}

#[test]
fn iptables_reads_our_rules_as_its_own() {
    for (family, program, save) in [
        (Family::Ip, "iptables", "iptables-save"),
        (Family::Ip6, "ip6tables", "ip6tables-save"),
    ] {
        in_a_namespace(move |mut socket| {
            run(program, "-P FORWARD DROP");
            run(program, "-A FORWARD -j RETURN");
            let filter = Table::new(family, "filter");
            let [forward, ours, admin] =
                ["FORWARD", "CNI-FORWARD", "CNI-ADMIN"].map(|name| filter.chain(name));
            commit(&mut socket, |batch| {
                batch.add_chain(admin).add_new_chain(ours);
                batch.add_rule(ours, jump("admin first", admin));
                let accept = [
                    xt_comment("marked"),
                    xt_mark(BIT),
                    counter(),
                    Verdict::Accept.into(),
                ];
                batch.add_rule(ours, accept);
                batch.insert_rule(forward, jump("rules of \"ours\"", ours));
            })
            .expect("commit");
            let expected = [
                ":INPUT ACCEPT [0:0]",
                ":FORWARD DROP [0:0]",
                ":OUTPUT ACCEPT [0:0]",
                ":CNI-ADMIN - [0:0]",
                ":CNI-FORWARD - [0:0]",
                "-A FORWARD -m comment --comment \"rules of \\\"ours\\\"\" -j CNI-FORWARD",
                "-A FORWARD -j RETURN",
                "-A CNI-FORWARD -m comment --comment \"admin first\" -j CNI-ADMIN",
                "-A CNI-FORWARD -m comment --comment marked -m mark --mark 0x1000/0x1000 -j ACCEPT",
            ];
            assert_eq!(saved(save), expected);
            run(
                program,
                "-C CNI-FORWARD -m comment --comment marked -m mark --mark 0x1000/0x1000 -j ACCEPT",
            );
            let comments = socket.rules(forward).expect("rules");
            assert_eq!(comments[0].comment.as_deref(), Some("rules of \"ours\""));
        });
    }
}

#[test]
fn a_rule_of_iptables_is_known_by_the_address_that_it_compares() {
    in_a_namespace(|mut socket| {
        run("iptables", "-A FORWARD -s 10.1.0.7 -j ACCEPT");
        run(
            "iptables",
            "-A FORWARD -m conntrack --ctstate ESTABLISHED -d 10.1.0.8/32 -j ACCEPT",
        );
        let forward = Table::new(Family::Ip, "filter").chain("FORWARD");
        let rules = socket.rules(forward).expect("rules");
        let compares = |address: [u8; 4]| -> Vec<bool> {
            rules.iter().map(|rule| rule.compares(&address)).collect()
        };
        assert_eq!(compares([10, 1, 0, 7]), [true, false]);
        assert_eq!(compares([10, 1, 0, 8]), [false, true]);
        assert_eq!(compares([10, 1, 0, 9]), [false, false]);
    });
}

#[test]
fn a_base_chain_of_somebody_keeps_its_policy() {
    in_a_namespace(|mut socket| {
        run("iptables", "-P FORWARD DROP");
        let filter = Table::new(Family::Ip, "filter");
        let refused = commit(&mut socket, |batch| {
            let hook = Hook::FilterForward(Hook::FILTER);
            batch.add_table(filter);
            batch.add_new_base_chain(filter.chain("FORWARD"), hook, Policy::Accept);
        });
        assert!(refused.is_err_and(|error| error.already_exists()));
        assert!(saved("iptables-save").contains(&":FORWARD DROP [0:0]".to_owned()));
    });
}

#[test]
fn a_base_chain_that_we_make_is_one_of_iptables() {
    in_a_namespace(|mut socket| {
        let filter = Table::new(Family::Ip, "filter");
        commit(&mut socket, |batch| {
            let hook = Hook::FilterForward(Hook::FILTER);
            batch.add_table(filter);
            batch.add_new_base_chain(filter.chain("FORWARD"), hook, Policy::Accept);
        })
        .expect("commit");
        run("iptables", "-P FORWARD DROP");
        assert!(saved("iptables-save").contains(&":FORWARD DROP [0:0]".to_owned()));
    });
}

#[test]
fn marks_and_connections_are_what_nft_would_have_built() {
    in_a_namespace(|mut socket| {
        let table = Table::new(Family::Inet, "t");
        let forward = table.chain("forward");
        commit(&mut socket, |batch| {
            batch.add_table(table);
            let hook = Hook::FilterForward(Hook::FILTER - 10);
            batch.add_base_chain(forward, hook, Policy::Accept);
            batch.add_rule(forward, [mark_has(BIT), clear_mark(BIT)]);
            let answers = ct_state(&[CtState::Established, CtState::Related]);
            batch.add_rule(forward, [answers, set_mark(BIT)]);
            batch.add_rule(forward, [ct_status(CtStatus::Dnat), Verdict::Return.into()]);
            let odd = ct_state(&[CtState::Invalid, CtState::New]);
            batch.add_rule(forward, [odd, Verdict::Drop.into()]);
        })
        .expect("commit");
        let expected = "\
table inet t {
	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		meta mark & 0x00001000 == 0x00001000 meta mark set meta mark & 0xffffefff
		ct state established,related meta mark set meta mark | 0x00001000
		ct status dnat return
		ct state invalid,new drop
	}
}
";
        assert_eq!(run("nft", "list ruleset"), expected);
    });
}
