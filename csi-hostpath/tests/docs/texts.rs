//! The error texts of the page are those of the code.

use std::fs;
use std::path::Path;

use super::page::{codes, file, rows};

/// The names of gRPC's codes that the driver answers with, and what stands where it ends instead.
const CODES: [&str; 11] = [
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "exit",
];

/// All code that errors come from, with texts that go over several lines in one.
fn sources() -> String {
    let mut all = String::new();
    for folder in ["csi-hostpath/src", "kernel/src/storage"] {
        collect(&file(folder), &mut all);
    }
    let mut joined = String::with_capacity(all.len());
    for part in all.split("\\\n") {
        let is_first = joined.is_empty();
        joined += if is_first { part } else { part.trim_start() };
    }
    joined.replace("\\\"", "\"")
}

fn collect(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            collect(&path, all);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            // Errors that tests speak of are no proof.
            *all += text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        }
    }
}

/// Whether `source` has the text `parts`, with a value of any kind between one part and the next.
fn has(source: &str, parts: &[&str]) -> bool {
    source
        .match_indices(parts[0])
        .any(|(at, _)| begins(&source[at..], parts))
}

fn begins(source: &str, parts: &[&str]) -> bool {
    let Some(rest) = source.strip_prefix(parts[0]) else {
        return false;
    };
    let after_value = || Some(rest.strip_prefix('{')?.split_once('}')?.1);
    parts.len() == 1 || after_value().is_some_and(|rest| begins(rest, &parts[1..]))
}

/// What stands between the values of a text, each written as `<value>`.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((part, after)) = rest.split_once('<') {
        parts.push(part);
        rest = after.split_once('>').expect(text).1;
    }
    parts.push(rest);
    parts
}

#[test]
fn error_texts_are_those_of_the_code() {
    let sources = sources();
    for row in rows("## Troubleshooting") {
        for text in codes(&row[0]) {
            assert!(has(&sources, &parts(text)), "no error says {text:?}");
        }
        for code in codes(&row[1]) {
            assert!(CODES.contains(&code), "{code} is no code");
        }
    }
}

#[test]
fn a_text_that_is_not_there_is_found_out() {
    let source = "\"volume {id} is at {}, unpublish it\"";
    assert!(has(
        source,
        &parts("volume <id> is at <path>, unpublish it")
    ));
    assert!(!has(
        source,
        &parts("volume <id> is in <path>, unpublish it")
    ));
    assert!(!has(source, &parts("volume vol-1 is at <path>")));
}
