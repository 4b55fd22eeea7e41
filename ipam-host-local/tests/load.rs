//! Many at once, and full to the brim.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

mod support;

use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use support::{Network, address, answer};

#[test]
fn two_hundred_at_once_share_nothing() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]));
    let names: Vec<_> = (0..200).map(|number| format!("c{number}")).collect();
    let all = |verb| {
        let start = |name: &String| network.call(verb, name).start();
        let started: Vec<_> = names.iter().map(start).collect();
        let finish =
            |child: std::process::Child| answer(&child.wait_with_output().unwrap()).unwrap();
        started.into_iter().map(finish).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let given: BTreeSet<_> = all("ADD").iter().map(address).collect();
        assert_eq!(given.len(), names.len());
        assert_eq!(network.reservations().len(), 2 * names.len());
        all("CHECK");
        all("DEL");
        assert!(network.reservations().is_empty());
    }
}

#[test]
fn a_16_gives_its_last_address_and_then_says_who_has_them() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/16"}]]));
    fs::create_dir(network.store()).unwrap();
    let free = "10.1.77.7";
    for number in 2..65_535_u32 {
        let name = format!("10.1.{}.{}", number >> 8, number & 255);
        if name != free {
            fs::write(network.store().join(name), format!("c{number}\r\neth0")).unwrap();
        }
    }
    assert_eq!(network.add("last"), free);
    let (code, text) = network.call("ADD", "late").error();
    assert_eq!(code, 11);
    assert!(
        text.starts_with(
            "range set 10.1.0.1-10.1.255.254 of network podnet is exhausted: 65533 addresses held, the oldest by c2/eth0 (10.1.0.2, since "
        ),
        "{text}"
    );
    network.call("CHECK", "c300").run().unwrap();
    network.del("c300");
    assert_eq!(network.add("late"), "10.1.1.44");
}
