//! The harness's containerd: its own processes and groups, gone with it, and what manifests ask for.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use testkit::containerd::{BUSYBOX, ContainerOptions, Containerd, PodOptions, Propagation};
use testkit::{Host, Installed};

const NETWORK: &str = r#"{"cniVersion": "1.0.0", "name": "podnet", "plugins": [
    {"type": "bridge", "isGateway": true, "ipam": {"type": "host-local", "ranges": [
        [{"subnet": "10.22.0.0/24"}], [{"subnet": "fd00:22::/64"}]
    ]}}
]}"#;

fn containerd(host: &Host) -> Containerd {
    Containerd::start(host, &Installed::on(host).plugins, NETWORK)
}

fn idle(name: &str) -> ContainerOptions {
    ContainerOptions::new(name, BUSYBOX)
}

#[test]
fn a_container_is_as_it_was_asked_for() {
    let host = Host::new();
    let containerd = containerd(&host);
    let pod = containerd.run_pod(PodOptions::new("web")).unwrap();
    let expected: [IpAddr; 2] = ["10.22.0.2", "fd00:22::2"].map(|ip| ip.parse().unwrap());
    assert_eq!(pod.ips, expected);
    host.write("/run/shown/file", "of the host");
    let options = idle("plain")
        .command(&["/bin/busybox", "sh", "-c"])
        .args(&["echo \"$GREETING\"; echo trouble >&2; sleep infinity"])
        .env("GREETING", "hello")
        .mount_read_only("/run/shown", "/shown")
        .user(7, 8)
        .read_only_root()
        .capabilities(&[], &["ALL"]);
    let plain = containerd.run_container(&pod, options).unwrap();
    assert_eq!(containerd.sh(&plain, "hostname; id -u; id -g"), "web\n7\n8");
    assert_eq!(containerd.sh(&plain, "cat /shown/file"), "of the host");
    let refused = containerd
        .exec(&plain, &["/bin/busybox", "touch", "/tmp/file"])
        .unwrap();
    assert!(
        refused.code != 0 && refused.stderr.contains("Read-only"),
        "{refused:?}"
    );
    assert!(
        containerd
            .sh(&plain, "cat /proc/self/status")
            .contains("CapBnd:\t0000000000000000")
    );
    testkit::eventually("the log is written", || {
        containerd.output_of(&plain).lines().count() == 2
    });
    let said = containerd.output_of(&plain);
    assert!(
        said.contains("hello\n") && said.contains("trouble\n"),
        "{said}"
    );
    containerd.kill_container(&plain).unwrap();
    assert_eq!(containerd.exit_code(&plain), 137);
    containerd.remove_container(&plain).unwrap();
    assert!(containerd.status(&plain).is_err());

    let ended = idle("ended").command(&["/bin/busybox", "sh", "-c", "exit 3"]);
    let ended = containerd.run_container(&pod, ended).unwrap();
    assert_eq!(containerd.exit_code(&ended), 3);
}

#[test]
fn mounts_go_from_a_container_to_another() {
    let host = Host::new();
    let containerd = containerd(&host);
    let pod = containerd
        .run_pod(PodOptions::new("driver").privileged())
        .unwrap();
    host.sh("mkdir -p /run/volumes/one");
    let driver =
        idle("driver")
            .privileged()
            .mount("/run/volumes", "/volumes", Propagation::BothWays);
    let user = idle("user").mount("/run/volumes", "/volumes", Propagation::FromHost);
    let alone = idle("alone").mount("/run/volumes", "/volumes", Propagation::Private);
    let [driver, user, alone] =
        [driver, user, alone].map(|options| containerd.run_container(&pod, options).unwrap());
    containerd.sh(
        &driver,
        "mount -t tmpfs tmpfs /volumes/one; echo data >/volumes/one/file",
    );
    assert_eq!(host.read("/run/volumes/one/file").unwrap(), "data\n");
    assert_eq!(containerd.sh(&user, "cat /volumes/one/file"), "data");
    assert_eq!(containerd.sh(&alone, "ls /volumes/one"), "");
}

#[test]
fn pods_outlive_the_daemon_and_nothing_outlives_init() {
    let host = Host::new();
    let mut containerd = containerd(&host);
    let pod = containerd.run_pod(PodOptions::new("web")).unwrap();
    let server = containerd.run_container(&pod, idle("server")).unwrap();
    containerd.kill();
    containerd.launch();
    assert_eq!(containerd.sh(&server, "echo here"), "here");
    containerd.stop();
    containerd.launch();
    assert_eq!(containerd.sh(&server, "echo here"), "here");

    let boot_id = || containerd_boot_id(&containerd);
    let before = boot_id();
    assert_eq!(host.read(BOOT_ID).unwrap(), before);
    containerd.reboot(&host);
    assert_ne!(containerd_boot_id(&containerd), before);
    assert!(containerd.exec(&server, &["/bin/busybox", "true"]).is_err());
    let known = containerd.pods();
    assert_eq!(known[0].id, pod.id);
    assert_eq!(
        known[0].state(),
        testkit::containerd::cri::PodSandboxState::SandboxNotready
    );
}

/// Set for the process that [`nothing_outlives_a_killed_test`] kills, which is this very test.
const VICTIM: &str = "TESTKIT_VICTIM";

#[test]
fn nothing_outlives_a_killed_test() {
    let host = Host::new();
    if std::env::var_os(VICTIM).is_some() {
        let containerd = containerd(&host);
        let pod = containerd.run_pod(PodOptions::new("web")).unwrap();
        containerd.run_container(&pod, idle("server")).unwrap();
        // It waits for its end at a pipe that nobody closes.
        println!("{}", containerd.inside().sh("ps -e -o comm="));
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    host.sh("mkdir /run/groups; mount -t cgroup2 cgroup2 /run/groups");
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "nothing_outlives_a_killed_test", "--nocapture"]);
    victim
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut victim = victim.spawn().unwrap();
    let mine = format!("testkit-{}-", victim.id());
    let groups = || {
        let mut names = host.list("/run/groups");
        names.retain(|name| name.starts_with(&mine));
        names
    };
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let shim = lines.any(|line| line.unwrap().starts_with("containerd-shim"));
    assert!(shim && groups().len() == 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    // A group can only be removed when no process is left in it.
    testkit::eventually("its processes and its groups are gone", || {
        groups().is_empty()
    });
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

fn containerd_boot_id(containerd: &Containerd) -> String {
    containerd.inside().read(BOOT_ID).unwrap()
}
