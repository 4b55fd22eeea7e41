//! Every object against the types of Kubernetes' API. Those pass over what they do not know, so that each object makes the
//! round trip, and what was written must be there again.

use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, rbac::v1 as rbac, storage::v1 as storage,
};
use serde_json::{Value, json};

use crate::rendered::{ADDITIONS, OVERLAYS, examples, id, render, text};

/// What of `written` is missing from `read`, as JSON pointers.
fn lost(written: &Value, read: &Value, at: &str, into: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let at = format!("{at}/{key}");
                match read.get(key) {
                    Some(read) => lost(value, read, &at, into),
                    None => into.push(at),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                lost(written, read, &format!("{at}/{index}"), into);
            }
        }
        _ if written == read => {}
        _ => into.push(at.to_owned()),
    }
}

/// Reads the object as a `T` and writes it again.
fn typed<T: serde_round::Typed>(object: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(read).map_err(|error| error.to_string())
}

mod serde_round {
    //! What can make the round trip.
    pub trait Typed:
        k8s_openapi::serde::Serialize + k8s_openapi::serde::de::DeserializeOwned
    {
    }
    impl<T: k8s_openapi::serde::Serialize + k8s_openapi::serde::de::DeserializeOwned> Typed for T {}
}

fn round_trip(object: &Value) -> Result<Value, String> {
    let group = text(object, "/apiVersion");
    match (group, text(object, "/kind")) {
        ("v1", "Namespace") => typed::<core::Namespace>(object),
        ("v1", "ServiceAccount") => typed::<core::ServiceAccount>(object),
        ("v1", "Service") => typed::<core::Service>(object),
        ("v1", "Pod") => typed::<core::Pod>(object),
        ("v1", "PersistentVolumeClaim") => typed::<core::PersistentVolumeClaim>(object),
        ("apps/v1", "DaemonSet") => typed::<apps::DaemonSet>(object),
        ("apps/v1", "StatefulSet") => typed::<apps::StatefulSet>(object),
        ("apps/v1", "Deployment") => typed::<apps::Deployment>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => typed::<rbac::Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => typed::<rbac::RoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => typed::<rbac::ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            typed::<rbac::ClusterRoleBinding>(object)
        }
        ("storage.k8s.io/v1", "CSIDriver") => typed::<storage::CSIDriver>(object),
        ("storage.k8s.io/v1", "StorageClass") => typed::<storage::StorageClass>(object),
        ("storage.k8s.io/v1", "VolumeAttributesClass") => {
            typed::<storage::VolumeAttributesClass>(object)
        }
        ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass")
        | ("groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshotClass") => snapshot_class(object),
        ("snapshot.storage.k8s.io/v1", "VolumeSnapshot") => snapshot(object),
        (group, kind) => Err(format!("{group} {kind} is not known here")),
    }
}

fn metadata(object: &Value) -> Result<Value, String> {
    typed::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(&object["metadata"])
}

/// Of the snapshotter's definitions: `driver` and `deletionPolicy` are required, `parameters` is all there is besides.
fn snapshot_class(object: &Value) -> Result<Value, String> {
    if !matches!(text(object, "/deletionPolicy"), "Delete" | "Retain") {
        return Err("deletionPolicy".to_owned());
    }
    Ok(json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata(object)?,
        "driver": text(object, "/driver"), "deletionPolicy": object["deletionPolicy"],
    }))
}

fn snapshot(object: &Value) -> Result<Value, String> {
    Ok(json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata(object)?,
        "spec": {
            "volumeSnapshotClassName": text(object, "/spec/volumeSnapshotClassName"),
            "source": {
                "persistentVolumeClaimName": text(object, "/spec/source/persistentVolumeClaimName"),
            },
        },
    }))
}

#[track_caller]
fn check(whence: &str, object: &Value) {
    let read =
        round_trip(object).unwrap_or_else(|error| panic!("{whence}: {}: {error}", id(object)));
    let mut gone = Vec::new();
    lost(object, &read, "", &mut gone);
    assert!(
        gone.is_empty(),
        "{whence}: {}: Kubernetes does not know {gone:?}",
        id(object)
    );
}

#[test]
fn every_rendered_object_is_one_of_kubernetes() {
    for name in OVERLAYS.into_iter().chain(ADDITIONS) {
        for object in render(name) {
            check(name, &object);
        }
    }
}

#[test]
fn every_example_is_one_of_kubernetes() {
    for (name, objects) in examples() {
        for object in objects {
            check(&name, &object);
        }
    }
}

#[test]
fn a_slip_of_the_pen_is_found() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "imagePullpolicy": "IfNotPresent"}]},
    });
    let mut gone = Vec::new();
    lost(&pod, &round_trip(&pod).unwrap(), "", &mut gone);
    assert_eq!(gone, ["/spec/containers/0/imagePullpolicy"]);
    assert!(round_trip(&json!({"apiVersion": "v1", "kind": "Pods"})).is_err());
}
