use super::*;
use crate::condition;
use cni::{Interface, IpConfig};
use proptest::prelude::*;

fn settings(mappings: &[(Protocol, Option<&str>, u16)]) -> Settings {
    let mapping = |(protocol, ip, port): &(Protocol, Option<&str>, u16)| Mapping {
        protocol: *protocol,
        host_ip: ip.map(|ip| ip.parse().unwrap()),
        host_port: *port,
        container_port: 80,
    };
    Settings {
        mappings: mappings.iter().map(mapping).collect(),
        ..Settings::default()
    }
}

fn pods_of(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn plan(settings: &Settings, pods: &[&str]) -> Result<Plan, Error> {
    Plan::build(settings, "podnet/a/eth0".to_owned(), pods_of(pods))
}

const DUAL: [&str; 2] = ["10.1.0.7/16", "fd00::7/64"];

#[test]
fn a_mapping_is_one_element_for_each_family() {
    let plan = plan(&settings(&[(Protocol::Tcp, None, 8080)]), &DUAL).unwrap();
    let sets: Vec<_> = plan.members().iter().map(|(set, _)| set.name).collect();
    assert_eq!(
        sets,
        ["any4", "any6", "neighbours4", "neighbours6", "holders"]
    );
    let count = plan.members().last().unwrap().1.data.clone();
    assert_eq!(count, Some(Key::from(Value::Service(5)).into()));
}

#[test]
fn an_address_of_the_node_decides_the_family_and_the_map() {
    for (ip, set) in [
        ("192.0.2.1", "at4"),
        ("0.0.0.0", "any4"),
        ("2001:db8::1", "at6"),
        ("::", "any6"),
    ] {
        let plan = plan(&settings(&[(Protocol::Udp, Some(ip), 53)]), &DUAL).unwrap();
        assert_eq!(plan.ways.len(), 1, "{ip}");
        assert_eq!(plan.ways[0].place().0.name, set, "{ip}");
        assert_eq!(
            plan.pods.len(),
            1,
            "the other family's address has no ports"
        );
    }
}

#[test]
fn a_family_that_the_pod_lacks_is_an_error_with_the_way_out() {
    let error = plan(&settings(&[(Protocol::Udp, Some("::1"), 53)]), &DUAL[..1]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no IPv6 address") && text.contains("udp port 53 of ::1"),
        "{text}"
    );
    assert!(plan(&settings(&[(Protocol::Udp, None, 53)]), &[]).is_err());
}

#[test]
fn conditions_lead_to_a_chain_of_their_own_in_their_family() {
    let mut settings = settings(&[(Protocol::Tcp, None, 80)]);
    settings.conditions_v4 = condition::parse(&["-s", "10.0.0.0/8"], true).unwrap();
    let plan = plan(&settings, &DUAL).unwrap();
    let sets: Vec<_> = plan.ways.iter().map(|way| way.place().0.name).collect();
    assert_eq!(sets, ["any4_if", "any6"]);
}

#[test]
fn elements_with_conditions_tell_the_pod_of_their_own_label() {
    let mut settings = settings(&[
        (Protocol::Udp, Some("192.0.2.1"), 53),
        (Protocol::Udp, None, 5353),
    ]);
    settings.conditions_v4 = condition::parse(&["-s", "10.0.0.0/8"], true).unwrap();
    settings.conditions_v6 = condition::parse(&["-s", "fd00::/8"], false).unwrap();
    let other = Plan::build(
        &settings,
        "podnet/b/eth0".to_owned(),
        pods_of(&["10.1.0.8/16"]),
    );
    let told = |of: &[&Plan]| {
        let members: Vec<_> = of.iter().flat_map(|plan| plan.members()).collect();
        let ways = ways_in(&members).into_iter();
        let ways = ways.map(|way| (way.host_ip, way.host_port, way.pod));
        ways.collect::<Vec<_>>()
    };
    let made = |of: &[&Plan]| {
        let ways = of.iter().flat_map(|plan| &plan.ways);
        let ways = ways.map(|way| (way.host_ip, way.host_port, way.pod));
        ways.collect::<Vec<_>>()
    };
    let other = other.unwrap();
    for hidden in [Hidden::Neighbours, Hidden::Everybody, Hidden::Nobody] {
        settings.hidden = hidden;
        let its = plan(&settings, &DUAL).unwrap();
        let both = [&other, &its];
        assert_eq!(told(&both), made(&both), "{hidden:?}");
    }
}

#[test]
fn the_first_address_of_each_family_inside_the_pod_counts() {
    let interface = |name: &str, sandbox: &str| Interface {
        name: name.to_owned(),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    };
    let ip = |address: &str, interface| IpConfig {
        address: address.parse().unwrap(),
        gateway: None,
        interface,
    };
    let result = AddResult {
        interfaces: vec![interface("cni0", ""), interface("eth0", "/run/netns/a")],
        ips: vec![
            ip("10.1.0.1/16", Some(0)),
            ip("fd00::7/64", Some(1)),
            ip("10.1.0.7/16", Some(1)),
            ip("10.2.0.7/16", Some(1)),
        ],
        ..AddResult::default()
    };
    assert_eq!(pods(&result), pods_of(&["10.1.0.7/16", "fd00::7/64"]));
    let without_interfaces = AddResult {
        ips: vec![ip("10.3.0.7/16", None)],
        ..AddResult::default()
    };
    assert_eq!(pods(&without_interfaces), pods_of(&["10.3.0.7/16"]));
}

#[test]
fn a_port_is_described_as_people_say_it() {
    let plan = plan(
        &settings(&[
            (Protocol::Sctp, Some("192.0.2.1"), 80),
            (Protocol::Tcp, None, 81),
        ]),
        &DUAL[..1],
    )
    .unwrap();
    let texts: Vec<_> = plan
        .ways
        .iter()
        .map(|way| {
            let (set, key) = way.place();
            described(&set, &key)
        })
        .collect();
    assert_eq!(
        texts,
        ["sctp port 80 of 192.0.2.1", "tcp port 81 of all addresses"]
    );
}

#[test]
fn a_port_of_one_address_is_a_rival_of_the_same_port_of_all() {
    let all = plan(&settings(&[(Protocol::Tcp, None, 80)]), &DUAL[..1]).unwrap();
    let one = |ip: &str| plan(&settings(&[(Protocol::Tcp, Some(ip), 80)]), &DUAL[..1]).unwrap();
    let at = |ip: &str| Value::from(ip.parse::<IpAddr>().unwrap());
    let known = [at("192.0.2.1"), at("192.0.2.2")];
    let meet = |one: &Plan, other: &Plan| {
        let place = other.ways[0].place();
        one.ways[0].rivals(&known).contains(&place)
    };
    for ip in ["192.0.2.1", "192.0.2.2"] {
        assert!(meet(&all, &one(ip)) && meet(&one(ip), &all), "{ip}");
        assert_eq!(one(ip).addresses()[0].1.key, Key::from(at(ip)));
    }
    assert!(!meet(&all, &one("192.0.2.3")), "no port of it was ever led");
    assert!(!meet(&one("192.0.2.1"), &one("192.0.2.2")));
    assert!(all.addresses().is_empty());
}

proptest! {
    /// What DEL asks for directly is all that ADD made, so that listing is for the unknown alone.
    #[test]
    fn the_places_of_a_plan_are_those_of_its_members(
        ports in prop::collection::btree_set(1..2000_u16, 0..8), dual: bool, snat: bool, at: bool,
    ) {
        let ip = at.then_some("192.0.2.1");
        let mappings: Vec<_> = ports.iter().map(|port| (Protocol::Tcp, ip, *port)).collect();
        let mut settings = settings(&mappings);
        if !snat {
            settings.hidden = Hidden::Nobody;
        }
        let pods = if dual { &DUAL[..] } else { &DUAL[..1] };
        let plan = plan(&settings, pods).unwrap();
        prop_assert_eq!(ways_in(&plan.members()), plan.ways.clone());
        let places = places(&settings, &plan.label, &pods_of(pods));
        for (set, element) in plan.members() {
            prop_assert!(places.contains(&(set, element.key)));
        }
    }
}
