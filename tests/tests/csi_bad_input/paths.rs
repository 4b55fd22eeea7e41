//! Paths that are none.

use crate::calls::{Stage, calls};
use crate::fields::fields;
use testkit::csi::Answer;
use tonic::Code;

#[test]
fn g_06_a_path_leads_straight_to_its_place() {
    let stage = Stage::new(|setup| setup);
    let scene = &stage.scene;
    let kubelet = scene.node.kubelet_dir();
    let kubelet = kubelet.display();
    let paths = [
        "x".to_owned(),
        ".".to_owned(),
        "pods/a".to_owned(),
        "/".to_owned(),
        "//".to_owned(),
        format!("/{kubelet}/pods/a"),
        format!("{kubelet}/pods//a"),
        format!("{kubelet}/pods/a/"),
        format!("{kubelet}/pods/./a"),
        format!("{kubelet}/pods/.."),
        format!("{kubelet}/pods/../pods/a"),
        format!("{kubelet}/../../etc"),
        format!("{}/..", stage.paths()[1].display()),
        format!("{}/.", stage.paths()[1].display()),
    ];
    let leaks = scene.leaks();
    let mut seen = 0;
    for call in calls(&stage) {
        for field in fields(&call.request)
            .iter()
            .filter(|field| field.name().ends_with("_path"))
        {
            for path in &paths {
                let place = format!("{}.{} = {path:?}", call.rpc, field.path());
                let answer = call.with(&scene.client, &field.text(&call.request, path));
                let code = match field.name() {
                    // The volume is not there, wherever that may be (NG-01).
                    "volume_path" => Code::NotFound,
                    _ => Code::InvalidArgument,
                };
                answer.refused(place, code, field.name());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 9 * paths.len());
    leaks.assert_none();
}

#[test]
fn np_01_ns_01_a_path_whose_directory_is_missing_is_refused_and_not_made() {
    let stage = Stage::new(|setup| setup);
    let scene = &stage.scene;
    let nowhere = scene.node.kubelet_dir().join("pods/nobody/here/at/all");
    let nowhere = nowhere.display().to_string();
    let leaks = scene.leaks();
    for call in calls(&stage) {
        for field in fields(&call.request)
            .iter()
            .filter(|field| field.name().ends_with("_path"))
        {
            let place = format!("{}.{}", call.rpc, field.path());
            let answer = call.with(&scene.client, &field.text(&call.request, &nowhere));
            match (call.rpc, field.name()) {
                ("NodeUnstageVolume" | "NodeUnpublishVolume", _) => answer.unwrap(),
                (_, "volume_path") => answer.refused(place, Code::NotFound, &nowhere),
                // What these two are told besides is not needed.
                ("NodeGetVolumeStats" | "NodeExpandVolume", _) => answer.unwrap(),
                // It is staged, and just there is where it is not.
                ("NodePublishVolume", "staging_target_path") => answer.unwrap(),
                ("NodePublishVolume", _) => {
                    answer.refused(place, Code::FailedPrecondition, "nobody")
                }
                ("NodeStageVolume", _) => answer.refused(place, Code::AlreadyExists, "staged"),
                other => panic!("say what comes of {other:?}"),
            }
        }
    }
    leaks.assert_none();
}
