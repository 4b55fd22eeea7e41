//! Which address is next, and what a range says that has none.

use super::{given, network, node, with};
use serde_json::json;
use testkit::{Dump, Network, host_local, merged, unlike_the_reference};

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
