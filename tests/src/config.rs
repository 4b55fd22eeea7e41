//! The configurations most tests start from, and the way to say only what is different.

use serde_json::{Value, json};

/// `bridge` with `host-local` on 10.10.0.0/24, in a version that every plugin of today speaks, changed by `patch`.
pub fn bridge(patch: Value) -> Value {
    let plain = json!({
        "cniVersion": "1.0.0", "name": "podnet", "type": "bridge", "bridge": "cni0",
        "ipam": {"type": "host-local", "subnet": "10.10.0.0/24"}
    });
    merged(plain, patch)
}

/// `bridge` with an address of each family, a default gateway, and whatever `patch` changes.
pub fn dual_stack(patch: Value) -> Value {
    let ranges = json!([[{"subnet": "10.10.0.0/22"}], [{"subnet": "fd00:10::/64"}]]);
    let ipam = json!({"subnet": null, "ranges": ranges});
    merged(
        bridge(json!({"isDefaultGateway": true, "ipam": ipam})),
        patch,
    )
}

/// [`dual_stack`] with all that an attachment can have on the host: masquerade and anti-spoofing.
pub fn everything(patch: Value) -> Value {
    merged(
        dual_stack(json!({"ipMasq": true, "macspoofchk": true})),
        patch,
    )
}

/// A list of [`dual_stack`] with masquerade and, after it, `firewall` with the keys of `patch`.
pub fn firewalled(patch: Value) -> Value {
    let mut bridge = dual_stack(json!({"ipMasq": true}));
    let name = bridge["name"].take();
    let version = bridge["cniVersion"].take();
    let firewall = merged(json!({"type": "firewall"}), patch);
    json!({"name": name, "cniVersion": version, "plugins": [bridge, firewall]})
}

/// A plugin by itself, chained after a `bridge` that attached an interface with these results, changed by `patch`.
pub fn chained(plugin_type: &str, patch: Value) -> Value {
    let earlier = json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "cni0", "mac": "02:00:00:00:00:01"},
            {"name": "veth1", "mac": "02:00:00:00:00:02"},
            {"name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": "/run/netns/a"}
        ],
        "ips": [
            {"address": "10.1.0.7/16", "gateway": "10.1.0.1", "interface": 2},
            {"address": "fd00::7/64", "gateway": "fd00::1", "interface": 2}
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    });
    let plain = json!({"cniVersion": "1.0.0", "name": "podnet", "type": plugin_type, "prevResult": earlier});
    merged(plain, patch)
}

/// A configuration that runs `host-local` alone, with `ipam` as given.
pub fn host_local(ipam: Value) -> Value {
    let ipam = merged(json!({"type": "host-local"}), ipam);
    json!({"cniVersion": "1.0.0", "name": "podnet", "type": "host-local", "ipam": ipam})
}

/// `patch` laid over `base`, as in JSON Merge Patch (RFC 7396): objects are merged, null takes a key away, and anything
/// else replaces what was there.
pub fn merged(mut base: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    if !base.is_object() {
        base = json!({});
    }
    if let Some(fields) = base.as_object_mut() {
        for (key, value) in patch {
            match (value, fields.remove(&key)) {
                (Value::Null, _) => {}
                (value, old) => {
                    fields.insert(key, merged(old.unwrap_or(Value::Null), value));
                }
            }
        }
    }
    base
}
