//! Texts, maps, secrets and paths.

use proptest::prelude::*;
use proto::csi::{CreateVolumeRequest, NodeUnpublishVolumeRequest};
use tonic::Code;

use super::super::{create_volume, node_unpublish_volume};
use super::{VOLUME, create, invalid, map, refused, rules};

fn named(name: &str) -> CreateVolumeRequest {
    let name = name.to_owned();
    CreateVolumeRequest { name, ..create() }
}

fn at(target_path: &str) -> NodeUnpublishVolumeRequest {
    NodeUnpublishVolumeRequest {
        volume_id: VOLUME.to_owned(),
        target_path: target_path.to_owned(),
    }
}

#[test]
fn g06_names_hold_1_to_128_bytes() {
    invalid(create_volume(&rules(), named("")), "name is missing");
    for longest in ["a".repeat(128), "é".repeat(64)] {
        let made = create_volume(&rules(), named(&longest)).unwrap();
        assert_eq!(made.name, longest);
    }
    for longer in ["a".repeat(129), "é".repeat(65)] {
        let text = invalid(create_volume(&rules(), named(&longer)), "name ");
        assert!(
            text.contains("longer than 128 bytes") && text.len() < 300,
            "{text}"
        );
    }
}

#[test]
fn g13_names_hold_any_unicode_but_control_characters() {
    for point in (0..0xa0).filter_map(char::from_u32) {
        let outcome = create_volume(&rules(), named(&format!("a{point}b")));
        let allowed = matches!(point, '\t' | '\n' | '\r' | ' '..='~');
        if allowed {
            outcome.unwrap();
        } else {
            let text = invalid(outcome, "name ");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    for name in ["../../etc", "名前", "a/b", "\u{a0}", "🐧"] {
        assert_eq!(create_volume(&rules(), named(name)).unwrap().name, name);
    }
}

#[test]
fn g06_maps_hold_4_kib_in_total() {
    let wanted = |bytes: usize| CreateVolumeRequest {
        // Beside `pool` and its letter.
        parameters: map([
            ("pool", "a"),
            ("csi.storage.k8s.io/", &"x".repeat(bytes - 24)),
        ]),
        ..create()
    };
    create_volume(&rules(), wanted(4096)).unwrap();
    let text = invalid(
        create_volume(&rules(), wanted(4097)),
        "parameters holds 4097 bytes",
    );
    assert!(text.len() < 300, "{text}");
}

#[test]
fn g08_a_nul_is_refused_in_maps_too() {
    for parameters in [map([("a\0", "")]), map([("pool", "a\0")])] {
        let wanted = CreateVolumeRequest {
            parameters,
            ..create()
        };
        invalid(create_volume(&rules(), wanted), "parameters holds a NUL");
    }
}

#[test]
fn g12_secrets_are_looked_at_never_shown_and_never_kept() {
    let with = |key: &str, value: &str| CreateVolumeRequest {
        secrets: map([(key, value)]),
        ..create()
    };
    let made = create_volume(&rules(), with("a-Z_0.9", "hunter2\0")).unwrap();
    assert!(!format!("{made:?}").contains("hunter2"));
    for key in ["", "hunter2 ", "hunter2/", "hünter2", "hunter2\0"] {
        let text = invalid(create_volume(&rules(), with(key, "hunter2")), "secrets");
        assert!(!text.contains("nter2"), "{text}");
    }
    let large = "hunter2".repeat(600);
    let text = invalid(
        create_volume(&rules(), with("a", &large)),
        "secrets holds 4201 bytes",
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn g06_paths_are_absolute_and_plain() {
    let longest = format!("/{}", "a".repeat(4094));
    for path in [
        "/a",
        "/var/lib/kubelet/pods/x/volumes/y/mount",
        "/...",
        "/a b",
        "/é",
        &longest,
    ] {
        let unpublish = node_unpublish_volume(&rules(), at(path)).unwrap();
        assert_eq!(unpublish.target.to_str(), Some(path));
    }
    let longer = format!("{longest}a");
    for path in [
        "", "/", "a", "a/b", "./a", "../a", "/.", "/..", "/a/.", "/a/..", "/a/../b", "/a/./b",
        "//a", "/a//b", "/a/", "/a\0", "\0", &longer,
    ] {
        let text = invalid(node_unpublish_volume(&rules(), at(path)), "target_path ");
        assert!(text.len() < 300 && !text.contains('\0'), "{text}");
    }
}

#[test]
fn a_missing_object_is_shown_without_what_a_terminal_obeys() {
    let wanted = proto::csi::ControllerGetVolumeRequest {
        volume_id: "\u{1b}[2J\n".to_owned(),
    };
    let text = refused(
        super::super::controller_get_volume(&rules(), wanted),
        Code::NotFound,
    );
    assert_eq!(text, r#"volume "\u{1b}[2J\n" does not exist"#);
}

proptest! {
    /// A path that is taken leads where it says, whoever resolves it.
    #[test]
    fn taken_paths_are_their_own_components(path in "\\PC*|(/?[a.]{0,3}){0,5}") {
        if let Ok(unpublish) = node_unpublish_volume(&rules(), at(&path)) {
            let again: std::path::PathBuf = unpublish.target.components().collect();
            prop_assert_eq!(again.as_os_str(), unpublish.target.as_os_str());
            prop_assert!(path.starts_with('/') && path.len() > 1);
            prop_assert!(!path.split('/').any(|part| part == ".."));
        }
    }

    #[test]
    fn taken_names_are_unchanged(name in "(?s).{0,140}") {
        if let Ok(made) = create_volume(&rules(), named(&name)) {
            prop_assert_eq!(&made.name, &name);
            prop_assert!((1..=128).contains(&name.len()) && !name.contains('\0'));
        }
    }
}
