//! The difference of two dumps, as a person wants to read it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What came, what went and what changed between two dumps. Prints one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    lines: Vec<String>,
}

impl Diff {
    pub(crate) fn between(
        before: &BTreeMap<String, Value>,
        after: &BTreeMap<String, Value>,
    ) -> Self {
        let mut lines = Vec::new();
        for (name, old) in before {
            match after.get(name) {
                None => lines.push(format!("- {name}")),
                Some(new) => changes(name, old, new, &mut lines),
            }
        }
        for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            lines.push(match new {
                Value::String(content) => format!("+ {name}: {}", short(&format!("{content:?}"))),
                _ => format!("+ {name}"),
            });
        }
        Self { lines }
    }

    /// Whether nothing is different.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The differences, one each: `+ host link veth1`, `- pod file /run/x`, `~ host link cni0 .mtu: 1500 -> 1400`.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Goes down to the fields that differ.
fn changes(name: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for key in before
                .keys()
                .chain(after.keys().filter(|key| !before.contains_key(*key)))
            {
                changes(&format!("{name} .{key}"), &old[key], &new[key], lines);
            }
        }
        _ if old != new => lines.push(format!(
            "~ {name}: {} -> {}",
            short(&old.to_string()),
            short(&new.to_string())
        )),
        _ => {}
    }
}

/// As much of a value as one can read.
fn short(value: &str) -> String {
    const READABLE: usize = 120;
    match value.char_indices().nth(READABLE) {
        Some((end, _)) => format!("{}... ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dump(objects: &[(&str, Value)]) -> BTreeMap<String, Value> {
        objects
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn names_what_came_went_and_changed() {
        let before = dump(&[
            ("link a", json!({"mtu": 1, "master": "br"})),
            ("link b", json!({})),
        ]);
        let after = dump(&[
            ("link a", json!({"mtu": 2, "master": "br", "alias": "x"})),
            ("file c", json!("12")),
        ]);
        let diff = Diff::between(&before, &after);
        let expected = [
            "~ link a .mtu: 1 -> 2",
            "~ link a .alias: null -> \"x\"",
            "- link b",
            "+ file c: \"12\"",
        ];
        assert_eq!(diff.lines(), expected);
    }

    #[test]
    fn equal_dumps_have_no_difference() {
        let same = dump(&[("link a", json!({"flags": ["UP"]}))]);
        assert!(Diff::between(&same, &same.clone()).is_empty());
    }
}
