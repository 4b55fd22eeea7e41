//! Addresses and ranges that somebody asks for.

use super::{given, held, network, node, with};
use serde_json::{Value, json};
use testkit::{Dump, Network, host_local, merged, reference_under_test};

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
