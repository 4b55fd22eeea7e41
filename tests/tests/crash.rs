//! A crash at any moment: `bridge` and `host-local` are killed at every system call of an ADD in turn. Whatever that
//! leaves, DEL takes away, and so does GC.
//!
//! strace counts the calls of each kind, so a moment is a call and its number: the third `sendto`. A first run lists the
//! moments. SIGKILL arrives before the call is made, so between them the moments are all the states in between.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use testkit::{
    Attachment, Dump, Network, Outcome, Plugins, Pod, Scene, everything, merged,
    reference_under_test,
};

/// Pods that are killed, then deleted together: one pair of dumps serves them all.
const BATCH: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    call: String,
    number: usize,
}

fn config() -> Value {
    everything(json!({"cniVersion": "1.1.0", "hairpinMode": true, "mtu": 1400}))
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Bridge,
    HostLocal,
}

/// ADD of a pod with strace's `options` on the victim alone.
fn add_traced(scene: &Scene, victim: Victim, attachment: &Attachment, options: &[&str]) -> Outcome {
    let strace = [&["strace", "--quiet=all"], options].concat();
    match victim {
        Victim::Bridge => scene
            .network
            .first("ADD", attachment)
            .under(&[&strace[..], &["--"]].concat())
            .run(),
        Victim::HostLocal => {
            let real = Plugins::under_test().executable("host-local");
            let script = format!(
                "#!/bin/sh\nexec {} -- {}\n",
                strace.join(" "),
                real.display()
            );
            let dir = scene.host.scratch("traced");
            scene.host.write(dir.join("host-local"), &script);
            scene
                .host
                .sh(&format!("chmod 755 {}/host-local", dir.display()));
            let path = std::env::join_paths([dir.as_path(), Plugins::under_test().dir()]).unwrap();
            scene
                .network
                .first("ADD", attachment)
                .env("CNI_PATH", path)
                .run()
        }
    }
}

/// Every system call of an undisturbed ADD, after the start of the program itself.
fn moments(scene: &Scene, victim: Victim) -> Vec<Moment> {
    let pod = scene.host.pod("traced");
    let trace = scene.host.scratch("trace");
    let options = ["-o", &*trace.to_string_lossy(), "-e", "signal=none"];
    add_traced(scene, victim, &pod.attachment(), &options).ok();
    scene.network.del(&pod.attachment()).silent();
    pod.remove();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let trace = scene.host.read(&trace).unwrap();
    let calls = trace
        .lines()
        .filter_map(|line| line.split_once('('))
        .map(|(call, _)| call.to_owned());
    let counted = calls.map(|call| {
        let number = seen
            .entry(call.clone())
            .and_modify(|n| *n += 1)
            .or_insert(1);
        Moment {
            number: *number,
            call,
        }
    });
    // The kernel answers these without a victim to kill: nothing comes after exit, and execve starts the tracing.
    counted
        .filter(|moment| moment.call != "exit_group" && moment.call != "execve")
        .collect()
}

/// ADD of a new pod, killed at a moment. Whether the moment came.
fn crash(scene: &Scene, victim: Victim, pod: &Pod, moment: &Moment) -> bool {
    let inject = format!("inject={}:signal=KILL:when={}", moment.call, moment.number);
    let outcome = add_traced(
        scene,
        victim,
        &pod.attachment(),
        &["-o", "/dev/null", "-e", &inject],
    );
    match victim {
        Victim::Bridge => outcome.status.signal() == Some(Signal::SIGKILL as i32),
        // The bridge reports that its delegate was killed, and cleans up itself.
        Victim::HostLocal => !outcome.succeeded(),
    }
}

/// Crashes at every moment, and `clean` after each batch; then host and pods must be as before.
fn sweep(victim: Victim, clean: impl Fn(&Network, &[Pod])) {
    let scene = Scene::shared(config());
    let moments = moments(&scene, victim);
    assert!(
        moments.len() > 20,
        "an ADD of {victim:?} is more than {moments:?}"
    );
    let mut killed = 0;
    for (round, batch) in moments.chunks(BATCH).enumerate() {
        let pods: Vec<Pod> = (0..batch.len())
            .map(|n| scene.host.pod(&format!("r{round}p{n}")))
            .collect();
        let all: Vec<&Pod> = pods.iter().collect();
        let before = Dump::of(&scene.host).and(&all);
        killed += batch
            .iter()
            .zip(&pods)
            .filter(|(moment, pod)| crash(&scene, victim, pod, moment))
            .count();
        clean(&scene.network, &pods);
        let diff = before.diff(&Dump::of(&scene.host).and(&all));
        assert!(
            diff.is_empty(),
            "left after a crash at one of {}:\n{diff}",
            named(batch, round)
        );
        pods.iter().for_each(Pod::remove);
    }
    // Which of several threads makes a call may differ from run to run, so a few moments may not come again.
    assert!(
        killed * 10 >= moments.len() * 9,
        "only {killed} of {} injections hit",
        moments.len()
    );
    let newcomer = scene.host.pod("newcomer");
    scene.network.add(&newcomer.attachment()).ok();
    scene.network.check(&newcomer.attachment()).silent();
}

fn named(batch: &[Moment], round: usize) -> String {
    let names = batch
        .iter()
        .enumerate()
        .map(|(n, moment)| format!("r{round}p{n}: {} {}", moment.call, moment.number));
    names.collect::<Vec<_>>().join(", ")
}

fn delete_each(network: &Network, pods: &[Pod]) {
    for pod in pods {
        network.del(&pod.attachment()).silent();
    }
}

fn collect(network: &Network, _: &[Pod]) {
    network
        .gc(&[&Attachment::new("keeper", "eth0", "")])
        .silent();
}

/// A sweep of the reference takes 1,900 system calls and finds what bridge_failed_add.rs shows already.
fn is_ours() -> bool {
    if reference_under_test() {
        println!("differs: the reference undoes nothing, so a crash of its ADD is not swept");
    }
    !reference_under_test()
}

#[test]
fn del_cleans_up_after_a_crash_of_bridge_at_any_moment() {
    if is_ours() {
        sweep(Victim::Bridge, delete_each);
    }
}

#[test]
fn gc_cleans_up_after_a_crash_of_bridge_at_any_moment() {
    if is_ours() {
        sweep(Victim::Bridge, collect);
    }
}

#[test]
fn del_cleans_up_after_a_crash_of_host_local_at_any_moment() {
    if is_ours() {
        sweep(Victim::HostLocal, delete_each);
    }
}

#[test]
fn gc_cleans_up_after_a_crash_of_host_local_at_any_moment() {
    if is_ours() {
        sweep(Victim::HostLocal, collect);
    }
}

#[test]
fn the_injection_kills() {
    let scene = Scene::new(merged(config(), json!({"cniVersion": "1.0.0"})));
    let moment = Moment {
        call: "execve".to_owned(),
        number: 1,
    };
    assert!(!crash(
        &scene,
        Victim::Bridge,
        &scene.pod,
        &Moment {
            call: "reboot".to_owned(),
            ..moment
        }
    ));
    scene.network.del(&scene.eth0()).silent();
    let moment = Moment {
        call: "write".to_owned(),
        number: 1,
    };
    assert!(
        crash(&scene, Victim::Bridge, &scene.pod, &moment),
        "an ADD writes its result"
    );
}
