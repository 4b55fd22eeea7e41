//! Two pods on one bridge from `tests/demo/podnet.conflist`, served as a runtime serves them.

mod picture;

use serde_json::Value;
use std::net::IpAddr;
use testkit::{Dump, Host, Network, Outcome, Pod, Uplink};

const CONFLIST: &str = include_str!("../../../demo/podnet.conflist");

/// Shows it; false when something of the pods is left.
pub fn show() -> bool {
    let host = Host::new();
    // A node's kernel forwards already; then what pods leave is all that can differ.
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        host.set_sysctl(key, "1");
    }
    let world = Uplink::of(&host);
    let list: Value = serde_json::from_str(CONFLIST).expect("podnet.conflist is JSON");
    let network = Network::new(&host, list);
    let pods = [host.pod("web"), host.pod("db")];

    println!(
        "Two pods of tests/demo/podnet.conflist, served by {}\n",
        network.plugins().dir().display()
    );
    let before = Dump::of(&host).and(&[&pods[0], &pods[1]]);
    for pod in &pods {
        tell("ADD", pod, &network.add(&pod.attachment()));
    }
    let made = Dump::of(&host).and(&[&pods[0], &pods[1]]);
    println!("\n{}", picture::of(&host, &pods));

    let [web, db] = &pods;
    for address in testkit::addresses(&db.link("eth0")) {
        reach(
            web,
            "db",
            address
                .split('/')
                .next()
                .and_then(|ip| ip.parse().ok())
                .expect("an address"),
        );
    }
    for address in Uplink::OUTSIDE {
        leave(web, &world, address);
    }
    println!();
    for pod in &pods {
        tell("CHECK", pod, &network.check(&pod.attachment()));
    }
    for pod in &pods {
        tell("DEL", pod, &network.del(&pod.attachment()));
    }
    let after = Dump::of(&host).and(&[&pods[0], &pods[1]]);
    nothing_left(&before, &made, &after)
}

fn tell(verb: &str, pod: &Pod, outcome: &Outcome) {
    assert!(
        outcome.succeeded(),
        "{verb} of {} failed:\n{outcome}",
        pod.name()
    );
    println!(
        "{verb:<6}{:<5}{:>6.1} ms",
        pod.name(),
        outcome.took.as_secs_f64() * 1000.0
    );
}

fn reach(from: &Pod, to: &str, address: IpAddr) {
    assert!(from.ping(address), "{address} does not answer");
    println!("ping  {} -> {to:<9}{address:<16} answers", from.name());
}

fn leave(from: &Pod, world: &Uplink, address: IpAddr) {
    let seen = from.seen_by(world.outside.place(), address);
    let seen = seen.unwrap_or_else(|e| panic!("{address} outside cannot be reached: {e}"));
    assert!(Uplink::HOST.contains(&seen), "the outside sees {seen}");
    println!(
        "tcp   {} -> outside  {address:<16} sees {seen}, the host",
        from.name()
    );
}

/// Compares the states before ADD and after DEL. What remains may only be what pods share: the bridge with its gateway
/// addresses, and tables without elements.
fn nothing_left(before: &Dump, made: &Dump, after: &Dump) -> bool {
    let shared = |line: &&String| line.contains("cni0") || line.contains(" nft ");
    let of_pods = |line: &&String| line.contains("nft element") || !shared(line);
    let diff = before.diff(after);
    let left: Vec<&String> = diff.lines().iter().filter(of_pods).collect();
    let made = before.diff(made).lines().iter().filter(of_pods).count();
    println!(
        "\nthe pods had {made} things in the kernel and on disk; left of them: {}",
        left.len()
    );
    for line in &left {
        println!("  {line}");
    }
    println!("kept for the next pod: {}", kept(after));
    left.is_empty()
}

/// The shared links and tables, by name.
fn kept(after: &Dump) -> String {
    let bridges = after
        .named("host link cni")
        .map(|(name, _)| name.trim_start_matches("host link ").to_owned());
    let tables = after
        .named("host nft table ")
        .map(|(name, _)| name.trim_start_matches("host nft ").to_owned());
    let names: Vec<String> = bridges.chain(tables).collect();
    names.join(", ")
}
