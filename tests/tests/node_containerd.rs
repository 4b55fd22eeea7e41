//! Pods of a real containerd: our plugins as its CRI calls them, from the sandbox to what is left of it.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use serde_json::{Value, json};
use std::net::IpAddr;
use testkit::containerd::cri::{
    PodSandbox, PodSandboxState, RunPodSandboxRequest, StopPodSandboxRequest,
};
use testkit::containerd::{BUSYBOX, Container, ContainerOptions, Containerd, PodOptions, Sandbox};
use testkit::{
    Attachment, Dump, Host, Installed, Network, Stub, Uplink, at_once, eventually,
    unlike_the_reference,
};

/// Where the shipped network keeps its addresses.
const STORE: &str = "/var/lib/cni/networks/podnet";

fn push(list: &mut Value, plugin: Value) {
    list["plugins"].as_array_mut().unwrap().push(plugin);
}

/// A node on which there was a pod already: what the first one makes for all, such as the bridge, is there.
struct Node {
    host: Host,
    list: Value,
    containerd: Containerd,
    before: Dump,
}

impl Node {
    fn new() -> Self {
        let host = Host::new();
        let Installed { plugins, list } = Installed::on(&host);
        let containerd = Containerd::start(&host, &plugins, &list.to_string());
        let first = containerd.run_pod(PodOptions::new("first")).unwrap();
        gone(&containerd, &first);
        let before = Dump::of(&host);
        Self {
            host,
            list,
            containerd,
            before,
        }
    }

    fn run(&self, name: &str) -> Sandbox {
        self.containerd.run_pod(PodOptions::new(name)).unwrap()
    }

    /// A container that sleeps.
    fn container(&self, pod: &Sandbox) -> Container {
        let options = ContainerOptions::new("main", BUSYBOX);
        self.containerd.run_container(pod, options).unwrap()
    }

    /// Asserts that nothing is left of any pod.
    #[track_caller]
    fn assert_as_before(&self) {
        self.assert_as_before_but(&[]);
    }

    /// The same, but for differences that have one of these words.
    #[track_caller]
    fn assert_as_before_but(&self, words: &[&str]) {
        assert_eq!(self.reserved(), [""; 0]);
        assert!(self.containerd.pods().is_empty());
        self.before.assert_regained(&self.host, words);
    }

    /// Takes all pods away, of which one died in the making, and asserts that nothing is left.
    fn assert_as_before_when_emptied(&self) {
        for pod in self.containerd.pods() {
            self.containerd.stop_pod(&pod.id).unwrap();
            self.containerd.remove_pod(&pod.id).unwrap();
        }
        unlike_the_reference(
            "its firewall forgets a pod of which the runtime has lost the result",
            || self.assert_as_before(),
        );
    }

    /// The addresses in the store.
    fn reserved(&self) -> Vec<String> {
        let mut names = self.host.list(STORE);
        names.retain(|name| name.parse::<IpAddr>().is_ok());
        names
    }
}

/// Stops and removes a pod.
fn gone(containerd: &Containerd, pod: &Sandbox) {
    containerd.stop_pod(&pod.id).unwrap();
    containerd.remove_pod(&pod.id).unwrap();
}

/// Asserts that two pods reach each other under their own addresses.
#[track_caller]
fn assert_connected(one: &Sandbox, other: &Sandbox) {
    for (from, to) in [(one, other), (other, one)] {
        for (source, target) in from.ips.iter().zip(&to.ips) {
            let seen = from.place().seen_by(&to.place(), *target);
            assert_eq!(seen.unwrap(), *source, "to {target}");
        }
    }
}

#[test]
fn pods_reach_each_other_and_the_outside() {
    let node = Node::new();
    let uplink = Uplink::of(&node.host);
    let before = Dump::of(&node.host);
    let dns = PodOptions::new("web").dns(&["10.96.0.10"], &["svc.local"], &["ndots:5"]);
    let web = node.containerd.run_pod(dns).unwrap();
    let db = node.run("db");
    let [inside, _] = [&web, &db].map(|pod| node.container(pod));

    assert_connected(&web, &db);
    // The reference leaves the gateway's IPv6 address to duplicate address detection, for a second.
    eventually("the gateways answer", || {
        ["10.22.0.1", "fd00:22::1"]
            .iter()
            .all(|gateway| web.place().ping(gateway))
    });
    for (address, from) in Uplink::OUTSIDE.into_iter().zip(Uplink::HOST) {
        let seen = web.place().seen_by(&uplink.outside, address);
        assert_eq!(seen.unwrap(), from, "who came from a pod to {address}");
    }
    for address in db.ips.iter().chain(&Uplink::OUTSIDE) {
        node.containerd
            .sh(&inside, &format!("ping -c 1 -W 1 {address}"));
    }
    let resolv = node.containerd.sh(&inside, "cat /etc/resolv.conf");
    let expected = [
        "search svc.local",
        "nameserver 10.96.0.10",
        "options ndots:5",
    ];
    assert_eq!(resolv.lines().collect::<Vec<_>>(), expected);

    for pod in [&web, &db] {
        let (status, info) = node.containerd.pod_status(&pod.id).unwrap();
        assert_eq!(status.state(), PodSandboxState::SandboxReady);
        let [v4, v6] = [pod.ips[0], pod.ips[1]];
        assert!(v4.is_ipv4() && v6.is_ipv6(), "{:?}", pod.ips);
        let told = &info["cniResult"]["Interfaces"]["eth0"];
        let told: Vec<_> = [0, 1].map(|i| told["IPConfigs"][i]["IP"].clone()).into();
        assert_eq!(json!(told), json!(pod.ips), "{info:#}");
        let have = testkit::addresses(&pod.place().link("eth0"));
        assert_eq!(have, [format!("{v4}/16"), format!("{v6}/64")]);
    }
    gone(&node.containerd, &web);
    gone(&node.containerd, &db);
    before.assert_regained(&node.host, &[]);
}

