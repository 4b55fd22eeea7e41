//! The network configuration that a plugin reads from stdin (IO-1, CFG-1 to CFG-6).
//!
//! Only what every plugin needs is read at once: version, name and type. The rest is read by the
//! plugin that knows it, through [`Section`].

use crate::result::prev_result;
use crate::section::Section;
use crate::value::{ConfigError, lookup};
use crate::{AddResult, Attachment, NameError, NetworkName, Version};
use serde_json::{Map, Value};
use std::str::FromStr;

/// One decoded network configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    root: Map<String, Value>,
    version: Version,
    network: NetworkName,
    plugin_type: String,
}

const NETWORK_NAME: &str =
    "the network's name: a letter or digit first, then letters, digits, \"_\", \".\" and \"-\"";

/// The key by which a runtime lists what GC has to keep (GC-1).
const VALID_ATTACHMENTS: &str = "cni.dev/valid-attachments";

impl Config {
    /// Reads a configuration; a missing version means 0.1.0 (CNV-6).
    ///
    /// Never panics, whatever the bytes: what is no JSON, or has a key of the wrong type, is
    /// [`Decode`](crate::Code::Decode), an unpublished version
    /// [`IncompatibleVersion`](crate::Code::IncompatibleVersion), a missing or impossible name
    /// [`InvalidConfig`](crate::Code::InvalidConfig).
    pub fn parse(stdin: &[u8]) -> Result<Self, ConfigError> {
        if stdin.trim_ascii().is_empty() {
            return Err(syntax("it is empty".into()));
        }
        let value: Value =
            serde_json::from_slice(stdin).map_err(|error| syntax(error.to_string()))?;
        let Value::Object(root) = value else {
            let path = "the network configuration".into();
            return Err(ConfigError::wrong_type(path, &value, "an object"));
        };
        let section = Section::root(&root);
        let version = section.string("cniVersion")?.unwrap_or_default();
        let version = version
            .parse()
            .map_err(|_| ConfigError::unknown_version("cniVersion".into(), version))?;
        let network = name(&section, "name", NETWORK_NAME)?;
        let plugin_type = section.string("type")?.unwrap_or_default().to_owned();
        Ok(Self {
            root,
            version,
            network,
            plugin_type,
        })
    }

    /// The version that results and errors have to be written in (CNV-7).
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The network's name.
    pub const fn network(&self) -> &NetworkName {
        &self.network
    }

    /// The plugin's name as the configuration has it; empty when it has none.
    pub fn plugin_type(&self) -> &str {
        &self.plugin_type
    }

    /// The whole configuration.
    pub const fn root(&self) -> Section<'_> {
        Section::root(&self.root)
    }

    /// The `ipam` object.
    pub fn ipam(&self) -> Result<Option<Section<'_>>, ConfigError> {
        self.root().section("ipam")
    }

    /// The result of the plugins before this one on ADD, the final one on CHECK and DEL (CFG-5).
    ///
    /// It is read in the configuration's version, and refused when it says that it is of another
    /// generation.
    pub fn prev_result(&self) -> Result<Option<AddResult>, ConfigError> {
        self.root()
            .section("prevResult")?
            .map(|section| prev_result(&section, self.version))
            .transpose()
    }

    /// The attachments that GC has to keep (GC-1). An empty list is meaningful, and `null` is how
    /// Go writes one; without the key nothing is known, and nothing may be removed.
    pub fn valid_attachments(&self) -> Result<Vec<Attachment>, ConfigError> {
        let root = self.root();
        if !root.mentions(VALID_ATTACHMENTS) {
            let wanted = "the attachments to keep, as a list of {containerID, ifname}";
            return Err(root.missing(VALID_ATTACHMENTS, wanted));
        }
        let listed = root.sections(VALID_ATTACHMENTS)?.unwrap_or_default();
        listed.iter().map(attachment).collect()
    }
}

const fn syntax(why: String) -> ConfigError {
    ConfigError::Syntax {
        what: "the network configuration",
        why,
    }
}

fn attachment(section: &Section<'_>) -> Result<Attachment, ConfigError> {
    Ok(Attachment {
        container_id: name(section, "containerID", "a container id")?,
        ifname: name(section, "ifname", "an interface name")?,
    })
}

fn name<T: FromStr<Err = NameError>>(
    section: &Section<'_>,
    key: &str,
    wanted: &'static str,
) -> Result<T, ConfigError> {
    let text = section
        .string(key)?
        .ok_or_else(|| section.missing(key, wanted))?;
    text.parse()
        .map_err(|why| section.broken(key, format!("{wanted} ({why})")))
}

/// The version that an input names, known or not, without a look at the rest of it: what VERSION
/// echoes (VER-1) and an error about a broken configuration can still carry.
pub fn declared_version(stdin: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(stdin).ok()?;
    let text = lookup(value.as_object()?, "cniVersion")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
