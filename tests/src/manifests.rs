//! The folder `manifests/`: what `kubectl kustomize` makes of it, as JSON, and ways to look into it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an operator applies to have Hawser.
pub const OVERLAYS: [&str; 4] = [
    "overlays/minikube",
    "overlays/multi-node",
    "overlays/cni-only",
    "overlays/csi-only",
];

/// The repository that this was built from.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("a folder in the repository")
        .to_owned()
}

/// The folder `manifests`.
pub fn folder() -> PathBuf {
    repository().join("manifests")
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
    objects(&String::from_utf8_lossy(&output.stdout))
}

/// The objects of a YAML text.
#[track_caller]
pub fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert!(!all.is_empty(), "no object");
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
        .map(|value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")))
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
