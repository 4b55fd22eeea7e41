//! Ours and the reference on one directory, in turn and at once: people replace the file under running pods, and may go
//! back.

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
fn each_goes_on_where_the_other_stopped() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}]]));
    let mut given = Vec::new();
    for turn in 0..12 {
        let container = format!("c{turn}");
        let call = network.call("ADD", &container);
        let call = if turn % 3 == 1 {
            call.of_reference()
        } else {
            call
        };
        given.push(address(&call.run().unwrap()));
    }
    let expected: Vec<_> = (2..14).map(|last| format!("10.1.0.{last}")).collect();
    assert_eq!(given, expected);
    for (address, content) in network.reservations() {
        let turn = expected.iter().position(|other| *other == address).unwrap();
        assert_eq!(content, format!("c{turn}\r\neth0"));
    }
}

#[test]
fn results_are_the_same() {
    let ipam =
        json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64", "gateway": "fd00::ff"}]]);
    for version in ["0.2.0", "0.3.1", "0.4.0", "1.0.0"] {
        let results = [false, true].map(|reference| {
            let network = Network::new(&ipam);
            let config = network.changed(|config| {
                config["cniVersion"] = version.into();
                config["ipam"]["routes"] =
                    json!([{"dst": "0.0.0.0/0"}, {"dst": "fd01::/64", "gw": "fd00::9"}]);
            });
            let call = network.call("ADD", "c1").config(config);
            let call = if reference { call.of_reference() } else { call };
            let mut result = call.run().unwrap();
            // The reference's encoder writes an empty object where there is nothing to say.
            let result = result.as_object_mut().unwrap();
            result.retain(|key, value| key != "dns" || *value != json!({}));
            (result.clone(), network.reservations())
        });
        assert_eq!(results[0], results[1], "{version}");
    }
}

#[test]
fn each_releases_and_checks_what_the_other_reserved() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}]]));
    network.call("ADD", "theirs").of_reference().run().unwrap();
    network.add("ours");
    network.call("CHECK", "theirs").run().unwrap();
    network.call("CHECK", "ours").of_reference().run().unwrap();
    let again = network.call("ADD", "theirs").error();
    assert_eq!(
        again,
        (
            4,
            "theirs/eth0 already holds 10.1.0.2 of range set 10.1.0.1-10.1.0.254 of network podnet: \
             DEL it before another ADD"
                .to_owned()
        )
    );
    let again = network.call("ADD", "ours").of_reference().run();
    assert!(
        again.unwrap_err()["msg"]
            .as_str()
            .unwrap()
            .contains("duplicate allocation")
    );
    network.del("theirs");
    network.call("DEL", "ours").of_reference().run().unwrap();
    assert!(network.reservations().is_empty());
    assert!(network.call("CHECK", "ours").run().is_err());
}

#[test]
fn what_the_reference_does_between_two_verbs_of_ours_is_seen() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/29"}]]));
    // 10.1.0.2 to 10.1.0.6, in turns, until it is full.
    network.add("c2");
    network.call("ADD", "c3").of_reference().run().unwrap();
    network.add("c4");
    network.call("ADD", "c5").of_reference().run().unwrap();
    network.add("c6");
    assert_eq!(network.call("ADD", "c7").error().0, 11);
    network.call("DEL", "c4").of_reference().run().unwrap();
    assert_eq!(network.add("c7"), "10.1.0.4");
    assert!(network.call("ADD", "c8").of_reference().run().is_err());
    network.del("c3");
    let given = network.call("ADD", "c8").of_reference().run().unwrap();
    assert_eq!(address(&given), "10.1.0.3");
}

#[test]
fn files_of_the_oldest_plugins_are_honoured() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}]]));
    fs::create_dir(network.store()).unwrap();
    fs::write(network.store().join("10.1.0.7"), "old").unwrap();
    network.call("CHECK", "old").run().unwrap();
    assert_eq!(network.call("ADD", "old").error().0, 4);
    network.del("old");
    assert!(network.reservations().is_empty());
}

#[test]
fn both_at_once_never_give_an_address_twice() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}]]));
    let names: Vec<_> = (0..100).map(|number| format!("c{number}")).collect();
    let all = |verb| {
        let started: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let call = network.call(verb, name);
                let call = if number % 2 == 0 {
                    call.of_reference()
                } else {
                    call
                };
                call.start()
            })
            .collect();
        started
            .into_iter()
            .map(|child| answer(&child.wait_with_output().unwrap()).unwrap())
            .collect::<Vec<_>>()
    };
    let given: BTreeSet<_> = all("ADD").iter().map(address).collect();
    assert_eq!(given.len(), names.len());
    assert_eq!(network.reservations().len(), names.len());
    all("DEL");
    assert!(network.reservations().is_empty());
}
