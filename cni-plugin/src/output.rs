//! What a plugin says: the one place that writes to stdout (IO-2 to IO-4), and remarks beside it.

use crate::Plugin;
use cni::Version;
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Success, and nothing to say.
    Done,
    /// Success, with a result.
    Result(Value),
    /// Success, with the versions spoken; one line, as the reference has it.
    Versions(Value),
    /// Failure, told in this version.
    Failure(cni::Error, Version),
    /// Nobody called: somebody wants to see what this is.
    About,
}

impl Answer {
    /// What goes to stdout.
    pub fn text(&self) -> String {
        match self {
            Self::Done | Self::About => String::new(),
            Self::Result(value) => indented(value),
            Self::Versions(value) => format!("{value}\n"),
            Self::Failure(error, version) => indented(&error.to_json(*version)),
        }
    }

    /// Whether the exit code is 0.
    pub const fn succeeds(&self) -> bool {
        !matches!(self, Self::Failure(..))
    }

    /// Writes the answer. Success that cannot be told is failure (IO-3).
    pub fn print(&self, plugin: &Plugin) -> ExitCode {
        let written = match self {
            Self::About => introduce(plugin),
            _ => print(&self.text()),
        };
        match written {
            Ok(()) if self.succeeds() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(error) => {
                // Stderr is all that is left, and it may be gone too.
                let _ = writeln!(io::stderr(), "{}: writing the answer: {error}", plugin.name);
                ExitCode::FAILURE
            }
        }
    }
}

/// The versions spoken, in the version of the caller (VER-1).
pub fn versions(plugin: &Plugin, caller: Option<String>) -> Value {
    let supported = plugin.versions.iter().map(|version| version.as_str());
    json!({
        "cniVersion": caller.unwrap_or_else(|| plugin.newest().to_string()),
        "supportedVersions": supported.collect::<Vec<_>>(),
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says something beside the answer: on stderr, which runtimes write to their log. It may be closed, too.
pub fn remark(plugin_type: &str, text: impl Display) {
    let _ = writeln!(io::stderr(), "{plugin_type}: {text}");
}

fn introduce(plugin: &Plugin) -> io::Result<()> {
    let versions: Vec<_> = plugin
        .versions
        .iter()
        .map(|version| version.as_str())
        .collect();
    let Plugin { name, about, .. } = plugin;
    let versions = versions.join(", ");
    writeln!(io::stderr(), "{name}: {about}\nspeaks CNI {versions}")
}

/// The value on lines indented by four spaces a level, as the reference prints its answers.
fn indented(value: &Value) -> String {
    let by_two = format!("{value:#}");
    let mut text = String::with_capacity(by_two.len() * 2);
    // Texts hold no raw newline, so the spaces before a line are all indentation.
    for line in by_two.lines() {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        text.extend(std::iter::repeat_n(' ', spaces));
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_four_spaces_and_texts_stay_as_they_are() {
        let value = json!({"a": [{"b": "x\n  y"}], "c": {}, "d": []});
        let expected = r#"{
    "a": [
        {
            "b": "x\n  y"
        }
    ],
    "c": {},
    "d": []
}
"#;
        assert_eq!(indented(&value), expected);
    }
}
