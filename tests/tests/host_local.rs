//! `host-local`: which addresses it gives, what it refuses, and the store that it shares with the reference.

use serde_json::{Value, json};
use testkit::{
    Attachment, Dump, Host, Network, Outcome, Plugins, host_local, merged, reference_under_test,
    unlike_the_reference,
};

const STORE: &str = "/var/lib/cni/networks/podnet";

fn with(id: &str) -> Attachment {
    Attachment::new(id, "eth0", "/run/netns/pod")
}

/// A host with one namespace, which an IPAM plugin is given and has no use for.
fn node() -> Host {
    let host = Host::new();
    host.pod("pod");
    host
}

fn network(host: &Host, ipam: Value) -> Network {
    Network::new(host, host_local(ipam))
}

/// The addresses of a result, without prefix length.
fn given(outcome: &Outcome) -> Vec<String> {
    let result = outcome.ok();
    let ips = result["ips"].as_array().into_iter().flatten();
    ips.filter_map(|ip| Some(ip["address"].as_str()?.split('/').next()?.to_owned()))
        .collect()
}

/// The addresses held in the store.
fn held(host: &Host) -> Vec<String> {
    host.list(STORE)
        .into_iter()
        .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
        .collect()
}

#[test]
fn addresses_are_given_in_turn_and_not_again_at_once() {
    let host = node();
    let network = network(&host, json!({"subnet": "10.10.0.0/29"}));
    assert_eq!(given(&network.add(&with("a"))), ["10.10.0.2"]);
    network.del(&with("a")).silent();
    for (id, address) in [
        ("b", "10.10.0.3"),
        ("c", "10.10.0.4"),
        ("d", "10.10.0.5"),
        ("e", "10.10.0.6"),
        ("f", "10.10.0.2"),
    ] {
        assert_eq!(given(&network.add(&with(id))), [address]);
    }
    network.add(&with("g")).refused_naming(11, &["10.10.0"]);
    network.del(&with("d")).silent();
    assert_eq!(given(&network.add(&with("g"))), ["10.10.0.5"]);
}

#[test]
fn a_full_range_names_itself_how_many_and_the_oldest_holders() {
    unlike_the_reference("its message has neither a count nor holders", || {
        let host = node();
        let network = network(&host, json!({"subnet": "10.10.0.0/29"}));
        for id in ["first", "b", "c", "d", "e"] {
            network.add(&with(id)).ok();
        }
        let failure = network.add(&with("late")).failed();
        for word in ["10.10.0.2", "10.10.0.6", "5", "first"] {
            assert!(failure.mentions(word), "no {word:?} in {failure:?}");
        }
    });
}

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
fn a_requested_address_comes_from_each_of_its_places() {
    let rows = [
        (json!({}), with("a").args("IP=10.10.0.40"), json!({})),
        (
            json!({}),
            with("a"),
            json!({"args": {"cni": {"ips": ["10.10.0.40"]}}}),
        ),
        (
            json!({"ips": true}),
            with("a").offering(json!({"ips": ["10.10.0.40/24"]})),
            json!({}),
        ),
    ];
    for (capabilities, attachment, patch) in rows {
        let host = node();
        let config = merged(host_local(json!({"subnet": "10.10.0.0/24"})), patch);
        let network = Network::new(&host, merged(config, json!({"capabilities": capabilities})));
        assert_eq!(given(&network.add(&attachment)), ["10.10.0.40"]);
        network.check(&attachment).silent();
        network.del(&attachment).silent();
        assert!(held(&host).is_empty());
    }
}

#[test]
fn a_requested_address_that_cannot_be_given_is_named() {
    let host = node();
    let network = network(
        &host,
        json!({"subnet": "10.10.0.0/24", "rangeEnd": "10.10.0.100"}),
    );
    network.add(&with("holder").args("IP=10.10.0.40")).ok();
    let before = Dump::of(&host);
    for (address, why) in [
        ("10.10.0.40", "holder"),
        ("10.10.0.1", "gateway"),
        ("10.10.0.200", "10.10.0.100"),
        ("192.0.2.1", "10.10.0"),
    ] {
        let failure = network
            .add(&with("a").args(&format!("IP={address}")))
            .failed();
        assert!(failure.mentions(address), "{failure:?}");
        assert!(
            reference_under_test() || failure.mentions(why),
            "no {why:?} in {failure:?}"
        );
        before.assert_same(&Dump::of(&host));
    }
}

#[test]
fn a_requested_address_that_is_none_is_refused() {
    let host = node();
    let network = network(&host, json!({"subnet": "10.10.0.0/24"}));
    for address in ["nonsense", "10.10.0", "10.10.0.300"] {
        let failure = network
            .add(&with("a").args(&format!("IP={address}")))
            .failed();
        assert!(
            reference_under_test() || failure.mentions(address),
            "{failure:?}"
        );
    }
    assert!(held(&host).is_empty());
}

