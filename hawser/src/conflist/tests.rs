use super::*;

fn conflist(subnets: &[&str]) -> Conflist {
    Conflist {
        network: "podnet".to_owned(),
        bridge: "cni0".to_owned(),
        subnets: subnets
            .iter()
            .map(|subnet| subnet.parse().unwrap())
            .collect(),
        mtu: None,
        masquerade: true,
    }
}

#[test]
fn it_is_written_once_and_removed_as_ours() {
    let dir = tempfile::tempdir().unwrap();
    let list = conflist(&["10.244.3.0/24", "fd00:244:3::/64"]);
    let placed = list.write(dir.path()).unwrap();
    assert!(placed.changed && placed.before.is_empty() && placed.overlapping.is_empty());
    let text = fs::read_to_string(&placed.path).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let ranges = &value["plugins"][0]["ipam"]["ranges"];
    assert_eq!(ranges[0][0]["subnet"], "10.244.3.0/24");
    assert_eq!(ranges[1][0]["subnet"], "fd00:244:3::/64");

    assert!(!list.write(dir.path()).unwrap().changed);
    let other = Conflist {
        mtu: Some(1400),
        ..list
    };
    assert!(other.write(dir.path()).unwrap().changed);
    assert!(remove(dir.path()).unwrap());
    assert!(!remove(dir.path()).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn another_file_of_that_name_stays() {
    for text in [r#"{"name": "mine"}"#, r#"{"managedBy": "hawser""#, ""] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        for refused in [
            conflist(&["10.244.3.0/24"]).write(dir.path()).map(|_| ()),
            remove(dir.path()).map(|_| ()),
        ] {
            assert!(
                matches!(refused, Err(Error::ForeignConflist(_))),
                "{text}: {refused:?}"
            );
        }
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }
}

#[test]
fn others_are_told_of_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let other = r#"{"plugins": [{"ipam": {"ranges": [[{"subnet": "10.244.0.0/16"}]]}}]}"#;
    for name in ["05-other.conflist", "87-podman.conflist", "00-readme.txt"] {
        fs::write(dir.path().join(name), other).unwrap();
    }
    let placed = conflist(&["10.244.3.0/24"]).write(dir.path()).unwrap();
    assert_eq!(placed.before, ["05-other.conflist"]);
    assert_eq!(
        placed.overlapping,
        ["05-other.conflist", "87-podman.conflist"]
    );
    let elsewhere = conflist(&["10.88.0.0/24"]).write(dir.path()).unwrap();
    assert!(elsewhere.overlapping.is_empty());
}

#[test]
fn what_the_plugins_would_refuse_is_refused_at_once() {
    let texts = [
        (conflist(&["10.244.3.7/24"]), "bits behind its prefix"),
        (conflist(&["10.244.3.0/31"]), "no room"),
        (
            conflist(&["10.244.3.0/24", "10.245.0.0/24"]),
            "2 IPv4 subnets",
        ),
        (
            Conflist {
                network: "../x".into(),
                ..conflist(&[])
            },
            "--network",
        ),
        (
            Conflist {
                network: String::new(),
                ..conflist(&[])
            },
            "--network",
        ),
        (
            Conflist {
                bridge: "a-bridge-of-16-ch".into(),
                ..conflist(&[])
            },
            "15 characters",
        ),
    ];
    for (list, words) in texts {
        let error = list.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
