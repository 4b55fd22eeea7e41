//! What classes and pods may ask for: StorageClass, VolumeSnapshotClass and VolumeAttributesClass parameters, and the
//! attributes of an inline volume. A key or value that means nothing to us is refused with those that do: a class
//! with a slip of the pen must not make volumes other than its author wants.

use std::collections::BTreeMap;

use crate::excerpt::excerpt;
use crate::quantity;
use crate::record::Kind;

/// Keys of Kubernetes' own, such as the pod's name, which say nothing about the volume.
pub const KUBERNETES: &str = "csi.storage.k8s.io/";

const KIND: &str = "kind";
const POOL: &str = "pool";
const PROVISIONING: &str = "provisioning";
const SIZE: &str = "size";

/// The most bytes of a pool's name.
const POOL_NAME: usize = 63;

type Map = BTreeMap<String, String>;

/// A StorageClass, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// `kind`; `None` where the driver chooses.
    pub kind: Option<Kind>,
    /// `pool`; `None` where the driver chooses.
    pub pool: Option<String>,
    /// `provisioning`: whether space is reserved. `None` is thin.
    pub thick: Option<bool>,
}

impl Class {
    /// Reads `parameters` of a StorageClass. The refusal names the key.
    pub fn parse(parameters: &Map) -> Result<Self, String> {
        let field = "parameters";
        refuse_unknown(field, parameters, &[KIND, POOL, PROVISIONING])?;
        Self::read(field, parameters)
    }

    fn read(field: &str, map: &Map) -> Result<Self, String> {
        Ok(Self {
            kind: value(field, map, KIND, kind)?,
            pool: value(field, map, POOL, pool)?,
            thick: value(field, map, PROVISIONING, thick)?,
        })
    }
}

/// A VolumeAttributesClass, understood: what may change while a volume exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `provisioning`: whether space is reserved.
    pub thick: Option<bool>,
}

impl Attributes {
    /// Reads `mutable_parameters` of a VolumeAttributesClass. The refusal names the key.
    pub fn parse(parameters: &Map) -> Result<Self, String> {
        let field = "mutable_parameters";
        refuse_unknown(field, parameters, &[PROVISIONING])?;
        Ok(Self {
            thick: value(field, parameters, PROVISIONING, thick)?,
        })
    }
}

/// The attributes of an inline volume, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inline {
    /// `size` in bytes, more than 0; `None` for the driver's default.
    pub size: Option<u64>,
    /// The rest, which means what it means in a class.
    pub class: Class,
}

impl Inline {
    /// Reads the attributes that a pod gives its inline volume. The refusal names the key.
    pub fn parse(attributes: &Map) -> Result<Self, String> {
        let field = "volume_context";
        refuse_unknown(field, attributes, &[SIZE, KIND, POOL, PROVISIONING])?;
        Ok(Self {
            size: value(field, attributes, SIZE, size)?,
            class: Class::read(field, attributes)?,
        })
    }
}

/// Snapshots, and groups of them, are made in one way: their classes have no parameters.
pub fn refuse_all(parameters: &Map) -> Result<(), String> {
    refuse_unknown("parameters", parameters, &[])
}

fn refuse_unknown(field: &str, map: &Map, known: &[&str]) -> Result<(), String> {
    let mut ours = map.keys().filter(|key| !key.starts_with(KUBERNETES));
    let Some(key) = ours.find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let way_out = match known.iter().find(|name| name.eq_ignore_ascii_case(key)) {
        Some(name) => format!("did you mean {name}"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("known are {}", known.join(", ")),
    };
    Err(format!(
        "{field} has the unknown key {}: {way_out}",
        excerpt(key)
    ))
}

/// The value of `key`, if it is there.
fn value<T>(
    field: &str,
    map: &Map,
    key: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let read = map.get(key).map(|text| read(text)).transpose();
    read.map_err(|why| format!("{field}[{key}] {why}"))
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "directory" => Ok(Kind::Directory),
        "image" => Ok(Kind::Image),
        "unenforced-directory" => Ok(Kind::UnenforcedDirectory),
        _ => Err(format!(
            "is {}, not directory, image or unenforced-directory",
            excerpt(text)
        )),
    }
}

fn thick(text: &str) -> Result<bool, String> {
    match text {
        "thick" => Ok(true),
        "thin" => Ok(false),
        _ => Err(format!("is {}, not thin or thick", excerpt(text))),
    }
}

fn pool(text: &str) -> Result<String, String> {
    if is_pool_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "is {}, not the name of a pool: 1 to {POOL_NAME} characters of a-z, 0-9 and -",
        excerpt(text)
    ))
}

