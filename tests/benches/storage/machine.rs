//! On what was measured: a time means little without it.

use std::process::Command;

/// Facts as pairs of name and value.
pub fn facts() -> Vec<(&'static str, String)> {
    vec![
        (
            "machine",
            shell("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
        ),
        ("cores", shell("nproc")),
        ("kernel", shell("uname -sr")),
        (
            "filesystem of the machine",
            shell("findmnt -n -o FSTYPE,OPTIONS -T /tmp"),
        ),
        ("load at the end", shell("cut -d' ' -f1-3 /proc/loadavg")),
        ("date", shell("date -u +%F")),
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
