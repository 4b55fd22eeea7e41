//! What comes with the addresses.

use super::{held, network, node, with};
use serde_json::json;

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
