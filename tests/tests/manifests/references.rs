//! Every name that an object mentions is the name of another one, or of what every cluster has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rendered::{
    ADDITIONS, OVERLAYS, examples, find, folder, id, installations, list, render, text, workloads,
};

const DRIVER: &str = "hostpath.hawser.io";

#[test]
fn no_object_is_there_twice_and_each_has_a_namespace_that_is() {
    for (name, objects) in installations() {
        let mut seen = BTreeSet::new();
        for object in &objects {
            let group = text(object, "/apiVersion");
            assert!(seen.insert((group, id(object))), "{name}: {}", id(object));
            let namespaced = !matches!(
                text(object, "/kind"),
                "Namespace"
                    | "ClusterRole"
                    | "ClusterRoleBinding"
                    | "CSIDriver"
                    | "StorageClass"
                    | "VolumeSnapshotClass"
                    | "VolumeGroupSnapshotClass"
                    | "VolumeAttributesClass"
            );
            match object.pointer("/metadata/namespace") {
                Some(namespace) => {
                    assert!(namespaced, "{name}: {}", id(object));
                    find(&objects, "Namespace", namespace.as_str().unwrap());
                }
                None => assert!(!namespaced, "{name}: {}", id(object)),
            }
        }
    }
}

#[test]
fn bindings_are_between_roles_and_accounts_that_are_there() {
    // The addition for groups is of use with the storage only.
    for name in OVERLAYS {
        let mut objects = render(name);
        if name != "overlays/cni-only" {
            objects.extend(render("group-snapshots"));
        }
        let mut bindings = 0;
        let mut bound = BTreeSet::new();
        for binding in &objects {
            let kind = text(binding, "/kind");
            if !kind.ends_with("RoleBinding") || !kind.ends_with("Binding") {
                continue;
            }
            bindings += 1;
            find(
                &objects,
                text(binding, "/roleRef/kind"),
                text(binding, "/roleRef/name"),
            );
            bound.insert(text(binding, "/roleRef/name"));
            for subject in list(binding, "/subjects") {
                let account = find(&objects, text(subject, "/kind"), text(subject, "/name"));
                assert_eq!(
                    text(account, "/metadata/namespace"),
                    text(subject, "/namespace")
                );
            }
        }
        assert!(bindings > 0, "{name}");
        for role in objects
            .iter()
            .filter(|it| text(it, "/kind").ends_with("Role"))
        {
            let role = text(role, "/metadata/name");
            assert!(bound.contains(role), "{name}: nobody has the role {role}");
        }
    }
}

#[test]
fn workloads_select_their_own_pods_and_run_under_accounts_that_are_there() {
    for (name, objects) in installations() {
        let mut accounts = BTreeSet::new();
        for workload in workloads(&objects) {
            let labels = workload.pointer("/spec/template/metadata/labels").unwrap();
            let selector = workload.pointer("/spec/selector/matchLabels").unwrap();
            for (key, value) in selector.as_object().unwrap() {
                assert_eq!(labels.get(key), Some(value), "{name}: {}", id(workload));
            }
            let spec = "/spec/template/spec";
            let account = text(workload, &format!("{spec}/serviceAccountName"));
            find(&objects, "ServiceAccount", account);
            accounts.insert(account);
            assert!(matches!(
                text(workload, &format!("{spec}/priorityClassName")),
                "system-node-critical" | "system-cluster-critical"
            ));
            if workload["kind"] == "StatefulSet" {
                let service = find(&objects, "Service", text(workload, "/spec/serviceName"));
                for (key, value) in service
                    .pointer("/spec/selector")
                    .unwrap()
                    .as_object()
                    .unwrap()
                {
                    assert_eq!(labels.get(key), Some(value), "{name}: {}", id(service));
                }
            }
        }
        for account in objects.iter().filter(|it| it["kind"] == "ServiceAccount") {
            assert!(
                accounts.contains(text(account, "/metadata/name")),
                "{}",
                id(account)
            );
        }
    }
}

#[test]
fn every_class_is_of_the_driver() {
    let objects = installations()
        .find(|(name, _)| *name == "overlays/csi-only")
        .unwrap()
        .1;
    let mut classes = 0;
    for class in objects
        .iter()
        .filter(|it| text(it, "/kind").ends_with("Class"))
    {
        let driver = ["/provisioner", "/driver", "/driverName"]
            .iter()
            .find_map(|pointer| class.pointer(pointer));
        assert_eq!(
            driver.and_then(Value::as_str),
            Some(DRIVER),
            "{}",
            id(class)
        );
        classes += 1;
    }
    assert_eq!(classes, 9);
    assert_eq!(
        text(find(&objects, "CSIDriver", DRIVER), "/metadata/name"),
        DRIVER
    );
}

#[test]
fn every_image_is_pinned_and_in_the_list() {
    let mut images = BTreeSet::new();
    for name in OVERLAYS.into_iter().chain(ADDITIONS) {
        let objects = render(name);
        for workload in workloads(&objects) {
            for container in list(workload, "/spec/template/spec/containers") {
                assert_eq!(
                    text(container, "/imagePullPolicy"),
                    "IfNotPresent",
                    "{}",
                    id(workload)
                );
                images.insert(text(container, "/image").to_owned());
            }
        }
    }
    for image in &images {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(
            tag.is_some_and(|tag| tag.trim_start_matches('v').split('.').count() == 3),
            "{image}"
        );
    }
    let ours = format!("hawser/hawser:{}", env!("CARGO_PKG_VERSION"));
    assert!(images.contains(&ours), "{images:?}");
    let listed = std::fs::read_to_string(folder().join("images.txt")).unwrap();
    assert!(
        listed.lines().eq(images.iter().map(String::as_str)),
        "{images:#?}"
    );
}

#[test]
fn examples_use_classes_and_claims_that_are_there() {
    let shipped = installations()
        .find(|(name, _)| *name == "overlays/csi-only")
        .unwrap()
        .1;
    let examples = examples();
    let all: Vec<Value> = examples
        .iter()
        .flat_map(|(_, objects)| objects.clone())
        .collect();
    for (file, objects) in &examples {
        let mut templates = Vec::new();
        for object in objects {
            templates.extend_from_slice(list(object, "/spec/volumeClaimTemplates"));
            let pod = if object["kind"] == "Pod" {
                &object["spec"]
            } else {
                object
                    .pointer("/spec/template/spec")
                    .unwrap_or(&Value::Null)
            };
            for volume in list(pod, "/volumes") {
                if let Some(claim) = volume.pointer("/persistentVolumeClaim/claimName") {
                    find(objects, "PersistentVolumeClaim", claim.as_str().unwrap());
                }
                if let Some(driver) = volume.pointer("/csi/driver") {
                    assert_eq!(driver, DRIVER, "{file}");
                }
            }
            if let Some(class) = object.pointer("/spec/volumeSnapshotClassName") {
                find(&shipped, "VolumeSnapshotClass", class.as_str().unwrap());
                find(
                    &all,
                    "PersistentVolumeClaim",
                    text(object, "/spec/source/persistentVolumeClaimName"),
                );
            }
            if let Some(source) = object.pointer("/spec/dataSource") {
                find(&all, text(source, "/kind"), text(source, "/name"));
            }
        }
        let claims = objects
            .iter()
            .filter(|it| it["kind"] == "PersistentVolumeClaim");
        for claim in claims.chain(&templates) {
            find(
                &shipped,
                "StorageClass",
                text(claim, "/spec/storageClassName"),
            );
        }
    }
}
