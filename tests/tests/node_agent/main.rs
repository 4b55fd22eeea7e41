//! `hawser-node` on a host of its own, against an API server that says what a test wants.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod agent;
mod routes;

use agent::{Agent, BIN, CONF, CONFLIST, foreign, log, remove};
use serde_json::{Value, json};
use testkit::api_server::{ACCOUNT, Server, node};
use testkit::{Host, eventually};

const DAEMONSET: &str = "/apis/apps/v1/namespaces/hawser-system/daemonsets/hawser-node";
const PLUGINS: [&str; 6] = [
    "bridge",
    "firewall",
    "hawser",
    "host-local",
    "loopback",
    "portmap",
];

fn scene(cidrs: &[&str]) -> (Host, Server) {
    let host = Host::new();
    let server = Server::start(&host);
    server.nodes(&[node("n1", cidrs, &["192.0.2.1"])]);
    server.answer(DAEMONSET, 200, json!({"metadata": {"name": "hawser-node"}}));
    (host, server)
}

fn conflist(host: &Host) -> Value {
    serde_json::from_str(&host.read(CONFLIST).unwrap_or_default()).unwrap_or(Value::Null)
}

fn plugins(host: &Host) -> Vec<String> {
    let names = host.list(BIN).into_iter();
    names.filter(|name| !name.starts_with('.')).collect()
}

#[test]
fn a_node_gets_plugins_and_the_configuration_for_its_pod_cidrs() {
    for cidrs in [&["10.244.1.0/24"][..], &["10.244.1.0/24", "fd00:1::/64"]] {
        let (host, server) = scene(cidrs);
        let agent = Agent::start(&host, Some(&server), &[]);
        agent.await_ready();
        assert_eq!(plugins(&host), PLUGINS);
        let config = conflist(&host);
        let ranges: Vec<_> = cidrs.iter().map(|cidr| json!([{"subnet": cidr}])).collect();
        assert_eq!(config["plugins"][0]["ipam"]["ranges"], json!(ranges));
        assert_eq!(config["plugins"][0]["ipMasq"], true);
        agent.await_owner(1);
        let mut asked = server.asked();
        asked.sort();
        assert_eq!(
            asked,
            ["/api/v1/nodes/n1", DAEMONSET],
            "no more rights than needed"
        );
        assert_eq!(agent.page("/healthz").0, 200);
        assert!(!log(&host).contains("a-token"), "{}", log(&host));
    }
}

#[test]
fn a_restart_changes_nothing_and_a_removal_restores_what_was_there() {
    let (host, server) = scene(&["10.244.1.0/24"]);
    let theirs = foreign(&host, "bridge");
    let other = format!("{CONF}/05-other.conflist");
    host.write(&other, "{}");
    let before = (host.read(&theirs), plugins(&host), host.list(CONF));

    let agent = Agent::start(&host, Some(&server), &[]);
    agent.await_ready();
    assert!(
        log(&host).contains("05-other.conflist comes before it"),
        "{}",
        log(&host)
    );
    agent.await_owner(1);
    assert!(agent.stop().success());
    let inode = || host.sh(&format!("stat -c %i {BIN}/bridge {CONFLIST}"));
    let (installed, text) = (inode(), host.read(CONFLIST));
    assert!(text.is_some(), "everything stays");

    let agent = Agent::start(&host, Some(&server), &[]);
    agent.await_ready();
    agent.await_owner(2);
    assert_eq!((inode(), host.read(CONFLIST)), (installed, text));

    server.answer(DAEMONSET, 404, json!({}));
    assert!(agent.stop().success());
    assert_eq!(
        (host.read(&theirs), plugins(&host), host.list(CONF)),
        before
    );
    assert_eq!(
        host.list(BIN),
        ["bridge"],
        "nothing of ours is left beside it"
    );
}

