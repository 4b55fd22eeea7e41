//! The network of one place, as `ip`, `bridge`, `nft` and /proc/sys tell it: programs that share no code with a plugin.

use crate::place::Place;
use crate::wait::eventually;
use serde_json::{Value, json};
use std::path::Path;

type Objects = Vec<(String, Value)>;

/// Links, addresses, routes, rules, bridge ports and nf_tables.
pub(super) fn objects(place: &Place) -> Objects {
    let addresses = &place.json("ip -d -j addr");
    let [rules, routes] = &policy(place, "-4");
    let [rules6, routes6] = &policy(place, "-6");

    let mut all = Objects::new();
    for link in items(addresses) {
        all.push((format!("link {}", text(link, "ifname")), settled_link(link)));
        all.extend(
            items(&link["addr_info"])
                .filter(|a| !is_link_local(a))
                .map(|a| address(link, a)),
        );
    }
    for (family, rules, routes) in [("ip", rules, routes), ("ip6", rules6, routes6)] {
        all.extend(items(rules).map(|rule| (format!("{family} rule {rule}"), Value::Null)));
        all.extend(
            items(routes)
                .filter(|r| !is_automatic(r))
                .map(|r| route(family, r)),
        );
    }
    if items(addresses).any(|link| link["linkinfo"]["info_kind"] == "bridge") {
        all.extend(bridge_ports(place));
    }
    all.extend(netfilter(&settled_ruleset(place)["nftables"]));
    all
}

/// Every readable sysctl under the `conf` directories of both families, one object per device, and IPv4 forwarding.
pub(super) fn sysctls(place: &Place) -> Objects {
    let root = Path::new("/proc/sys/net");
    place.run(|| {
        let mut all = Objects::new();
        for family in ["ipv4/conf", "ipv6/conf"] {
            for device in files_in(&root.join(family)) {
                let dir = root.join(family).join(&device);
                let read = |file: String| {
                    let value = std::fs::read_to_string(dir.join(&file)).ok()?;
                    Some((file, json!(value.trim_end())))
                };
                let values = files_in(&dir).into_iter().filter_map(read).collect();
                all.push((
                    format!("sysctl net/{family}/{device}"),
                    Value::Object(values),
                ));
            }
        }
        let forwarding = std::fs::read_to_string(root.join("ipv4/ip_forward")).unwrap_or_default();
        all.push((
            "sysctl net/ipv4/ip_forward".to_owned(),
            json!(forwarding.trim_end()),
        ));
        all
    })
}

fn files_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The rules and the routes of a family, from one process, because a sweep takes thousands of dumps.
fn policy(place: &Place, family: &str) -> [Value; 2] {
    let script =
        format!("printf 'rule show\\nroute show table all\\n' | ip {family} -d -j -batch -");
    let printed = place.sh(&script);
    let mut lists = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    std::array::from_fn(|_| match lists.next() {
        Some(Ok(list)) => list,
        other => panic!("{script}\n{other:?}: {printed}"),
    })
}

/// `ip` prints an empty object for an absent one.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|item| item.as_object().is_some_and(|fields| !fields.is_empty()))
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

/// A link without its index, its addresses, and what follows from carrier and time.
fn settled_link(link: &Value) -> Value {
    const OWN: [&str; 6] = [
        "ifindex",
        "link_index",
        "link_netnsid",
        "operstate",
        "addr_info",
        "promiscuity",
    ];
    const PORT: [&str; 4] = ["state", "id", "no", "topology_change_ack"];
    const BRIDGE: [&str; 4] = [
        "topology_change",
        "topology_change_detected",
        "fdb_n_learned",
        "root_port",
    ];
    let mut link = link.clone();
    remove(&mut link, &OWN);
    if let Some(flags) = link.get_mut("flags").and_then(Value::as_array_mut) {
        flags.retain(|flag| flag != "LOWER_UP" && flag != "NO-CARRIER");
    }
    for (info, unsettled) in [("info_data", BRIDGE), ("info_slave_data", PORT)] {
        if let Some(data) = link
            .pointer_mut(&format!("/linkinfo/{info}"))
            .and_then(Value::as_object_mut)
        {
            data.retain(|key, _| !key.ends_with("_timer") && !unsettled.contains(&key.as_str()));
        }
    }
    link
}

