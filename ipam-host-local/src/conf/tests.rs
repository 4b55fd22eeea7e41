use super::*;
use cni::Code;
use cni_plugin::{Call, Environment};
use serde_json::{Value, json};
use std::sync::Arc;

fn config(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap()
}

fn with_ipam(ipam: &Value) -> Value {
    json!({"cniVersion": "1.0.0", "name": "podnet", "type": "bridge", "ipam": ipam})
}

fn settings(value: &Value) -> Result<Settings, Error> {
    Settings::parse(&config(value))
}

fn request(value: &Value, args: &str) -> Request {
    let environment = Environment {
        command: Some("ADD".into()),
        container_id: Some("c1".into()),
        ifname: Some("eth0".into()),
        netns: Some("/proc/self/ns/net".into()),
        args: (!args.is_empty()).then(|| args.into()),
        ..Environment::default()
    };
    let stdin: Arc<[u8]> = value.to_string().as_bytes().into();
    Request::new(Call::read(&environment).unwrap(), stdin, &Version::ALL).unwrap()
}

fn requested_of(value: &Value, args: &str) -> Result<Vec<Option<String>>, Error> {
    let requested = settings(value)?.requested(&request(value, args))?;
    let text = |address: Option<Address>| address.map(|address| address.to_string());
    Ok(requested.into_iter().map(text).collect())
}

fn texts(settings: &Settings) -> Vec<String> {
    settings.sets.iter().map(RangeSet::to_string).collect()
}

#[test]
fn a_minimal_configuration_gets_the_defaults() {
    let settings = settings(&with_ipam(&json!({"subnet": "10.1.0.0/24"}))).unwrap();
    assert_eq!(texts(&settings), ["10.1.0.1-10.1.0.254"]);
    assert_eq!(settings.network, "podnet");
    assert_eq!(settings.store, Path::new("/var/lib/cni/networks/podnet"));
    assert!(settings.reclaim);
    assert_eq!(settings.result().unwrap(), AddResult::default());
}

#[test]
fn every_source_of_ranges_counts_in_the_order_of_the_reference() {
    let mut value = with_ipam(&json!({
        "subnet": "10.2.0.0/24", "rangeStart": "10.2.0.9", "rangeEnd": "10.2.0.20", "gateway": "10.2.0.254",
        "ranges": [[{"subnet": "10.3.0.0/24"}, {"subnet": "10.4.0.0/24", "gateway": "10.3.0.1"}], [{"subnet": "fd00::/64"}]],
    }));
    value["runtimeConfig"] = json!({"ipRanges": [[{"subnet": "10.1.0.0/24"}]]});
    let settings = settings(&value).unwrap();
    assert_eq!(
        texts(&settings),
        [
            "10.1.0.1-10.1.0.254",
            "10.2.0.9-10.2.0.20",
            "10.3.0.1-10.3.0.254,10.4.0.1-10.4.0.254",
            "fd00::1-fd00::ffff:ffff:ffff:ffff",
        ]
    );
    let gateways: Vec<_> = settings.gateways.iter().map(Address::to_string).collect();
    assert_eq!(gateways, ["10.1.0.1", "10.2.0.254", "10.3.0.1", "fd00::1"]);
}

#[test]
fn keys_in_another_letter_case_null_and_unknown_keys_are_no_mistakes() {
    let value = with_ipam(&json!({
        "SUBNET": "10.1.0.0/24", "rangestart": null, "dataDir": "", "resolvConf": "", "colour": 1, "ranges": [],
        "reclaimEarlierBoot": false,
    }));
    let settings = settings(&value).unwrap();
    assert_eq!(texts(&settings), ["10.1.0.1-10.1.0.254"]);
    assert_eq!(settings.store, Path::new("/var/lib/cni/networks/podnet"));
    assert!(!settings.reclaim);
}

