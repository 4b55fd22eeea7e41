//! What one pod needs of the packet filter, decided from the settings and the result of the plugins before. Pure.

use crate::condition::Condition;
use crate::conf::{Hidden, Mapping, Protocol, Settings};
use crate::error::Error;
use crate::table::{self, HOLDERS, Maps};
use cni::AddResult;
use ipnetwork::IpNetwork;
use kernel::net::nft::{Data, Element, Key, Set, Value, Verdict};
use membership::{Member, Place, label};
use std::net::IpAddr;

/// The length of an interface's name, which is how a hash is kept as a key.
const HASH_DIGITS: usize = 15;

/// What one pod needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The attachment's label.
    pub label: String,
    /// The pod's address of each family to which ports lead, with its subnet.
    pub pods: Vec<IpNetwork>,
    /// Whose source is hidden from it.
    pub hidden: Hidden,
    /// Every port of the node that leads to it.
    pub ways: Vec<Way>,
}

/// One mapping in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The protocol.
    pub protocol: Protocol,
    /// The address of the node; none for all of the family's.
    pub host_ip: Option<IpAddr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's address.
    pub pod: IpAddr,
    /// The pod's port.
    pub container_port: u16,
    /// What a packet has to be.
    pub conditions: Vec<Condition>,
}

impl Plan {
    /// The plan for an attachment to which these addresses belong.
    pub fn build(settings: &Settings, label: String, pods: Vec<IpNetwork>) -> Result<Self, Error> {
        let mut ways = Vec::new();
        for mapping in &settings.mappings {
            let of_mapping = ways_of(settings, mapping, &pods);
            if of_mapping.is_empty() {
                return Err(no_such_family(mapping, &label));
            }
            ways.extend(of_mapping);
        }
        let used = |pod: &IpNetwork| ways.iter().any(|way: &Way| way.pod == pod.ip());
        Ok(Self {
            label,
            pods: pods.into_iter().filter(used).collect(),
            hidden: settings.hidden,
            ways,
        })
    }

    /// The elements.
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self
            .ways
            .iter()
            .enumerate()
            .map(|way| self.way(way))
            .collect();
        let pods = self.pods.iter().map(|pod| place_of(*pod, self.hidden));
        members.extend(pods.map(|(set, pod)| (set, Element::new(pod).comment(&self.label))));
        if !members.is_empty() {
            // No pod has that many.
            let count = u16::try_from(members.len() + 1).unwrap_or(u16::MAX);
            let holder =
                Element::new(holder(&self.label)).holding(Key::from(Value::Service(count)));
            members.push((HOLDERS, holder.comment(&self.label)));
        }
        members
    }

    /// The addresses of the node of which single ports lead to the pod, as what all pods share.
    pub fn addresses(&self) -> Vec<Member> {
        let single = self.ways.iter().filter_map(|way| way.host_ip);
        let element = |ip| Element::new(ip).comment("some of its ports lead to pods");
        single
            .map(|ip| (Maps::of(ip).addresses, element(ip)))
            .collect()
    }

    /// The subnets for which somebody decides whose source a pod sees.
    pub fn subnets(&self) -> Vec<IpNetwork> {
        match self.hidden {
            Hidden::Neighbours => self.pods.clone(),
            Hidden::Nobody | Hidden::Everybody => Vec::new(),
        }
    }

    /// These ways without those of the plan.
    pub fn without(&self, ways: Vec<Way>) -> Vec<Way> {
        let others = ways.into_iter().filter(|way| !self.ways.contains(way));
        others.collect()
    }

    /// The IPv4 address to which the node itself has to find a way from 127.0.0.1.
    pub fn from_localhost(&self) -> Option<IpAddr> {
        let hidden = self.hidden != Hidden::Nobody;
        let pod = self.pods.iter().find(|pod| pod.is_ipv4());
        pod.filter(|_| hidden).map(|pod| pod.ip())
    }

    /// The chain of a way that has conditions.
    pub fn conditional_chain(&self, number: usize) -> String {
        format!("{}{number}", conditional_prefix(&self.label))
    }

    fn way(&self, (number, way): (usize, &Way)) -> Member {
        let (set, key) = way.place();
        let element = Element::new(key).comment(&self.label);
        let element = if way.conditions.is_empty() {
            element.holding(Key::from([
                way.pod.into(),
                Value::Service(way.container_port),
            ]))
        } else {
            element.holding(Verdict::Jump(self.conditional_chain(number)))
        };
        (set, element)
    }
}

impl Way {
    /// The way that an element is; none where it leads to a chain, or is no way at all.
    fn of(element: &Element) -> Option<Self> {
        let Some(Data::Value(Key(data))) = &element.data else {
            return None;
        };
        let [pod, Value::Service(container_port)] = data.as_slice() else {
            return None;
        };
        Self::at(&element.key, pod.address()?, *container_port)
    }

    /// The way of an element that leads to a chain: its label has the pod's address elsewhere among `members`. To which of
    /// the pod's ports it leads is not known, and told as 0.
    fn of_conditional((set, element): &Member, members: &[Member]) -> Option<Self> {
        let maps = [table::V4, table::V6];
        let mut maps = maps.iter();
        let maps = maps.find(|maps| [maps.any_if, maps.at_if].contains(set))?;
        let its = |(other, pod): &&Member| maps.are_pods(other) && pod.comment == element.comment;
        let (_, pod) = members.iter().find(its)?;
        Self::at(&element.key, pod.key.0.first()?.address()?, 0)
    }