#[test]
fn a_pod_is_stopped_and_removed_as_often_as_one_likes() {
    let mut node = Node::new();
    let pods = ["plain", "restarted", "killed"].map(|name| node.run(name));
    let [plain, restarted, killed] = &pods;
    let twice = |containerd: &Containerd, call: fn(&Containerd, &str) -> _, pod: &Sandbox| {
        for _ in 0..2 {
            let called: Result<(), testkit::containerd::Status> = call(containerd, &pod.id);
            called.unwrap();
        }
    };
    twice(&node.containerd, Containerd::stop_pod, plain);
    twice(&node.containerd, Containerd::remove_pod, plain);

    node.containerd.stop();
    node.containerd.launch();
    assert_connected(restarted, killed);
    twice(&node.containerd, Containerd::stop_pod, restarted);
    node.containerd.kill();
    node.containerd.launch();
    twice(&node.containerd, Containerd::remove_pod, restarted);
    twice(&node.containerd, Containerd::stop_pod, killed);
    twice(&node.containerd, Containerd::remove_pod, killed);
    node.assert_as_before();
}

#[test]
fn a_pod_goes_whose_namespace_was_lost() {
    let node = Node::new();
    let pod = node.run("lost");
    let netns = pod.netns.as_ref().unwrap().display();
    node.host.sh(&format!("umount {netns}; rm {netns}"));
    gone(&node.containerd, &pod);
    unlike_the_reference(
        "its masquerade stays when the namespace is gone before DEL",
        || node.assert_as_before(),
    );
}

#[test]
fn pods_come_again_after_a_reboot() {
    let mut node = Node::new();
    let old = ["one", "two"].map(|name| node.run(name));
    node.containerd.reboot(&node.host);
    node.host.sh("ip link delete cni0; nft flush ruleset");
    // As kubelet does: what is not ready is stopped, and a new attempt made beside it, before the old one is removed.
    let mut new = Vec::new();
    for pod in &old {
        let (status, _) = node.containerd.pod_status(&pod.id).unwrap();
        assert_eq!(status.state(), PodSandboxState::SandboxNotready);
        let name = status.metadata.unwrap().name;
        node.containerd.stop_pod(&pod.id).unwrap();
        let again = PodOptions::new(&name).attempt(1);
        new.push(node.containerd.run_pod(again).unwrap());
        node.containerd.remove_pod(&pod.id).unwrap();
    }
    assert_connected(&new[0], &new[1]);
    let mut addresses: Vec<IpAddr> = new.iter().flat_map(|pod| pod.ips.clone()).collect();
    let mut reserved: Vec<IpAddr> = node
        .reserved()
        .iter()
        .map(|ip| ip.parse().unwrap())
        .collect();
    addresses.sort();
    reserved.sort();
    assert_eq!(reserved, addresses);
    for pod in &new {
        gone(&node.containerd, pod);
    }
    // Bridge and boot are others.
    node.assert_as_before_but(&["cni0", "boot_id"]);
}

#[test]
fn twenty_pods_come_and_go_at_once() {
    let node = Node::new();
    let names: Vec<String> = (0..20).map(|n| format!("pod-{n}")).collect();
    let pods = at_once(&names, |name| node.run(name));
    let mut addresses: Vec<IpAddr> = pods.iter().flat_map(|pod| pod.ips.clone()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 40);
    for (pod, next) in pods.iter().zip(pods.iter().cycle().skip(1)) {
        assert_connected(pod, next);
    }
    at_once(&pods, |pod| gone(&node.containerd, pod));
    node.assert_as_before();
}

#[test]
fn a_list_is_replaced_under_running_pods() {
    let node = Node::new();
    let old = node.run("old");
    let mut list = node.list.clone();
    for (range, start) in [(0, "10.22.9.9"), (1, "fd00:22::99")] {
        list["plugins"][0]["ipam"]["ranges"][range][0]["rangeStart"] = json!(start);
    }
    list["plugins"][0]["mtu"] = json!(1400);
    node.containerd.configure(&list.to_string());
    let new = node.run("new");
    assert_eq!(new.ips, addresses(["10.22.9.9", "fd00:22::99"]));
    assert_eq!(new.place().link("eth0")["mtu"], 1400);
    assert_connected(&old, &new);

    gone(&node.containerd, &old);
    assert_eq!(node.reserved(), ["10.22.9.9", "fd00:22::99"]);
    node.containerd.configure(&node.list.to_string());
    gone(&node.containerd, &new);
    node.assert_as_before();
}

