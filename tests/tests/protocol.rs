//! The protocol around any plugin: variables, standard input, versions, and the shape of what is printed.

use serde_json::{Value, json};
use testkit::{
    Call, Host, Plugins, Scene, bridge, merged, reference_under_test, unlike_the_reference,
};

const VERSIONS: [&str; 7] = [
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
];
const PLUGINS: [&str; 2] = ["bridge", "host-local"];

/// The versions that the plugins under test speak: Debian's reference is older than 1.1.0.
fn spoken() -> impl Iterator<Item = &'static str> {
    VERSIONS
        .into_iter()
        .filter(|version| !reference_under_test() || *version != "1.1.0")
}

fn call(host: &Host, plugin: &str) -> Call {
    Call::new(host, &Plugins::under_test(), plugin)
}

#[test]
fn version_lists_what_is_supported() {
    let host = Host::new();
    for plugin in PLUGINS {
        let stdin = json!({"cniVersion": "1.0.0"}).to_string();
        let answer = call(&host, plugin)
            .env("CNI_COMMAND", "VERSION")
            .stdin(stdin)
            .run()
            .ok();
        assert_eq!(
            answer["supportedVersions"],
            json!(spoken().collect::<Vec<_>>()),
            "{plugin}"
        );
    }
}

#[test]
fn version_echoes_the_callers_version() {
    unlike_the_reference(
        "VERSION answers with the plugin's newest version instead of the caller's (VER-1)",
        || {
            let host = Host::new();
            for plugin in PLUGINS {
                for version in VERSIONS {
                    let stdin = json!({"cniVersion": version}).to_string();
                    let answer = call(&host, plugin)
                        .env("CNI_COMMAND", "VERSION")
                        .stdin(stdin)
                        .run()
                        .ok();
                    assert_eq!(answer["cniVersion"], version, "{plugin}");
                }
            }
        },
    );
}

#[test]
fn missing_variables_are_named_all_at_once() {
    let host = Host::new();
    let rows: [(&str, &[&str]); 4] = [
        ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
        ("GC", &["CNI_PATH"]),
    ];
    for plugin in PLUGINS {
        for (verb, variables) in rows {
            // libcni sets what it has no value for to the empty string.
            for unset in [true, false] {
                let full = call(&host, plugin)
                    .env("CNI_COMMAND", verb)
                    .env("CNI_PATH", "/nowhere");
                let call = variables.iter().fold(full, |call, variable| {
                    if unset {
                        call.without(variable)
                    } else {
                        call.env(variable, "")
                    }
                });
                call.stdin(bridge(json!({"cniVersion": "1.1.0"})).to_string())
                    .run()
                    .refused_naming(4, variables);
            }
        }
    }
}

#[test]
fn a_call_without_a_verb_is_refused() {
    unlike_the_reference(
        "without CNI_COMMAND it prints its versions on stderr and succeeds",
        || {
            call(&Host::new(), "bridge")
                .stdin("{}")
                .run()
                .refused_naming(4, &["CNI_COMMAND"]);
        },
    );
}

#[test]
fn an_unknown_verb_is_refused() {
    let scene = Scene::new(bridge(json!({})));
    scene
        .network
        .first("UPDATE", &scene.eth0())
        .run()
        .refused_naming(4, &["CNI_COMMAND", "UPDATE"]);
}

#[test]
fn what_is_not_a_json_object_is_a_decoding_error() {
    let scene = Scene::new(bridge(json!({})));
    let before = scene.dump();
    for stdin in ["", "{", "nonsense", "[]", "5", "{\"name\": }"] {
        scene
            .network
            .first("ADD", &scene.eth0())
            .stdin(stdin)
            .run()
            .refused(6);
    }
    before.assert_same(&scene.dump());
}

