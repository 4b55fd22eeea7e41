//! How `bridge` runs its IPAM plugin (DLG-1..5).

use serde_json::{Value, json};
use testkit::{Scene, Stub, bridge, unlike_the_reference};

/// An answer that gives 10.10.0.77.
const ADDRESS: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
    echo '{"cniVersion":"1.0.0","ips":[{"address":"10.10.0.77/24","gateway":"10.10.0.1"}]}'"#;

/// A scene in which the IPAM is a script.
fn with_ipam(script: &str) -> (Scene, Stub) {
    let scene = Scene::new(bridge(
        json!({"ipam": {"type": "stub", "answer": 42}, "colour": "green"}),
    ));
    let stub = Stub::new(&scene.host, "stub", script);
    let network = scene.network.searching(stub.dir());
    (Scene { network, ..scene }, stub)
}

#[test]
fn the_delegate_has_the_whole_configuration_and_the_same_environment() {
    let (scene, stub) = with_ipam(ADDRESS);
    let attachment = scene.eth0().args("IgnoreUnknown=1;COLOUR=green");
    scene.network.add(&attachment).ok();
    scene.network.check(&attachment).silent();
    scene.network.del(&attachment).silent();
    assert_eq!(stub.calls(), ["ADD", "CHECK", "DEL"]);
    for verb in ["ADD", "CHECK", "DEL"] {
        let config: Value = serde_json::from_str(&stub.stdin(verb)).unwrap();
        assert_eq!(
            (&config["colour"], &config["ipam"]["answer"]),
            (&json!("green"), &json!(42)),
            "{verb}"
        );
        assert_eq!(config["prevResult"].is_object(), verb != "ADD", "{verb}");
        for variable in [
            "CNI_CONTAINERID=a",
            "CNI_NETNS=/run/netns/a",
            "CNI_IFNAME=eth0",
            &format!("CNI_ARGS={}", attachment.args),
        ] {
            assert!(
                stub.env(verb).iter().any(|set| set == variable),
                "{verb}: no {variable} in {:?}",
                stub.env(verb)
            );
        }
    }
}

#[test]
fn the_first_of_the_folders_that_has_the_delegate_counts() {
    let (scene, first) = with_ipam(ADDRESS);
    let second = scene.host.scratch("second");
    scene.host.write(second.join("stub"), "#!/bin/sh\nexit 1\n");
    let path = format!("/nowhere:{}:{}", first.dir().display(), second.display());
    scene
        .network
        .first("ADD", &scene.eth0())
        .env("CNI_PATH", path)
        .run()
        .ok();
    assert_eq!(first.calls(), ["ADD"]);
}

#[test]
fn what_the_delegate_says_goes_on() {
    for (script, succeeds) in [
        (ADDRESS.to_owned(), true),
        ("[ $CNI_COMMAND = DEL ] || exit 1".to_owned(), false),
    ] {
        let (scene, _stub) = with_ipam(&format!("echo a word of the delegate >&2\n{script}"));
        let behaviour = || {
            let outcome = scene.network.add(&scene.eth0());
            assert_eq!(outcome.succeeded(), succeeds, "{outcome}");
            assert!(
                outcome.stderr.contains("a word of the delegate"),
                "{outcome}"
            );
        };
        if succeeds {
            behaviour();
        } else {
            unlike_the_reference(
                "the stderr of a delegate that fails is lost (DLG-3)",
                behaviour,
            );
        }
    }
}

#[test]
fn an_answer_of_another_version_is_converted() {
    for (answer, version) in [
        (
            r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.10.0.77/24","gateway":"10.10.0.1"}}"#,
            "1.0.0",
        ),
        (
            r#"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.10.0.77/24","gateway":"10.10.0.1"}]}"#,
            "1.0.0",
        ),
        (
            r#"{"cniVersion":"1.0.0","ips":[{"address":"10.10.0.77/24","gateway":"10.10.0.1"}]}"#,
            "0.2.0",
        ),
    ] {
        let config = bridge(json!({"cniVersion": version, "ipam": {"type": "stub"}}));
        let scene = Scene::new(config);
        let stub = Stub::new(&scene.host, "stub", &format!("echo '{answer}'"));
        let network = scene.network.searching(stub.dir());
        let result = network.add(&scene.pod.attachment()).ok();
        let address = if version == "0.2.0" {
            &result["ip4"]["ip"]
        } else {
            &result["ips"][0]["address"]
        };
        assert_eq!(
            (&result["cniVersion"], address),
            (&json!(version), &json!("10.10.0.77/24")),
            "{answer}"
        );
    }
}

#[test]
fn a_gateway_that_the_ipam_leaves_out_is_the_first_address() {
    let scene = Scene::new(bridge(
        json!({"isDefaultGateway": true, "ipam": {"type": "stub"}}),
    ));
    let stub = Stub::new(
        &scene.host,
        "stub",
        r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.10.0.77/24"}]}'"#,
    );
    let network = scene.network.searching(stub.dir());
    let result = network.add(&scene.pod.attachment()).ok();
    assert_eq!(result["ips"][0]["gateway"], "10.10.0.1", "{result}");
    assert!(scene.pod.ping("10.10.0.1"));
}
