//! GC and STATUS of `bridge` and `host-local` (GC-1..7, STA-1..4). Debian's reference has neither verb.

use serde_json::{Value, json};
use testkit::{
    Attachment, Dump, Network, Scene, Stub, bridge, host_local, merged, unlike_the_reference,
};

const NEITHER: &str = "it knows neither GC nor STATUS (newer ones accept both and do nothing)";

fn newest(config: Value) -> Value {
    merged(config, json!({"cniVersion": "1.1.0"}))
}

/// An IPv4 network with all that an attachment can have, in the version that brought the two verbs.
fn busy() -> Value {
    newest(bridge(
        json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
    ))
}

#[test]
fn gc_removes_what_is_not_listed_and_nothing_else() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        let keeper = scene.join("keeper");
        let before = Dump::of(&scene.host);
        // One pod with its namespace, one whose namespace went, one interface of a pod that stays.
        let gone = scene.join("gone");
        gone.remove();
        let second = keeper.attachment().ifname("net1");
        scene.network.add(&second).ok();
        scene.add();

        scene.network.gc(&[&keeper.attachment()]).silent();
        let left = before.diff(&Dump::of(&scene.host));
        let own = |line: &&String| !line.contains("/run/netns/");
        assert!(left.lines().iter().filter(own).count() == 0, "{left}");
        assert!(scene.pod.link("eth0").is_null() && keeper.link("net1").is_null());
        scene.network.check(&keeper.attachment()).silent();
    });
}

#[test]
fn gc_with_nothing_valid_removes_all_of_the_network_and_spares_others() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        scene.add();
        let other = Network::new(
            &scene.host,
            merged(
                busy(),
                json!({"name": "podnet.2", "ipam": {"subnet": "10.20.0.0/24"}, "isDefaultGateway": false}),
            ),
        );
        let pod = scene.host.pod("b");
        // What the pods of a network share comes with the first and stays.
        other.add(&pod.attachment()).ok();
        other.del(&pod.attachment()).ok();
        let before = scene.dump().and(&[&pod]);
        other.add(&pod.attachment()).ok();
        other.gc(&[]).silent();
        before.assert_same(&scene.dump().and(&[&pod]));
        scene.network.check(&scene.eth0()).silent();
    });
}

#[test]
fn gc_without_the_list_is_refused() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        scene.add();
        let before = scene.dump();
        for plugin in ["bridge", "host-local"] {
            let config = merged(busy(), json!({"type": plugin}));
            let network = Network::new(&scene.host, config);
            let call = network.first("GC", &Attachment::new("", "", ""));
            call.run().refused_naming(7, &["cni.dev/valid-attachments"]);
        }
        before.assert_same(&scene.dump());
    });
}

#[test]
fn gc_and_status_are_forwarded_to_the_ipam() {
    unlike_the_reference(NEITHER, || {
        for (code, verb) in [(150, "GC"), (50, "STATUS")] {
            let scene = Scene::new(merged(busy(), json!({"ipam": {"type": "stub"}})));
            let refuse = format!(
                r#"echo '{{"cniVersion":"1.1.0","code":{code},"msg":"not today"}}'; exit 1"#
            );
            let stub = Stub::new(&scene.host, "stub", &refuse);
            let network = scene.network.searching(stub.dir());
            let outcome = if verb == "GC" {
                network.gc(&[&scene.pod.attachment()])
            } else {
                network.status()
            };
            let failure = outcome.refused(code);
            assert!(failure.msg.contains("not today"), "{failure:?}");
            assert_eq!(stub.calls(), [verb]);
            assert_eq!(
                stub.stdin(verb).contains(r#""containerID":"a""#),
                verb == "GC"
            );
        }
    });
}

#[test]
fn gc_goes_on_when_the_ipam_fails() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        scene.join("keeper");
        scene.add();
        let stub = Stub::new(
            &scene.host,
            "host-local",
            r#"echo '{"cniVersion":"1.1.0","code":150,"msg":"no"}'; exit 1"#,
        );
        let network = scene.network.searching(stub.dir());
        network.gc(&[]).refused(150);
        assert!(scene.pod.link("eth0").is_null(), "the pair is left");
    });
}

#[test]
fn gc_of_host_local_frees_what_is_not_listed() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(newest(host_local(json!({"subnet": "10.10.0.0/24"}))));
        let id = |name: &str| Attachment::new(name, "eth0", "/run/netns/a");
        for name in ["one", "two", "three"] {
            scene.network.add(&id(name)).ok();
        }
        // An empty file of a crash long ago, an entry of the time before interface names, and a stranger's file.
        let store = "/var/lib/cni/networks/podnet";
        for (name, content) in [
            ("10.10.0.50", ""),
            ("10.10.0.51", "two"),
            ("10.10.0.52", "four"),
            ("README", "hello"),
        ] {
            scene.host.write(format!("{store}/{name}"), content);
        }
        scene.network.gc(&[&id("two")]).silent();
        let left: Vec<String> = scene
            .host
            .list(store)
            .into_iter()
            .filter(|n| n.starts_with("10."))
            .collect();
        assert_eq!(left, ["10.10.0.3", "10.10.0.51"]);
        assert!(scene.host.read(format!("{store}/README")).is_some());
        scene.network.gc(&[]).silent();
        assert!(!scene.host.list(store).iter().any(|n| n.starts_with("10.")));
    });
}

#[test]
fn status_is_well_while_add_could_be_served() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        scene.network.status().silent();
        scene.add();
        scene.network.status().silent();
    });
}

#[test]
fn status_says_50_when_add_could_not_be_served() {
    unlike_the_reference(NEITHER, || {
        // Two usable addresses, one of which is the gateway's.
        let full = json!({"ipam": {"subnet": "10.10.0.0/30"}});
        let scene = Scene::new(merged(busy(), full));
        scene.network.status().silent();
        scene.add();
        let failure = scene.network.status().refused(50);
        assert!(
            failure.mentions("10.10.0.0/30") || failure.mentions("10.10.0.2"),
            "{failure:?}"
        );

        let scene = Scene::new(merged(busy(), json!({"bridge": "wire"})));
        scene.host.sh("ip link add wire type veth peer name other");
        let failure = scene.network.status().refused(50);
        assert!(failure.mentions("wire"), "{failure:?}");

        let missing = Scene::new(merged(
            busy(),
            json!({"ipam": {"type": "nowhere-to-be-found"}}),
        ));
        let failure = missing.network.status().refused(50);
        assert!(failure.mentions("nowhere-to-be-found"), "{failure:?}");
    });
}

#[test]
fn gc_and_status_change_nothing_on_an_empty_host() {
    unlike_the_reference(NEITHER, || {
        let scene = Scene::new(busy());
        let before = scene.dump();
        scene.network.status().silent();
        scene.network.gc(&[]).silent();
        let diff = before.diff(&scene.dump());
        let outside_the_store: Vec<_> = diff
            .lines()
            .iter()
            .filter(|line| !line.contains(" /"))
            .collect();
        assert!(outside_the_store.is_empty(), "{diff}");
    });
}
