//! How much of a text or a map there may be (G-06, G-08).

use crate::calls::{Call, Stage, calls};
use crate::fields::{Field, fields};
use prost_reflect::{DynamicMessage, Value};
use std::collections::BTreeSet;
use testkit::csi::Answer;
use tonic::Code;

/// The most bytes that a text may have.
fn longest(field: &Field) -> usize {
    match field.name() {
        "node_id" => 256,
        "mount_flags" => 4096,
        name if name.ends_with("_path") => 4095,
        _ => 128,
    }
}

/// Calls `wrong` for every field that `is_meant`, and expects each of the requests to be refused as invalid, by the name of
/// the field. Returns where the fields are.
fn refused(
    stage: &Stage,
    is_meant: impl Fn(&Field) -> bool,
    wrong: impl Fn(&Field, &DynamicMessage) -> Vec<DynamicMessage>,
) -> BTreeSet<String> {
    let client = &stage.scene.client;
    let mut seen = BTreeSet::new();
    for call in calls(stage) {
        for field in fields(&call.request).into_iter().filter(&is_meant) {
            let place = format!("{}.{}", call.rpc, field.path());
            for (number, request) in wrong(&field, &call.request).into_iter().enumerate() {
                let answer = call.with(client, &request);
                answer.refused(
                    format!("{place} ({number})"),
                    Code::InvalidArgument,
                    field.named(),
                );
            }
            seen.insert(place);
        }
    }
    seen
}

#[test]
fn g_06_a_text_that_is_too_long_or_holds_a_nul_is_refused() {
    let stage = Stage::new(|setup| setup);
    let leaks = stage.scene.leaks();
    let seen = refused(&stage, Field::is_text, |field, request| {
        let longest = longest(field);
        let prefix = if field.name().ends_with("_path") {
            "/"
        } else {
            ""
        };
        let texts = [
            format!("{prefix}{}", "x".repeat(longest + 1)),
            format!("{}ü", "x".repeat(longest - 1)),
            format!("{prefix}{}", "x".repeat(100_000)),
            format!("{prefix}a\0b"),
            "\0".to_owned(),
        ];
        texts.iter().map(|text| field.text(request, text)).collect()
    });
    assert!(seen.len() >= 50, "{seen:#?}");
    leaks.assert_none();
}

#[test]
fn g_06_a_map_of_more_than_4_kib_or_with_a_nul_is_refused() {
    let stage = Stage::new(|setup| setup);
    let leaks = stage.scene.leaks();
    let seen = refused(&stage, Field::is_map, |field, request| {
        let key = "csi.storage.k8s.io/more";
        let many = (0..200).fold(request.clone(), |request, number| {
            field.entry(&request, &format!("{key}-{number}"), "0123456789")
        });
        vec![
            field.entry(request, key, &"x".repeat(4097 - key.len())),
            field.entry(request, &"k".repeat(4097), ""),
            field.entry(request, key, &"x".repeat(1 << 20)),
            field.entry(request, "a\0b", "value"),
            many,
        ]
    });
    assert!(seen.len() >= 35, "{seen:#?}");
    leaks.assert_none();
}

/// What has to be there, by its name; maps and messages have tests of their own.
fn is_required(call: &Call, field: &Field) -> bool {
    let of_a_list = call.rpc.starts_with("List");
    match field.name() {
        "name" | "volume_id" | "source_volume_id" | "snapshot_id" | "base_snapshot_id"
        | "target_snapshot_id" | "group_snapshot_id" | "volume_path" | "target_path"
        | "source_volume_ids" | "snapshot_ids" => !of_a_list,
        "node_id" => call.rpc == "ControllerPublishVolume",
        "staging_target_path" => {
            call.rpc.ends_with("stageVolume") || call.rpc.ends_with("StageVolume")
        }
        _ => false,
    }
}

#[test]
fn g_08_what_is_required_is_missed_by_name() {
    let stage = Stage::new(|setup| setup);
    let client = &stage.scene.client;
    let leaks = stage.scene.leaks();
    let mut seen = 0;
    for call in calls(&stage) {
        for field in fields(&call.request) {
            if !is_required(&call, &field) {
                continue;
            }
            let place = format!("{}.{}", call.rpc, field.path());
            let empty = field.text(&call.request, "");
            call.with(client, &empty)
                .refused(&place, Code::InvalidArgument, field.name());
            if field.descriptor.is_list() {
                let mut none = call.request.clone();
                none.set_field(&field.descriptor, Value::List(Vec::new()));
                call.with(client, &none)
                    .refused(&place, Code::InvalidArgument, field.name());
            }
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} fields");
    leaks.assert_none();
}