#[test]
fn a_value_of_the_wrong_type_is_a_decoding_error_that_names_the_key() {
    let rows = [
        ("mtu", json!("1400")),
        ("mtu", json!(1.5)),
        ("isGateway", json!("yes")),
        ("hairpinMode", json!(1)),
        ("bridge", json!(5)),
        ("ipam", json!(["host-local"])),
        ("dns", json!("1.1.1.1")),
    ];
    for (key, value) in rows {
        let scene = Scene::new(bridge(json!({(key): value})));
        let before = scene.dump();
        scene.network.add(&scene.eth0()).refused_naming(6, &[key]);
        before.assert_same(&scene.dump());
    }
}

#[test]
fn an_unknown_version_is_named_with_those_that_are_known() {
    let scene = Scene::new(bridge(json!({"cniVersion": "7.0.0"})));
    scene
        .network
        .add(&scene.eth0())
        .refused_naming(1, &["7.0.0", "1.0.0"]);
}

#[test]
fn a_network_name_is_needed_and_checked() {
    for name in [
        Value::Null,
        json!(""),
        json!("a/b"),
        json!(".."),
        json!("a b"),
        json!("-a"),
    ] {
        let scene = Scene::new(bridge(json!({"name": name})));
        let before = scene.dump();
        scene
            .network
            .add(&scene.eth0())
            .refused_naming(7, &["name"]);
        before.assert_same(&scene.dump());
    }
}

#[test]
fn container_ids_and_interface_names_that_cannot_be_are_refused() {
    let scene = Scene::new(bridge(json!({})));
    let before = scene.dump();
    let refuse = |variable: &str, value: &str| {
        let call = scene
            .network
            .first("ADD", &scene.eth0())
            .env(variable, value);
        call.run().refused_naming(4, &[variable, value]);
    };
    for id in ["../x", "a/b", "a b", "-a", "..", "ü"] {
        refuse("CNI_CONTAINERID", id);
    }
    for ifname in ["sixteen-letters-", ".", "..", "a/b", "a b", "a:b"] {
        refuse("CNI_IFNAME", ifname);
    }
    before.assert_same(&scene.dump());
}

#[test]
fn a_path_that_is_no_namespace_is_refused_by_name() {
    let scene = Scene::new(bridge(json!({})));
    let file = scene.host.scratch("file");
    scene.host.write(&file, "");
    let before = scene.dump();
    for path in [
        &*file.to_string_lossy(),
        "/run",
        "/run/netns/missing",
        "/proc/self/ns/mnt",
    ] {
        let failure = scene.network.add(&scene.eth0().netns(path)).failed();
        assert!(failure.mentions(path), "{path}: {failure:?}");
        if !reference_under_test() {
            before.assert_same(&scene.dump());
        }
    }
}

#[test]
fn the_runtimes_own_namespace_is_refused_before_anything_is_made() {
    unlike_the_reference(
        "it looks whether CNI_NETNS is its own only after the verb, and leaves what it made",
        || {
            let scene = Scene::new(bridge(json!({})));
            let before = scene.dump();
            scene
                .network
                .add(&scene.eth0().netns("/proc/self/ns/net"))
                .refused_naming(4, &["CNI_NETNS"]);
            before.assert_same(&scene.dump());
        },
    );
}

#[test]
fn verbs_need_the_version_that_brought_them() {
    let rows = [
        ("CHECK", "0.3.1"),
        ("CHECK", "0.1.0"),
        ("GC", "1.0.0"),
        ("STATUS", "1.0.0"),
    ];
    for plugin in PLUGINS {
        for (verb, version) in rows {
            let scene = Scene::new(bridge(json!({"cniVersion": version, "type": plugin})));
            scene
                .network
                .first(verb, &scene.eth0())
                .run()
                .refused_naming(1, &[version, verb]);
        }
    }
}

