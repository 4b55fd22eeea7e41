//! The objects of `manifests/`, rendered, and its examples.

pub use testkit::manifests::{
    OVERLAYS, container, find, folder, id, list, objects, render, text, texts, workloads,
};

use serde_json::Value;

/// What can be applied besides, where the cluster knows these kinds.
pub const ADDITIONS: [&str; 3] = ["snapshots", "group-snapshots", "attributes"];

/// The objects of each overlay with all additions.
pub fn installations() -> impl Iterator<Item = (&'static str, Vec<Value>)> {
    OVERLAYS.into_iter().map(|name| {
        let mut all = render(name);
        for addition in ADDITIONS {
            all.extend(render(addition));
        }
        (name, all)
    })
}

/// The files of `manifests/examples` with their objects.
pub fn examples() -> Vec<(String, Vec<Value>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
        .iter()
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, objects(&std::fs::read_to_string(file).unwrap()))
        })
        .collect()
}
