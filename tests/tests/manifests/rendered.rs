//! What `kubectl kustomize` makes of a folder of `manifests/`, as JSON.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What an operator applies to have Hawser.
pub const OVERLAYS: [&str; 4] = [
    "overlays/minikube",
    "overlays/multi-node",
    "overlays/cni-only",
    "overlays/csi-only",
];

/// What can be applied besides, where the cluster knows these kinds.
pub const ADDITIONS: [&str; 3] = ["snapshots", "group-snapshots", "attributes"];

/// The folder `manifests`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("manifests")
}

/// The objects of an overlay or an addition.
#[track_caller]
pub fn render(name: &str) -> Vec<Value> {
    let output = Command::new("kubectl")
        .args(["kustomize", "--"])
        .arg(folder().join(name))
        .output()
        .unwrap_or_else(|error| panic!("kubectl: {error}: install the package kubernetes-client"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    objects(&String::from_utf8(output.stdout).unwrap())
}

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

fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    assert!(!all.is_empty());
    all
}

/// The text at a JSON pointer.
#[track_caller]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer} of {object:#}"))
}

/// The elements of the list at a JSON pointer; none if it is not there.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The texts of the list at a JSON pointer.
pub fn texts<'a>(object: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(object, pointer)
        .iter()
        .map(|value| value.as_str().unwrap())
        .collect()
}

/// `kind namespace/name`.
pub fn id(object: &Value) -> String {
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!(
        "{} {namespace}/{}",
        text(object, "/kind"),
        text(object, "/metadata/name")
    )
}

/// The object of that kind and name.
#[track_caller]
pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    objects
        .iter()
        .find(|object| {
            object["kind"] == kind
                && object
                    .pointer("/metadata/name")
                    .is_some_and(|it| it == name)
        })
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The DaemonSets, StatefulSets and Deployments.
pub fn workloads(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects
        .iter()
        .filter(|object| object.pointer("/spec/template/spec/containers").is_some())
}

/// The container of that name.
#[track_caller]
pub fn container<'a>(workload: &'a Value, name: &str) -> &'a Value {
    list(workload, "/spec/template/spec/containers")
        .iter()
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("{} has no container {name}", id(workload)))
}
