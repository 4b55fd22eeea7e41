//! Configurations as they are found in the field, and each way in which one can be wrong.

use super::*;
use crate::Code;
use proptest::prelude::*;
use serde_json::json;

fn parse(value: &Value) -> Result<Config, ConfigError> {
    Config::parse(value.to_string().as_bytes())
}

fn code_and_text<T: std::fmt::Debug>(read: Result<T, ConfigError>) -> (Code, String) {
    let error = read.unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn a_configuration_has_a_version_a_name_and_a_type() {
    let config = parse(&json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge"})).unwrap();
    assert_eq!(config.version(), Version::V1_0_0);
    assert_eq!(config.network().as_str(), "net");
    assert_eq!(config.plugin_type(), "bridge");
}

#[test]
fn what_the_field_relies_on_is_accepted() {
    let config = parse(&json!({
        "CNIVERSION": null, "Name": "net", "isGATEWAY": true, "mtu": null, "x-unknown": {},
    }));
    let config = config.unwrap();
    assert_eq!(config.version(), Version::V0_1_0);
    assert_eq!(config.plugin_type(), "");
    assert_eq!(config.root().boolean("isGateway"), Ok(Some(true)));
    assert_eq!(config.root().integer("mtu", 0..=65535), Ok(None));
    assert!(config.ipam().unwrap().is_none());
    assert_eq!(config.prev_result(), Ok(None));
}

#[test]
fn what_is_no_configuration_is_refused_with_its_code() {
    for (input, code, text) in [
        (
            "",
            Code::Decode,
            "configuration is not valid JSON: it is empty",
        ),
        (
            " \n",
            Code::Decode,
            "configuration is not valid JSON: it is empty",
        ),
        ("{", Code::Decode, "not valid JSON: EOF"),
        (r#"{"name": "net"} x"#, Code::Decode, "trailing characters"),
        ("[]", Code::Decode, "found [], wanted an object"),
        (
            r#"{"name": 7}"#,
            Code::Decode,
            "name: found 7, wanted a text",
        ),
        (
            r#"{"cniVersion": 1}"#,
            Code::Decode,
            "cniVersion: found 1, wanted a text",
        ),
        (
            r#"{"name": "n", "type": []}"#,
            Code::Decode,
            "type: found [], wanted a text",
        ),
        (
            r#"{"cniVersion": "3"}"#,
            Code::IncompatibleVersion,
            r#"cniVersion "3" is not"#,
        ),
        (
            "{}",
            Code::InvalidConfig,
            "name is missing: wanted the network's name",
        ),
        (
            r#"{"name": ""}"#,
            Code::InvalidConfig,
            r#"name: found "", wanted"#,
        ),
        (
            r#"{"name": "a/b"}"#,
            Code::InvalidConfig,
            r#"(it contains '/')"#,
        ),
        (
            r#"{"name": ".."}"#,
            Code::InvalidConfig,
            r#"found "..", wanted"#,
        ),
    ] {
        let (found_code, found) = code_and_text(Config::parse(input.as_bytes()));
        assert_eq!(found_code, code, "{input}: {found}");
        assert!(found.contains(text), "{input}: {found}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(
        code_and_text(Config::parse(deep.as_bytes())).0,
        Code::Decode
    );
    assert_eq!(
        code_and_text(Config::parse(b"{\"name\": \"\xff\"}")).0,
        Code::Decode
    );
}

#[test]
fn an_unknown_version_becomes_an_error_that_lists_both_sides() {
    let error = crate::Error::from(parse(&json!({"cniVersion": "9.9.9"})).unwrap_err());
    assert_eq!(error.code, Code::IncompatibleVersion);
    assert!(error.details.contains("9.9.9") && error.details.contains("1.1.0"));
}

#[test]
fn keys_are_read_with_their_type_and_named_with_their_path() {
    let config = parse(&json!({
        "name": "net",
        "ipam": {
            "ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "10.2.0.0"}], {}],
            "gateway": "10.1.0.300", "mtu": "1500", "vlan": 4095, "ratio": 1.5,
            "big": 18_446_744_073_709_551_615u64, "resolvConf": false, "ips": ["a", 1],
            "list": "no", "flags": [{}, 1],
        },
    }));
    let config = config.unwrap();
    let ipam = config.ipam().unwrap().unwrap();
    let sets = ipam.elements("ranges").unwrap().unwrap();
    let ranges = sets[0].sections().unwrap();
    assert_eq!(
        ranges[0].cidr("subnet"),
        Ok(Some("10.1.0.0/16".parse().unwrap()))
    );
    assert_eq!(ranges[0].path("rangeStart"), "ipam.ranges[0][0].rangeStart");
    assert_eq!(sets[1].path(), "ipam.ranges[1]");

    let rule = Code::InvalidConfig;
    for (found, code, text) in [
        (
            code_and_text(ranges[1].cidr("subnet")),
            rule,
            r#"ipam.ranges[0][1].subnet: found "10.2.0.0", wanted an address with its prefix length, such as 10.1.0.0/16 or fd00::/64"#,
        ),
        (
            code_and_text(sets[1].elements()),
            Code::Decode,
            "ipam.ranges[1]: found {}, wanted a list",
        ),
        (
            code_and_text(ipam.address("gateway")),
            rule,
            r#"ipam.gateway: found "10.1.0.300", wanted an address such as 10.1.0.7 or fd00::7"#,
        ),
        (
            code_and_text(ipam.integer("mtu", 0..=9000)),
            Code::Decode,
            r#"ipam.mtu: found "1500", wanted a whole number"#,
        ),
        (
            code_and_text(ipam.integer("ratio", 0..=9)),
            Code::Decode,
            "ipam.ratio: found 1.5, wanted a whole number",
        ),
        (
            code_and_text(ipam.integer("vlan", 0..=4094)),
            rule,
            "ipam.vlan: found 4095, wanted a number from 0 to 4094",
        ),
        (
            code_and_text(ipam.unsigned("big")),
            rule,
            "ipam.big: found 18446744073709551615, wanted a number from 0 to 4294967295",
        ),
        (
            code_and_text(ipam.string("resolvConf")),
            Code::Decode,
            "ipam.resolvConf: found false, wanted a text",
        ),
        (
            code_and_text(ipam.boolean("mtu")),
            Code::Decode,
            r#"ipam.mtu: found "1500", wanted true or false"#,
        ),
        (
            code_and_text(ipam.strings("ips")),
            Code::Decode,
            "ipam.ips[1]: found 1, wanted a text",
        ),
        (
            code_and_text(ipam.strings("list")),
            Code::Decode,
            r#"ipam.list: found "no", wanted a list"#,
        ),
        (
            code_and_text(ipam.sections("flags")),
            Code::Decode,
            "ipam.flags[1]: found 1, wanted an object",
        ),
        (
            code_and_text(ipam.section("mtu")),
            Code::Decode,
            r#"ipam.mtu: found "1500", wanted an object"#,
        ),
    ] {
        assert_eq!(found, (code, text.to_owned()));
    }
}

#[test]
fn a_plugin_words_its_own_rules_with_the_same_path_and_value() {
    let config = parse(&json!({"name": "net", "vlan": 7})).unwrap();
    let (code, text) = code_and_text::<()>(Err(config.root().broken("vlan", "no vlan here")));
    assert_eq!(code, Code::InvalidConfig);
    assert_eq!(text, "vlan: found 7, wanted no vlan here");
    let (_, text) = code_and_text::<()>(Err(config.root().broken("mtu", "one")));
    assert_eq!(text, "mtu is missing: wanted one");
}

#[test]
fn a_previous_result_is_of_the_configurations_generation() {
    let config = |version: &str, prev: Value| {
        parse(&json!({"cniVersion": version, "name": "net", "prevResult": prev})).unwrap()
    };
    let ips = json!([{"address": "10.1.0.7/16"}]);
    for (version, prev) in [
        ("1.1.0", json!({"ips": ips})),
        ("1.1.0", json!({"cniVersion": "1.0.0", "ips": ips})),
        ("0.3.1", json!({"cniVersion": "0.4.0", "ips": ips})),
        (
            "0.1.0",
            json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.7/16"}}),
        ),
        ("", json!({"ip4": {"ip": "10.1.0.7/16"}})),
    ] {
        let prev_result = config(version, prev).prev_result().unwrap();
        assert_eq!(prev_result.unwrap().ips.len(), 1, "{version}");
    }

    let other = config("1.0.0", json!({"cniVersion": "0.4.0", "ips": ips})).prev_result();
    assert_eq!(
        code_and_text(other),
        (
            Code::InvalidConfig,
            "prevResult has cniVersion 0.4.0 and the configuration 1.0.0, whose results have \
             another form: give every plugin of the list one cniVersion"
                .into()
        )
    );
    let wrong = config("1.0.0", json!({"ips": [{"address": 7}]})).prev_result();
    assert_eq!(
        code_and_text(wrong),
        (
            Code::Decode,
            "prevResult.ips[0].address: found 7, wanted a text".into()
        )
    );
}

#[test]
fn valid_attachments_may_be_none_but_not_unknown() {
    let listed = |value: Value| parse(&value).unwrap().valid_attachments();
    assert_eq!(
        code_and_text(listed(json!({"name": "net"}))),
        (
            Code::InvalidConfig,
            "cni.dev/valid-attachments is missing: wanted the attachments to keep, as a list of \
             {containerID, ifname}"
                .into()
        )
    );
    for none in [json!([]), json!(null)] {
        let config = json!({"name": "net", "cni.dev/valid-attachments": none});
        assert_eq!(listed(config), Ok(Vec::new()));
    }
    let two = listed(json!({"name": "net", "cni.dev/valid-attachments": [
        {"containerID": "a", "ifname": "eth0"}, {"containerid": "b", "IfName": "eth1"},
    ]}));
    let two: Vec<_> = two.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(two, ["a/eth0", "b/eth1"]);
    for (bad, text) in [
        (json!({"ifname": "eth0"}), ".containerID is missing"),
        (
            json!({"containerID": "../a", "ifname": "eth0"}),
            ".containerID: found \"../a\"",
        ),
        (
            json!({"containerID": "a", "ifname": "e:0"}),
            "(it contains ':')",
        ),
        (json!("a"), "found \"a\", wanted an object"),
    ] {
        let listed = listed(json!({"name": "net", "cni.dev/valid-attachments": [bad]}));
        let (_, found) = code_and_text(listed);
        assert!(found.starts_with("cni.dev/valid-attachments[0]"), "{found}");
        assert!(found.contains(text), "{found}");
    }
}

#[test]
fn the_declared_version_is_told_as_it_is() {
    for (input, version) in [
        (r#"{"cniVersion": "0.4.0"}"#, Some("0.4.0")),
        (r#"{"cniversion": "7.0", "name": 3}"#, Some("7.0")),
        (r#"{"cniVersion": ""}"#, None),
        (r#"{"cniVersion": 4}"#, None),
        ("{}", None),
        ("[]", None),
        ("", None),
        ("{", None),
    ] {
        let declared = declared_version(input.as_bytes());
        assert_eq!(declared.as_deref(), version, "{input}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Config::parse(&bytes);
        let _ = declared_version(&bytes);
        let _ = AddResult::parse(&bytes, Version::NEWEST);
    }
}
