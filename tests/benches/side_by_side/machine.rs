//! On what was measured: a ratio means little without it.

use crate::contender::Contender::Reference;
use std::process::Command;

/// Facts as pairs of name and value.
pub fn facts() -> Vec<(&'static str, String)> {
    let reference = Reference.executable("bridge");
    let reference = reference.display();
    vec![
        (
            "machine",
            shell("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
        ),
        ("cores", shell("nproc")),
        ("kernel", shell("uname -sr")),
        ("load at the end", shell("cut -d' ' -f1-3 /proc/loadavg")),
        ("date", shell("date -u +%F")),
        (
            "reference",
            shell(&format!(
                "CNI_COMMAND= {reference} 2>&1 </dev/null | head -n 1"
            )),
        ),
        (
            "reference's package",
            shell("dpkg-query -W -f '${Package} ${Version}' containernetworking-plugins"),
        ),
        ("reference's packet filter", shell("iptables --version")),
        ("compiler", shell("rustc --version")),
    ]
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match text {
        Ok(text) if !text.is_empty() => text,
        _ => "unknown".to_owned(),
    }
}
