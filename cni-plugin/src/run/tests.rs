//! Calls with their answers, within one process: what reaches a plugin's functions, and what the
//! frame makes of what they return.

use super::*;
use cni::{AddResult, Code};
use serde_json::{Value, json};
use std::cell::Cell;

thread_local! {
    /// Which function of the plugin was called last; each test is a thread of its own.
    static CALLED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

fn note(name: &'static str) -> Result<(), cni::Error> {
    CALLED.set(Some(name));
    Ok(())
}

static PLUGIN: Plugin = Plugin {
    name: "test",
    about: "a plugin for tests",
    versions: &Version::ALL,
    enters_netns: true,
    add: |_| note("add").map(|()| AddResult::default()),
    del: |_| note("del"),
    check: |_| note("check"),
    gc: |_| note("gc"),
    status: |_| note("status"),
};

fn environment(verb: &str) -> Environment {
    Environment {
        command: Some(verb.into()),
        container_id: Some("pod-1".into()),
        netns: Some("/proc/self/ns/net".into()),
        ifname: Some("eth0".into()),
        path: Some("/opt/cni/bin".into()),
        netns_override: Some("1".into()),
        ..Environment::default()
    }
}

fn ask(plugin: &Plugin, environment: &Environment, config: &Value) -> Answer {
    CALLED.set(None);
    answer(plugin, &[], environment, |_| {
        Ok(config.to_string().into_bytes())
    })
}

fn config(version: &str) -> Value {
    json!({"cniVersion": version, "name": "net", "type": "test"})
}

#[track_caller]
fn failure(answer: Answer) -> (Code, String, Version) {
    match answer {
        Answer::Failure(error, version) => (error.code, error.msg, version),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_verb_reaches_its_function() {
    let add = ask(&PLUGIN, &environment("ADD"), &config("0.4.0"));
    assert_eq!(
        add,
        Answer::Result(json!({"cniVersion": "0.4.0", "dns": {}}))
    );
    assert_eq!(CALLED.get(), Some("add"));
    for (verb, name) in [
        ("DEL", "del"),
        ("CHECK", "check"),
        ("GC", "gc"),
        ("STATUS", "status"),
    ] {
        let answer = ask(&PLUGIN, &environment(verb), &config("1.1.0"));
        assert_eq!(answer, Answer::Done);
        assert_eq!(CALLED.get(), Some(name));
    }
}

#[test]
fn a_verb_is_refused_before_its_version() {
    for (verb, first) in [
        ("CHECK", Version::V0_4_0),
        ("GC", Version::V1_1_0),
        ("STATUS", Version::V1_1_0),
    ] {
        for version in Version::ALL {
            let answer = ask(&PLUGIN, &environment(verb), &config(version.as_str()));
            if version >= first {
                assert_eq!(answer, Answer::Done);
                continue;
            }
            let text = format!(
                "{verb} does not exist in cniVersion {version} of the configuration: \
                 it came with {first}"
            );
            assert_eq!(failure(answer), (Code::IncompatibleVersion, text, version));
            assert_eq!(CALLED.get(), None);
        }
    }
}

#[test]
fn a_version_that_the_plugin_does_not_speak_is_refused() {
    let plugin = Plugin {
        versions: &[Version::V0_4_0, Version::V1_0_0],
        ..PLUGIN
    };
    for (version, told_in) in [("1.1.0", Version::V1_1_0), ("7", Version::V1_0_0)] {
        let answer = ask(&plugin, &environment("ADD"), &config(version));
        let Answer::Failure(error, version_of_error) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(error.code, Code::IncompatibleVersion);
        assert_eq!(
            error.details,
            json!({"config": version, "supported": ["0.4.0", "1.0.0"]}).to_string()
        );
        assert_eq!(version_of_error, told_in);
        assert_eq!(CALLED.get(), None);
    }
}

#[test]
fn an_error_is_told_in_the_callers_version_where_that_is_known() {
    let nameless = json!({"cniVersion": "0.3.1"});
    let (code, _, version) = failure(ask(&PLUGIN, &environment("ADD"), &nameless));
    assert_eq!((code, version), (Code::InvalidConfig, Version::V0_3_1));

    let broken = answer(&PLUGIN, &[], &environment("ADD"), |_| Ok(b"{".to_vec()));
    let (code, _, version) = failure(broken);
    assert_eq!((code, version), (Code::Decode, Version::NEWEST));
}

#[test]
fn stdin_is_not_read_for_a_call_that_is_wrong_already() {
    let mut environment = environment("ADD");
    environment.container_id = Some("a/b".into());
    let answer = answer(&PLUGIN, &[], &environment, |_| panic!("stdin was read"));
    assert_eq!(failure(answer).0, Code::InvalidEnvironment);
}

#[test]
fn the_namespace_is_checked_before_the_plugin_is_called() {
    let own = Environment {
        netns_override: None,
        ..environment("ADD")
    };
    for verb in ["ADD", "CHECK"] {
        let environment = Environment {
            command: Some(verb.into()),
            ..own.clone()
        };
        let (code, text, _) = failure(ask(&PLUGIN, &environment, &config("1.0.0")));
        assert_eq!(code, Code::InvalidEnvironment);
        assert!(text.contains("/proc/self/ns/net"), "{text}");
        assert_eq!(CALLED.get(), None);
    }
}

#[test]
fn a_plugin_that_stays_outside_takes_any_namespace_path() {
    static IPAM: Plugin = Plugin {
        enters_netns: false,
        ..PLUGIN
    };
    let environment = Environment {
        netns: Some("/dev/null".into()),
        netns_override: None,
        ..environment("ADD")
    };
    let (code, text, _) = failure(ask(&PLUGIN, &environment, &config("1.0.0")));
    assert_eq!(code, Code::InvalidEnvironment);
    assert!(text.contains("/dev/null"), "{text}");
    assert!(matches!(
        ask(&IPAM, &environment, &config("1.0.0")),
        Answer::Result(_)
    ));
}

#[test]
fn version_echoes_the_caller_and_knows_no_other_input() {
    let environment = Environment {
        command: Some("VERSION".into()),
        ..Environment::default()
    };
    for (input, version) in [
        (r#"{"cniVersion": "0.4.0"}"#, "0.4.0"),
        (r#"{"cniVersion": "2.0.0"}"#, "2.0.0"),
        ("", "1.1.0"),
        ("{", "1.1.0"),
    ] {
        let answer = answer(&PLUGIN, &[], &environment, |_| {
            Ok(input.as_bytes().to_vec())
        });
        let Answer::Versions(value) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(value["cniVersion"], version, "{input}");
        assert_eq!(value["supportedVersions"].as_array().unwrap().len(), 7);
    }
}

#[test]
fn nobody_calling_is_told_what_this_is() {
    let nobody = Environment::default();
    let answered = answer(&PLUGIN, &[], &nobody, |_| Ok(Vec::new()));
    assert!(matches!(answered, Answer::About), "{answered:?}");
    // A configuration comes from a runtime, which forgot the variables.
    let (code, text, _) = failure(answer(&PLUGIN, &[], &nobody, |_| Ok(b"{}".to_vec())));
    assert_eq!(code, Code::InvalidEnvironment);
    assert!(text.contains("CNI_COMMAND"), "{text}");
}

#[test]
fn a_plugins_error_keeps_its_code_and_details() {
    let plugin = Plugin {
        status: |_| Err(cni::Error::new(Code::NotAvailable, "no address").with_details("full")),
        ..PLUGIN
    };
    let answer = ask(&plugin, &environment("STATUS"), &config("1.1.0"));
    let error = cni::Error::new(Code::NotAvailable, "no address").with_details("full");
    assert_eq!(answer, Answer::Failure(error, Version::V1_1_0));
}

#[test]
fn an_add_whose_result_cannot_be_told_is_taken_back() {
    let answer = ask(&PLUGIN, &environment("ADD"), &config("0.2.0"));
    let (code, text, version) = failure(answer);
    assert_eq!((code, version), (Code::InvalidConfig, Version::V0_2_0));
    assert!(text.contains("0.2.0"), "{text}");
    assert_eq!(CALLED.get(), Some("del"));
}

#[test]
fn a_panic_is_an_error_like_any_other() {
    let plugin = Plugin {
        add: |_| panic!("index {} is too large", 7),
        del: |_| panic!("no index"),
        ..PLUGIN
    };
    for (verb, text) in [("ADD", "index 7 is too large"), ("DEL", "no index")] {
        let answer = ask(&plugin, &environment(verb), &config("1.0.0"));
        assert_eq!(
            failure(answer),
            (
                Code::Plugin(999),
                format!("a bug in this plugin: {text}"),
                Version::V1_0_0
            )
        );
    }
}
