//! `hawser` under its own name: the operator's command.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use testkit::{Call, Host, Plugins};

/// The plugins that a node runs, which are all in the one executable.
const PLUGINS: [&str; 5] = ["bridge", "firewall", "host-local", "loopback", "portmap"];

fn hawser() -> PathBuf {
    Plugins::built_here().executable("hawser")
}

fn run(words: &[&str]) -> Output {
    Command::new(hawser()).args(words).output().unwrap()
}

fn stdout(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_lists_its_plugins_and_is_each_of_them_under_its_name() {
    let listed = stdout(&["plugins"]);
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, PLUGINS);

    let host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    for name in PLUGINS {
        symlink(hawser(), folder.path().join(name)).unwrap();
        let call = Call::new(&host, &Plugins::at(folder.path()), name);
        let answer = call.env("CNI_COMMAND", "VERSION").run().ok();
        assert_eq!(answer["supportedVersions"][6], "1.1.0", "{name}: {answer}");
    }
}

#[test]
fn under_any_other_name_it_is_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("ptp");
    symlink(hawser(), &other).unwrap();
    let output = Command::new(&other)
        .env("CNI_COMMAND", "VERSION")
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("Usage: hawser"), "{told}");
}

#[test]
fn it_tells_its_version_and_what_it_can_do() {
    assert_eq!(
        stdout(&["--version"]).trim(),
        concat!("hawser ", env!("CARGO_PKG_VERSION"))
    );
    let help = stdout(&["--help"]);
    for command in ["plugins", "install", "completions", "man"] {
        assert!(help.contains(command), "{command}: {help}");
    }
    let refused = run(&["instal"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("'install'"), "the way out is named: {told}");
}

#[test]
fn a_shell_understands_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hawser.bash");
    std::fs::write(&script, stdout(&["completions", "bash"])).unwrap();
    let offered = Command::new("bash")
        .arg("-c")
        .arg(
            r#". "$1"; COMP_WORDS=(hawser inst); COMP_CWORD=1; _hawser hawser inst hawser
               echo "${COMPREPLY[@]}""#,
        )
        .arg("bash")
        .arg(&script)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&offered.stdout).trim(),
        "install",
        "{offered:?}"
    );
    for (shell, word) in [("zsh", "#compdef hawser"), ("fish", "complete -c hawser")] {
        assert!(stdout(&["completions", shell]).contains(word), "{shell}");
    }
}

#[test]
fn it_writes_its_manual() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man1");
    stdout(&["man", man.to_str().unwrap()]);
    for page in ["hawser.1", "hawser-install.1", "hawser-plugins.1"] {
        let text = std::fs::read_to_string(man.join(page)).unwrap();
        assert!(
            text.contains(".SH DESCRIPTION") || text.contains(".SH NAME"),
            "{page}"
        );
    }
}
