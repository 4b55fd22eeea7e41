//! Ids that the driver never issued. None of them becomes a path.

use crate::calls::{Stage, calls};
use crate::fields::fields;
use testkit::csi::Answer;
use tonic::Code;

/// What comes of an id that nobody has; `None` where there is nothing to do then.
fn expected(rpc: &str, field: &str, id: &str) -> Option<Code> {
    match (rpc, field) {
        // An inline volume is published in another way.
        ("NodePublishVolume", _) if id.starts_with("csi-") => Some(Code::InvalidArgument),
        // A list of members that are not the group's.
        (_, "snapshot_ids") => Some(Code::InvalidArgument),
        ("ListVolumes" | "ListSnapshots", _) => None,
        (rpc, _)
            if rpc.starts_with("Delete")
                || rpc.contains("Unpublish")
                || rpc.contains("Unstage") =>
        {
            None
        }
        _ => Some(Code::NotFound),
    }
}

#[test]
fn g_16_an_id_of_nobody_finds_nothing_and_is_no_path() {
    let stage = Stage::new(|setup| setup);
    let scene = &stage.scene;
    let state = scene.pool.path().display().to_string();
    let sibling = |id: &str| format!("{id}/../{id}");
    let longest = "x".repeat(128);
    let ids = [
        "no-such",
        ".",
        "..",
        "/",
        "../..",
        "../volumes",
        "//",
        " ",
        "*",
        "\u{1}\u{1b}[31m",
        "\u{202e}",
        "-rf",
        "vol-",
        "vol-00000000000000000000000000000000",
        "snap-00000000000000000000000000000000",
        "group-00000000000000000000000000000000",
        "csi-0000000000000000000000000000000000000000000000000000000000000000",
        &stage.device.to_uppercase(),
        &format!("{} ", stage.device),
        &sibling(&stage.device),
        &state,
        &longest,
    ]
    .map(str::to_owned);
    let leaks = scene.leaks();
    for call in calls(&stage) {
        for field in fields(&call.request) {
            let name = field.name();
            if !(name.ends_with("_id") || name.ends_with("_ids")) || name == "node_id" {
                continue;
            }
            for id in &ids {
                let place = format!("{}.{} = {id:?}", call.rpc, field.path());
                let answer = call.with(&scene.client, &field.text(&call.request, id));
                match (expected(call.rpc, name, id), answer) {
                    (None, Ok(())) => {}
                    (None, Err(refused)) => panic!("{place}: {refused}"),
                    (Some(code), answer) => answer.refused(place, code, ""),
                }
            }
        }
    }
    leaks.assert_none();
}

#[test]
fn lv_01_a_token_of_nobody_is_refused() {
    let stage = Stage::new(|setup| setup);
    for call in calls(&stage) {
        for field in fields(&call.request)
            .iter()
            .filter(|field| field.name() == "starting_token")
        {
            for token in ["no-such", "..", "0", "-1", "\u{7}", &"x".repeat(128)] {
                let answer = call.with(&stage.scene.client, &field.text(&call.request, token));
                answer.refused(format!("{} {token:?}", call.rpc), Code::Aborted, "token");
            }
        }
    }
}
