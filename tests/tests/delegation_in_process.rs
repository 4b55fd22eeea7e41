//! `bridge` and `host-local` in the one executable, beside the two executables of their own: the same in every byte, and no
//! process is started.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use tempfile::TempDir;
use testkit::{Host, Network, Outcome, Plugins, Scene, dual_stack, merged};

const STORE: &str = "/var/lib/cni/networks/podnet";

/// The one executable under the names of all plugins, as `hawser install` puts it.
fn installed() -> (TempDir, Plugins) {
    let dir = tempfile::tempdir().unwrap();
    let hawser = Plugins::built_here().executable("hawser");
    let mut install = Command::new(hawser);
    let output = install
        .args(["install", "--bin-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let plugins = Plugins::at(dir.path());
    (dir, plugins)
}

/// What an outcome is to a runtime. MAC addresses are drawn by lot.
fn seen(outcome: &Outcome) -> (Option<i32>, Value, String) {
    let mut answer: Value = serde_json::from_slice(&outcome.stdout).unwrap_or_default();
    for interface in answer["interfaces"].as_array_mut().into_iter().flatten() {
        interface["mac"] = Value::Null;
    }
    let raw = if answer["interfaces"].is_null() {
        String::from_utf8_lossy(&outcome.stdout).into_owned()
    } else {
        String::new()
    };
    (outcome.status.code(), answer, raw + &outcome.stderr)
}

/// The store of host-local, file by file.
fn store(host: &Host) -> Vec<(String, Option<String>)> {
    let names = host.list(STORE).into_iter();
    names
        .map(|name| (name.clone(), host.read(format!("{STORE}/{name}"))))
        .collect()
}

/// A life of a few pods, with what a runtime sees and what is stored after each step.
fn life(plugins: &Plugins, patch: &Value) -> Vec<String> {
    let scene = Scene::new(merged(
        dual_stack(json!({"cniVersion": "1.1.0"})),
        patch.clone(),
    ));
    let network: Network = scene.network.served_by(plugins.clone());
    let (one, other) = (scene.pod.attachment(), scene.host.pod("b").attachment());
    let mut story = Vec::new();
    let mut tell = |what: &str, outcome: &Outcome| {
        story.push(format!(
            "{what}: {:?} {:?}",
            seen(outcome),
            store(&scene.host)
        ));
    };
    tell("STATUS", &network.status());
    tell("ADD", &network.add(&one));
    tell("ADD of another", &network.add(&other));
    tell("ADD again", &network.add(&one));
    tell("CHECK", &network.check(&one));
    tell("GC", &network.gc(&[&one]));
    tell("CHECK of the collected", &network.check(&other));
    tell("DEL", &network.del(&one));
    tell("DEL again", &network.del(&one));
    story
}

/// The text without the moments of `since 2026-11-27T00:36:51Z`, which differ by the second.
fn without_moments(text: &str) -> String {
    let mut parts = text.split(" since ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + " since " + part.split_once('Z').unwrap().1
    })
}

#[test]
fn a_delegate_in_the_process_says_and_stores_the_same() {
    let (_dir, one_executable) = installed();
    let full =
        json!([[{"subnet": "10.10.0.0/24", "rangeStart": "10.10.0.9", "rangeEnd": "10.10.0.9"}]]);
    for patch in [
        json!({}),
        json!({"ipMasq": true, "ipam": {"routes": [{"dst": "192.0.2.0/24"}]}}),
        // The second pod finds no address.
        json!({"ipam": {"ranges": full}}),
        // The delegate refuses its configuration.
        json!({"ipam": {"ranges": [[{"subnet": "10.10.0.0/33"}]]}}),
        json!({"ipam": {"ranges": []}}),
        json!({"ipam": {"dataDir": "/proc/nowhere"}}),
        json!({"ipam": {"type": "nobody"}}),
    ] {
        let separate = life(&Plugins::built_here(), &patch);
        let together = life(&one_executable, &patch);
        // The folder of the executables is in one message.
        let places = [
            Plugins::built_here().dir().display().to_string(),
            one_executable.dir().display().to_string(),
        ];
        let neutral = |story: Vec<String>| -> Vec<String> {
            let neutral = |line: String| {
                let line = places
                    .iter()
                    .fold(line, |line, place| line.replace(place, "DIR"));
                without_moments(&line)
            };
            story.into_iter().map(neutral).collect()
        };
        assert_eq!(neutral(together), neutral(separate), "{patch}");
    }
}

#[test]
fn no_process_is_started() {
    let (_dir, one_executable) = installed();
    for (plugins, executions) in [(&one_executable, 1), (&Plugins::built_here(), 2)] {
        let scene = Scene::new(dual_stack(json!({"ipMasq": true})));
        let network = scene.network.served_by(plugins.clone());
        for verb in ["ADD", "CHECK", "DEL"] {
            let trace = scene.host.scratch("trace");
            let strace = [
                "strace",
                "-f",
                "-qq",
                "-e",
                "trace=execve",
                "-e",
                "signal=none",
                "-o",
                trace.to_str().unwrap(),
            ];
            let outcome = network
                .first(verb, &scene.pod.attachment())
                .under(&strace)
                .run();
            assert!(outcome.succeeded(), "{verb}: {outcome}");
            if verb == "ADD" {
                network.remember(
                    &scene.pod.attachment(),
                    serde_json::from_slice(&outcome.stdout).ok(),
                );
            }
            let trace = scene.host.read(&trace).unwrap();
            let succeeded = trace.lines().filter(|line| line.ends_with("= 0")).count();
            assert_eq!(succeeded, executions, "{verb}: {trace}");
        }
    }
}

#[test]
fn a_copy_of_the_executable_is_another_file_and_is_started() {
    let (dir, plugins) = installed();
    let aside = dir.path().join("copy");
    fs::copy(dir.path().join("host-local"), &aside).unwrap();
    fs::rename(&aside, dir.path().join("host-local")).unwrap();
    let scene = Scene::new(dual_stack(json!({})));
    let network = scene.network.served_by(plugins);
    let trace = scene.host.scratch("trace");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=execve",
        "-e",
        "signal=none",
        "-o",
        trace.to_str().unwrap(),
    ];
    network
        .first("ADD", &scene.pod.attachment())
        .under(&strace)
        .run()
        .ok();
    let trace = scene.host.read(&trace).unwrap();
    assert_eq!(
        trace.lines().filter(|line| line.ends_with("= 0")).count(),
        2,
        "{trace}"
    );
}

