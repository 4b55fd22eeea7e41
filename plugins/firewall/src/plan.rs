//! What one pod needs of the packet filter, decided from the settings and the result of the plugins before. Pure.

use crate::conf::{Ingress, Settings};
use crate::error::Error;
use crate::{segment, table};
use cni::{AddResult, IfName, Interface};
use kernel::net::nft::{Element, Family, Set, Value};
use membership::{Member, Place};
use std::net::IpAddr;

/// All that a pod may have elements in.
pub const SETS: [Set<'static>; 7] = [
    table::PODS_V4,
    table::PODS_V6,
    table::CLOSED_V4,
    table::CLOSED_V6,
    table::BESIDE_V4,
    table::BESIDE_V6,
    segment::ISOLATED,
];

/// What one pod needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The attachment's label.
    pub label: String,
    /// The pod's addresses, each once.
    pub addresses: Vec<IpAddr>,
    /// What keeps others out.
    pub guard: Guard,
    /// All the places at which a pod with these addresses and interfaces may have elements.
    places: Vec<Place>,
}

/// What keeps others out of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    None,
    /// Others than those that come in by this bridge.
    Beside {
        /// The bridge.
        bridge: String,
    },
    /// Everybody, on the bridge as well.
    Alone {
        /// The pod's ports.
        ports: Vec<String>,
    },
}

impl Plan {
    /// The plan for an attachment whose earlier result this is.
    pub fn build(settings: &Settings, label: String, result: &AddResult) -> Result<Self, Error> {
        Ok(Self {
            label,
            addresses: addresses(result),
            guard: guard(settings.ingress, result)?,
            places: places(result),
        })
    }

    /// The elements.
    pub fn members(&self) -> Vec<Member> {
        let addresses = self.addresses.iter();
        let mut members: Vec<Member> = addresses.flat_map(|ip| self.members_of(*ip)).collect();
        if let Guard::Alone { ports } = &self.guard {
            let port =
                |port: &String| self.member(segment::ISOLATED, [Value::Ifname(port.clone())]);
            members.extend(ports.iter().map(port));
        }
        members
    }

    /// Where there must be nothing: what another policy, of a pod that vanished or of an earlier ADD, left there would
    /// decide for this pod.
    pub fn vacant(&self) -> Vec<Place> {
        let members = self.members();
        let taken = |(set, key): &&Place| {
            let mut members = members.iter();
            members.any(|(other, element)| other == set && element.key == *key)
        };
        let places = self.places.iter();
        places.filter(|place| !taken(place)).cloned().collect()
    }

    /// Whether pods are to be kept apart on the bridge itself.
    pub const fn is_alone(&self) -> bool {
        matches!(self.guard, Guard::Alone { .. })
    }

    /// The families of iptables' tables that the pod's packets go through.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        let has = |v4| self.addresses.iter().any(|ip| ip.is_ipv4() == v4);
        let families = [(Family::Ip, has(true)), (Family::Ip6, has(false))];
        families
            .into_iter()
            .filter_map(|(family, has)| has.then_some(family))
    }

    fn members_of(&self, ip: IpAddr) -> Vec<Member> {
        let [pods, closed, beside] = table::sets(ip);
        let mut members = vec![self.member(pods, [ip.into()])];
        if self.guard != Guard::None {
            members.push(self.member(closed, [ip.into()]));
        }
        if let Guard::Beside { bridge } = &self.guard {
            let key = [Value::Ifname(bridge.clone()), ip.into()];
            members.push(self.member(beside, key));
        }
        members
    }

    fn member<const PARTS: usize>(&self, set: Set<'static>, key: [Value; PARTS]) -> Member {
        (set, Element::new(key).comment(&self.label))
    }
}

/// The places that follow from an earlier result, under whatever policy.
pub fn places(result: &AddResult) -> Vec<Place> {
    let mut places = Vec::new();
    for ip in addresses(result) {
        let [pods, closed, beside] = table::sets(ip);
        places.extend([(pods, ip_key(ip)), (closed, ip_key(ip))]);
        let bridge = bridge(result).map(|bridge| [Value::Ifname(bridge.to_owned()), ip.into()]);
        places.extend(bridge.map(|key| (beside, key.into())));
    }
    let port = |port: &str| (segment::ISOLATED, Value::Ifname(port.to_owned()).into());
    places.extend(ports(result).map(port));
    places
}

fn ip_key(ip: IpAddr) -> kernel::net::nft::Key {
    Value::from(ip).into()
}

/// The addresses of a result, each once.
pub fn addresses(result: &AddResult) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn guard(policy: Ingress, result: &AddResult) -> Result<Guard, Error> {
    let need = |lacking| Error::NoInterface { policy, lacking };
    match policy {
        Ingress::Open => Ok(Guard::None),
        Ingress::SameBridge => {
            let bridge = bridge(result).ok_or_else(|| need("the bridge, as the first"))?;
            Ok(Guard::Beside {
                bridge: bridge.to_owned(),
            })
        }
        Ingress::Isolated => {
            let ports: Vec<_> = ports(result).map(str::to_owned).collect();
            if bridge(result).is_none() || ports.is_empty() {
                return Err(need("the bridge, as the first, and the pod's port on it"));
            }
            Ok(Guard::Alone { ports })
        }
    }
}

/// The bridge: the first interface, on the host.
fn bridge(result: &AddResult) -> Option<&str> {
    result.interfaces.first().and_then(on_the_host)
}

