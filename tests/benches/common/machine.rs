//! On what was measured: a number means little without it.

use std::process::Command;

/// Facts as pairs of name and value.
pub fn facts() -> Vec<(&'static str, String)> {
    let asked = [
        (
            "machine",
            "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1",
        ),
        ("cores", "nproc"),
        ("kernel", "uname -sr"),
        ("load at the end", "cut -d' ' -f1-3 /proc/loadavg"),
        ("date", "date -u +%F"),
        ("compiler", "rustc --version"),
    ];
    asked.map(|(name, script)| (name, shell(script))).into()
}

/// What a shell prints for a script.
pub fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match text {
        Ok(text) if !text.is_empty() => text,
        _ => "unknown".to_owned(),
    }
}
