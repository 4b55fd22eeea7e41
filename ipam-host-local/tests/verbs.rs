//! The verbs, from outside: what they give, refuse, forgive and leave behind.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::{Network, address};

fn small() -> Network {
    Network::new(&json!([[{"subnet": "10.1.0.0/29"}]]))
}

/// The configuration for a verb of 1.1.0, with more keys.
fn newest(network: &Network, key: &str, value: Value) -> Value {
    network.changed(|config| {
        config["cniVersion"] = "1.1.0".into();
        config[key] = value;
    })
}

fn valid(attachments: &[&str]) -> Value {
    let listed = attachments
        .iter()
        .map(|id| json!({"containerID": id, "ifname": "eth0"}));
    listed.collect()
}

/// Makes every reservation one of an earlier boot of this node.
fn reboot(network: &Network) {
    let current = ipam_host_local::store::Boot::current().unwrap();
    let (_, node) = current.mark().split_once('@').unwrap();
    for name in network.reservations().keys() {
        let mark = format!("00000000-0000-0000-0000-000000000000@{node}");
        rustix::fs::setxattr(
            network.store().join(name),
            "user.hawser.boot",
            mark.as_bytes(),
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
    }
    // /run does not survive a boot.
    let _ = fs::remove_dir_all(network.index());
}

#[test]
fn an_address_of_each_set_with_gateway_and_prefix() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}]]));
    let result = network.call("ADD", "c1").run().unwrap();
    assert_eq!(
        result,
        json!({
            "cniVersion": "1.0.0",
            "ips": [
                {"address": "10.1.0.2/16", "gateway": "10.1.0.1"},
                {"address": "fd00::2/64", "gateway": "fd00::1"},
            ],
        })
    );
    network.call("CHECK", "c1").run().unwrap();
    network.del("c1");
    network.del("c1");
    assert!(network.reservations().is_empty());
}

#[test]
fn addresses_rest_before_they_are_used_again() {
    let network = small();
    let mut given = Vec::new();
    for round in 0..7 {
        let container = format!("c{round}");
        given.push(network.add(&container));
        network.del(&container);
    }
    let expected = [2, 3, 4, 5, 6, 2, 3].map(|last| format!("10.1.0.{last}"));
    assert_eq!(given, expected);
}

#[test]
fn a_failing_set_leaves_the_others_untouched() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/30"}]]));
    network.add("c1");
    let before = network.reservations();
    let (code, text) = network.call("ADD", "c2").error();
    assert_eq!(code, 11);
    assert!(text.starts_with("range set 10.2.0.1-10.2.0.2 of network podnet is exhausted: 1 addresses held, the oldest by c1/eth0 (10.2.0.2, since "), "{text}");
    assert_eq!(network.reservations(), before);
    assert_eq!(
        fs::read_to_string(network.store().join("last_reserved_ip.0")).unwrap(),
        "10.1.0.2"
    );
}

#[test]
fn requested_addresses_are_given_or_refused_by_name() {
    let network = small();
    let wish = |ip: &str| newest(&network, "runtimeConfig", json!({"ips": [ip]}));
    let given = network
        .call("ADD", "c1")
        .config(wish("10.1.0.5/24"))
        .run()
        .unwrap();
    assert_eq!(given["ips"][0]["address"], "10.1.0.5/29");
    let given = network
        .call("ADD", "c2")
        .args("IP=10.1.0.3;MAC=02:00:00:00:00:01")
        .run()
        .unwrap();
    assert_eq!(address(&given), "10.1.0.3");
    for (ip, code, text) in [
        (
            "10.1.0.5",
            11,
            "requested IP 10.1.0.5 of network podnet is held by c1/eth0: DEL that attachment first, or request another",
        ),
        (
            "10.1.0.1",
            7,
            "requested IP 10.1.0.1 is a gateway of network podnet: request another",
        ),
        (
            "10.1.0.9",
            7,
            "requested IP 10.1.0.9 is outside range set 10.1.0.1-10.1.0.6 of network podnet: request one inside",
        ),
    ] {
        let refused = network.call("ADD", "c9").config(wish(ip)).error();
        assert_eq!(refused, (code, text.to_owned()));
    }
    // One attachment never has two addresses of one set, also when it asks for them.
    assert_eq!(
        network.call("ADD", "c1").config(wish("10.1.0.6")).error().0,
        4
    );
    assert_eq!(network.reservations().len(), 2);
}

