//! Mounts and files of a host.

use super::Dump;
use crate::host::SCRATCH;
use serde_json::{Value, json};
use std::path::Path;

impl Dump {
    /// The mount table of the calling thread.
    pub(super) fn add_mounts(&mut self) {
        let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        for line in table.lines() {
            // id, parent, device, root, mount point, options, optional fields up to a dash, type, source, more options
            let fields: Vec<&str> = line.split(' ').collect();
            let dash = fields
                .iter()
                .position(|field| *field == "-")
                .unwrap_or(fields.len());
            let (Some(point), Some(options)) = (fields.get(4), fields.get(5)) else {
                continue;
            };
            self.insert(
                format!("mount {point}"),
                json!([options, fields.get(dash + 1)]),
            );
        }
    }

    /// The files below `dir`, with their content; directories come and go with them.
    pub(super) fn add_files(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if path == Path::new(SCRATCH) || is_kept_on_purpose(&path) {
                continue;
            }
            if kind.is_dir() {
                self.add_files(&path);
            } else {
                let content = kind
                    .is_file()
                    .then(|| std::fs::read(&path).unwrap_or_default());
                let content =
                    content.map_or(Value::Null, |bytes| json!(String::from_utf8_lossy(&bytes)));
                self.insert(format!("file {}", path.display()), content);
            }
        }
    }
}

/// Files that a plugin makes once and keeps, whatever comes and goes: locks, host-local's cursors, and its index, which
/// is made anew from the reservations whenever it is missing.
fn is_kept_on_purpose(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path == Path::new("/run/hawser")
        || name == "lock"
        || name == "xtables.lock"
        || name.starts_with("last_reserved_ip.")
}
