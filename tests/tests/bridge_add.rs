//! `bridge` ADD: what is made in the pod and on the host, and what is said about it.

use serde_json::json;
use testkit::{Dump, Host, Network, bridge};

#[test]
fn a_plain_pod_gets_an_address_and_del_takes_all_of_it_back() {
    let host = Host::new();
    let (keeper, pod) = (host.pod("keeper"), host.pod("a"));
    let network = Network::new(&host, bridge(json!({})));
    network.add(&keeper.attachment()).ok();
    let before = Dump::of(&host).and(&[&pod]);

    let result = network.add(&pod.attachment()).ok();
    assert_eq!(result["ips"][0]["address"], "10.10.0.3/24");
    assert!(pod.ping("10.10.0.2".parse().unwrap()));
    network.check(&pod.attachment()).silent();
    network.del(&pod.attachment()).silent();

    before.assert_same(&Dump::of(&host).and(&[&pod]));
}
