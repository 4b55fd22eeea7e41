//! A crash at any moment: `bridge` and `host-local` are killed at every system call of an ADD in turn. Whatever that
//! leaves, DEL takes away, and so does GC.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use testkit::{
    Attachment, Dump, Host, Moment, Network, Outcome, Plugins, Pod, Scene, Sweep, everything,
    merged, reference_under_test, report_difference, strace,
};

/// ADDs that are killed before what they left is taken away: one dump serves them all.
const BATCH: usize = 16;

fn config() -> Value {
    everything(json!({"cniVersion": "1.1.0", "hairpinMode": true, "mtu": 1400}))
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Bridge,
    HostLocal,
}

/// ADDs to a network under strace.
struct Traced<'a> {
    host: &'a Host,
    network: &'a Network,
    victim: Victim,
}

impl<'a> Traced<'a> {
    const fn bridge(host: &'a Host, network: &'a Network) -> Self {
        Self {
            host,
            network,
            victim: Victim::Bridge,
        }
    }

    /// ADD with strace's `options` on the victim alone.
    fn add(&self, attachment: &Attachment, options: &[&str]) -> Outcome {
        let strace = strace(options);
        let call = self.network.first("ADD", attachment);
        match self.victim {
            Victim::Bridge => call.under(&strace).run(),
            Victim::HostLocal => {
                let plugins = Plugins::under_test();
                let real = plugins.executable("host-local");
                let script = format!("#!/bin/sh\nexec {} {}\n", strace.join(" "), real.display());
                let dir = self.host.scratch("traced");
                self.host.write(dir.join("host-local"), &script);
                self.host
                    .sh(&format!("chmod 755 {}/host-local", dir.display()));
                call.env(
                    "CNI_PATH",
                    format!("{}:{}", dir.display(), plugins.dir().display()),
                )
                .run()
            }
        }
    }

    /// Every system call of an undisturbed ADD, without the start and the end of the program.
    fn moments(&self, pod: &Pod) -> Vec<Moment> {
        let trace = self.host.scratch("trace");
        self.add(
            &pod.attachment(),
            &["-o", &trace.to_string_lossy(), "-e", "signal=none"],
        )
        .ok();
        self.network.del(&pod.attachment()).silent();
        Moment::of(&self.host.read(&trace).unwrap_or_default())
    }

    /// ADD of a pod, killed at a moment. Whether the moment came.
    fn crash(&self, pod: &Pod, moment: &Moment) -> bool {
        let inject = moment.injection();
        let outcome = self.add(&pod.attachment(), &["-o", "/dev/null", "-e", &inject]);
        match self.victim {
            Victim::Bridge => outcome.status.signal() == Some(Signal::SIGKILL as i32),
            // The bridge reports that its delegate was killed, and cleans up itself.
            Victim::HostLocal => !outcome.succeeded(),
        }
    }
}

/// Crashes at every moment, and `clean` after each batch; then host and pods must be as before.
fn sweep(victim: Victim, clean: impl Fn(&Network, &[Pod])) {
    let scene = Scene::shared(config());
    let traced = Traced {
        host: &scene.host,
        network: &scene.network,
        victim,
    };
    let mut sweep = Sweep::over(&traced.moments(&scene.pod));
    let pods: Vec<Pod> = (0..BATCH)
        .map(|n| scene.host.pod(&format!("p{n}")))
        .collect();
    let all: Vec<&Pod> = pods.iter().collect();
    let before = Dump::of(&scene.host).and(&all);
    loop {
        let batch: Vec<Moment> = pods
            .iter()
            .map_while(|pod| sweep.step(|moment| traced.crash(pod, moment)))
            .collect();
        clean(&scene.network, &pods);
        let diff = before.diff(&Dump::of(&scene.host).and(&all));
        assert!(
            diff.is_empty(),
            "left after a crash at one of {}:\n{diff}",
            named(&batch)
        );
        if batch.len() < BATCH {
            break;
        }
    }
    sweep.assert_done();
    let newcomer = scene.join("newcomer");
    scene.network.check(&newcomer.attachment()).silent();
}

fn named(batch: &[Moment]) -> String {
    let names = batch
        .iter()
        .enumerate()
        .map(|(n, moment)| format!("p{n}: {moment}"));
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

/// The first ADD of a bridge, killed at every moment of making it; after a DEL the same pod is added without complaint.
fn sweep_the_first_add() {
    let host = Host::new();
    let nth = |n: usize| {
        let own =
            json!({"name": format!("net{n}"), "bridge": format!("cni{n}"), "forceAddress": true});
        (
            host.pod(&format!("p{n}")),
            Network::new(&host, merged(config(), own)),
        )
    };
    let (pod, network) = nth(0);
    let mut sweep = Sweep::over(&Traced::bridge(&host, &network).moments(&pod));
    for n in 1.. {
        let (pod, network) = nth(n);
        let traced = Traced::bridge(&host, &network);
        let Some(moment) = sweep.step(|moment| traced.crash(&pod, moment)) else {
            break;
        };
        network.del(&pod.attachment()).silent();
        let again = network.add(&pod.attachment());
        assert!(again.succeeded(), "after a crash at {moment}:\n{again}");
        network.check(&pod.attachment()).silent();
        network.del(&pod.attachment()).silent();
        pod.remove();
        host.sh(&format!("ip link del cni{n}"));
    }
    sweep.assert_done();
}

/// A sweep of the reference takes 1,900 system calls and finds what bridge_failed_add.rs shows already.
fn is_ours() -> bool {
    if reference_under_test() {
        report_difference("it undoes nothing, so a crash of its ADD is not swept");
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
fn a_bridge_half_made_is_finished_by_the_next_add() {
    if is_ours() {
        sweep_the_first_add();
    }
}

#[test]
fn the_injection_kills() {
    let scene = Scene::new(merged(config(), json!({"cniVersion": "1.0.0"})));
    let traced = Traced::bridge(&scene.host, &scene.network);
    assert!(
        !traced.crash(&scene.pod, &Moment::new("reboot", 1)),
        "nobody asks for a reboot"
    );
    scene.network.del(&scene.eth0()).silent();
    assert!(
        traced.crash(&scene.pod, &Moment::new("write", 1)),
        "an ADD writes its result"
    );
}
