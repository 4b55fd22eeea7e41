//! One run of a VM: boot, everything that it says on its serial console, power off.
//!
//! The machine is emulated (`-accel tcg`), because tests must run where there is no KVM, inside other VMs for instance.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// An emulated machine is some ten times slower than this one, and this one may be busy.
const DEADLINE: Duration = Duration::from_secs(400);

/// Boots `image` with `initramfs` and `memory` MiB, and returns what came over the serial console until the machine turned itself off, or
/// what became of it instead.
pub fn run(image: &Path, initramfs: &Path, memory: u32) -> Result<String, String> {
    let mut child = boot(image, initramfs, memory);
    let mut console = child.stdout.take().expect("the serial console");
    let mut complaints = child.stderr.take().expect("qemu's standard error");
    let (done, ended) = mpsc::channel();
    let (text, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = console.read(&mut piece) {
            let _ = text.send(piece[..length].to_vec());
        }
        let mut last = Vec::new();
        let _ = complaints.read_to_end(&mut last);
        let _ = text.send(last);
        let _ = done.send(());
    });
    let in_time = ended.recv_timeout(DEADLINE).is_ok();
    // After its end this is only the bookkeeping; before, it is this machine alone that is turned off.
    let _ = child.kill();
    let status = child.wait().expect("wait for qemu");
    let heard: Vec<u8> = heard.try_iter().flatten().collect();
    let console = String::from_utf8_lossy(&heard).replace('\r', "");
    let what = match (in_time, status.success()) {
        (true, true) => return Ok(console),
        (true, false) => format!("qemu: {status}"),
        (false, _) => format!("the VM did not turn itself off within {DEADLINE:?}"),
    };
    Err(format!("{what}; its console:\n{console}"))
}

fn boot(image: &Path, initramfs: &Path, memory: u32) -> Child {
    let mut command = Command::new("qemu-system-x86_64");
    // Of an old processor, whose features the kernel and glibc make less use of: emulated, the newer ones are slower, most of
    // all the instructions that copy and clear bytes at once.
    command.args(["-accel", "tcg", "-cpu", "Nehalem", "-smp", "2"]);
    command.args(["-m", &memory.to_string()]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    command.args(["-display", "none", "-serial", "stdio"]);
    command.arg("-kernel").arg(image);
    command.arg("-initrd").arg(initramfs);
    command.args([
        "-append",
        "console=ttyS0 quiet loglevel=1 panic=-1 nokaslr mitigations=off",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|e| {
        panic!("start qemu-system-x86_64: {e}: install Debian's package qemu-system-x86, or run scripts/prepare")
    })
}
