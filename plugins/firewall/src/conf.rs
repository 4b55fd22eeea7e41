//! The configuration as settings: every key read, every rule checked, before anything is made.

use crate::error::Error;
use crate::{iptables, table};
use cni::{ConfigError, Section};
use cni_plugin::Request;

const DEFAULT_ADMIN_CHAIN: &str = "CNI-ADMIN";
const DEFAULT_ZONE: &str = "trusted";
/// What iptables can name a chain.
const LONGEST_CHAIN: usize = 28;

/// What a network asks of this plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where pods are let through.
    pub backend: Backend,
    /// The chain of the administrator's own rules, which come first.
    pub admin_chain: String,
    /// Who may begin connections to pods.
    pub ingress: Ingress,
}

/// Where pods are let through, beside the table of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In iptables' tables where the host forwards through them.
    Automatic,
    /// In iptables' tables, which are made where they are missing.
    Iptables,
    /// Nowhere else.
    Nftables,
}

/// Who may begin connections to pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// Whoever the host lets.
    Open,
    /// Who is on the same bridge, and whoever uses a published port.
    SameBridge,
    /// Whoever uses a published port.
    Isolated,
}

impl Ingress {
    /// The policy as the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SameBridge => "same-bridge",
            Self::Isolated => "isolated",
        }
    }
}

impl Settings {
    /// Reads and checks the configuration.
    pub fn parse(request: &Request) -> Result<Self, Error> {
        Self::read(&request.config().root())
    }

    fn read(root: &Section<'_>) -> Result<Self, Error> {
        let zone = text(root, "firewalldZone")?.unwrap_or(DEFAULT_ZONE);
        Ok(Self {
            backend: backend(root, zone)?,
            admin_chain: admin_chain(root)?,
            ingress: ingress(root)?,
        })
    }
}

/// A text; the empty one counts as absent.
fn text<'a>(root: &Section<'a>, key: &str) -> Result<Option<&'a str>, ConfigError> {
    Ok(root.string(key)?.filter(|text| !text.is_empty()))
}

fn backend(root: &Section<'_>, zone: &str) -> Result<Backend, Error> {
    const KEY: &str = "backend";
    match text(root, KEY)? {
        None => Ok(Backend::Automatic),
        Some("iptables") => Ok(Backend::Iptables),
        Some("nftables") => Ok(Backend::Nftables),
        Some("firewalld") => Err(Error::Firewalld {
            zone: zone.to_owned(),
        }),
        Some(_) => Err(root
            .broken(KEY, "\"iptables\" or \"nftables\"; or leave it out")
            .into()),
    }
}

/// A name that iptables and nft can both have for a chain, and that is none of theirs or ours.
fn admin_chain(root: &Section<'_>) -> Result<String, Error> {
    const KEY: &str = "iptablesAdminChainName";
    let name = text(root, KEY)?.unwrap_or(DEFAULT_ADMIN_CHAIN);
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    if !begins || !name.bytes().all(goes_on) || name.len() > LONGEST_CHAIN {
        let wanted = format!(
            "a chain's name: a letter or \"_\" first, then letters, digits, \"_\", \"-\", \".\" and \"/\", at most {LONGEST_CHAIN}"
        );
        return Err(root.broken(KEY, wanted).into());
    }
    let taken = ["INPUT", "OUTPUT", iptables::FORWARD, iptables::PODS];
    if taken.contains(&name) || table::CHAINS.contains(&name) {
        let wanted = "a chain of the administrator's own, not one of iptables or of this plugin";
        return Err(root.broken(KEY, wanted).into());
    }
    Ok(name.to_owned())
}

