//! Every field of every workload is understood, and one that is not is told.

use serde_json::{Value, json};
use testkit::containerd::manifest::{ManifestPod, Placement};
use testkit::manifests::{OVERLAYS, id, render, workloads};

fn placement() -> Placement {
    Placement {
        pod: "a-pod".to_owned(),
        node: "n1".to_owned(),
        kubelet_dir: "/var/lib/kubelet".into(),
        account: "/account".into(),
        api_server: ("10.96.0.1".to_owned(), 443),
    }
}

#[test]
fn every_workload_is_understood() {
    for overlay in OVERLAYS {
        let objects = render(overlay);
        for workload in workloads(&objects) {
            if let Err(unknown) = ManifestPod::of(workload, &placement()) {
                panic!("{overlay}: {}: {unknown}", id(workload));
            }
        }
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let workload = crate::machine::daemonset("hawser-csi-node");
    let spec = "/spec/template/spec";
    for (place, field, value) in [
        (spec, "hostPID", json!(true)),
        ("/containers/0", "lifecycle", json!({})),
        (
            "/containers/0/securityContext",
            "procMount",
            json!("Unmasked"),
        ),
        ("/containers/0/volumeMounts/0", "subPath", json!("a")),
        ("/containers/0/env/0/valueFrom", "secretKeyRef", json!({})),
        ("/volumes/0/hostPath", "mode", json!(0)),
        ("/containers/0/startupProbe", "exec", json!({})),
        ("/containers/0/resources", "claims", json!([])),
    ] {
        let mut changed = workload.clone();
        let pointer = match place == spec {
            true => spec.to_owned(),
            false => format!("{spec}{place}"),
        };
        let object = changed.pointer_mut(&pointer).and_then(Value::as_object_mut);
        object.unwrap().insert(field.to_owned(), value);
        let refused = ManifestPod::of(&changed, &placement()).unwrap_err();
        assert!(
            refused.contains(&format!(".{field} is not known")),
            "{refused}"
        );
    }
}
