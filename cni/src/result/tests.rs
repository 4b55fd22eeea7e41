//! The conversions against tables written by hand, and against a plain statement of what each
//! version can hold.

use super::*;
use crate::version::Shape;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use std::net::{Ipv4Addr, Ipv6Addr};

fn dual_stack() -> AddResult {
    let cidr = |text| crate::parse_cidr(text).unwrap();
    let address = |text| crate::parse_address(text).unwrap();
    AddResult {
        interfaces: vec![
            Interface {
                name: "veth1".into(),
                ..Interface::default()
            },
            Interface {
                name: "eth0".into(),
                mac: "02:00:00:00:00:07".into(),
                mtu: Some(1450),
                sandbox: "/run/netns/a".into(),
                socket_path: "/run/a.sock".into(),
                pci_id: "0000:00:1f.6".into(),
            },
        ],
        ips: vec![
            IpConfig {
                address: cidr("fd00::7/64"),
                gateway: None,
                interface: Some(1),
            },
            IpConfig {
                address: cidr("10.1.0.7/16"),
                gateway: Some(address("10.1.0.1")),
                interface: Some(1),
            },
            IpConfig {
                address: cidr("10.2.0.7/16"),
                gateway: None,
                interface: None,
            },
        ],
        routes: vec![
            Route::new(cidr("::/0"), None),
            Route {
                mtu: Some(1400),
                advmss: Some(1360),
                priority: Some(10),
                table: Some(0),
                scope: Some(0),
                ..Route::new(cidr("0.0.0.0/0"), Some(address("10.1.0.1")))
            },
        ],
        dns: Dns::default(),
    }
}

fn default_route() -> Value {
    json!({
        "dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1360, "priority": 10,
        "table": 0, "scope": 0,
    })
}

#[test]
fn version_0_2_0_has_the_first_address_of_each_family() {
    let expected = json!({
        "cniVersion": "0.2.0",
        "ip4": {"ip": "10.1.0.7/16", "gateway": "10.1.0.1", "routes": [default_route()]},
        "ip6": {"ip": "fd00::7/64", "routes": [{"dst": "::/0"}]},
        "dns": {},
    });
    assert_eq!(dual_stack().to_json(Version::V0_2_0), Ok(expected));
}

#[test]
fn version_0_4_0_tags_addresses_and_has_no_extras_of_interfaces() {
    let expected = json!({
        "cniVersion": "0.4.0",
        "interfaces": [
            {"name": "veth1"},
            {"name": "eth0", "mac": "02:00:00:00:00:07", "sandbox": "/run/netns/a"},
        ],
        "ips": [
            {"version": "6", "address": "fd00::7/64", "interface": 1},
            {"version": "4", "address": "10.1.0.7/16", "gateway": "10.1.0.1", "interface": 1},
            {"version": "4", "address": "10.2.0.7/16"},
        ],
        "routes": [{"dst": "::/0"}, default_route()],
        "dns": {},
    });
    assert_eq!(dual_stack().to_json(Version::V0_4_0), Ok(expected));
}

#[test]
fn version_1_1_0_has_everything_and_no_empty_dns() {
    let expected = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "veth1"},
            {
                "name": "eth0", "mac": "02:00:00:00:00:07", "mtu": 1450,
                "sandbox": "/run/netns/a", "socketPath": "/run/a.sock", "pciID": "0000:00:1f.6",
            },
        ],
        "ips": [
            {"address": "fd00::7/64", "interface": 1},
            {"address": "10.1.0.7/16", "gateway": "10.1.0.1", "interface": 1},
            {"address": "10.2.0.7/16"},
        ],
        "routes": [{"dst": "::/0"}, default_route()],
    });
    assert_eq!(dual_stack().to_json(Version::V1_1_0), Ok(expected));
}

#[test]
fn an_empty_result_is_a_version_and_before_1_0_0_an_empty_dns() {
    let empty = AddResult::default();
    let shown = |version| empty.to_json(version);
    for version in [Version::V0_1_0, Version::V0_2_0] {
        assert_eq!(shown(version), Err(ResultError::NoAddress(version)));
    }
    assert_eq!(
        shown(Version::V0_3_1),
        Ok(json!({"cniVersion": "0.3.1", "dns": {}}))
    );
    assert_eq!(shown(Version::V1_0_0), Ok(json!({"cniVersion": "1.0.0"})));
}