#[test]
fn a_result_has_the_shape_of_its_version() {
    for version in spoken() {
        let scene = Scene::new(bridge(
            json!({"cniVersion": version, "isDefaultGateway": true}),
        ));
        let result = scene.add();
        assert_eq!(result["cniVersion"], version);
        match version {
            "0.1.0" | "0.2.0" => {
                assert_eq!(result["ip4"]["ip"], "10.10.0.2/24", "{result}");
                assert_eq!(result["ip4"]["gateway"], "10.10.0.1");
                assert_eq!(
                    result["ip4"]["routes"],
                    json!([{"dst": "0.0.0.0/0", "gw": "10.10.0.1"}])
                );
                assert!(
                    result.get("ips").is_none() && result.get("interfaces").is_none(),
                    "{result}"
                );
            }
            _ => {
                let ip = json!({"address": "10.10.0.2/24", "gateway": "10.10.0.1", "interface": 2});
                let old = version.starts_with("0.");
                assert_eq!(
                    result["ips"],
                    json!([if old {
                        merged(ip, json!({"version": "4"}))
                    } else {
                        ip
                    }]),
                    "{version}"
                );
                assert_eq!(
                    result["routes"],
                    json!([{"dst": "0.0.0.0/0", "gw": "10.10.0.1"}])
                );
                assert_eq!(result["interfaces"].as_array().map(Vec::len), Some(3));
                // CNV-3 drops it, CNV-5 does not.
                let tells_mtu = result["interfaces"][2].get("mtu").is_some();
                assert!(
                    version == "1.0.0" || tells_mtu == (version == "1.1.0"),
                    "{result}"
                );
            }
        }
        if version >= "0.4.0" {
            scene.network.check(&scene.eth0()).silent();
        }
        scene.network.del(&scene.eth0()).silent();
    }
}

#[test]
fn a_missing_version_means_the_first_one() {
    let scene = Scene::new(bridge(json!({"cniVersion": null})));
    let result = scene.add();
    assert_eq!(
        (&result["cniVersion"], &result["ip4"]["ip"]),
        (&json!("0.1.0"), &json!("10.10.0.2/24"))
    );
}

#[test]
fn keys_in_another_case_unknown_keys_and_null_are_accepted() {
    let patch = json!({"ISGATEWAY": true, "colour": "green", "x": {"y": []}});
    let mut config = bridge(patch);
    config["mtu"] = Value::Null;
    config["dns"] = Value::Null;
    let scene = Scene::new(config);
    scene.add();
    assert_eq!(
        scene.host.link("cni0")["addr_info"][0]["local"],
        "10.10.0.1"
    );
}

#[test]
fn arguments_that_runtimes_pass_are_accepted() {
    for args in [
        "",
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=x",
    ] {
        let scene = Scene::new(bridge(json!({})));
        scene.network.add(&scene.eth0().args(args)).ok();
        scene.network.del(&scene.eth0().args(args)).ok();
    }
}

#[test]
fn arguments_that_make_no_sense_fail_add_and_never_del() {
    unlike_the_reference("bad CNI_ARGS make its DEL fail (DEL-1)", || {
        let scene = Scene::shared(bridge(json!({})));
        let before = scene.dump();
        for args in ["nonsense", "A=1=2", "COLOUR=green"] {
            scene
                .network
                .add(&scene.eth0().args(args))
                .refused_naming(4, &["CNI_ARGS"]);
            before.assert_same(&scene.dump());
            scene.add();
            scene.network.del(&scene.eth0().args(args)).silent();
            before.assert_same(&scene.dump());
        }
    });
}

#[test]
fn an_error_carries_the_version_of_its_configuration() {
    unlike_the_reference("its errors carry no cniVersion (ERR-1)", || {
        for version in VERSIONS {
            let scene = Scene::new(bridge(json!({"cniVersion": version, "bridge": "lo"})));
            assert_eq!(scene.network.add(&scene.eth0()).failed().version, version);
        }
    });
}

#[test]
fn error_codes_are_those_of_the_specification() {
    unlike_the_reference(
        "most of its errors have the code 999, of which the spec knows nothing",
        || {
            let scene = Scene::new(bridge(json!({"hairpinMode": true, "promiscMode": true})));
            assert_eq!(scene.network.add(&scene.eth0()).failed().code, 7);
        },
    );
}