#[test]
fn del_needs_the_name_and_the_place_only() {
    let network = small();
    for (broken, args) in [
        (json!([]), ""),
        (json!([[{"subnet": "10.9.0.0/24"}]]), ""),
        (json!("nonsense"), "garbage;COLOUR=red"),
    ] {
        network.add("c1");
        let config = network.changed(|config| config["ipam"]["ranges"] = broken);
        network
            .call("DEL", "c1")
            .config(config)
            .args(args)
            .run()
            .unwrap();
        assert!(network.reservations().is_empty());
    }
}

#[test]
fn del_makes_nothing() {
    let network = small();
    network.del("c1");
    assert!(!network.store().exists());
}

#[test]
fn a_check_names_what_is_missing() {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]));
    let (code, text) = network.call("CHECK", "c1").error();
    assert_eq!(code, 103);
    assert_eq!(
        text,
        "c1/eth0 holds no address of range set 10.1.0.1-10.1.0.254 of network podnet: DEL and ADD it again"
    );
    let mut result = network.call("ADD", "c1").run().unwrap();
    let check = |result: &Value| {
        network
            .call("CHECK", "c1")
            .config(network.changed(|config| config["prevResult"] = result.clone()))
            .run()
    };
    check(&result).unwrap();
    // An address of somebody else's ranges is not ours to verify.
    let foreign = json!({"address": "192.0.2.7/24"});
    result["ips"].as_array_mut().unwrap().push(foreign);
    check(&result).unwrap();
    result["ips"][0]["address"] = "10.1.0.9/24".into();
    let error = check(&result).unwrap_err();
    assert_eq!(
        error["msg"],
        "c1/eth0 does not hold 10.1.0.9 of network podnet, nobody does: DEL and ADD it again"
    );
    fs::remove_file(network.store().join("10.2.0.2")).unwrap();
    let (_, text) = network.call("CHECK", "c1").error();
    assert!(
        text.starts_with("c1/eth0 holds no address of range set 10.2.0.1-10.2.0.254"),
        "{text}"
    );
}

#[test]
fn after_a_boot_the_same_attachment_gets_an_address() {
    let network = small();
    network.add("c1");
    reboot(&network);
    assert_eq!(network.add("c1"), "10.1.0.3");
    assert_eq!(network.reservations().len(), 1);
}

#[test]
fn leftovers_of_an_earlier_boot_are_reclaimed_before_a_set_is_full() {
    let network = small();
    for number in 2..=6 {
        network.add(&format!("c{number}"));
    }
    reboot(&network);
    let status = newest(&network, "ignored", Value::Null);
    network.call("STATUS", "").config(status).run().unwrap();
    let keep = network.changed(|config| config["ipam"]["reclaimEarlierBoot"] = false.into());
    assert_eq!(network.call("ADD", "d1").config(keep.clone()).error().0, 11);
    assert_eq!(network.call("ADD", "c2").config(keep).error().0, 4);
    assert_eq!(network.reservations().len(), 5);
    let wish = network.changed(|config| config["runtimeConfig"] = json!({"ips": ["10.1.0.4"]}));
    network.call("ADD", "d1").config(wish).run().unwrap();
    assert_eq!(network.reservations().len(), 5);
    assert_eq!(network.add("d2"), "10.1.0.5");
    assert_eq!(network.reservations().len(), 2);
}

