//! Numbers at their ends, and enums that mean nothing.

use crate::calls::{Stage, calls};
use crate::fields::{Field, fields};
use prost_reflect::{Kind, Value};
use testkit::csi::Answer;
use tonic::Code;

/// What comes of a number at an end of its type; `None` when that is fine.
fn expected(rpc: &str, field: &Field, is_negative: bool) -> Option<Code> {
    match field.name() {
        "max_entries" | "max_results" => is_negative.then_some(Code::InvalidArgument),
        "starting_offset" => Some(Code::OutOfRange),
        "required_bytes" | "limit_bytes" if is_negative => Some(Code::InvalidArgument),
        // With a limit besides, this is more than the limit; a node has none.
        "required_bytes" if rpc == "NodeExpandVolume" => Some(Code::OutOfRange),
        "required_bytes" => Some(Code::InvalidArgument),
        "limit_bytes" => None,
        name => panic!("say what comes of {rpc} with an extreme {name}"),
    }
}

#[test]
fn cv_03_g_08_numbers_at_their_ends_are_taken_or_refused() {
    let stage = Stage::new(|setup| setup);
    let mut seen = 0;
    for call in calls(&stage) {
        for field in fields(&call.request) {
            let ends = match field.descriptor.kind() {
                Kind::Int32 => [i32::MIN, -1, i32::MAX].map(Value::I32),
                Kind::Int64 => [i64::MIN, -1, i64::MAX].map(Value::I64),
                Kind::Message(_) | Kind::String | Kind::Bool | Kind::Enum(_) => continue,
                kind => panic!("say what the ends of {kind:?} are"),
            };
            for value in ends {
                let is_negative = value.as_i32().map(i64::from).or(value.as_i64()).unwrap() < 0;
                let place = format!("{}.{} = {value}", call.rpc, field.path());
                let answer = call.with(&stage.scene.client, &field.set(&call.request, value));
                match (expected(call.rpc, &field, is_negative), answer) {
                    (None, answer) => answer.unwrap_or_else(|refused| panic!("{place}: {refused}")),
                    (Some(code), answer) => answer.refused(place, code, ""),
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "{seen}");
}

#[test]
fn cv_01_an_access_mode_that_means_nothing_is_refused() {
    let stage = Stage::new(|setup| setup);
    let leaks = stage.scene.leaks();
    for call in calls(&stage) {
        for field in fields(&call.request)
            .iter()
            .filter(|field| field.name() == "mode")
        {
            for mode in [0, 8, 99, -1, i32::MAX, i32::MIN] {
                let place = format!("{} with access mode {mode}", call.rpc);
                let answer = call.with(
                    &stage.scene.client,
                    &field.set(&call.request, Value::EnumNumber(mode)),
                );
                let is_an_answer =
                    ["ValidateVolumeCapabilities", "GetCapacity"].contains(&call.rpc);
                match answer {
                    // That such a mode is not served is what these two were asked.
                    Ok(()) if is_an_answer && mode != 0 => {}
                    answer => answer.refused(place, Code::InvalidArgument, "access_mode"),
                }
            }
        }
    }
    leaks.assert_none();
}