fn address(link: &Value, address: &Value) -> (String, Value) {
    let name = format!(
        "address {}/{} on {}",
        text(address, "local"),
        address["prefixlen"],
        text(link, "ifname")
    );
    let mut rest = address.clone();
    remove(
        &mut rest,
        &[
            "local",
            "prefixlen",
            "valid_life_time",
            "preferred_life_time",
            "tentative",
        ],
    );
    (name, rest)
}

fn is_link_local(address: &Value) -> bool {
    address["family"] == "inet6" && address["scope"] == "link"
}

fn route(family: &str, route: &Value) -> (String, Value) {
    let table = route["table"].as_str().unwrap_or("main");
    let name = format!(
        "{family} route {} in table {table} on {}",
        text(route, "dst"),
        text(route, "dev")
    );
    let mut rest = route.clone();
    remove(&mut rest, &["dst", "dev", "table", "expires", "pref"]);
    if let Some(flags) = rest.get_mut("flags").and_then(Value::as_array_mut) {
        flags.retain(|flag| flag != "linkdown" && flag != "dead");
    }
    (name, rest)
}

/// Routes that follow from addresses, some of them a little later: to the host itself, to everybody, to link-local ones.
fn is_automatic(route: &Value) -> bool {
    let derived = ["local", "broadcast", "anycast", "multicast"].contains(&text(route, "type"));
    route["protocol"] == "kernel" && (derived || text(route, "dst").starts_with("fe80:"))
}

fn bridge_ports(place: &Place) -> Objects {
    let mut all = Objects::new();
    for entry in
        items(&place.json("bridge -j fdb show")).filter(|entry| entry["state"] == "permanent")
    {
        // Multicast groups that the kernel joins by itself as a link comes up.
        if !text(entry, "mac").starts_with("33:33:") && !text(entry, "mac").starts_with("01:") {
            all.push((
                format!("fdb {} on {}", text(entry, "mac"), text(entry, "ifname")),
                entry.clone(),
            ));
        }
    }
    for port in items(&place.json("bridge -j vlan show")) {
        all.push((
            format!("vlans of {}", text(port, "ifname")),
            port["vlans"].clone(),
        ));
    }
    all
}

/// The ruleset, one object per table, chain, rule, set, map and element.
fn netfilter(ruleset: &Value) -> Objects {
    let mut all = Objects::new();
    for entry in items(ruleset) {
        let Some((kind, object)) = entry.as_object().and_then(|fields| fields.iter().next()) else {
            continue;
        };
        if kind == "metainfo" {
            continue;
        }
        let mut object = object.clone();
        forget_counts(&mut object);
        let elements = object
            .as_object_mut()
            .and_then(|fields| fields.remove("elem"));
        let place = ["family", "table", "chain", "name"].map(|key| text(&object, key));
        let place = place
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        for element in elements
            .iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
        {
            all.push((format!("nft element of {place}: {element}"), Value::Null));
        }
        let name = if kind == "rule" {
            format!("nft rule in {place}: {}", object["expr"])
        } else {
            format!("nft {kind} {place}")
        };
        all.push((name, object));
    }
    all
}

fn forget_counts(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["handle", "packets", "bytes", "expires"] {
                fields.remove(key);
            }
            fields.values_mut().for_each(forget_counts);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_counts),
        _ => {}
    }
}

fn remove(object: &mut Value, keys: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// The ruleset, once nothing in it is about to expire: what a plugin let go of counts as gone, some milliseconds later.
fn settled_ruleset(place: &Place) -> Value {
    let mut ruleset = Value::Null;
    eventually("what is to expire has expired", || {
        ruleset = place.json("nft -j list ruleset");
        !ruleset.to_string().contains(r#""expires":"#)
    });
    ruleset
}