#[test]
fn a_broken_configuration_names_key_value_and_remedy() {
    for (ipam, code, text) in [
        (
            json!({}),
            Code::InvalidConfig,
            "ipam.ranges is missing: wanted range sets such as [[{\"subnet\": \"10.1.0.0/16\"}]]",
        ),
        (
            json!({"ranges": []}),
            Code::InvalidConfig,
            "ipam.ranges: found [], wanted range sets such as",
        ),
        (
            json!({"ranges": [[]]}),
            Code::InvalidConfig,
            "ipam.ranges[0]: range set is empty: give it at least one range",
        ),
        (
            json!({"ranges": [[{}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0][0].subnet is missing: wanted a network such as 10.1.0.0/16",
        ),
        (
            json!({"ranges": {}}),
            Code::Decode,
            "ipam.ranges: found {}, wanted a list",
        ),
        (
            json!({"ranges": [{}]}),
            Code::Decode,
            "ipam.ranges[0]: found {}, wanted a list",
        ),
        (
            json!({"ranges": [[7]]}),
            Code::Decode,
            "ipam.ranges[0][0]: found 7, wanted an object",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0"}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0][0].subnet: found \"10.1.0.0\", wanted an",
        ),
        (
            json!({"subnet": 10}),
            Code::Decode,
            "ipam.subnet: found 10, wanted a text",
        ),
        (
            json!({"subnet": "10.1.0.0/31"}),
            Code::InvalidConfig,
            "ipam.subnet: subnet 10.1.0.0/31 is too small",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.5/24"}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0][0].subnet: subnet 10.1.0.5/24 has host bits set: write 10.1.0.0/24",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}),
            Code::InvalidConfig,
            "rangeStart 10.2.0.1 is outside subnet 10.1.0.0/24",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "x"}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0][0].rangeEnd: found \"x\", wanted an address",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0]: range set mixes 10.1.0.1-10.1.0.254 and fd00::1-",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]}),
            Code::InvalidConfig,
            "ipam.ranges[0] 10.1.0.1-10.1.0.254 and ipam.ranges[1] 10.1.0.1-10.1.255.254 overlap",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.1.0.0/24"}]]}),
            Code::InvalidConfig,
            "ipam.subnet 10.1.0.1-10.1.0.254 and ipam.ranges[0] 10.1.0.1-10.1.0.254 overlap",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "dataDir": 1}),
            Code::Decode,
            "ipam.dataDir: found 1, wanted a text",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "reclaimEarlierBoot": "no"}),
            Code::Decode,
            "ipam.reclaimEarlierBoot: found \"no\", wanted true or false",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "routes": [{"gw": "10.1.0.1"}]}),
            Code::InvalidConfig,
            "ipam.routes[0].dst is missing",
        ),
    ] {
        let error = settings(&with_ipam(&ipam)).unwrap_err();
        assert!(error.to_string().contains(text), "{ipam}: {error}");
        assert_eq!(error.code(), code, "{ipam}: {error}");
    }
    let without = json!({"cniVersion": "1.0.0", "name": "podnet", "type": "bridge"});
    let error = settings(&without).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ipam is missing: wanted an object with ranges"
    );
}

#[test]
fn old_results_hold_one_address_per_family() {
    let two = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]});
    let dual = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]});
    for (version, ipam, good) in [
        ("0.2.0", &two, false),
        ("0.2.0", &dual, true),
        ("0.3.0", &two, true),
        ("1.1.0", &two, true),
    ] {
        let mut value = with_ipam(ipam);
        value["cniVersion"] = version.into();
        assert_eq!(settings(&value).is_ok(), good, "{version} {ipam}");
    }
    let mut value = with_ipam(&two);
    value["cniVersion"] = "0.1.0".into();
    assert_eq!(
        settings(&value).unwrap_err().to_string(),
        "2 IPv4 range sets, but a result of cniVersion 0.1.0 has room for one IPv4 address: \
         use cniVersion 0.3.0 or later, or one range set per family"
    );
}

