//! Name resolution as a configuration asks for it and a result reports it (CFG-4).

use crate::section::Section;
use crate::value::ConfigError;
use serde_json::{Map, Value};

/// The resolver settings meant for the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of servers, the preferred first.
    pub nameservers: Vec<String>,
    /// The local domain; never empty.
    pub domain: Option<String>,
    /// Domains to complete short names with.
    pub search: Vec<String>,
    /// Options of the resolver.
    pub options: Vec<String>,
}

impl Dns {
    /// Whether nothing is set.
    pub const fn is_empty(&self) -> bool {
        self.nameservers.is_empty()
            && self.domain.is_none()
            && self.search.is_empty()
            && self.options.is_empty()
    }

    /// Reads a `dns` object.
    pub fn from_section(section: &Section<'_>) -> Result<Self, ConfigError> {
        let list = |key| -> Result<Vec<String>, ConfigError> {
            let texts = section.strings(key)?.unwrap_or_default();
            Ok(texts.into_iter().map(str::to_owned).collect())
        };
        let domain = section.string("domain")?.filter(|text| !text.is_empty());
        Ok(Self {
            nameservers: list("nameservers")?,
            domain: domain.map(str::to_owned),
            search: list("search")?,
            options: list("options")?,
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        let lists = [
            ("nameservers", &self.nameservers),
            ("search", &self.search),
            ("options", &self.options),
        ];
        for (key, list) in lists {
            if !list.is_empty() {
                object.insert(key.into(), list.as_slice().into());
            }
        }
        if let Some(domain) = &self.domain {
            object.insert("domain".into(), domain.as_str().into());
        }
        Value::Object(object)
    }
}
