//! Results to JSON (CNV-2, CNV-3, CNV-5): what the version has no place for is left out.

use super::{AddResult, Interface, IpConfig, ResultError};
use crate::version::Shape;
use crate::{Route, Version};
use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

pub(super) fn result(result: &AddResult, version: Version) -> Result<Value, ResultError> {
    let shape = version.shape();
    let mut object = match shape {
        Shape::PerFamily => per_family(result, version)?,
        Shape::Tagged | Shape::Plain => lists(result, shape),
    };
    // Before 1.0.0 the key is always there, empty or not.
    if shape != Shape::Plain || !result.dns.is_empty() {
        object.insert("dns".into(), result.dns.to_json());
    }
    object.insert("cniVersion".into(), version.as_str().into());
    Ok(Value::Object(object))
}

/// The first address of each family, with the routes of that family (CNV-2).
fn per_family(result: &AddResult, version: Version) -> Result<Map<String, Value>, ResultError> {
    let mut object = Map::new();
    for (key, is_ipv4) in [("ip4", true), ("ip6", false)] {
        let of_family = |net: &IpNetwork| net.is_ipv4() == is_ipv4;
        let Some(ip) = result.ips.iter().find(|ip| of_family(&ip.address)) else {
            continue;
        };
        let mut family = address("ip", ip);
        let routes = result.routes.iter().filter(|route| of_family(&route.dst));
        insert_list(&mut family, "routes", routes.map(Route::to_json));
        object.insert(key.into(), family.into());
    }
    if object.is_empty() {
        return Err(ResultError::NoAddress(version));
    }
    Ok(object)
}

fn lists(result: &AddResult, shape: Shape) -> Map<String, Value> {
    let mut object = Map::new();
    let interfaces = result.interfaces.iter().map(|link| interface(link, shape));
    insert_list(&mut object, "interfaces", interfaces);
    let ips = result.ips.iter().map(|ip| listed_address(ip, shape));
    insert_list(&mut object, "ips", ips);
    insert_list(
        &mut object,
        "routes",
        result.routes.iter().map(Route::to_json),
    );
    object
}

fn listed_address(ip: &IpConfig, shape: Shape) -> Value {
    let mut object = address("address", ip);
    if let Some(index) = ip.interface {
        object.insert("interface".into(), index.into());
    }
    if shape == Shape::Tagged {
        let family = if ip.address.is_ipv4() { "4" } else { "6" };
        object.insert("version".into(), family.into());
    }
    object.into()
}

fn address(key: &str, ip: &IpConfig) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert(key.into(), ip.address.to_string().into());
    if let Some(gateway) = ip.gateway {
        object.insert("gateway".into(), gateway.to_string().into());
    }
    object
}

/// Whatever 1.1.0 added to interfaces is kept under 1.0.0 (CNV-5) and dropped before (CNV-3).
fn interface(link: &Interface, shape: Shape) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), link.name.as_str().into());
    insert_text(&mut object, "mac", &link.mac);
    insert_text(&mut object, "sandbox", &link.sandbox);
    if shape == Shape::Plain {
        if let Some(mtu) = link.mtu {
            object.insert("mtu".into(), mtu.into());
        }
        insert_text(&mut object, "socketPath", &link.socket_path);
        insert_text(&mut object, "pciID", &link.pci_id);
    }
    object.into()
}

fn insert_text(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.into(), text.into());
    }
}

fn insert_list(object: &mut Map<String, Value>, key: &str, values: impl Iterator<Item = Value>) {
    let list: Vec<Value> = values.collect();
    if !list.is_empty() {
        object.insert(key.into(), list.into());
    }
}
