//! Elements that are told to go by themselves.

use super::namespace::run;
use super::{commit, in_a_namespace};
use kernel::net::nft::{Element, Family, Set, Socket, Table, Type, Value, Verdict};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const TABLE: Table = Table::new(Family::Inet, "t");
const PODS: Set = TABLE.set("pods", &[Type::Ipv4Addr]).expiring();
const MAP: Set = TABLE.verdict_map("map", &[Type::Ipv4Addr]).expiring();
const FOREVER: Set = TABLE.set("forever", &[Type::Ipv4Addr]);

fn pod(last: u8) -> Element {
    Element::new(Value::Ipv4(Ipv4Addr::new(10, 1, 0, last))).comment("podnet/c1/eth0")
}

fn in_a_table(test: impl FnOnce(Socket) + Send + 'static) {
    in_a_namespace(|mut socket| {
        let there = pod(7).holding(Verdict::Accept);
        commit(&mut socket, |batch| {
            batch
                .add_table(TABLE)
                .add_set(PODS)
                .add_set(MAP)
                .add_set(FOREVER);
            batch.add_element(PODS, &pod(7)).add_element(PODS, &pod(8));
            batch.add_element(MAP, &there).add_element(FOREVER, &pod(7));
        })
        .expect("commit");
        test(socket);
    });
}

/// Waits until the set has no element of this key; the kernel says by when.
fn await_gone(socket: &mut Socket, set: Set<'static>, element: &Element) {
    let begun = Instant::now();
    while let Some(left) = socket.element(set, &element.key).expect("element") {
        assert!(left.expires, "{} stays in {set}", element.key);
        assert!(begun.elapsed() < Duration::from_secs(2), "it does not go");
        std::thread::yield_now();
    }
}

#[test]
fn elements_stay_until_they_are_told_to_go() {
    in_a_table(|mut socket| {
        assert_eq!(socket.elements(PODS).expect("elements"), [pod(7), pod(8)]);
        commit(&mut socket, |batch| {
            batch.expire_element(PODS, &pod(7));
            batch.expire_element(MAP, &pod(7).holding(Verdict::Accept));
        })
        .expect("commit");
        await_gone(&mut socket, PODS, &pod(7));
        await_gone(&mut socket, MAP, &pod(7));
        assert_eq!(socket.elements(PODS).expect("elements"), [pod(8)]);
        assert!(socket.elements(MAP).expect("elements").is_empty());
        let listed = run("nft", "list ruleset");
        assert!(
            listed.contains("10.1.0.8 comment")
                && listed.contains("flags timeout")
                && listed.contains("gc-interval 5s"),
            "{listed}"
        );
    });
}

#[test]
fn what_comes_back_within_the_tick_stays() {
    in_a_table(|mut socket| {
        commit(&mut socket, |batch| {
            batch.expire_element(PODS, &pod(7));
        })
        .expect("commit");
        let again = pod(7).comment("podnet/c2/eth0");
        if socket.element(PODS, &again.key).expect("element").is_some() {
            let _ = commit(&mut socket, |batch| {
                batch.delete_element(PODS, &again.key);
            });
        }
        commit(&mut socket, |batch| {
            batch.add_new_element(PODS, &again);
        })
        .expect("commit");
        // When one that was told later has gone, the first one's time is over.
        commit(&mut socket, |batch| {
            batch.expire_element(PODS, &pod(8));
        })
        .expect("commit");
        await_gone(&mut socket, PODS, &pod(8));
        assert_eq!(
            socket.element(PODS, &again.key).expect("element"),
            Some(again)
        );
    });
}

#[test]
fn an_element_of_another_set_cannot_be_told_to_go() {
    in_a_table(|mut socket| {
        let refused = commit(&mut socket, |batch| {
            batch.expire_element(FOREVER, &pod(7));
        });
        assert!(refused.is_err());
        assert_eq!(socket.elements(FOREVER).expect("elements"), [pod(7)]);
    });
}
