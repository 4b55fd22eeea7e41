//! Ids that we issue. Whatever is not one of them is refused before it becomes a path.

use std::fmt;

/// Hexadecimal digits after the prefix of an id that we mint.
const DIGITS: usize = 32;
/// Hexadecimal digits after `csi-` in the id that kubelet gives to an inline volume (K-13).
const INLINE_DIGITS: usize = 64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new id, from 128 random bits.
            pub fn mint() -> Result<Self, rustix::io::Errno> {
                Ok(Self(format!("{}{}", $prefix, random()?)))
            }

            /// The id in `text`, if it has the form of one.
            pub fn parse(text: &str) -> Option<Self> {
                let parses: fn(&str) -> bool = $parse;
                parses(text).then(|| Self(text.to_owned()))
            }

            /// The id as text: a safe file name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of a volume: `vol-` and 32 hexadecimal digits, or kubelet's id of an inline volume.
    VolumeId,
    "vol-",
    |text| is(text, "vol-", DIGITS) || is(text, "csi-", INLINE_DIGITS)
);
id!(
    /// The id of a snapshot: `snap-` and 32 hexadecimal digits.
    SnapshotId,
    "snap-",
    |text| is(text, "snap-", DIGITS)
);
id!(
    /// The id of a group of snapshots: `group-` and 32 hexadecimal digits.
    GroupId,
    "group-",
    |text| is(text, "group-", DIGITS)
);

impl VolumeId {
    /// Whether kubelet issued it, for an inline volume.
    pub fn is_inline(&self) -> bool {
        self.0.starts_with("csi-")
    }
}

fn is(text: &str, prefix: &str, digits: usize) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == digits
            && rest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// 128 random bits as hexadecimal digits.
pub(crate) fn random() -> Result<String, rustix::io::Errno> {
    let mut bytes = [0u8; DIGITS / 2];
    let mut filled = 0;
    while filled < bytes.len() {
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{GroupId, SnapshotId, VolumeId};
    use proptest::prelude::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn g16_minted_ids_differ_and_are_ours() {
        let (one, other) = (VolumeId::mint().unwrap(), VolumeId::mint().unwrap());
        assert_ne!(one, other);
        assert_eq!(VolumeId::parse(one.as_str()), Some(one.clone()));
        assert!(!one.is_inline());
        let (snapshot, group) = (SnapshotId::mint().unwrap(), GroupId::mint().unwrap());
        assert_eq!(SnapshotId::parse(&snapshot.to_string()), Some(snapshot));
        assert_eq!(GroupId::parse(&group.to_string()), Some(group));
    }

    #[test]
    fn each_kind_of_object_has_ids_of_its_own() {
        for prefix in ["vol-", "snap-", "group-"] {
            let id = format!("{prefix}{HEX}");
            assert_eq!(VolumeId::parse(&id).is_some(), prefix == "vol-");
            assert_eq!(SnapshotId::parse(&id).is_some(), prefix == "snap-");
            assert_eq!(GroupId::parse(&id).is_some(), prefix == "group-");
        }
    }

    #[test]
    fn k13_kubelets_ids_of_inline_volumes_are_known() {
        let inline = VolumeId::parse(&format!("csi-{HEX}{HEX}")).unwrap();
        assert!(inline.is_inline());
        assert_eq!(VolumeId::parse(&format!("csi-{HEX}")), None);
        assert_eq!(VolumeId::parse(&format!("vol-{HEX}{HEX}")), None);
    }

    #[test]
    fn nothing_else_is_an_id() {
        let upper = HEX.to_uppercase();
        for text in [
            "",
            "vol-",
            "vol",
            HEX,
            ".",
            "..",
            "/",
            "vol-../../../../../../../../../../../../..",
            &format!("vol-{HEX}0"),
            &format!("vol-{}", &HEX[1..]),
            &format!("vol-{upper}"),
            &format!("VOL-{HEX}"),
            &format!(" vol-{HEX}"),
            &format!("vol-{HEX}\n"),
            &format!("vol-{HEX}\0"),
            &format!("vol-{HEX}/.."),
            &format!("../vol-{HEX}"),
            &format!("vol-vol-{HEX}"),
            &format!("vol-{}/", &HEX[1..]),
            &format!("vol-{}\0", &HEX[1..]),
            &format!("vol-{}é", &HEX[2..]),
        ] {
            assert_eq!(VolumeId::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        /// Whatever is taken for an id is one component of a path.
        #[test]
        fn an_id_is_a_safe_file_name(text in "\\PC*|(vol|csi)-[0-9a-f./]{31,33}|csi-[0-9a-f./]{64}") {
            if let Some(id) = VolumeId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
                let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                prop_assert!(text.bytes().all(is_safe), "{}", text);
            }
        }
    }
}
