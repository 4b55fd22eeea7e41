//! Short texts: `CNI_ARGS`, names, addresses, networks, MACs, and the names and lines of files that others wrote.
//!
//! Whatever is accepted has to mean the same when it is written and read again, because these texts become names of
//! links and files, labels and elements of sets, by which a later call finds them.

#![no_main]

use cni::{CniArgs, ContainerId, IfName, NetworkName, Verb, Version, parse_address, parse_cidr};
use ipam_host_local::{address::Address, resolv};
use kernel::net::Mac;
use libfuzzer_sys::fuzz_target;
use std::path::{Component, Path};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    arguments(text);
    names(text);
    addresses(text);
    let _ = resolv::parse(text);
});

fn arguments(text: &str) {
    let lenient = CniArgs::parse_lenient(text);
    if let Ok(args) = CniArgs::parse(text) {
        let _ = args.reject_unknown();
        assert_eq!(args, lenient);
    }
    for key in ["IP", "MAC", "GATEWAY"] {
        let _ = lenient.get(key);
    }
}

fn names(text: &str) {
    let is_component = || {
        let mut components = Path::new(text).components();
        components.next() == Some(Component::Normal(text.as_ref())) && components.next().is_none()
    };
    let accepted = [
        text.parse::<ContainerId>().map(|name| name.to_string()),
        text.parse::<NetworkName>().map(|name| name.to_string()),
        text.parse::<IfName>().map(|name| name.to_string()),
    ];
    for name in accepted.into_iter().flatten() {
        assert_eq!(name, text);
        assert!(is_component(), "{text:?}");
    }
    if let (Ok(version), false) = (text.parse::<Version>(), text.is_empty()) {
        assert_eq!(version.as_str(), text);
    }
    if let Ok(verb) = text.parse::<Verb>() {
        assert_eq!(verb.as_str(), text);
    }
}

fn addresses(text: &str) {
    if let Some(address) = parse_address(text) {
        assert_eq!(parse_address(&address.to_string()), Some(address));
    }
    if let Some(network) = parse_cidr(text) {
        assert_eq!(parse_cidr(&network.to_string()), Some(network));
    }
    if let Ok(mac) = text.parse::<Mac>() {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
    if let Some(address) = Address::from_file_name(text) {
        assert_eq!(address.to_string(), text);
    }
}
