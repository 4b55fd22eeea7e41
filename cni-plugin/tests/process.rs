//! The frame as a process: what reaches stdout and stderr, and the exit status, of the plugin in
//! `examples/minimal.rs`.

#![allow(clippy::unwrap_used, reason = "a test may fail in its helpers too")]

use serde_json::{Value, json};
use std::io::{Write, pipe};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The example's file: cargo builds examples beside the tests.
fn minimal() -> Command {
    let test = std::env::current_exe().unwrap();
    let profile: PathBuf = test.ancestors().nth(2).unwrap().into();
    let mut command = Command::new(profile.join("examples/minimal"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn fed(command: &mut Command, input: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A plugin that refuses early does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn started_by_hand_it_says_what_it_is() {
    let output = minimal().output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("minimal: passes on"), "{text}");
    assert!(
        text.contains("0.1.0, 0.2.0") && text.contains("1.1.0"),
        "{text}"
    );
}

#[test]
fn version_is_one_line_and_echoes_the_caller() {
    let mut command = minimal();
    let output = fed(
        command.env("CNI_COMMAND", "VERSION"),
        br#"{"cniVersion": "0.3.1"}"#,
    );
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        "{\"cniVersion\":\"0.3.1\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\
         \"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
    );
}

#[test]
fn version_answers_a_caller_that_leaves_stdin_open() {
    let (reader, writer) = pipe().unwrap();
    let before = Instant::now();
    let output = minimal()
        .env("CNI_COMMAND", "VERSION")
        .stdin(reader)
        .output()
        .unwrap();
    assert!(before.elapsed() < Duration::from_secs(10));
    drop(writer);
    assert_eq!(json(&output)["cniVersion"], "1.1.0");
}

#[test]
fn a_failure_is_an_object_on_stdout_and_exit_status_1() {
    let mut command = minimal();
    let output = fed(
        command.env("CNI_COMMAND", "ADD").env("CNI_IFNAME", "eth0"),
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        r#"{
    "cniVersion": "1.1.0",
    "code": 4,
    "msg": "missing in the environment: CNI_CONTAINERID, CNI_NETNS; ADD needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"
}
"#
    );
}

fn add() -> Command {
    let mut command = minimal();
    command.envs([
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "pod-1"),
        ("CNI_NETNS", "/proc/self/ns/net"),
        ("CNI_NETNS_OVERRIDE", "1"),
        ("CNI_IFNAME", "eth0"),
    ]);
    command
}

#[test]
fn a_result_is_told_in_the_configurations_version() {
    let config = json!({
        "cniVersion": "0.4.0", "name": "net", "type": "minimal",
        "prevResult": {"ips": [{"address": "10.1.0.7/16"}]},
    });
    let output = fed(&mut add(), config.to_string().as_bytes());
    assert!(output.status.success());
    let expected = json!({
        "cniVersion": "0.4.0", "dns": {}, "ips": [{"version": "4", "address": "10.1.0.7/16"}],
    });
    assert_eq!(json(&output), expected);
}

#[test]
fn a_configuration_without_end_is_not_read_to_its_end() {
    let output = fed(&mut add(), &vec![b' '; (8 << 20) + 1]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["code"], 6);
    assert!(json(&output)["msg"].as_str().unwrap().contains("8388608"));
}

#[test]
fn success_that_nobody_reads_is_failure() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = add();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let config = br#"{"cniVersion": "1.0.0", "name": "net"}"#;
    child.stdin.take().unwrap().write_all(config).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        text,
        "minimal: writing the answer: Broken pipe (os error 32)\n"
    );
}

#[test]
fn a_bug_is_told_on_both_channels() {
    let mut command = minimal();
    command
        .env("CNI_COMMAND", "GC")
        .env("CNI_PATH", "/nonexistent");
    let output = fed(&mut command, br#"{"cniVersion": "1.1.0", "name": "net"}"#);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["code"], 999);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there is no garbage here"), "{text}");
    assert!(text.contains("minimal.rs:"), "{text}");
}
