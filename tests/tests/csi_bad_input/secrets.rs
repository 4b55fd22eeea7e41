//! What the driver must not tell (G-05, G-12): secrets, tokens, mount flags. At no level of its log, in no form of it, in no
//! error.

use crate::calls::{Stage, calls};
use crate::fields::{Field, fields};
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use std::collections::BTreeSet;

/// Part of everything that is secret, and of nothing else.
const HUSH: &str = "hush-9f3c";
const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Whether the definition marks a field as secret.
fn is_marked(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options
        .extensions()
        .any(|(option, value)| option.name() == "csi_secret" && value.as_bool() == Some(true))
}

/// A request with something secret in a field, if it is a field for such things: in one way in which the call can do its
/// work, and in some in which it cannot.
fn told(field: &Field, request: &DynamicMessage) -> Vec<DynamicMessage> {
    let entry = |key: &str, value: &str| field.entry(request, key, value);
    match field.name() {
        "mount_flags" => [
            format!("context=\"{HUSH}\""),
            format!("bind={HUSH}"),
            format!("{HUSH}=\""),
        ]
        .map(|flag| field.set(request, Value::String(flag)))
        .into(),
        "volume_context" | "publish_context" => {
            vec![
                entry(TOKENS, HUSH),
                entry(TOKENS, &HUSH.repeat(1000)),
                entry(TOKENS, &format!("{HUSH}\0")),
            ]
        }
        _ if is_marked(&field.descriptor) => vec![
            entry("password", HUSH),
            entry(HUSH, HUSH),
            entry("password", &HUSH.repeat(1000)),
            entry(&format!("{HUSH} with a space"), HUSH),
            entry(&format!("{HUSH}\0"), &format!("{HUSH}\0\n")),
        ],
        _ => Vec::new(),
    }
}

#[test]
fn g_05_g_12_no_secret_token_or_mount_flag_is_told() {
    for format in ["text", "json"] {
        let stage = Stage::new(|setup| setup.flag("log-level", "trace").flag("log-format", format));
        let client = &stage.scene.client;
        let (mut seen, mut done, mut called) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // Calls that end something come last.
        let mut calls = calls(&stage);
        calls.sort_by_key(|call| call.rpc.starts_with("Delete"));
        for call in calls {
            for field in fields(&call.request) {
                for (number, request) in told(&field, &call.request).into_iter().enumerate() {
                    let place = format!("{}.{}", call.rpc, field.path());
                    called.insert(call.rpc);
                    let answer = call.with(client, &request);
                    let said = answer.as_ref().err().map(|refused| format!("{refused:?}"));
                    let said = said.unwrap_or_default();
                    assert!(!said.contains(HUSH), "{place} ({number}): {said}");
                    if answer.is_ok() {
                        done.insert(place.clone());
                    }
                    seen.insert(place);
                }
            }
        }
        let log = stage.scene.driver.log();
        for rpc in called {
            assert!(log.contains(rpc), "{rpc} is not in the log at all");
        }
        let told: Vec<_> = log
            .lines()
            .filter(|line| line.contains(HUSH))
            .take(3)
            .collect();
        assert!(told.is_empty(), "{told:#?}");
        // Secrets that are not needed are ignored, so that the calls were more than refusals.
        let secrets = |places: &BTreeSet<String>| {
            places
                .iter()
                .filter(|place| place.ends_with("secrets"))
                .count()
        };
        assert_eq!(
            secrets(&done),
            secrets(&seen),
            "{:#?}",
            seen.difference(&done)
        );
        assert!(secrets(&seen) >= 19 && seen.len() >= 30, "{seen:#?}");
    }
}
