//! Every key of a class and of an inline volume, with values that are taken.

use std::collections::BTreeMap;

use csi_hostpath::parameters::{Attributes, Class, Inline, refuse_all};

use super::page::{codes, rows};

type Map = BTreeMap<String, String>;
type Parse = fn(&Map) -> Result<(), String>;

/// What takes the keys of the table beneath each heading.
const TABLES: [(&str, Parse); 3] = [
    ("### StorageClass", |map| Class::parse(map).map(drop)),
    ("### VolumeAttributesClass", |map| {
        Attributes::parse(map).map(drop)
    }),
    ("### Inline volumes", |map| Inline::parse(map).map(drop)),
];

fn with(key: &str, value: &str) -> Map {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// The keys that are known, as the refusal of another one tells.
fn known(parse: Parse) -> Vec<String> {
    let refusal = parse(&with("no such key", "")).unwrap_err();
    let (_, known) = refusal.split_once("known are ").expect(&refusal);
    let mut known: Vec<_> = known.split(", ").map(str::to_owned).collect();
    known.sort();
    known
}

#[test]
fn keys_are_those_that_are_known() {
    for (heading, parse) in TABLES {
        let rows = rows(heading);
        let mut told: Vec<_> = rows
            .iter()
            .map(|row| codes(&row[0])[0].to_owned())
            .collect();
        told.sort();
        assert_eq!(told, known(parse), "{heading}");
    }
}

#[test]
fn values_that_are_told_are_taken() {
    for (heading, parse) in TABLES {
        for row in rows(heading) {
            let (key, values) = (codes(&row[0])[0], codes(&row[1]));
            assert!(!values.is_empty(), "{heading}: no value of {key}");
            for value in values {
                assert_eq!(parse(&with(key, value)), Ok(()), "{heading}: {key}");
            }
        }
    }
}

#[test]
fn classes_of_snapshots_have_no_keys() {
    let refusal = refuse_all(&with("no such key", "")).unwrap_err();
    assert!(refusal.contains("there are none"), "{refusal}");
}
