//! The store that is shared with the reference, and what becomes of its reservations.

use super::{STORE, given, held, network, node, with};
use serde_json::json;
use testkit::{Dump, Plugins, reference_under_test, unlike_the_reference};

#[test]
fn the_store_is_the_references() {
    let host = node();
    network(&host, json!({"subnet": "10.10.0.0/24"}))
        .add(&with("a"))
        .ok();
    assert_eq!(
        host.read(format!("{STORE}/10.10.0.2")).as_deref(),
        Some("a\r\neth0")
    );
    assert_eq!(
        host.read(format!("{STORE}/last_reserved_ip.0")).as_deref(),
        Some("10.10.0.2")
    );
    assert_eq!(
        host.sh(&format!("stat -c '%a %F' {STORE}")),
        "755 directory"
    );
}

#[test]
fn the_two_alternate_on_one_store() {
    let host = node();
    let ipam = json!({"ranges": [[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00::/64"}]]});
    let one = network(&host, ipam.clone());
    let other = network(&host, ipam).served_by(Plugins::reference());
    let mut seen = Vec::new();
    for n in 0..20 {
        let adder = if n % 2 == 0 { &one } else { &other };
        seen.extend(given(&adder.add(&with(&format!("c{n}")))));
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 40, "{seen:?}");
    for n in 0..20 {
        // Whoever gave it, the other one knows it and takes it back.
        let (checker, remover) = if n % 2 == 0 {
            (&other, &other)
        } else {
            (&one, &one)
        };
        checker.check(&with(&format!("c{n}"))).silent();
        remover.del(&with(&format!("c{n}"))).silent();
    }
    assert!(held(&host).is_empty(), "{:?}", held(&host));
}

#[test]
fn an_entry_of_the_time_before_interface_names_is_honoured() {
    let host = node();
    host.write(format!("{STORE}/10.10.0.2"), "old");
    let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
    assert_eq!(given(&network.add(&with("new"))), ["10.10.0.3"]);
    network.check(&with("old")).silent();
    network.del(&with("old")).silent();
    assert_eq!(held(&host), ["10.10.0.3"]);
}

#[test]
fn a_second_add_for_the_same_attachment_is_refused_and_changes_nothing() {
    let host = node();
    let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
    network.add(&with("a")).ok();
    let before = Dump::of(&host);
    let failure = network.add(&with("a")).failed();
    assert!(failure.mentions("10.10.0.2"), "{failure:?}");
    before.assert_same(&Dump::of(&host));
}

#[test]
fn an_empty_or_torn_reservation_counts_as_free() {
    unlike_the_reference("an empty file holds its address for ever", || {
        let host = node();
        for (address, content) in [
            ("10.10.0.2", ""),
            ("10.10.0.3", "\r\n"),
            ("10.10.0.4", "\0\0\0\0"),
        ] {
            host.write(format!("{STORE}/{address}"), content);
        }
        let network = network(&host, json!({"subnet": "10.10.0.0/29"}));
        let mut all: Vec<_> = ["a", "b", "c", "d", "e"]
            .iter()
            .flat_map(|id| given(&network.add(&with(id))))
            .collect();
        all.sort();
        assert_eq!(
            all,
            [
                "10.10.0.2",
                "10.10.0.3",
                "10.10.0.4",
                "10.10.0.5",
                "10.10.0.6"
            ]
        );
    });
}

#[test]
fn a_data_directory_that_takes_nothing_is_named() {
    let host = node();
    host.sh("mkdir /run/full /run/ro; mount -t tmpfs -o size=4k,nr_inodes=4 tmpfs /run/full; mount -t tmpfs -o ro tmpfs /run/ro");
    host.write("/run/file", "");
    for dir in ["/run/full", "/run/ro", "/run/file"] {
        let network = network(&host, json!({"subnet": "10.10.0.0/24", "dataDir": dir}));
        let mut outcome = network.add(&with("a"));
        // Four inodes may be enough for one pod.
        for n in 0..4 {
            if outcome.succeeded() {
                outcome = network.add(&with(&format!("a{n}")));
            }
        }
        let failure = outcome.refused(5);
        assert!(
            reference_under_test() || failure.mentions(dir),
            "{failure:?}"
        );
    }
}

#[test]
fn another_data_directory_is_used() {
    let host = node();
    network(
        &host,
        json!({"subnet": "10.10.0.0/24", "dataDir": "/run/elsewhere"}),
    )
    .add(&with("a"))
    .ok();
    assert_eq!(
        host.read("/run/elsewhere/podnet/10.10.0.2").as_deref(),
        Some("a\r\neth0")
    );
    assert!(held(&host).is_empty());
}

#[test]
fn a_reservation_of_an_earlier_boot_is_reclaimed_by_the_same_attachment() {
    unlike_the_reference("after a reboot it finds a duplicate allocation", || {
        let host = node();
        let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
        network.add(&with("a")).ok();
        host.pretend_reboot();
        network.add(&with("a")).ok();
        assert_eq!(held(&host).len(), 1);
    });
}

#[test]
fn reservations_of_an_earlier_boot_are_reclaimed_before_a_range_is_exhausted() {
    unlike_the_reference("it knows nothing of boots", || {
        let host = node();
        let network = network(&host, json!({"subnet": "10.10.0.0/29"}));
        for id in ["a", "b", "c"] {
            network.add(&with(id)).ok();
        }
        host.pretend_reboot();
        let new: Vec<_> = ["v", "w", "x", "y", "z"]
            .iter()
            .flat_map(|id| given(&network.add(&with(id))))
            .collect();
        assert_eq!(
            &new[..2],
            ["10.10.0.5", "10.10.0.6"],
            "what is free goes first"
        );
        network.add(&with("late")).failed();
    });
}

#[test]
fn a_missing_reservation_fails_check() {
    let host = node();
    let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
    network.add(&with("a")).ok();
    network.check(&with("a")).silent();
    host.sh(&format!("rm {STORE}/10.10.0.2"));
    let failure = network.check(&with("a")).failed();
    assert!(
        reference_under_test() || failure.mentions("10.10.0.2"),
        "{failure:?}"
    );
}

#[test]
fn del_releases_only_the_attachments_own() {
    let host = node();
    let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
    for (id, ifname) in [("a", "eth0"), ("a", "net1"), ("ab", "eth0")] {
        network.add(&with(id).ifname(ifname)).ok();
    }
    network.del(&with("a")).silent();
    network.del(&with("a")).silent();
    assert_eq!(held(&host), ["10.10.0.3", "10.10.0.4"]);
}