#[test]
fn only_a_daemonset_that_is_certainly_gone_takes_the_network_away() {
    let gone = |server: &Server, how: &str| match how {
        "deleted" => {
            let metadata = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
            server.answer(DAEMONSET, 200, json!({"metadata": metadata}));
        }
        "without account" => server.forget_account(),
        _ => server.answer(DAEMONSET, 500, json!({"message": "etcd is slow"})),
    };
    for (how, stays) in [
        ("deleted", false),
        ("without account", false),
        ("ill", true),
    ] {
        let (host, server) = scene(&["10.244.1.0/24"]);
        let agent = Agent::start(&host, Some(&server), &[]);
        agent.await_ready();
        agent.await_owner(1);
        gone(&server, how);
        assert!(agent.stop().success(), "{how}");
        assert_eq!(
            host.read(CONFLIST).is_some(),
            stays,
            "{how}: {}",
            log(&host)
        );
        assert_eq!(plugins(&host).is_empty(), !stays, "{how}");
    }
}

#[test]
fn a_daemonset_of_a_wrong_name_is_told_and_takes_nothing_away() {
    let (host, server) = scene(&["10.244.1.0/24"]);
    server.answer(DAEMONSET, 404, json!({"message": "not found"}));
    let agent = Agent::start(&host, Some(&server), &[]);
    agent.await_ready();
    eventually("it is told", || {
        log(&host).contains("of DAEMONSET_NAME and POD_NAMESPACE cannot be seen")
    });
    assert!(agent.stop().success());
    assert!(host.read(CONFLIST).is_some(), "{}", log(&host));
    assert_eq!(plugins(&host), PLUGINS);
}

#[test]
fn a_role_that_goes_before_the_account_is_waited_out() {
    let (host, server) = scene(&["10.244.1.0/24"]);
    let agent = Agent::start(&host, Some(&server), &[]);
    agent.await_ready();
    agent.await_owner(1);
    server.answer(DAEMONSET, 403, json!({"message": "may not"}));
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| agent.stop());
        eventually("it asks again", || {
            let asked = server.asked().into_iter();
            asked.filter(|path| path == DAEMONSET).count() >= 3
        });
        assert!(host.read(CONFLIST).is_some(), "not yet");
        server.forget_account();
        assert!(stopped.join().unwrap().success());
    });
    assert_eq!(host.read(CONFLIST), None);
    assert!(plugins(&host).is_empty());
}

#[test]
fn a_node_without_pod_cidr_says_what_to_do() {
    let (host, server) = scene(&[]);
    let agent = Agent::start(&host, Some(&server), &["--patience", "0"]);
    let words = agent.last_words();
    for part in [
        "node n1 has no pod CIDR",
        "--allocate-node-cidrs",
        "--pod-network-cidr",
        "--pod-cidr",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!server.asked().is_empty(), "it only guesses");
    assert!(log(&host).contains(&words));
    assert_eq!(host.read(CONFLIST), None);
    assert_eq!(
        plugins(&host),
        PLUGINS,
        "they do no harm, and are there when a CIDR comes"
    );
}

#[test]
fn a_node_that_is_not_in_the_list_is_told_as_that() {
    let (host, server) = scene(&[]);
    server.nodes(&[node("n2", &["10.244.2.0/24"], &[])]);
    let arguments = ["--routes", "--patience", "0"];
    let words = Agent::start(&host, Some(&server), &arguments).last_words();
    assert!(words.contains("there is no Node n1"), "{words}");
}

#[test]
fn a_pod_cidr_that_comes_late_is_taken() {
    let (host, server) = scene(&[]);
    let agent = Agent::start(&host, Some(&server), &[]);
    eventually("it says what it waits for", || {
        let (status, text) = agent.page("/readyz");
        status == 503 && text.contains("plugins: ok") && text.contains("no pod CIDR")
    });
    server.nodes(&[node("n1", &["10.244.9.0/24"], &[])]);
    agent.await_ready();
    let ranges = json!([[{"subnet": "10.244.9.0/24"}]]);
    assert_eq!(conflist(&host)["plugins"][0]["ipam"]["ranges"], ranges);
}

