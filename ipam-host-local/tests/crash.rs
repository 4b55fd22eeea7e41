//! Death and signals at every system call of an ADD and a DEL: nothing torn, nothing lost, nothing left.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

mod support;

use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use support::{Call, Network};

const STRACE: &str = "/usr/bin/strace";

/// strace around the plugin, doing something to it at its nth system call.
fn inject<'a>(call: Call<'a>, what: &'a str, words: &'a mut Vec<&'a str>) -> Call<'a> {
    assert!(
        Path::new(STRACE).exists(),
        "{STRACE} is missing: install strace"
    );
    words.extend([STRACE, "-qq", "-o", "/dev/null", "-e", what]);
    call.around(words)
}

/// Two sets, one neighbour, and the address that nobody has had yet.
fn network() -> Network {
    let network = Network::new(&json!([[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00::/64"}]]));
    network.add("neighbour");
    network
}

/// What a runtime would do after a death, and what has to be true then.
fn recovers(network: &Network, after: &str) {
    for (address, content) in network.reservations() {
        assert!(
            ["neighbour\r\neth0", "victim\r\neth0"].contains(&content.as_str()),
            "{after}: {address} holds {content:?}"
        );
    }
    network.del("victim");
    let left: Vec<_> = network.reservations().into_values().collect();
    assert_eq!(left, ["neighbour\r\neth0"; 2], "{after}");
    network.call("CHECK", "neighbour").run().unwrap();
    network.add("victim");
    network.call("CHECK", "victim").run().unwrap();
    network.del("victim");
    assert_eq!(network.reservations().len(), 2, "{after}");
}

/// The system calls of a verb, each with how often it is made.
fn system_calls(verb: &str, prepare: &impl Fn(&Network)) -> BTreeMap<String, u32> {
    let network = network();
    prepare(&network);
    let trace = network.folder().join("trace");
    let around = [STRACE, "-qq", "-o", trace.to_str().unwrap()];
    network.call(verb, "victim").around(&around).run().unwrap();
    let mut calls = BTreeMap::new();
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    // Before the first there is no plugin yet, after the second none any more.
    calls.remove("execve");
    calls.remove("exit_group");
    calls
}

fn sweep(verb: &str, prepare: impl Fn(&Network)) {
    let calls = system_calls(verb, &prepare);
    assert!(calls.values().sum::<u32>() > 50, "{calls:?}");
    for (name, count) in calls {
        for number in 1..=count {
            let network = network();
            prepare(&network);
            let what = format!("inject={name}:signal=SIGKILL:when={number}");
            let mut words = Vec::new();
            let output = inject(network.call(verb, "victim"), &what, &mut words).output();
            assert_eq!(output.status.signal(), Some(9), "{what}: {output:?}");
            recovers(&network, &what);
        }
    }
}

#[test]
fn an_add_may_be_killed_at_any_system_call() {
    sweep("ADD", |_| {});
}

#[test]
fn a_del_may_be_killed_at_any_system_call() {
    sweep("DEL", |network| drop(network.add("victim")));
}

#[test]
fn a_signal_during_an_add_undoes_it() {
    for signal in ["SIGTERM", "SIGINT", "SIGHUP"] {
        for name in ["linkat", "write", "pwrite64"] {
            let network = network();
            let before = network.reservations();
            // The first set is reserved, the second is at work.
            let what = format!("inject={name}:signal={signal}:when=2");
            let mut words = Vec::new();
            let call = inject(network.call("ADD", "victim"), &what, &mut words);
            assert_eq!(
                call.error(),
                (11, "stopped by a signal: nothing was reserved".to_owned())
            );
            assert_eq!(network.reservations(), before, "{signal} at {name}");
            let cursor = std::fs::read_to_string(network.store().join("last_reserved_ip.0"));
            assert_eq!(cursor.unwrap(), "10.1.0.2");
            recovers(&network, &what);
        }
    }
}

#[test]
fn errors_of_the_kernel_undo_an_add() {
    for (call, error) in [
        ("linkat", "ENOSPC"),
        ("fsetxattr", "ENOSPC"),
        ("linkat", "EIO"),
    ] {
        let network = network();
        let before = network.reservations();
        let what = format!("inject={call}:error={error}:when=2");
        let mut words = Vec::new();
        let (code, text) = inject(network.call("ADD", "victim"), &what, &mut words).error();
        assert_eq!(code, 5, "{text}");
        assert!(
            text.starts_with(&format!("write {}/fd00::3: ", network.store().display())),
            "{text}"
        );
        assert_eq!(network.reservations(), before, "{call} {error}");
        recovers(&network, &what);
    }
}

#[test]
fn filesystems_without_unnamed_files_marks_or_stamps_are_served() {
    for what in [
        "inject=linkat:error=EPERM",
        "inject=fsetxattr:error=EOPNOTSUPP",
        "inject=utimensat:error=EPERM",
    ] {
        let network = network();
        let mut words = Vec::new();
        inject(network.call("ADD", "victim"), what, &mut words)
            .run()
            .unwrap();
        network.call("CHECK", "victim").run().unwrap();
        recovers(&network, what);
    }
}
