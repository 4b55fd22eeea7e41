//! The page, read as far as tests want to know it: the tables beneath its headings.

use std::fs;
use std::path::{Path, PathBuf};

/// A row of a table, cell by cell.
pub type Row = Vec<String>;

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The rows of the tables between a heading and the next one, without their heads.
#[track_caller]
pub fn rows(heading: &str) -> Vec<Row> {
    let page = fs::read_to_string(file("docs/csi-hostpath.md")).unwrap();
    let mut lines = page.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "the page has no {heading:?}");
    let section = lines.take_while(|line| !line.starts_with('#'));
    let mut rows: Vec<Row> = Vec::new();
    let mut in_body = false;
    for line in section {
        let is_rule = line.starts_with("| ---");
        if in_body && line.starts_with('|') {
            rows.push(cells(line));
        }
        in_body = is_rule || in_body && line.starts_with('|');
    }
    assert!(!rows.is_empty(), "the page has no table at {heading:?}");
    rows
}

fn cells(line: &str) -> Row {
    let inner = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    inner
        .unwrap_or(line)
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

/// What stands in a cell as code.
pub fn codes(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of a table of `proto/tables`, without its head.
pub fn specified(table: &str) -> Vec<Row> {
    let text = fs::read_to_string(file("proto/tables").join(table)).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split('\t').map(str::to_owned).collect())
        .collect()
}