    fn at(Key(key): &Key, pod: IpAddr, container_port: u16) -> Option<Self> {
        let (address, port) = key.split_at_checked(key.len().checked_sub(2)?)?;
        let [Value::Proto(protocol), Value::Service(host_port)] = port else {
            return None;
        };
        Some(Self {
            protocol: Protocol::of_number(*protocol)?,
            host_ip: address.first().and_then(Value::address),
            host_port: *host_port,
            pod,
            container_port,
            conditions: Vec::new(),
        })
    }

    /// Where its element is.
    pub fn place(&self) -> Place {
        let maps = Maps::of(self.pod);
        let set = match (self.host_ip, self.conditions.is_empty()) {
            (None, true) => maps.any,
            (Some(_), true) => maps.at,
            (None, false) => maps.any_if,
            (Some(_), false) => maps.at_if,
        };
        (set, self.key())
    }

    fn key(&self) -> Key {
        self.key_at(self.host_ip.map(Value::from))
    }

    fn key_at(&self, address: Option<Value>) -> Key {
        let port = [
            Value::Proto(self.protocol.number()),
            Value::Service(self.host_port),
        ];
        Key(address.into_iter().chain(port).collect())
    }

    /// The places under which another pod could have the same port, when these `addresses` of the node have ports of their
    /// own: under one of the four kinds of maps the same packets can be meant.
    pub fn rivals(&self, addresses: &[Value]) -> Vec<Place> {
        let maps = Maps::of(self.pod);
        let own = self.host_ip.map(Value::from);
        let single = own.as_ref().map_or(addresses, std::slice::from_ref);
        let single = single.iter().flat_map(|address| {
            let key = self.key_at(Some(address.clone()));
            [(maps.at, key.clone()), (maps.at_if, key)]
        });
        let every = self.key_at(None);
        let every = [(maps.any, every.clone()), (maps.any_if, every)];
        every.into_iter().chain(single).collect()
    }
}

/// The ways among elements. Those with conditions are told without them.
pub fn ways_in(members: &[Member]) -> Vec<Way> {
    let way = |member: &Member| Way::of(&member.1).or_else(|| Way::of_conditional(member, members));
    members.iter().filter_map(way).collect()
}

/// Where an attachment is known by.
pub fn holder(label: &str) -> Key {
    Value::Ifname(label::hash(label, HASH_DIGITS)).into()
}

/// How the names of an attachment's own chains begin.
pub fn conditional_prefix(label: &str) -> String {
    format!("if_{}_", label::hash(label, HASH_DIGITS))
}

/// Where a pod is from which these sources are hidden.
fn place_of(pod: IpNetwork, hidden: Hidden) -> Place {
    (Maps::of(pod.ip()).pods(hidden), Key::from(pod.ip()))
}

/// The places that follow from the mappings and the addresses, as far as they are known.
pub fn places(settings: &Settings, label: &str, pods: &[IpNetwork]) -> Vec<Place> {
    let mut places = vec![(HOLDERS, holder(label))];
    places.extend(pods.iter().map(|pod| place_of(*pod, settings.hidden)));
    for mapping in &settings.mappings {
        let ways = ways_of(settings, mapping, pods);
        places.extend(ways.iter().map(Way::place));
    }
    places
}

/// The first address of each family on the pod's own interface: where a result says which that is, the interface is in a
/// sandbox.
pub fn pods(result: &AddResult) -> Vec<IpNetwork> {
    let in_pod = |index: usize| {
        let interface = result.interfaces.get(index);
        interface.is_some_and(|interface| !interface.sandbox.is_empty())
    };
    let its = || {
        let ips = result.ips.iter();
        ips.filter(|ip| ip.interface.is_none_or(in_pod))
            .map(|ip| ip.address)
    };
    let first = |v4| its().find(|address| address.is_ipv4() == v4);
    [first(true), first(false)].into_iter().flatten().collect()
}

fn ways_of(settings: &Settings, mapping: &Mapping, pods: &[IpNetwork]) -> Vec<Way> {
    let of_family = |pod: &&IpNetwork| {
        mapping
            .host_ip
            .is_none_or(|ip| ip.is_ipv4() == pod.is_ipv4())
    };
    let way = |pod: &IpNetwork| Way {
        protocol: mapping.protocol,
        host_ip: mapping.host_ip.filter(|ip| !ip.is_unspecified()),
        host_port: mapping.host_port,
        pod: pod.ip(),
        container_port: mapping.container_port,
        conditions: match pod {
            IpNetwork::V4(_) => settings.conditions_v4.clone(),
            IpNetwork::V6(_) => settings.conditions_v6.clone(),
        },
    };
    pods.iter().filter(of_family).map(way).collect()
}

fn no_such_family(mapping: &Mapping, label: &str) -> Error {
    let family = match mapping.host_ip {
        Some(ip) if ip.is_ipv6() => "IPv6 ",
        Some(_) => "IPv4 ",
        None => "",
    };
    Error::NoAddress {
        mapping: mapping.to_string(),
        family,
        label: label.to_owned(),
    }
}

/// The map that holds an element's key, as people say it: `tcp port 8080 of 10.0.0.1`.
pub fn described(set: &Set<'_>, key: &Key) -> String {
    let Key(parts) = key;
    let mut text = String::new();
    let mut address = "all addresses".to_owned();
    for part in parts {
        match part {
            Value::Proto(number) => {
                let known = Protocol::of_number(*number);
                text += &known.map_or_else(|| number.to_string(), |known| known.to_string());
            }
            Value::Service(port) => text += &format!(" port {port}"),
            other => address = other.to_string(),
        }
    }
    if text.is_empty() {
        return format!("{key} of {set}");
    }
    format!("{text} of {address}")
}

#[cfg(test)]
mod tests;
