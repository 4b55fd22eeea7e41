//! Changes: all of a transaction or nothing of it, and what is told of a refusal.

use super::{
    LEAVING, MASQUERADE, PODS4, PODS6, POSTROUTING, address, commit, in_a_namespace, masquerading,
    pod, ruleset,
};
use kernel::net::nft::{
    Batch, Data, Element, Error, Family, Hook, Policy, Table, Type, Value, Verdict, ip_saddr,
    masquerade,
};
use nix::errno::Errno;

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
