//! A runtime's time-out ends a plugin with SIGTERM: what the verb had made is taken back first.

use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use testkit::{Outcome, Running, Scene, Stub, bridge, unlike_the_reference};

const NO_HANDLER: &str = "SIGTERM ends it at once; everything made so far stays";

/// A delegate that says when it is at work on `verb` and then never ends by itself.
fn hanging(scene: &Scene, name: &str, verb: &str) -> Stub {
    Stub::new(
        &scene.host,
        name,
        &format!("[ $CNI_COMMAND = {verb} ] || exit 0; announce; exec sleep 9.5"),
    )
}

fn terminate(plugin: Running, signal: Signal) -> Outcome {
    plugin.signal(signal);
    plugin.finish()
}

/// Whether any process of the machine runs a stub of this host.
fn is_running(scene: &Scene) -> bool {
    scene.host.succeeds("for c in /proc/[0-9]*; do [ $c/ns/net -ef /proc/self/ns/net ] && \
                         [ \"$(tr '\\0' ' ' <$c/cmdline)\" = 'sleep 9.5 ' ] && exit 0; done; exit 1")
}

#[test]
fn a_terminated_add_leaves_nothing() {
    unlike_the_reference(NO_HANDLER, || {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let scene = Scene::shared(bridge(
                json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
            ));
            let stub = hanging(&scene, "host-local", "ADD");
            let before = scene.dump();
            let network = scene.network.searching(stub.dir());
            let adding = network.first("ADD", &scene.pod.attachment()).start();
            assert_eq!(stub.announced(), "ADD");
            let failure = terminate(adding, signal).failed();
            assert!(!failure.msg.is_empty());
            let scene = Scene { network, ..scene };
            before.assert_same(&scene.dump());
            assert_eq!(stub.calls(), ["ADD", "DEL"], "the IPAM is released (ADD-6)");
            assert!(!is_running(&scene), "the delegate runs on");
        }
    });
}

#[test]
fn a_terminated_del_can_be_repeated() {
    let scene = Scene::shared(bridge(
        json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
    ));
    let before = scene.dump();
    scene.add();
    let stub = hanging(&scene, "host-local", "DEL");
    let scene = Scene {
        network: scene.network.searching(stub.dir()),
        ..scene
    };
    let deleting = scene.network.first("DEL", &scene.eth0()).start();
    assert_eq!(stub.announced(), "DEL");
    let outcome = terminate(deleting, Signal::SIGTERM);
    assert!(!outcome.succeeded());
    assert!(
        outcome.took < Duration::from_secs(5),
        "the delegate runs on and holds the output:\n{outcome}"
    );
    scene.host.sh(&format!("rm -r {}", stub.dir().display()));
    scene.network.del(&scene.eth0()).silent();
    unlike_the_reference(
        "a terminated DEL of its leaves masquerade rules for ever",
        || before.assert_same(&scene.dump()),
    );
}

#[test]
fn terminated_adds_of_many_pods_leave_nothing() {
    unlike_the_reference(NO_HANDLER, || {
        let scene = Scene::shared(bridge(
            json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
        ));
        let before = scene.dump();
        // Wherever the signal meets the verb: before anything was made, in the middle, or after its end.
        for round in 0..40 {
            let adding = scene.network.first("ADD", &scene.eth0()).start();
            std::thread::sleep(Duration::from_micros(round * 150));
            let outcome = terminate(adding, Signal::SIGTERM);
            if outcome.succeeded() {
                scene.network.del(&scene.eth0()).silent();
            }
            before.assert_same(&scene.dump());
        }
    });
}