#[test]
fn what_the_api_server_refuses_is_told_with_the_way_out() {
    for (status, words) in [
        (401, "apply the manifests again"),
        (403, "ClusterRole"),
        (404, "NODE_NAME"),
        (503, "API server's log"),
    ] {
        let (host, server) = scene(&[]);
        server.answer(
            "/api/v1/nodes/n1",
            status,
            json!({"message": "because of that"}),
        );
        let said = Agent::start(&host, Some(&server), &["--patience", "0"]).last_words();
        assert!(
            said.contains(&format!("{status} because of that")) && said.contains(words),
            "{said}"
        );
        assert!(!log(&host).contains("a-token"), "{}", log(&host));
    }
}

#[test]
fn a_server_of_another_authority_gets_no_token() {
    let (host, server) = scene(&["10.244.1.0/24"]);
    let other = Host::new();
    let _other = Server::start(&other);
    host.write(
        format!("{ACCOUNT}/ca.crt"),
        &other.read(format!("{ACCOUNT}/ca.crt")).unwrap(),
    );
    let words = Agent::start(&host, Some(&server), &["--patience", "0"]).last_words();
    assert!(words.contains("certificate"), "{words}");
    assert!(server.asked().is_empty());

    host.write(format!("{ACCOUNT}/ca.crt"), "no certificate");
    let words = Agent::start(&host, Some(&server), &["--patience", "0"]).last_words();
    assert!(words.contains("ca.crt has no certificate"), "{words}");
}

#[test]
fn a_token_is_read_anew_for_each_question() {
    let (host, server) = scene(&[]);
    let _agent = Agent::start(&host, Some(&server), &[]);
    eventually("it has asked", || !server.asked().is_empty());
    server.change_token(&host, "the-next-token");
    server.nodes(&[node("n1", &["10.244.1.0/24"], &[])]);
    eventually("it is configured", || host.read(CONFLIST).is_some());
}

#[test]
fn what_somebody_takes_away_comes_back() {
    let host = Host::new();
    let agent = Agent::start(&host, None, &["--pod-cidr", "10.244.1.0/24"]);
    agent.await_ready();
    let text = host.read(CONFLIST);
    host.sh(&format!("rm {BIN}/bridge {CONFLIST}"));
    eventually("both are back", || {
        plugins(&host) == PLUGINS && host.read(CONFLIST) == text
    });
    let theirs = foreign(&host, "portmap");
    eventually("ours is in its place", || {
        host.succeeds(&format!("test {BIN}/portmap -ef {BIN}/hawser"))
    });
    assert!(agent.stop().success());
    remove(&host);
    assert!(
        host.read(&theirs).unwrap().contains("somebody else"),
        "what it replaced is back"
    );
    assert_eq!(host.read(CONFLIST), None);
}

#[test]
fn a_configuration_that_is_not_ours_stays_and_is_told() {
    let host = Host::new();
    host.write(CONFLIST, "{\"name\": \"theirs\"}");
    let agent = Agent::start(&host, None, &["--pod-cidr", "10.244.1.0/24"]);
    eventually("it is not ready, and says why", || {
        let (status, text) = agent.page("/readyz");
        status == 503 && text.contains("was not written by hawser")
    });
    assert_eq!(host.read(CONFLIST).unwrap(), "{\"name\": \"theirs\"}");
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    for (mount, words) in [
        ("mount -t tmpfs -o ro none", "mount it writable"),
        ("mount -t tmpfs -o size=64k none", "make room"),
    ] {
        let host = Host::new();
        host.sh(&format!("mkdir {BIN}; {mount} {BIN}"));
        let words_said = Agent::start(&host, None, &["--pod-cidr", "10.244.1.0/24"]).last_words();
        assert!(
            words_said.contains(BIN) && words_said.contains(words),
            "{words_said}"
        );
        assert_eq!(host.read(CONFLIST), None, "no network is promised");
    }
}
