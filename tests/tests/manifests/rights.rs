//! What each account may do, against what its programs are known to do. Nothing more is granted, and nothing less.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rendered::{OVERLAYS, find, list, render, text, texts};

/// A role, and what it is for: group, resource, verbs.
type Table = (
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

/// docs/node.md: its own pod CIDRs.
const NODE: Table = ("hawser-node", &[("", "nodes", "get")]);
/// docs/node.md: `--routes`.
const ROUTES: Table = ("hawser-node-routes", &[("", "nodes", "list watch")]);
/// external-provisioner with node deployment and delayed binding. It keeps to objects of its own for Node and CSINode, and
/// asks for no secrets, since no class names one.
const PROVISIONER: Table = (
    "hawser-csi-provisioner",
    &[
        ("", "events", "create patch"),
        ("", "persistentvolumeclaims", "get list watch update"),
        (
            "",
            "persistentvolumes",
            "get list watch create update patch delete",
        ),
        ("snapshot.storage.k8s.io", "volumesnapshotcontents", "get"),
        ("snapshot.storage.k8s.io", "volumesnapshots", "get"),
        ("storage.k8s.io", "storageclasses", "get list watch"),
        ("storage.k8s.io", "volumeattributesclasses", "get"),
    ],
);
/// external-snapshotter beside a snapshot-controller.
const SNAPSHOTTER: Table = (
    "hawser-csi-snapshotter",
    &[
        ("", "events", "create patch"),
        (
            "snapshot.storage.k8s.io",
            "volumesnapshotclasses",
            "get list watch",
        ),
        (
            "snapshot.storage.k8s.io",
            "volumesnapshotcontents",
            "get list watch update patch",
        ),
        (
            "snapshot.storage.k8s.io",
            "volumesnapshotcontents/status",
            "update patch",
        ),
    ],
);
/// external-snapshotter with its feature CSIVolumeGroupSnapshot.
const GROUPS: Table = (
    "hawser-csi-group-snapshotter",
    &[
        (
            "groupsnapshot.storage.k8s.io",
            "volumegroupsnapshotclasses",
            "get list watch",
        ),
        (
            "groupsnapshot.storage.k8s.io",
            "volumegroupsnapshotcontents",
            "get list watch update patch",
        ),
        (
            "groupsnapshot.storage.k8s.io",
            "volumegroupsnapshotcontents/status",
            "update patch",
        ),
    ],
);
/// external-resizer without `--handle-volume-inuse-error`, for which it would watch pods.
const RESIZER: Table = (
    "hawser-csi-resizer",
    &[
        ("", "events", "create patch"),
        ("", "persistentvolumeclaims", "get list watch"),
        ("", "persistentvolumeclaims/status", "patch"),
        ("", "persistentvolumes", "get list watch patch"),
    ],
);
/// external-health-monitor-controller without its watcher of nodes, for which it would watch pods and nodes.
const HEALTH: Table = (
    "hawser-csi-health-monitor",
    &[
        ("", "events", "list watch create patch"),
        ("", "persistentvolumeclaims", "get list watch"),
        ("", "persistentvolumes", "get list watch"),
    ],
);
/// external-provisioner's capacity objects, which belong to its pod.
const CAPACITY: Table = (
    "hawser-csi-capacity",
    &[
        ("", "pods", "get"),
        (
            "storage.k8s.io",
            "csistoragecapacities",
            "get list watch create update patch delete",
        ),
    ],
);
/// docs/node.md: whether its DaemonSet is gone.
const OWNER: Table = ("hawser-node", &[("apps", "daemonsets", "get")]);

/// What the rules of a role grant, in the form of the tables.
fn granted(role: &Value) -> BTreeMap<(String, String), String> {
    let mut granted = BTreeMap::new();
    for rule in list(role, "/rules") {
        let verbs = texts(rule, "/verbs").join(" ");
        for group in texts(rule, "/apiGroups") {
            for resource in texts(rule, "/resources") {
                let twice = granted.insert((group.to_owned(), resource.to_owned()), verbs.clone());
                assert_eq!(twice, None, "{group} {resource} is granted twice");
            }
        }
    }
    granted
}

#[track_caller]
fn check(overlay: &str, kind: &str, tables: &[Table]) {
    let objects = render(overlay);
    let count = objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .count();
    assert_eq!(count, tables.len(), "{overlay}: {kind}s");
    for (name, needed) in tables {
        let needed: BTreeMap<_, _> = needed
            .iter()
            .map(|(group, resource, verbs)| {
                (
                    ((*group).to_owned(), (*resource).to_owned()),
                    (*verbs).to_owned(),
                )
            })
            .collect();
        assert_eq!(
            granted(find(&objects, kind, name)),
            needed,
            "{overlay}: {kind} {name}"
        );
    }
}

#[test]
fn nothing_is_granted_that_nobody_needs() {
    let csi = [PROVISIONER, SNAPSHOTTER, RESIZER, HEALTH];
    let with = |more: &[Table]| [more, &csi].concat();
    check("overlays/cni-only", "ClusterRole", &[NODE]);
    check("overlays/csi-only", "ClusterRole", &csi);
    check("overlays/minikube", "ClusterRole", &with(&[NODE]));
    check("overlays/multi-node", "ClusterRole", &with(&[NODE, ROUTES]));
    check("group-snapshots", "ClusterRole", &[GROUPS]);

    check("overlays/cni-only", "Role", &[OWNER]);
    check("overlays/csi-only", "Role", &[CAPACITY]);
    check("overlays/minikube", "Role", &[OWNER, CAPACITY]);
    check("overlays/multi-node", "Role", &[OWNER, CAPACITY]);
}

#[test]
fn the_daemonset_that_may_be_looked_at_is_the_one_that_is_asked_about() {
    for overlay in OVERLAYS
        .into_iter()
        .filter(|name| *name != "overlays/csi-only")
    {
        let objects = render(overlay);
        let role = find(&objects, "Role", "hawser-node");
        assert_eq!(
            texts(&list(role, "/rules")[0], "/resourceNames"),
            ["hawser-node"]
        );
        let daemonset = find(&objects, "DaemonSet", "hawser-node");
        let agent = crate::rendered::container(daemonset, "hawser-node");
        let told = list(agent, "/env")
            .iter()
            .find(|it| it["name"] == "DAEMONSET_NAME");
        assert_eq!(text(told.unwrap(), "/value"), "hawser-node");
    }
}