#[test]
fn a_stop_while_the_delegate_works_leaves_nothing() {
    let (_dir, plugins) = installed();
    let scene = Scene::shared(dual_stack(json!({"ipMasq": true})));
    let network = scene.network.served_by(plugins);
    let scene = Scene { network, ..scene };
    let before = (scene.dump(), store(&scene.host));
    // Whoever holds the store's lock lets the delegate wait.
    let lock = fs_lock(&scene.host);
    let adding = scene.network.first("ADD", &scene.pod.attachment()).start();
    let found = lock.metadata().unwrap();
    let (major, minor) = (
        found.dev() >> 8 & 0xfff,
        found.dev() & 0xff | found.dev() >> 12 & 0xf_ff00,
    );
    let place = format!("{major:02x}:{minor:02x}:{} ", found.ino());
    testkit::eventually("the delegate waits for the lock", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .any(|line| line.contains("-> FLOCK") && line.contains(&place))
    });
    adding.signal(Signal::SIGTERM);
    drop(lock);
    let outcome = adding.finish();
    assert!(!outcome.succeeded(), "{outcome}");
    before.0.assert_same(&scene.dump());
    let addresses = |store: Vec<(String, Option<String>)>| -> Vec<String> {
        let names = store.into_iter().map(|(name, _)| name);
        names
            .filter(|name| !name.starts_with("last_reserved"))
            .collect()
    };
    assert_eq!(addresses(store(&scene.host)), addresses(before.1));
}

fn fs_lock(host: &Host) -> fs::File {
    let lock = host.run(|| fs::File::open(format!("{STORE}/lock")).unwrap());
    lock.lock().unwrap();
    lock
}
