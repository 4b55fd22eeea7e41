//! Which flags are whose, and which are refused.

use super::{Atime, Flags};
use proptest::prelude::*;

fn parse(flags: &[&str]) -> Result<Flags, String> {
    Flags::parse(
        &flags
            .iter()
            .map(|&flag| flag.to_owned())
            .collect::<Vec<_>>(),
    )
}

#[test]
fn without_flags_neither_suid_nor_dev() {
    let flags = parse(&[]).unwrap();
    assert_eq!(flags, Flags::default());
    assert!(!flags.readonly && !flags.suid && !flags.dev && flags.exec && flags.diratime);
    assert_eq!(
        parse(&["defaults", "", "rw,relatime"]),
        Ok(Flags::default())
    );
}

#[test]
fn what_holds_for_one_mount_is_told_apart() {
    let flags = parse(&[
        "ro,noexec",
        "suid",
        "dev",
        "noatime",
        "nodiratime",
        "discard",
        "commit=5",
    ])
    .unwrap();
    assert!(flags.readonly && flags.suid && flags.dev && !flags.exec && !flags.diratime);
    assert_eq!(flags.atime, Atime::Never);
    let options = [
        ("discard".to_owned(), None),
        ("commit".to_owned(), Some("5".to_owned())),
    ];
    assert_eq!(flags.options, options);
    assert!(flags.for_directory().unwrap_err().contains("kind image"));
    assert_eq!(
        parse(&["ro", "strictatime"]).unwrap().for_directory(),
        Ok(())
    );
}

#[test]
fn the_last_of_opposites_counts() {
    let opposites = [
        "ro,rw",
        "suid,nosuid",
        "dev,nodev",
        "noexec,exec",
        "noatime,atime",
        "nodiratime,diratime",
    ];
    assert_eq!(parse(&opposites), Ok(Flags::default()));
    assert!(parse(&["rw", "ro"]).unwrap().readonly);
    assert_eq!(
        parse(&["noatime", "strictatime"]).unwrap().atime,
        Atime::Always
    );
}

#[test]
fn k15_quotes_keep_commas_together() {
    let label = "system_u:object_r:container_file_t:s0:c1,c2";
    let flags = parse(&[&format!("ro,context=\"{label}\",noexec")]).unwrap();
    assert!(flags.readonly && !flags.exec);
    assert_eq!(
        flags.options,
        [("context".to_owned(), Some(label.to_owned()))]
    );
}

#[test]
fn options_that_reach_beyond_the_volume_are_refused() {
    for (flag, reason) in [
        ("errors=panic", "must not bring down the node"),
        ("errors=\"panic\"", "must not bring down the node"),
        ("fatal_errors=panic", "must not bring down the node"),
        ("logdev=/dev/sda", "another device"),
        ("device=/dev/sda", "another device"),
        ("source=/dev/sda", "another device"),
        ("journal_dev=0x801", "another device"),
        ("loop", "the driver's business"),
        ("bind", "the driver's business"),
        ("remount", "the driver's business"),
        ("move", "the driver's business"),
        ("rshared", "mountPropagation"),
        ("user", "/etc/fstab"),
        ("users", "/etc/fstab"),
        ("_netdev", "/etc/fstab"),
        ("x-systemd.automount", "/etc/fstab"),
    ] {
        let refusal = parse(&["ro", &format!("noatime,{flag}")]).unwrap_err();
        assert!(
            refusal.starts_with("mount_flags[1] ") && refusal.contains(reason),
            "{refusal}"
        );
    }
    assert!(parse(&["errors=remount-ro"]).is_ok());
}

#[test]
fn g05_a_refusal_does_not_show_what_it_refuses() {
    let long = format!("hunter2={}", "a".repeat(256));
    for flag in [
        "hunter2 ",
        "=hunter2",
        "a=\"hunter2",
        "hunter2=\"a\"b\"",
        "hunter2=a\nb",
        "hunter2=a\0",
        &long,
    ] {
        let refusal = parse(&[flag]).unwrap_err();
        assert!(
            refusal.starts_with("mount_flags[0] ") && !refusal.contains("hunter2"),
            "{refusal}"
        );
    }
    let shown = format!("{:?}", parse(&["password=hunter2"]).unwrap());
    assert!(
        !shown.contains("hunter2") && !shown.contains("password"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn what_is_passed_on_is_what_fsconfig_takes(flag in "\\PC*|[a-z=,\"]{0,20}") {
        for (name, value) in Flags::parse(&[flag]).map_or(Vec::new(), |flags| flags.options) {
            prop_assert!(!name.is_empty() && !name.contains(['=', ',', '"', '\0']));
            prop_assert!(value.is_none_or(|value| value.len() < 256 && !value.contains(['"', '\0'])));
        }
    }
}
