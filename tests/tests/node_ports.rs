//! Ports that real runtimes publish: who reaches them, and what is left when the pod is gone.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use testkit::containerd::cri::PodSandbox;
use testkit::containerd::{BUSYBOX, ContainerOptions, Containerd, PodOptions, Sandbox};
use testkit::{Dump, Host, Installed, Place, Podman, Uplink, eventually, unlike_the_reference};

const PATIENCE: Duration = Duration::from_millis(900);

/// A web server on port 80 that says `word`.
fn serving(word: &str) -> String {
    format!("mkdir /tmp/www; echo {word} >/tmp/www/index.html; httpd -f -p 80 -h /tmp/www")
}

/// What a web server at an address says to somebody at a place.
fn asked(from: &Place, address: IpAddr, port: u16) -> Option<String> {
    let to = SocketAddr::new(address, port);
    let mut stream = from
        .run(|| TcpStream::connect_timeout(&to, PATIENCE))
        .ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.lines().last()?.to_owned())
}

/// Asserts that everybody gets `word` at a port of the host, in both families.
#[track_caller]
fn assert_served(places: &[&Place], port: u16, word: &str) {
    for place in places {
        for address in Uplink::HOST {
            // The server may be about to start, and addresses of the reference settle.
            eventually(
                &format!("{} gets {word} of {address}", place.name()),
                || asked(place, address, port).as_deref() == Some(word),
            );
        }
    }
}

/// Asserts that nobody answers at a port of the host.
#[track_caller]
fn assert_closed(place: &Place, port: u16) {
    for address in Uplink::HOST {
        assert_eq!(asked(place, address, port), None, "{address}");
    }
}

fn web(containerd: &Containerd, name: &str, host_port: u16) -> Sandbox {
    let pod = containerd
        .run_pod(PodOptions::new(name).port(host_port, 80))
        .unwrap();
    let command = ["/bin/busybox", "sh", "-c", &serving(name)];
    let server = ContainerOptions::new("server", BUSYBOX).command(&command);
    containerd.run_container(&pod, server).unwrap();
    pod
}

fn known(pod: &PodSandbox, pods: &[&Sandbox]) -> bool {
    pods.iter().any(|known| known.id == pod.id)
}

fn gone(containerd: &Containerd, pod: &Sandbox) {
    containerd.stop_pod(&pod.id).unwrap();
    containerd.remove_pod(&pod.id).unwrap();
}

#[test]
fn containerd_publishes_a_port_for_as_long_as_the_pod_runs() {
    let host = Host::new();
    let uplink = Uplink::of(&host);
    let Installed { plugins, list } = Installed::on(&host);
    let containerd = Containerd::start(&host, &plugins, &list.to_string());
    gone(&containerd, &web(&containerd, "first", 8080));
    let before = Dump::of(&host);

    let [one, two] =
        [("one", 8080), ("two", 8081)].map(|(name, port)| web(&containerd, name, port));
    // The pod itself among them: the shipped list lets packets return by the port that they came from.
    let [one_place, two_place] = [one.place(), two.place()];
    let everybody = [&uplink.outside, host.place(), &two_place, &one_place];
    assert_served(&everybody, 8080, "one");
    assert_served(&[&uplink.outside], 8081, "two");
    unlike_the_reference("it lets two pods publish one port", || {
        let taken = containerd.run_pod(PodOptions::new("late").port(8080, 80));
        let refused = taken.unwrap_err().message().to_owned();
        assert!(
            refused.contains("8080") && refused.contains(&one.id),
            "{refused}"
        );
    });

    // Whatever became of it, kubelet stops it.
    let late = containerd
        .pods()
        .into_iter()
        .filter(|pod| !known(pod, &[&one, &two]));
    for pod in late {
        containerd.stop_pod(&pod.id).unwrap();
        containerd.remove_pod(&pod.id).unwrap();
    }
    assert_served(&[&uplink.outside], 8080, "one");

    gone(&containerd, &one);
    assert_closed(&uplink.outside, 8080);
    assert_served(&[&uplink.outside], 8081, "two");
    let next = web(&containerd, "next", 8080);
    assert_served(&[&uplink.outside], 8080, "next");
    gone(&containerd, &next);
    gone(&containerd, &two);
    before.assert_regained(&host, &[]);
}

#[test]
fn podman_publishes_a_port_for_as_long_as_the_container_runs() {
    let host = Host::new();
    let uplink = Uplink::of(&host);
    let Installed { plugins, list } = Installed::on(&host);
    let podman = Podman::on(&host, &plugins, &list.to_string());
    host.write("/run/www/index.html", "web\n");
    let run = |name: &str| {
        podman.ok(&format!(
            "run --detach --name {name} --network podnet --publish 8080:80 --volume /run/www:/www:ro {} \
             busybox httpd -f -p 80 -h /www",
            Podman::BUSYBOX
        ))
    };
    run("first");
    podman.ok("rm --force --time 0 first");
    let before = Dump::of(&host);
    run("web");
    assert_served(&[&uplink.outside, host.place()], 8080, "web");
    podman.ok("stop --time 0 web");
    assert_closed(&uplink.outside, 8080);
    podman.ok("start web");
    assert_served(&[&uplink.outside], 8080, "web");
    podman.ok("rm --force --time 0 web");
    // podman may still have had its own storage mounted before; of what came since, nothing stays.
    before.assert_regained(&host, &["- mount /run/testkit/podman/root/overlay"]);
}