#[test]
fn gc_keeps_what_is_listed_and_what_is_not_ours() {
    let network = small();
    for container in ["c2", "c3", "c4"] {
        network.add(container);
    }
    let file = |name: &str| network.store().join(name);
    fs::write(file("10.1.0.5"), "c3").unwrap();
    fs::write(file("10.1.0.6"), "").unwrap();
    fs::write(file("10.1.0.1"), "do not touch this").unwrap();
    let gc = |listed| {
        let config = newest(&network, "cni.dev/valid-attachments", listed);
        let answer = network.call("GC", "").config(config).run();
        assert_eq!(answer, Ok(Value::Null));
    };
    gc(valid(&["c3", "c9"]));
    let left: Vec<_> = network.reservations().into_keys().collect();
    assert_eq!(left, ["10.1.0.1", "10.1.0.3", "10.1.0.5"]);
    gc(valid(&[]));
    let left: Vec<_> = network.reservations().into_keys().collect();
    assert_eq!(left, ["10.1.0.1"]);
    assert!(file("lock").exists() && file("last_reserved_ip.0").exists());
    // The index knows it too.
    assert_eq!(network.add("c2"), "10.1.0.5");
}

#[test]
fn gc_without_a_list_removes_nothing() {
    let network = small();
    network.add("c1");
    let config = newest(&network, "ignored", Value::Null);
    assert_eq!(network.call("GC", "").config(config).error().0, 7);
    assert_eq!(network.reservations().len(), 1);
}

#[test]
fn status_says_why_an_add_would_fail() {
    let network = small();
    let status = |config: Value| network.call("STATUS", "").config(config);
    let config = newest(&network, "ignored", Value::Null);
    assert_eq!(status(config.clone()).run(), Ok(Value::Null));
    assert!(!network.store().exists());
    for number in 2..=6 {
        network.add(&format!("c{number}"));
    }
    let (code, text) = status(config.clone()).error();
    assert_eq!(code, 50);
    assert!(text.starts_with("range set 10.1.0.1-10.1.0.6 of network podnet is exhausted: 5 addresses held, the oldest by c2/eth0"), "{text}");
    network.del("c4");
    status(config.clone()).run().unwrap();

    let mut broken = config.clone();
    broken["ipam"]["resolvConf"] = "/nowhere".into();
    assert_eq!(status(broken).error().0, 50);
    let mut broken = config.clone();
    broken["ipam"]["ranges"] = json!([]);
    assert_eq!(status(broken).error().0, 7);
    let mut broken = config;
    broken["ipam"]["dataDir"] = "/proc/nowhere".into();
    assert_eq!(status(broken).error().0, 50);
}

#[test]
fn a_place_that_cannot_be_written_is_an_io_error() {
    let network = small();
    let file = network.folder().join("file");
    fs::write(&file, "").unwrap();
    let config =
        network.changed(|config| config["ipam"]["dataDir"] = file.to_str().unwrap().into());
    let (code, text) = network.call("ADD", "c1").config(config).error();
    assert_eq!(code, 5);
    assert!(
        text.starts_with(&format!(
            "open the store {}/podnet: Not a directory",
            file.display()
        )),
        "{text}"
    );
}

#[test]
fn a_cursor_that_cannot_be_written_undoes_the_reservation() {
    let network = small();
    fs::create_dir_all(network.store().join("last_reserved_ip.0")).unwrap();
    let (code, text) = network.call("ADD", "c1").error();
    assert_eq!(code, 5);
    assert!(
        text.contains("last_reserved_ip.0: Is a directory"),
        "{text}"
    );
    assert!(network.reservations().is_empty());
    fs::remove_dir(network.store().join("last_reserved_ip.0")).unwrap();
    assert_eq!(network.add("c1"), "10.1.0.2");
}

#[test]
fn an_index_made_wrong_without_the_lock_turns_nobody_away() {
    let network = small();
    for number in 2..=6 {
        network.add(&format!("c{number}"));
    }
    // A removal that hides from the stamp, as one in the middle of a verb would.
    let folder = fs::File::open(network.store()).unwrap();
    let stamp = fs::metadata(network.store()).unwrap().modified().unwrap();
    fs::remove_file(network.store().join("10.1.0.4")).unwrap();
    folder.set_modified(stamp).unwrap();
    assert_eq!(network.add("c7"), "10.1.0.4");
}

#[test]
fn the_index_is_private_and_thrown_away_freely() {
    let network = small();
    network.add("c1");
    let mode = fs::metadata(network.index()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::remove_dir_all(network.index()).unwrap();
    network.call("CHECK", "c1").run().unwrap();
    assert!(network.index().join("holders").exists());
}