#[test]
fn ip4_comes_before_ip6_and_so_do_its_routes() {
    let value = json!({
        "ip6": {"ip": "fd00::7/64", "routes": [{"dst": "::/0"}]},
        "ip4": {"ip": "10.1.0.7/16", "routes": [{"dst": "0.0.0.0/0"}]},
    });
    let result = AddResult::from_json(&value, Version::V0_2_0).unwrap();
    let ips: Vec<_> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(ips, ["10.1.0.7/16", "fd00::7/64"]);
    let routes: Vec<_> = result.routes.iter().map(|r| r.dst.to_string()).collect();
    assert_eq!(routes, ["0.0.0.0/0", "::/0"]);
}

#[test]
fn a_result_without_a_version_is_read_in_the_given_one_and_its_own_wins() {
    let bare = json!({"ip4": {"ip": "10.1.0.7/16"}, "ips": []});
    let read = |value: &Value, version| AddResult::from_json(value, version).unwrap().ips.len();
    assert_eq!(read(&bare, Version::V0_2_0), 1);
    assert_eq!(read(&bare, Version::V1_0_0), 0);
    let mut own = bare;
    own["cniVersion"] = "0.1.0".into();
    assert_eq!(read(&own, Version::V1_0_0), 1);
}

#[test]
fn absent_values_are_read_in_all_their_forms() {
    let value = json!({
        "CNIVersion": "", "interfaces": null, "dns": {"domain": "", "search": null},
        "ips": [{"address": "10.1.0.7/16", "gateway": "", "interface": -1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "", "mtu": 0, "advmss": 0, "priority": 0}],
    });
    let result = AddResult::from_json(&value, Version::V0_3_0).unwrap();
    assert_eq!(result.ips[0].gateway, None);
    assert_eq!(result.ips[0].interface, None);
    assert_eq!(
        result.routes,
        [Route::new("0.0.0.0/0".parse().unwrap(), None)]
    );
    assert!(result.dns.is_empty());
}

