use super::*;
use cni::Config;
use proptest::prelude::*;
use serde_json::{Value, json};

fn settings(keys: Value) -> Result<Settings, ConfigError> {
    let mut config = json!({"cniVersion": "1.1.0", "name": "podnet", "type": "portmap"});
    let fields = config.as_object_mut().unwrap();
    fields.extend(keys.as_object().unwrap().clone());
    Settings::read(&Config::parse(config.to_string().as_bytes()).unwrap().root())
}

fn with(mappings: Value) -> Result<Settings, ConfigError> {
    settings(json!({"runtimeConfig": {"portMappings": mappings}}))
}

#[test]
fn mappings_are_read_with_their_defaults() {
    let found = with(json!([
        {"hostPort": 8080, "containerPort": 80},
        {"hostPort": 8080, "containerPort": 80, "protocol": "TCP", "hostIP": ""},
        {"hostPort": 53, "containerPort": 5353, "protocol": "UDP", "hostIP": "10.0.0.1"},
        {"hostPort": 53, "containerPort": 5354, "protocol": "udp", "hostIP": "10.0.0.2"},
        {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "::"},
    ]));
    let mapping = |protocol, host_ip: Option<&str>, host_port, container_port| Mapping {
        protocol,
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        host_port,
        container_port,
    };
    let expected = vec![
        mapping(Protocol::Tcp, None, 8080, 80),
        mapping(Protocol::Udp, Some("10.0.0.1"), 53, 5353),
        mapping(Protocol::Udp, Some("10.0.0.2"), 53, 5354),
        mapping(Protocol::Udp, Some("::"), 53, 5353),
    ];
    assert_eq!(found.unwrap().mappings, expected);
    assert_eq!(settings(json!({})).unwrap(), Settings::default());
}

#[test]
fn who_is_hidden_follows_from_two_keys() {
    for (keys, hidden) in [
        (json!({}), Hidden::Neighbours),
        (json!({"snat": true, "masqAll": true}), Hidden::Everybody),
        (json!({"snat": false}), Hidden::Nobody),
        (json!({"snat": false, "masqAll": true}), Hidden::Nobody),
    ] {
        assert_eq!(settings(keys.clone()).unwrap().hidden, hidden, "{keys}");
    }
}

#[test]
fn what_breaks_a_rule_is_named_with_its_place() {
    let port = |entry: Value| with(json!([entry]));
    for (found, words) in [
        (
            port(json!({"hostPort": 70000, "containerPort": 80})),
            "portMappings[0].hostPort",
        ),
        (
            port(json!({"hostPort": 0, "containerPort": 80})),
            "from 1 to 65535",
        ),
        (port(json!({"hostPort": -1, "containerPort": 80})), "-1"),
        (
            port(json!({"hostPort": "80", "containerPort": 80})),
            "a whole number",
        ),
        (port(json!({"hostPort": 80})), "containerPort is missing"),
        (
            port(json!({"hostPort": 80, "containerPort": 80, "protocol": "icmp"})),
            "\"tcp\"",
        ),
        (
            port(json!({"hostPort": 80, "containerPort": 80, "hostIP": "10.0.0"})),
            "hostIP",
        ),
        (
            port(json!({"hostPort": 80, "containerPort": 80, "hostIP": "1.2.3.4; flush"})),
            "hostIP",
        ),
        (
            with(
                json!([{"hostPort": 80, "containerPort": 1}, {"hostPort": 80, "containerPort": 2, "hostIP": "10.0.0.1"}]),
            ),
            "portMappings[1].hostPort",
        ),
        (with(json!({"hostPort": 80})), "a list"),
        (settings(json!({"backend": "ipvs"})), "backend"),
        (settings(json!({"markMasqBit": 32})), "markMasqBit"),
        (
            settings(json!({"markMasqBit": 1, "externalSetMarkChain": "X"})),
            "not both",
        ),
        (
            settings(json!({"conditionsV4": ["-m", "owner"]})),
            "conditionsV4",
        ),
        (settings(json!({"snat": "yes"})), "snat"),
    ] {
        let text = found.unwrap_err().to_string();
        assert!(text.contains(words), "{words}: {text}");
    }
}

proptest! {
    #[test]
    fn overlapping_is_mutual(one in any_mapping(), two in any_mapping()) {
        prop_assert_eq!(one.overlaps(&two), two.overlaps(&one));
        prop_assert!(one.overlaps(&one));
    }
}

fn any_mapping() -> impl Strategy<Value = Mapping> {
    let ip = prop_oneof![
        Just(None),
        Just(Some("0.0.0.0")),
        Just(Some("::")),
        Just(Some("10.0.0.1")),
        Just(Some("fd00::1")),
    ];
    (ip, 1..3_u16, any::<bool>()).prop_map(|(ip, port, udp)| Mapping {
        protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        host_ip: ip.map(|ip| ip.parse().unwrap()),
        host_port: port,
        container_port: 80,
    })
}