/// Whether a pool can have this name: 1 to 63 characters of `a-z`, `0-9` and `-`.
pub fn is_pool_name(text: &str) -> bool {
    (1..=POOL_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn size(text: &str) -> Result<u64, String> {
    match quantity::parse(text) {
        Ok(0) => Err("is 0: a volume has a size".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(why) => Err(format!("= {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Class, Inline, Map, refuse_all};
    use crate::record::Kind;

    fn map<const N: usize>(entries: [(&str, &str); N]) -> Map {
        entries
            .map(|(key, value)| (key.into(), value.into()))
            .into()
    }

    #[test]
    fn a_class_is_understood() {
        let class = map([
            ("kind", "image"),
            ("pool", "fast-1"),
            ("provisioning", "thick"),
        ]);
        let understood = Class {
            kind: Some(Kind::Image),
            pool: Some("fast-1".to_owned()),
            thick: Some(true),
        };
        assert_eq!(Class::parse(&class), Ok(understood));
        assert_eq!(Class::parse(&Map::new()), Ok(Class::default()));
        for (text, kind) in [
            ("directory", Kind::Directory),
            ("unenforced-directory", Kind::UnenforcedDirectory),
        ] {
            assert_eq!(
                Class::parse(&map([("kind", text)])).unwrap().kind,
                Some(kind)
            );
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_the_known_ones() {
        let refusal = Class::parse(&map([("kynd", "image")])).unwrap_err();
        let text = "parameters has the unknown key \"kynd\": known are kind, pool, provisioning";
        assert_eq!(refusal, text);
        let refusal = Attributes::parse(&map([("kind", "image")])).unwrap_err();
        let text = "mutable_parameters has the unknown key \"kind\": known are provisioning";
        assert_eq!(refusal, text);
        let refusal = refuse_all(&map([("ignoreFailedRead", "true")])).unwrap_err();
        let text = "parameters has the unknown key \"ignoreFailedRead\": there are none";
        assert_eq!(refusal, text);
        assert!(Class::parse(&map([("size", "1Gi")])).is_err());
    }

    #[test]
    fn a_key_in_other_letters_gets_a_hint_even_beside_the_right_one() {
        let refusal = Class::parse(&map([("Pool", "a"), ("pool", "b")])).unwrap_err();
        assert_eq!(
            refusal,
            "parameters has the unknown key \"Pool\": did you mean pool"
        );
    }

    #[test]
    fn keys_of_kubernetes_are_let_through() {
        let from_kubernetes = map([("csi.storage.k8s.io/pvc/name", "data")]);
        assert_eq!(Class::parse(&from_kubernetes), Ok(Class::default()));
        assert_eq!(Inline::parse(&from_kubernetes), Ok(Inline::default()));
        assert_eq!(
            Attributes::parse(&from_kubernetes),
            Ok(Attributes::default())
        );
        assert_eq!(refuse_all(&from_kubernetes), Ok(()));
    }

    #[test]
    fn a_bad_value_is_named_with_the_allowed_ones() {
        let long = "a".repeat(64);
        for (key, value, text) in [
            (
                "kind",
                "Image",
                "parameters[kind] is \"Image\", not directory, image or",
            ),
            ("kind", "", "parameters[kind] is \"\", not directory"),
            (
                "provisioning",
                "fat",
                "parameters[provisioning] is \"fat\", not thin or thick",
            ),
            (
                "pool",
                "",
                "parameters[pool] is \"\", not the name of a pool: 1 to 63",
            ),
            ("pool", "../x", "parameters[pool] is \"../x\", not"),
            ("pool", "Fast", "parameters[pool] is \"Fast\", not"),
            ("pool", &long, "parameters[pool] is \"aaaa"),
        ] {
            let refusal = Class::parse(&map([(key, value)])).unwrap_err();
            assert!(refusal.starts_with(text), "{refusal}");
        }
        let longest = "a".repeat(63);
        let class = Class::parse(&map([("pool", &longest)])).unwrap();
        assert_eq!(class.pool, Some(longest));
    }

    #[test]
    fn an_inline_volume_has_a_size_besides() {
        let inline = Inline::parse(&map([("size", "64Mi"), ("kind", "directory")])).unwrap();
        assert_eq!(inline.size, Some(64 << 20));
        assert_eq!(inline.class.kind, Some(Kind::Directory));
        for (size, text) in [
            ("0", "volume_context[size] is 0: a volume has a size"),
            (
                "1GB",
                "volume_context[size] = \"1GB\" is not a size of at most",
            ),
        ] {
            let refusal = Inline::parse(&map([("size", size)])).unwrap_err();
            assert!(refusal.starts_with(text), "{refusal}");
        }
    }

    #[test]
    fn mutable_parameters_are_understood() {
        let thin = Attributes::parse(&map([("provisioning", "thin")]));
        assert_eq!(thin, Ok(Attributes { thick: Some(false) }));
    }
}