#[test]
fn a_wrong_key_is_named_with_its_path() {
    for (value, text) in [
        (json!(7), r#"the result: found 7, wanted an object"#),
        (
            json!({"cniVersion": "9.0.0"}),
            r#"cniVersion "9.0.0" is not a known CNI version"#,
        ),
        (json!({"ips": {}}), "ips: found {}, wanted a list"),
        (
            json!({"ips": [{"address": "10.1.0.7/16"}, {}]}),
            "ips[1].address is missing: wanted an address such as 10.1.0.7/16",
        ),
        (
            json!({"ips": [{"address": "10.1.0.7"}]}),
            r#"ips[0].address: found "10.1.0.7", wanted an address with its prefix length, such as 10.1.0.0/16 or fd00::/64"#,
        ),
        (
            json!({"routes": [{"dst": "0.0.0.0/0", "scope": 256}]}),
            "routes[0].scope: found 256, wanted a number from 0 to 255",
        ),
        (
            json!({"interfaces": [{"name": true}]}),
            "interfaces[0].name: found true, wanted a text",
        ),
    ] {
        let error = AddResult::from_json(&value, Version::V1_1_0).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

/// What a version can hold of a result, said without a word about JSON.
fn held(result: &AddResult, version: Version) -> Option<AddResult> {
    let mut result = result.clone();
    match version.shape() {
        Shape::PerFamily => {
            result.interfaces.clear();
            let v4 = result.ips.iter().find(|ip| ip.address.is_ipv4()).cloned();
            let v6 = result.ips.iter().find(|ip| ip.address.is_ipv6()).cloned();
            let has = |route: &Route, v4: bool, ip: &Option<IpConfig>| {
                ip.is_some() && route.dst.is_ipv4() == v4
            };
            let routes = |v4, ip| {
                result
                    .routes
                    .iter()
                    .filter(move |r| has(r, v4, ip))
                    .cloned()
            };
            let sorted: Vec<_> = routes(true, &v4).chain(routes(false, &v6)).collect();
            result.routes = sorted;
            result.ips = v4.into_iter().chain(v6).collect();
            for ip in &mut result.ips {
                ip.interface = None;
            }
            if result.ips.is_empty() {
                return None;
            }
        }
        Shape::Tagged => {
            for link in &mut result.interfaces {
                link.mtu = None;
                link.socket_path.clear();
                link.pci_id.clear();
            }
        }
        Shape::Plain => {}
    }
    Some(result)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<Ipv6Addr>().prop_map(|ip| IpAddr::V6(ip).to_canonical()),
    ]
}

fn cidr() -> impl Strategy<Value = IpNetwork> {
    (ip(), 0u8..=128).prop_map(|(ip, length)| {
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        IpNetwork::new(ip, length % (longest + 1)).unwrap()
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{1,8}"]
}

prop_compose! {
    fn interface()(
        name in text(),
        mac in text(),
        mtu in option::of(1u32..),
        sandbox in text(),
        socket_path in text(),
        pci_id in text(),
    ) -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id }
    }
}

prop_compose! {
    fn ip_config()(
        address in cidr(),
        gateway in option::of(ip()),
        interface in option::of(0usize..9),
    ) -> IpConfig {
        IpConfig { address, gateway, interface }
    }
}

prop_compose! {
    fn route()(
        dst in cidr(),
        gw in option::of(ip()),
        mtu in option::of(1u32..),
        advmss in option::of(1u32..),
        priority in option::of(1u32..),
        table in option::of(any::<u32>()),
        scope in option::of(any::<u8>()),
    ) -> Route {
        Route { dst, gw, mtu, advmss, priority, table, scope }
    }
}

prop_compose! {
    fn dns()(
        nameservers in proptest::collection::vec(text(), 0..3),
        domain in option::of("\\PC{1,8}"),
        search in proptest::collection::vec(text(), 0..3),
        options in proptest::collection::vec(text(), 0..3),
    ) -> Dns {
        Dns { nameservers, domain, search, options }
    }
}

prop_compose! {
    fn result()(
        interfaces in proptest::collection::vec(interface(), 0..3),
        ips in proptest::collection::vec(ip_config(), 0..4),
        routes in proptest::collection::vec(route(), 0..4),
        dns in prop_oneof![Just(Dns::default()), dns()],
    ) -> AddResult {
        AddResult { interfaces, ips, routes, dns }
    }
}

/// JSON of any shape, with the keys that results have.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        cidr().prop_map(|net| net.to_string().into()),
        "[0-9.:/]{0,6}".prop_map(Value::from),
        proptest::sample::select(&Version::ALL[..]).prop_map(|version| version.as_str().into()),
    ];
    let key = proptest::sample::select(vec![
        "cniVersion",
        "CNIVERSION",
        "ip4",
        "ip6",
        "ip",
        "interfaces",
        "ips",
        "routes",
        "dns",
        "address",
        "gateway",
        "interface",
        "dst",
        "gw",
        "mtu",
        "scope",
        "name",
        "domain",
        "search",
        "prevResult",
        "ipam",
        "cni.dev/valid-attachments",
        "containerID",
        "ifname",
        "type",
    ]);
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(pairs.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_version_gives_back_what_it_can_hold(result in result()) {
        for version in Version::ALL {
            match (result.to_json(version), held(&result, version)) {
                (Ok(value), Some(held)) => {
                    prop_assert_eq!(&value["cniVersion"], version.as_str());
                    // The version in the result decides, not the one given.
                    let other = Version::ALL[6 - version as usize];
                    prop_assert_eq!(AddResult::from_json(&value, other), Ok(held));
                }
                (Err(ResultError::NoAddress(refused)), None) => prop_assert_eq!(refused, version),
                (written, held) => prop_assert!(false, "{version}: {written:?}, {held:?}"),
            }
        }
    }

    #[test]
    fn a_conversion_keeps_what_both_versions_can_hold(result in result()) {
        for from in Version::ALL {
            for to in Version::ALL {
                let Some(expected) = held(&result, from).and_then(|kept| held(&kept, to)) else {
                    continue;
                };
                let first = result.to_json(from).unwrap();
                let between = AddResult::from_json(&first, Version::NEWEST).unwrap();
                let second = between.to_json(to).unwrap();
                let last = AddResult::from_json(&second, Version::NEWEST).unwrap();
                prop_assert_eq!(last, expected, "{} to {}", from, to);
            }
        }
    }

    #[test]
    fn any_json_is_read_or_refused(value in any_json(), version in 0usize..7) {
        if let Ok(result) = AddResult::from_json(&value, Version::ALL[version]) {
            for version in Version::ALL {
                let written = result.to_json(version);
                prop_assert!(written.is_ok() || result.ips.is_empty());
            }
        }
    }

    #[test]
    fn any_configuration_is_read_or_refused(mut value in any_json()) {
        if let Some(object) = value.as_object_mut() {
            object.insert("name".into(), "net".into());
        }
        if let Ok(config) = crate::Config::parse(value.to_string().as_bytes()) {
            let _ = config.prev_result();
            let _ = config.valid_attachments();
            let _ = config.ipam();
        }
    }
}
