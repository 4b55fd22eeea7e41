//! The main job, to look at: two pods on a network, served as a runtime serves them, then two pods with volumes, served as
//! kubelet does. All of it on hosts of its own that vanish with this process.
//!
//! Whatever is drawn is read back from the kernel, not from what the programs say. A surprise ends it, with a code other
//! than 0.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is there to be read"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "it shows what should work; what does not is said loudly"
)]

mod boxes;
mod network;
mod storage;

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    if let Some(missing) = missing() {
        eprintln!("{missing}");
        return ExitCode::FAILURE;
    }
    if !network::show() {
        return ExitCode::FAILURE;
    }
    println!();
    storage::show();
    ExitCode::SUCCESS
}

/// What this machine lacks for the demonstration.
fn missing() -> Option<String> {
    for (program, package) in [
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("ping", "iputils-ping"),
        ("losetup", "mount"),
        ("setpriv", "util-linux"),
        ("mkfs.xfs", "xfsprogs"),
    ] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Some(format!("`{program}` is missing: apt-get install {package}"));
        }
    }
    (!nix::unistd::geteuid().is_root())
        .then(|| "namespaces are made by root: run this as root".to_owned())
}