/// The pod's ports: what else there is on the host.
fn ports(result: &AddResult) -> impl Iterator<Item = &str> {
    result.interfaces.iter().skip(1).filter_map(on_the_host)
}

fn on_the_host(interface: &Interface) -> Option<&str> {
    let name = interface.name.as_str();
    (interface.sandbox.is_empty() && name.parse::<IfName>().is_ok()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::Backend;
    use cni::IpConfig;
    use proptest::prelude::*;

    fn interface(name: &str, sandbox: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            sandbox: sandbox.to_owned(),
            ..Interface::default()
        }
    }

    fn result(ips: &[&str]) -> AddResult {
        let ip = |text: &&str| IpConfig {
            address: text.parse().unwrap(),
            gateway: None,
            interface: Some(2),
        };
        AddResult {
            interfaces: vec![
                interface("cni0", ""),
                interface("veth1", ""),
                interface("eth0", "/run/netns/a"),
            ],
            ips: ips.iter().map(ip).collect(),
            ..AddResult::default()
        }
    }

    fn plan(ingress: Ingress, result: &AddResult) -> Result<Plan, Error> {
        let settings = Settings {
            backend: Backend::Automatic,
            admin_chain: "CNI-ADMIN".to_owned(),
            ingress,
        };
        Plan::build(&settings, "podnet/c1/eth0".to_owned(), result)
    }

    /// The elements as `set key`.
    fn members(ingress: Ingress, result: &AddResult) -> Vec<String> {
        let plan = plan(ingress, result).unwrap();
        let members = plan.members().into_iter();
        members
            .inspect(|(_, element)| assert_eq!(element.comment.as_deref(), Some("podnet/c1/eth0")))
            .map(|(set, element)| format!("{} {}", set.name, element.key))
            .collect()
    }

    #[test]
    fn an_open_pod_costs_one_element_for_each_address() {
        let both = result(&["fd00::7/64", "10.1.0.7/16", "10.1.0.7/16"]);
        assert_eq!(
            members(Ingress::Open, &both),
            ["pods4 10.1.0.7", "pods6 fd00::7"]
        );
        assert!(members(Ingress::Open, &result(&[])).is_empty());
    }

    #[test]
    fn a_policy_closes_addresses_and_opens_the_bridge_or_closes_the_port() {
        let one = result(&["10.1.0.7/16"]);
        let beside = [
            "pods4 10.1.0.7",
            "closed4 10.1.0.7",
            "beside4 \"cni0\" . 10.1.0.7",
        ];
        assert_eq!(members(Ingress::SameBridge, &one), beside);
        let alone = ["pods4 10.1.0.7", "closed4 10.1.0.7", "isolated \"veth1\""];
        assert_eq!(members(Ingress::Isolated, &one), alone);
    }

    #[test]
    fn a_policy_needs_the_interfaces_that_it_goes_by() {
        let mut one = result(&["10.1.0.7/16"]);
        one.interfaces.remove(1);
        assert!(plan(Ingress::SameBridge, &one).is_ok());
        assert!(plan(Ingress::Isolated, &one).is_err());
        one.interfaces.remove(0);
        let error = plan(Ingress::SameBridge, &one).unwrap_err().to_string();
        assert!(
            error.contains("same-bridge") && error.contains("bridge"),
            "{error}"
        );
        assert!(plan(Ingress::Open, &one).is_ok());
    }

    #[test]
    fn only_the_families_of_the_addresses_are_touched() {
        let families = |ips: &[&str]| -> Vec<_> {
            plan(Ingress::Open, &result(ips))
                .unwrap()
                .families()
                .collect()
        };
        assert_eq!(families(&["10.1.0.7/16"]), [Family::Ip]);
        assert_eq!(families(&["fd00::7/64"]), [Family::Ip6]);
        assert_eq!(
            families(&["fd00::7/64", "10.1.0.7/16"]),
            [Family::Ip, Family::Ip6]
        );
    }

    #[test]
    fn what_one_policy_makes_is_vacant_under_the_others() {
        let vacant = |policy| -> Vec<String> {
            let places = plan(policy, &result(&["10.1.0.7/16"])).unwrap().vacant();
            places
                .iter()
                .map(|(set, key)| format!("{} {key}", set.name))
                .collect()
        };
        let open = [
            "closed4 10.1.0.7",
            "beside4 \"cni0\" . 10.1.0.7",
            "isolated \"veth1\"",
        ];
        assert_eq!(vacant(Ingress::Open), open);
        assert_eq!(vacant(Ingress::SameBridge), open[2..]);
        assert_eq!(vacant(Ingress::Isolated), open[1..2]);
    }

    fn addresses() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(any::<IpAddr>().prop_map(|ip| format!("{ip}/8")), 0..6)
    }

    proptest! {
        #[test]
        fn every_element_is_at_a_place_that_the_result_tells(ips in addresses()) {
            let ips: Vec<_> = ips.iter().map(String::as_str).collect();
            let result = result(&ips);
            let places = places(&result);
            for policy in [Ingress::Open, Ingress::SameBridge, Ingress::Isolated] {
                for (set, element) in plan(policy, &result).unwrap().members() {
                    prop_assert!(SETS.contains(&set));
                    prop_assert!(places.contains(&(set, element.key)));
                }
            }
        }
    }
}
