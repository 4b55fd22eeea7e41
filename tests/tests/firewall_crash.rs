//! `firewall` interrupted: killed at every system call of an ADD in turn, and told to stop at many moments.
//!
//! Everything that an ADD makes it makes by `sendto`, but a process may die anywhere; strace kills it there.

use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::{
    Attachment, Dump, Host, Network, Sweep, chained, reference_under_test, report_difference,
    unlike_the_reference,
};

/// Removes all that pods share, so that the next ADD is the first.
const FIRST_AGAIN: &str = "nft flush ruleset; iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";

fn network(host: &Host) -> Network {
    let keys = json!({"cniVersion": "1.1.0", "iptablesAdminChainName": "SITE", "ingressPolicy": "isolated",
        "prevResult": {"cniVersion": "1.1.0"}});
    Network::new(host, chained("firewall", keys))
}

fn pod() -> Attachment {
    Attachment::new("c1", "eth0", "/run/netns/a")
}

/// What there is of iptables' rules, each with how often.
fn rules(host: &Host) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for line in host.sh("iptables -S; ip6tables -S").lines() {
        *rules.entry(line.to_owned()).or_default() += 1;
    }
    rules
}

/// The configuration without the earlier result, as a runtime has it when the ADD never ended.
fn forgetful(host: &Host) -> Network {
    Network::new(
        host,
        json!({"cniVersion": "1.1.0", "name": "podnet", "type": "firewall"}),
    )
}

/// Kills a first ADD at every moment, and `clean`s after it.
fn sweep(clean: impl Fn(&Host)) {
    if reference_under_test() {
        return report_difference("it undoes nothing, so a crash of its ADD is not swept");
    }
    let host = Host::new();
    let network = network(&host);
    host.sh(FIRST_AGAIN);
    let (outcome, moments) = network.first("ADD", &pod()).moments(&host);
    outcome.ok();
    let complete = rules(&host);
    let mut sweep = Sweep::over(&moments);
    while let Some(moment) = sweep.step(|moment| {
        host.sh(FIRST_AGAIN);
        network.first("ADD", &pod()).killed_at(moment)
    }) {
        clean(&host);
        assert!(
            !Dump::of(&host).mentions("podnet/c1/eth0"),
            "left after {moment}"
        );
        // Half of the shared part is as good as none of it.
        network.first("ADD", &pod()).run().ok();
        network.first("CHECK", &pod()).run().silent();
        assert_eq!(rules(&host), complete, "after {moment}");
    }
    sweep.assert_done();
}

#[test]
fn del_cleans_up_after_a_crash_at_any_moment() {
    sweep(|host| forgetful(host).first("DEL", &pod()).run().silent());
}

#[test]
fn gc_cleans_up_after_a_crash_at_any_moment() {
    sweep(|host| forgetful(host).gc(&[]).silent());
}

#[test]
fn adds_that_are_told_to_stop_leave_nothing_or_all() {
    unlike_the_reference(
        "SIGTERM ends it at once; everything made so far stays",
        || {
            let host = Host::new();
            host.sh(FIRST_AGAIN);
            let network = network(&host);
            // What pods share comes with the first and stays.
            network.first("ADD", &pod()).run().ok();
            network.first("DEL", &pod()).run().silent();
            let before = Dump::of(&host);
            for round in 0..40 {
                let adding = network.first("ADD", &pod()).start();
                std::thread::sleep(Duration::from_micros(round * 60));
                adding.signal(Signal::SIGTERM);
                if adding.finish().succeeded() {
                    network.first("CHECK", &pod()).run().silent();
                    network.first("DEL", &pod()).run().silent();
                }
                before.assert_same(&Dump::of(&host));
            }
        },
    );
}
