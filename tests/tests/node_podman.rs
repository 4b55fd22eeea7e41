//! Containers of a real podman: our plugins as its CNI backend calls them.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::net::IpAddr;
use testkit::{Dump, Host, Installed, Podman, Uplink, eventually};

/// A host with podman, on which a container was already: what the first one makes for all is there.
fn podman(host: &Host) -> Podman {
    let Installed { plugins, list } = Installed::on(host);
    let podman = Podman::on(host, &plugins, &list.to_string());
    start(&podman, "first");
    podman.ok("rm --force --time 0 first");
    podman
}

/// Starts a container that sleeps, and returns its addresses.
fn start(podman: &Podman, name: &str) -> [IpAddr; 2] {
    podman.ok(&format!(
        "run --detach --name {name} --network podnet {}",
        Podman::BUSYBOX
    ));
    ["IPAddress", "GlobalIPv6Address"].map(|address| {
        let field = format!(".NetworkSettings.Networks.podnet.{address}");
        podman.inspected(name, &field).parse().unwrap()
    })
}

#[test]
fn containers_reach_each_other_and_the_outside_and_leave_nothing() {
    let host = Host::new();
    let podman = podman(&host);
    let uplink = Uplink::of(&host);
    let before = Dump::of(&host);
    let web = start(&podman, "web");
    let db = start(&podman, "db");
    let [web_place, db_place] = ["web", "db"].map(|name| podman.place_of(name));
    for (own, others) in web.iter().zip(&db) {
        assert_eq!(web_place.seen_by(&db_place, *others).unwrap(), *own);
        assert_eq!(db_place.seen_by(&web_place, *own).unwrap(), *others);
        podman.ok(&format!("exec web busybox ping -c 1 -W 1 {others}"));
    }
    // The reference leaves the gateway's IPv6 address to duplicate address detection, for a second.
    eventually("the gateways answer", || {
        ["10.22.0.1", "fd00:22::1"]
            .iter()
            .all(|gateway| web_place.ping(gateway))
    });
    for (address, from) in Uplink::OUTSIDE.into_iter().zip(Uplink::HOST) {
        assert_eq!(web_place.seen_by(&uplink.outside, address).unwrap(), from);
    }

    // Stopped, a container has no network; started, it has one anew.
    podman.ok("stop --time 0 web");
    assert_eq!(host.list("/run/netns").len(), 2, "outside and db");
    podman.ok("start web");
    assert!(podman.place_of("db").ping(web_of(&podman)));
    podman.ok("kill web");
    podman.ok("rm --force --time 0 web db");
    // podman unmounts its storage when nothing uses it.
    before.assert_regained(&host, &["podman/root"]);
}

fn web_of(podman: &Podman) -> IpAddr {
    let field = ".NetworkSettings.Networks.podnet.IPAddress";
    podman.inspected("web", field).parse().unwrap()
}
