//! `bridge` ADD: addresses, gateways, routes and name servers.

use serde_json::json;
use testkit::{Scene, addresses, bridge, merged, unlike_the_reference};

#[test]
fn a_gateway_gives_the_bridge_the_address_and_forwards() {
    let scene = Scene::new(bridge(json!({"isGateway": true})));
    scene.add();
    assert_eq!(addresses(&scene.host.link("cni0")), ["10.10.0.1/24"]);
    assert_eq!(
        scene.host.sysctl("net/ipv4/ip_forward").as_deref(),
        Some("1")
    );
    assert!(scene.pod.ping("10.10.0.1"));
    assert_eq!(
        scene.pod.json("ip -j route show default"),
        json!([]),
        "only isDefaultGateway makes a default route"
    );
}

#[test]
fn without_a_gateway_the_bridge_gets_no_address_and_nothing_is_forwarded() {
    let scene = Scene::new(bridge(json!({})));
    scene.host.set_sysctl("net/ipv4/ip_forward", "0");
    scene.add();
    assert!(addresses(&scene.host.link("cni0")).is_empty());
    assert_eq!(
        scene.host.sysctl("net/ipv4/ip_forward").as_deref(),
        Some("0")
    );
}

#[test]
fn a_default_gateway_is_the_pods_default_route() {
    let scene = Scene::new(bridge(json!({"isDefaultGateway": true})));
    let result = scene.add();
    assert_eq!(
        result["routes"],
        json!([{"dst": "0.0.0.0/0", "gw": "10.10.0.1"}])
    );
    assert_eq!(
        scene.pod.json("ip -j route show default")[0]["gateway"],
        "10.10.0.1"
    );
}

#[test]
fn the_default_route_of_the_ipam_wins_over_the_default_gateway() {
    let routes = json!([{"dst": "0.0.0.0/0", "gw": "10.10.0.200"}]);
    let scene = Scene::new(bridge(
        json!({"isDefaultGateway": true, "ipam": {"routes": routes}}),
    ));
    assert_eq!(scene.add()["routes"], routes);
    let default = scene.pod.json("ip -j route show default");
    assert_eq!(
        (default.as_array().map(Vec::len), &default[0]["gateway"]),
        (Some(1), &json!("10.10.0.200"))
    );
}