fn addresses(texts: [&str; 2]) -> Vec<IpAddr> {
    texts.map(|text| text.parse().unwrap()).into()
}

/// Puts a plugin `held` beside the others, which passes on what it gets, and stops for good at a verb.
fn held(host: &Host, verb: &str) -> Stub {
    let script = format!(
        r#"
[ "$CNI_COMMAND" != {verb} ] || {{ announce; exec sleep infinity; }}
[ "$CNI_COMMAND" != ADD ] || printf %s "$CONFIG" | sed 's/.*"prevResult"://; s/,"type":"held"}}$//'
"#
    );
    let stub = Stub::new(host, "held", &script);
    let plugins = host.scratch("plugins");
    let dir = stub.dir().display();
    host.sh(&format!("ln -s {dir}/held {}/held", plugins.display()));
    stub
}

/// A node with a pod `other` and the chain with a plugin that is [`held`] at a verb.
fn holding(verb: &str) -> (Node, Stub, Sandbox) {
    let node = Node::new();
    let stub = held(&node.host, verb);
    let other = node.run("other");
    let mut list = node.list.clone();
    push(&mut list, json!({"type": "held"}));
    node.containerd.configure(&list.to_string());
    (node, stub, other)
}

/// Kills containerd while it makes a pod that has got its network already. Returns what is known of the pod afterwards.
fn killed_in_the_making(node: &mut Node, stub: &Stub) -> PodSandbox {
    let caller = node.containerd.cri().clone();
    let request = RunPodSandboxRequest {
        config: Some(PodOptions::new("half").config),
        runtime_handler: String::new(),
    };
    let half = std::thread::spawn(move || caller.run_pod_sandbox(request));
    assert_eq!(stub.announced(), "ADD");
    node.containerd.kill();
    assert!(half.join().unwrap().is_err());
    node.containerd.launch();
    node.containerd.configure(&node.list.to_string());
    let mut known = node.containerd.pods().into_iter();
    known
        .find(|pod| pod.state() == PodSandboxState::SandboxNotready)
        .unwrap()
}

/// A pod's addresses as files of the store.
fn texts(pod: &Sandbox) -> Vec<String> {
    pod.ips.iter().map(IpAddr::to_string).collect()
}

#[test]
fn a_sandbox_that_died_in_the_making_is_stopped_and_removed() {
    let (mut node, stub, other) = holding("ADD");
    let half = killed_in_the_making(&mut node, &stub);
    assert_eq!(node.reserved().len(), 4);
    node.containerd.stop_pod(&half.id).unwrap();
    node.containerd.remove_pod(&half.id).unwrap();
    assert_eq!(node.reserved(), texts(&other));
    assert_connected(&other, &node.run("next"));
    node.assert_as_before_when_emptied();
}

#[test]
fn a_sandbox_that_died_in_the_making_is_collected() {
    let (mut node, stub, other) = holding("ADD");
    let half = killed_in_the_making(&mut node, &stub);
    // No containerd of today calls GC; its successor does as libcni does, with the pods that are ready.
    let list = testkit::merged(node.list.clone(), json!({"cniVersion": "1.1.0"}));
    let network = Network::new(&node.host, list).searching(node.host.scratch("plugins"));
    unlike_the_reference("Debian's plugins collect no garbage", || {
        network
            .gc(&[&Attachment::new(&other.id, "eth0", "")])
            .silent();
        assert_eq!(node.reserved(), texts(&other));
        let dump = Dump::of(&node.host);
        let labelled = |id: &str| {
            dump.named("host ")
                .any(|(name, value)| format!("{name}{value}").contains(id))
        };
        assert!(labelled(&other.id) && !labelled(&half.id));
    });
    node.containerd.stop_pod(&half.id).unwrap();
    node.containerd.remove_pod(&half.id).unwrap();
    assert_connected(&other, &node.run("next"));
    node.assert_as_before_when_emptied();
}

#[test]
fn a_sandbox_goes_whose_end_was_interrupted() {
    let (mut node, stub, other) = holding("DEL");
    let pod = node.run("interrupted");
    let (caller, id) = (node.containerd.cri().clone(), pod.id.clone());
    let request = StopPodSandboxRequest { pod_sandbox_id: id };
    let half = std::thread::spawn(move || caller.stop_pod_sandbox(request));
    assert_eq!(stub.announced(), "DEL");
    node.containerd.kill();
    assert!(half.join().unwrap().is_err());
    node.containerd.launch();
    node.containerd.configure(&node.list.to_string());
    gone(&node.containerd, &pod);
    assert_eq!(node.reserved(), texts(&other));
    gone(&node.containerd, &other);
    node.assert_as_before();
}