fn ingress(root: &Section<'_>) -> Result<Ingress, ConfigError> {
    const KEY: &str = "ingressPolicy";
    let known = [Ingress::Open, Ingress::SameBridge, Ingress::Isolated];
    let Some(wanted) = text(root, KEY)? else {
        return Ok(Ingress::Open);
    };
    let found = known.into_iter().find(|policy| policy.as_str() == wanted);
    found.ok_or_else(|| root.broken(KEY, "\"open\", \"same-bridge\" or \"isolated\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cni::{Code, Config};
    use proptest::prelude::*;
    use serde_json::json;

    fn settings(keys: serde_json::Value) -> Result<Settings, Error> {
        let mut config = json!({"cniVersion": "1.1.0", "name": "podnet", "type": "firewall"});
        let fields = config.as_object_mut().unwrap();
        fields.extend(keys.as_object().unwrap().clone());
        let text = config.to_string();
        Settings::read(&Config::parse(text.as_bytes()).unwrap().root())
    }

    #[test]
    fn without_keys_everything_is_as_with_the_reference() {
        let expected = Settings {
            backend: Backend::Automatic,
            admin_chain: "CNI-ADMIN".to_owned(),
            ingress: Ingress::Open,
        };
        assert_eq!(settings(json!({})).unwrap(), expected);
        let empty = json!({"backend": "", "iptablesAdminChainName": "", "firewalldZone": "", "ingressPolicy": ""});
        assert_eq!(settings(empty).unwrap(), expected);
        let null = json!({"backend": null, "iptablesAdminChainName": null, "ingressPolicy": null});
        assert_eq!(settings(null).unwrap(), expected);
    }

    #[test]
    fn every_key_is_read() {
        let keys = json!({"BACKEND": "iptables", "iptablesAdminChainName": "SITE", "ingressPolicy": "isolated"});
        let expected = Settings {
            backend: Backend::Iptables,
            admin_chain: "SITE".to_owned(),
            ingress: Ingress::Isolated,
        };
        assert_eq!(settings(keys).unwrap(), expected);
        let keys = json!({"backend": "nftables", "firewalldZone": "public", "ingressPolicy": "same-bridge"});
        let found = settings(keys).unwrap();
        assert_eq!(
            (found.backend, found.ingress),
            (Backend::Nftables, Ingress::SameBridge)
        );
    }

    #[test]
    fn what_breaks_a_rule_is_named_with_its_value() {
        let long = "x".repeat(29);
        for (keys, code, parts) in [
            (
                json!({"backend": "ebtables"}),
                Code::InvalidConfig,
                ["backend", "ebtables"],
            ),
            (json!({"backend": 1}), Code::Decode, ["backend", "1"]),
            (
                json!({"backend": "firewalld"}),
                Code::UnsupportedField,
                ["firewalld", "trusted"],
            ),
            (
                json!({"backend": "firewalld", "firewalldZone": "pods"}),
                Code::UnsupportedField,
                ["backend", "zone=pods"],
            ),
            (
                json!({"firewalldZone": []}),
                Code::Decode,
                ["firewalldZone", "[]"],
            ),
            (
                json!({"ingressPolicy": "closed"}),
                Code::InvalidConfig,
                ["ingressPolicy", "closed"],
            ),
            (
                json!({"ingressPolicy": "Open"}),
                Code::InvalidConfig,
                ["ingressPolicy", "Open"],
            ),
            (
                json!({"iptablesAdminChainName": "-F"}),
                Code::InvalidConfig,
                ["iptablesAdminChainName", "-F"],
            ),
            (
                json!({"iptablesAdminChainName": "a b"}),
                Code::InvalidConfig,
                ["iptablesAdminChainName", "a b"],
            ),
            (
                json!({"iptablesAdminChainName": long}),
                Code::InvalidConfig,
                ["iptablesAdminChainName", "28"],
            ),
            (
                json!({"iptablesAdminChainName": "FORWARD"}),
                Code::InvalidConfig,
                ["iptablesAdminChainName", "FORWARD"],
            ),
            (
                json!({"iptablesAdminChainName": "CNI-FORWARD"}),
                Code::InvalidConfig,
                ["CNI-FORWARD", "own"],
            ),
            (
                json!({"iptablesAdminChainName": "arriving"}),
                Code::InvalidConfig,
                ["arriving", "own"],
            ),
        ] {
            let error = settings(keys.clone()).expect_err("taken");
            assert_eq!(error.code(), code, "{keys}: {error}");
            for part in parts {
                assert!(
                    error.to_string().contains(part),
                    "{keys}: {error} does not name {part}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,40}") {
            for key in ["backend", "iptablesAdminChainName", "firewalldZone", "ingressPolicy"] {
                if let Ok(found) = settings(json!({ key: text })) {
                    prop_assert!(found.admin_chain.len() <= LONGEST_CHAIN);
                }
            }
        }
    }
}
