//! Starting: what is made, what is taken over, and what is refused.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use proto::csi::ProbeRequest;
use proto::csi::identity_client::IdentityClient;
use rustix::process::Signal;

use super::running::{Home, call};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_made_is_for_root_alone() {
    let home = Home::new();
    let mut driver = home.start(&[]);
    driver.says("waiting for kubelet");
    for (path, expected) in [
        (home.socket(), 0o600),
        (home.path("csi"), 0o700),
        (home.registration(), 0o600),
        (home.path("state"), 0o700),
        (home.path("state/lock"), 0o600),
        (home.path("state/state.redb"), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn a_directory_that_is_there_keeps_its_mode() {
    let home = Home::new();
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o755).create(home.path("csi")).unwrap();
    let _driver = home.start(&[]);
    assert_eq!(mode(&home.path("csi")), 0o755);
    assert_eq!(mode(&home.socket()), 0o600);
}

#[test]
fn what_a_killed_driver_left_is_taken_over() {
    let home = Home::new();
    let mut killed = home.start(&[]);
    killed.says("waiting for kubelet");
    killed.signal(Signal::KILL);
    let (status, _) = killed.end();
    assert!(!status.success() && home.socket().exists() && home.registration().exists());

    let mut driver = home.start(&[]);
    driver.says("waiting for kubelet");
    call!(driver.caller(), IdentityClient, probe, ProbeRequest {}).unwrap();
}

#[test]
fn a_socket_in_use_is_refused() {
    let home = Home::new();
    fs::create_dir(home.path("csi")).unwrap();
    let _other = UnixListener::bind(home.socket()).unwrap();
    let (code, said) = home.fails(&[]);
    assert_eq!(code, Some(1));
    let holder = format!(
        "another process (process {}) listens at socket",
        std::process::id()
    );
    assert!(said.contains(&holder), "{said}");
    assert!(home.socket().exists());
}

#[test]
fn a_state_directory_in_use_is_refused() {
    let home = Home::new();
    let driver = home.start(&[]);
    let other = format!("--endpoint={}", home.path("other.sock").display());
    let (code, said) = home.fails(&[&other]);
    assert_eq!(code, Some(1));
    let holder = format!("another driver (process {})", driver.pid());
    assert!(said.contains(&holder), "{said}");
    call!(driver.caller(), IdentityClient, probe, ProbeRequest {}).unwrap();
}

#[test]
fn what_cannot_work_is_one_line_and_an_exit_code() {
    let home = Home::new();
    let nowhere = format!("--kubelet-dir={}", home.path("nowhere").display());
    let pool = format!("--pool=fast={}", home.path("nowhere").display());
    for (flag, expected, says) in [
        ("--endpoint=tcp://127.0.0.1:1", 2, "UNIX socket"),
        ("--mode=both", 2, "--mode"),
        ("--capacity=fast=1Gi", 2, "no such pool"),
        ("--http-endpoint=nowhere.invalid:80", 1, "--http-endpoint"),
        (&nowhere, 1, "--kubelet-dir"),
        (&pool, 1, "nowhere"),
    ] {
        let (code, said) = home.fails(&[flag]);
        let last = said.lines().last().unwrap();
        assert_eq!(code, Some(expected), "{flag}: {said}");
        assert!(
            last.starts_with("csi-hostpath: ") && last.contains(says),
            "{said}"
        );
    }
}

#[test]
fn flags_come_by_environment_as_well() {
    let home = Home::new();
    let elsewhere = home.path("elsewhere.sock");
    let mut command = home.command(&["--mode=node", "--log-format=xml"]);
    command
        .env("CSI_ENDPOINT", &elsewhere)
        .env("HAWSER_CAPACITY", "nowhere=1Gi");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--log-format"), "a flag is looked at: {said}");

    let output = home
        .command(&[])
        .env("HAWSER_CAPACITY", "nowhere=1Gi")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--capacity nowhere"), "{said}");
}