fn three_sets() -> Value {
    with_ipam(&json!({"ranges": [
        [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.200", "gateway": "10.1.0.50"}],
        [{"subnet": "10.2.0.0/24"}],
        [{"subnet": "fd00::/64"}],
    ]}))
}

#[test]
fn the_three_sources_of_requested_addresses_add_up() {
    let mut value = three_sets();
    value["args"] = json!({"cni": {"ips": ["10.2.0.9/16"]}});
    value["runtimeConfig"] = json!({"ips": ["fd00:0::7/64", "10.1.0.11"]});
    assert_eq!(
        requested_of(&value, "IP=10.1.0.11/24").unwrap(),
        [
            Some("10.1.0.11".into()),
            Some("10.2.0.9".into()),
            Some("fd00::7".into())
        ]
    );
    assert_eq!(
        requested_of(&three_sets(), "IP=").unwrap(),
        [None, None, None]
    );
}

#[test]
fn a_request_that_cannot_be_met_is_refused() {
    let mut two = three_sets();
    two["runtimeConfig"] = json!({"ips": ["10.2.0.9", "10.2.0.10"]});
    let mut garbage = three_sets();
    garbage["args"] = json!({"cni": {"ips": ["10.2.0.9x"]}});
    let one_set = with_ipam(
        &json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.200"}]]}),
    );
    for (value, args, text) in [
        (
            &one_set,
            "IP=10.1.0.9",
            "requested IP 10.1.0.9 is outside range set 10.1.0.10-10.1.0.200 of network podnet: request one inside",
        ),
        (
            &three_sets(),
            "IP=10.9.0.9",
            "requested IP 10.9.0.9 is outside range sets 10.1.0.10-10.1.0.200 and 10.2.0.1-10.2.0.254 and fd00::1-",
        ),
        (
            &three_sets(),
            "IP=10.1.0.50",
            "requested IP 10.1.0.50 is a gateway of network podnet: request another",
        ),
        (
            &three_sets(),
            "IP=10.1",
            "CNI_ARGS: IP: found \"10.1\", wanted an address such as 10.1.0.7, with or without a prefix length",
        ),
        (
            &two,
            "",
            "requested IPs 10.2.0.9 and 10.2.0.10 are both in range set 10.2.0.1-10.2.0.254, which gives one address: request one",
        ),
        (
            &garbage,
            "",
            "args.cni.ips: found \"10.2.0.9x\", wanted an address",
        ),
    ] {
        let error = requested_of(value, args).unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        assert_eq!(error.code(), Code::InvalidConfig);
    }
}

#[test]
fn the_store_is_found_in_a_configuration_that_is_good_for_nothing_else() {
    for (ipam, path) in [
        (
            json!({"dataDir": "/data", "ranges": "gone"}),
            "/data/podnet",
        ),
        (
            json!({"subnet": "10.1.0.0/31"}),
            "/var/lib/cni/networks/podnet",
        ),
    ] {
        assert_eq!(
            store_of(&config(&with_ipam(&ipam))).unwrap(),
            Path::new(path)
        );
    }
}

#[test]
fn routes_and_dns_go_into_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    std::fs::write(&path, "nameserver 10.0.0.1\n").unwrap();
    let ipam = json!({
        "subnet": "10.1.0.0/24", "resolvConf": path,
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9", "mtu": 1400}],
    });
    let result = settings(&with_ipam(&ipam)).unwrap().result().unwrap();
    assert_eq!(result.dns.nameservers, ["10.0.0.1"]);
    assert_eq!((result.routes.len(), result.routes[1].mtu), (2, Some(1400)));
}

#[test]
fn an_unreadable_resolv_conf_is_an_error() {
    let ipam = json!({"subnet": "10.1.0.0/24", "resolvConf": "/nowhere/resolv.conf"});
    let error = settings(&with_ipam(&ipam)).unwrap().result().unwrap_err();
    assert_eq!(error.code(), Code::Io);
    assert_eq!(
        error.to_string(),
        "ipam.resolvConf /nowhere/resolv.conf: No such file or directory (os error 2): \
         name a file that can be read, or leave the key out"
    );
}
