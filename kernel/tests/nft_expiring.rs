//! Elements that are let go of instead of deleted.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used)]

mod namespace;

use kernel::net::nft::{
    Batch, Chain, Element, Family, Key, Set, Socket, Table, Type, Value, Verdict,
    elements_can_expire,
};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

const TABLE: Table = Table::new(Family::Inet, "leaving");
const CHAIN: Chain = TABLE.chain("pods");
const PODS: Set = TABLE.verdict_map("pods4", &[Type::Ipv4Addr]).expiring();

fn key() -> Key {
    Value::Ipv4(Ipv4Addr::new(10, 1, 0, 7)).into()
}

fn pod() -> Element {
    Element::new(key())
        .holding(Verdict::Goto(CHAIN.name.into()))
        .comment("podnet/c7/eth0")
}

fn commit(socket: &mut Socket, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    socket.commit(&batch).expect("commit");
}

fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn an_element_expires_where_the_kernel_can_and_its_place_is_free_again() {
    namespace::inside(|| {
        let mut nft = Socket::open().expect("nf_tables");
        commit(&mut nft, |batch| {
            batch.add_table(TABLE).add_chain(CHAIN).add_set(PODS);
            batch.add_new_element(PODS, &pod());
        });
        assert_eq!(nft.element(PODS, &key()).expect("get"), Some(pod()));

        commit(&mut nft, |batch| {
            batch.expire_element(PODS, &pod());
        });
        let gone = within(Duration::from_secs(1), || {
            nft.element(PODS, &key()).expect("get").is_none()
        });
        assert_eq!(
            gone,
            elements_can_expire(),
            "what we say of this kernel is true"
        );
        if !gone {
            return;
        }
        assert!(nft.elements(PODS).expect("list").is_empty());
        // Long before the kernel has cleared it away.
        commit(&mut nft, |batch| {
            batch.add_new_element(PODS, &pod());
        });
        assert_eq!(nft.elements(PODS).expect("list"), [pod()]);
    });
}

#[test]
fn an_element_that_is_leaving_says_so() {
    namespace::inside(|| {
        let mut nft = Socket::open().expect("nf_tables");
        commit(&mut nft, |batch| {
            batch.add_table(TABLE).add_chain(CHAIN).add_set(PODS);
            batch.add_new_element(PODS, &pod());
        });
        let listed = namespace::run(
            "nft",
            "add element inet leaving pods4 { 10.1.0.8 timeout 1h : goto pods }",
        );
        assert_eq!(listed, "");
        let leaving: Vec<_> = nft
            .elements(PODS)
            .expect("list")
            .iter()
            .map(|element| element.leaving)
            .collect();
        assert_eq!(leaving, [false, true]);
    });
}