#[test]
fn two_families_get_an_address_each_at_once() {
    let ranges = json!([[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00:10::/64"}]]);
    let config =
        bridge(json!({"isDefaultGateway": true, "ipam": {"subnet": null, "ranges": ranges}}));
    let scene = Scene::shared(config);
    let before = scene.dump();
    let result = scene.add();
    assert_eq!(result["ips"][0]["address"], "10.10.0.3/24");
    assert_eq!(result["ips"][1]["address"], "fd00:10::3/64");
    let eth0 = scene.pod.link("eth0");
    assert_eq!(addresses(&eth0), ["10.10.0.3/24", "fd00:10::3/64"]);
    for address in ["10.10.0.1", "10.10.0.2", "fd00:10::2"] {
        assert!(scene.pod.ping(address), "{address} does not answer");
    }
    assert_eq!(
        scene.host.sysctl("net/ipv6/conf/all/forwarding").as_deref(),
        Some("1")
    );
    assert_eq!(
        scene.pod.json("ip -6 -j route show default")[0]["gateway"],
        "fd00:10::1"
    );
    scene.network.check(&scene.eth0()).silent();
    scene.network.del(&scene.eth0()).silent();
    before.assert_same(&scene.dump());
}

#[test]
fn an_ipv6_gateway_needs_no_duplicate_address_detection() {
    unlike_the_reference(
        "detection keeps the bridge's address unusable for a second or two",
        || {
            let ipam = json!({"subnet": "fd00:10::/64"});
            let scene = Scene::new(bridge(json!({"isGateway": true, "ipam": ipam})));
            scene.add();
            let cni0 = scene.host.link("cni0");
            let mut all = cni0["addr_info"].as_array().into_iter().flatten();
            let gateway = all
                .find(|address| address["local"] == "fd00:10::1")
                .expect("the gateway has its address");
            assert!(gateway.get("tentative").is_none(), "{gateway}");
        },
    );
}

fn several_range_sets(is_gateway: bool) -> Scene {
    let ranges = json!([[{"subnet": "10.10.0.0/24"}], [{"subnet": "10.20.0.0/24"}, {"subnet": "10.30.0.0/24"}]]);
    let ipam = json!({"subnet": null, "ranges": ranges});
    let scene = Scene::new(bridge(json!({"isGateway": is_gateway, "ipam": ipam})));
    scene.add();
    assert_eq!(
        addresses(&scene.pod.link("eth0")),
        ["10.10.0.2/24", "10.20.0.2/24"]
    );
    scene
}

#[test]
fn each_range_set_gives_an_address() {
    several_range_sets(false);
}

#[test]
fn each_range_set_has_its_gateway() {
    unlike_the_reference(
        "it takes the second IPv4 gateway of one ADD for a stranger's address",
        || {
            let scene = several_range_sets(true);
            for gateway in ["10.10.0.1", "10.20.0.1"] {
                assert!(scene.pod.ping(gateway), "{gateway} does not answer");
            }
        },
    );
}

#[test]
fn routes_lead_through_their_gateway_or_the_networks() {
    let routes = json!([{"dst": "192.168.0.0/24"}, {"dst": "192.168.1.0/24", "gw": "10.10.0.9"}]);
    let scene = Scene::new(bridge(
        json!({"isGateway": true, "ipam": {"routes": routes}}),
    ));
    scene.add();
    for (destination, gateway) in [
        ("192.168.0.0/24", "10.10.0.1"),
        ("192.168.1.0/24", "10.10.0.9"),
    ] {
        let route = scene.pod.json(&format!("ip -j route show {destination}"));
        assert_eq!(route[0]["gateway"], gateway, "{route}");
    }
    unlike_the_reference(
        "its CHECK does not find a route again whose gateway was left to it",
        || {
            scene.network.check(&scene.eth0()).silent();
        },
    );
}

#[test]
fn every_attribute_of_a_route_is_honoured() {
    unlike_the_reference(
        "it ignores mtu and advmss of a route, and Debian's all of them",
        || {
            let route = json!({"dst": "192.168.0.0/24", "gw": "10.10.0.1", "mtu": 1300, "advmss": 1200,
                           "priority": 50, "table": 100, "scope": 0});
            let ipam = json!({"routes": [route]});
            let scene = Scene::new(bridge(
                json!({"cniVersion": "1.1.0", "isGateway": true, "ipam": ipam}),
            ));
            let result = scene.add();
            let made = &scene.pod.json("ip -d -j route show table 100")[0];
            assert_eq!(
                (&made["dst"], &made["gateway"]),
                (&json!("192.168.0.0/24"), &json!("10.10.0.1"))
            );
            assert_eq!(
                (&made["metric"], &made["scope"]),
                (&json!(50), &json!("global"))
            );
            assert_eq!(
                made["metrics"][0],
                json!({"mtu": 1300, "advmss": 1200}),
                "{made}"
            );
            assert_eq!(result["routes"][0], route);
            scene.network.check(&scene.eth0()).silent();
        },
    );
}

#[test]
fn a_route_of_link_scope_has_no_gateway() {
    unlike_the_reference(
        "it gives every route a gateway, which the kernel refuses for such a scope",
        || {
            let routes = json!([{"dst": "192.168.1.7/32", "scope": 253}]);
            let scene = Scene::new(bridge(
                json!({"cniVersion": "1.1.0", "ipam": {"routes": routes}}),
            ));
            scene.add();
            let made = scene.pod.json("ip -d -j route show 192.168.1.7");
            assert_eq!(
                (&made[0]["scope"], made[0].get("gateway")),
                (&json!("link"), None),
                "{made}"
            );
            scene.network.check(&scene.eth0()).silent();
        },
    );
}

#[test]
fn dns_of_the_network_goes_into_the_result() {
    let dns = json!({"nameservers": ["10.10.0.1"], "domain": "example.org", "search": ["a", "b"], "options": ["ndots:5"]});
    assert_eq!(Scene::new(bridge(json!({"dns": dns}))).add()["dns"], dns);
}

#[test]
fn duplicate_address_detection_is_on_when_asked_for() {
    for (wanted, expected) in [(true, "1"), (false, "0")] {
        let ipam = json!({"subnet": "fd00:10::/64"});
        let scene = Scene::new(bridge(
            json!({"enabledad": wanted, "isGateway": true, "ipam": ipam}),
        ));
        scene.add();
        assert_eq!(
            scene.pod.sysctl("net/ipv6/conf/eth0/accept_dad").as_deref(),
            Some(expected)
        );
        let settled = scene.pod.link("eth0");
        assert!(
            !settled["addr_info"]
                .to_string()
                .contains("tentative\":true,\"local\":\"fd00"),
            "{settled}"
        );
        testkit::eventually("the gateway answers", || scene.pod.ping("fd00:10::1"));
    }
}

#[test]
fn a_bridge_with_another_address_is_refused_unless_forced() {
    let scene = Scene::new(bridge(json!({"isGateway": true})));
    scene.join("first");
    let other =
        bridge(json!({"isGateway": true, "name": "other", "ipam": {"subnet": "10.99.0.0/24"}}));
    let before = scene.dump();
    let scene = Scene {
        network: scene.network.configured(other.clone()),
        ..scene
    };
    let failure = scene.network.add(&scene.eth0()).failed();
    assert!(failure.mentions("cni0"), "{failure:?}");
    if !testkit::reference_under_test() {
        assert!(
            failure.mentions("10.10.0.1/24") && failure.mentions("forceAddress"),
            "{failure:?}"
        );
        before.assert_same(&scene.dump());
    }
    scene.network.del(&scene.eth0()).ok();

    let forced = merged(other, json!({"forceAddress": true}));
    let scene = Scene {
        network: scene.network.configured(forced),
        ..scene
    };
    scene.add();
    assert_eq!(addresses(&scene.host.link("cni0")), ["10.99.0.1/24"]);
}

#[test]
fn router_advertisements_are_not_accepted_from_pods() {
    let scene = Scene::new(bridge(json!({})));
    scene.add();
    for link in [
        "cni0".to_owned(),
        scene.port()["ifname"].as_str().unwrap().to_owned(),
    ] {
        let accepted = scene
            .host
            .sysctl(&format!("net/ipv6/conf/{link}/accept_ra"));
        assert_eq!(accepted.as_deref(), Some("0"), "{link}");
    }
}