#[test]
fn ranges_that_cannot_be_are_refused_by_name() {
    let rows: [(Value, &[&str]); 12] = [
        (json!({}), &["ranges"]),
        (json!({"ranges": []}), &["ranges"]),
        (json!({"ranges": [[]]}), &["ranges[0]"]),
        (json!({"subnet": "10.10.0.0/31"}), &["10.10.0.0/31"]),
        (
            json!({"subnet": "10.10.0.7/24"}),
            &["10.10.0.7/24", "10.10.0.0/24"],
        ),
        (json!({"subnet": "nonsense"}), &["subnet", "nonsense"]),
        (
            json!({"subnet": "10.10.0.0/24", "rangeStart": "10.20.0.1"}),
            &["rangeStart", "10.20.0.1"],
        ),
        (
            json!({"subnet": "10.10.0.0/24", "rangeEnd": "10.20.0.1"}),
            &["rangeEnd", "10.20.0.1"],
        ),
        (
            json!({"subnet": "10.10.0.0/24", "rangeStart": "10.10.0.9", "rangeEnd": "10.10.0.5"}),
            &["10.10.0.9", "10.10.0.5"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.10.0.0/24"}], [{"subnet": "10.10.0.0/16"}]]}),
            &["ranges[0]", "ranges[1]"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.10.0.0/24"}, {"subnet": "10.10.0.0/25"}]]}),
            &["ranges[0]"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.10.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            &["ranges[0]", "fd00::"],
        ),
    ];
    for (ipam, words) in rows {
        let host = node();
        let before = Dump::of(&host);
        let failure = network(&host, ipam.clone()).add(&with("a")).failed();
        for word in words {
            assert!(
                reference_under_test() || failure.mentions(word),
                "{ipam}: no {word:?} in {failure:?}"
            );
        }
        if !reference_under_test() {
            assert_eq!(failure.code, 7, "{ipam}: {failure:?}");
            before.assert_same(&Dump::of(&host));
        }
    }
}

#[test]
fn two_addresses_of_one_family_need_a_newer_version() {
    let ipam = json!({"ranges": [[{"subnet": "10.10.0.0/24"}], [{"subnet": "10.20.0.0/24"}]]});
    let host = node();
    let old = merged(host_local(ipam), json!({"cniVersion": "0.2.0"}));
    let failure = Network::new(&host, old).add(&with("a")).failed();
    assert!(
        reference_under_test() || failure.mentions("0.3.0"),
        "{failure:?}"
    );
    assert!(held(&host).is_empty());
}

#[test]
fn ranges_offered_by_the_runtime_come_first() {
    let host = node();
    let config = merged(
        host_local(json!({"subnet": "10.10.0.0/24"})),
        json!({"capabilities": {"ipRanges": true}}),
    );
    let network = Network::new(&host, config);
    let offered = json!({"ipRanges": [[{"subnet": "10.20.0.0/24", "rangeStart": "10.20.0.9"}]]});
    assert_eq!(
        given(&network.add(&with("a").offering(offered))),
        ["10.20.0.9", "10.10.0.2"]
    );
}

#[test]
fn the_range_and_gateway_given_are_kept() {
    let host = node();
    let ipam = json!({"subnet": "10.10.0.0/24", "rangeStart": "10.10.0.10", "rangeEnd": "10.10.0.12", "gateway": "10.10.0.11"});
    let network = network(&host, ipam);
    let first = network.add(&with("a")).ok();
    assert_eq!(
        first["ips"],
        json!([{"address": "10.10.0.10/24", "gateway": "10.10.0.11"}])
    );
    assert_eq!(
        given(&network.add(&with("b"))),
        ["10.10.0.12"],
        "the gateway is nobody's"
    );
    network.add(&with("c")).failed();
}

#[test]
fn a_failure_in_one_range_set_gives_back_the_others() {
    let host = node();
    let ipam = json!({"ranges": [[{"subnet": "10.10.0.0/24"}], [{"subnet": "10.20.0.0/30"}]]});
    let network = network(&host, ipam);
    network.add(&with("a")).ok();
    let before = Dump::of(&host);
    network.add(&with("b")).failed();
    before.assert_same(&Dump::of(&host));
}

#[test]
fn routes_and_resolv_conf_go_into_the_result() {
    let host = node();
    let resolv = host.scratch("resolv.conf");
    host.write(&resolv, "# a comment\nnameserver 10.10.0.1\nnameserver fd00::1\ndomain example.org\nsearch a b\noptions ndots:5 edns0\n");
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.0.5"}]);
    let result = network(
        &host,
        json!({"subnet": "10.10.0.0/24", "resolvConf": resolv, "routes": routes}),
    )
    .add(&with("a"))
    .ok();
    assert_eq!(result["routes"], routes);
    let dns = json!({"nameservers": ["10.10.0.1", "fd00::1"], "domain": "example.org", "search": ["a", "b"], "options": ["ndots:5", "edns0"]});
    assert_eq!(result["dns"], dns);
    // DLG-4
    assert!(
        result.get("interfaces").is_none() && result["ips"][0].get("interface").is_none(),
        "{result}"
    );
}

#[test]
fn an_unreadable_resolv_conf_is_named_and_nothing_is_reserved() {
    let host = node();
    let failure = network(
        &host,
        json!({"subnet": "10.10.0.0/24", "resolvConf": "/run/missing"}),
    )
    .add(&with("a"))
    .failed();
    assert!(failure.mentions("/run/missing"), "{failure:?}");
    assert!(held(&host).is_empty());
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

#[test]
fn networks_do_not_share_addresses() {
    let host = node();
    let one = network(&host, json!({"subnet": "10.10.0.0/24"}));
    let other = Network::new(
        &host,
        merged(
            host_local(json!({"subnet": "10.10.0.0/24"})),
            json!({"name": "other"}),
        ),
    );
    assert_eq!(given(&one.add(&with("a"))), ["10.10.0.2"]);
    assert_eq!(given(&other.add(&with("a"))), ["10.10.0.2"]);
}
