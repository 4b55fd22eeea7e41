//! A request, checked as far as the specification goes: what a verb's function is given.

use crate::delegate::{self, Delegate};
use crate::{Call, Error, Siblings, netns, output};
use cni::{Attachment, CniArgs, Config, ConfigError, Verb, Version};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the runtime asks for, its variables and its configuration checked.
#[derive(Clone, Debug)]
pub struct Request {
    call: Call,
    config: Config,
    stdin: Arc<[u8]>,
    siblings: Siblings,
}

impl Request {
    /// Reads the configuration that belongs to a call; the plugin has to speak its version, and
    /// that version has to have the verb.
    pub fn new(call: Call, stdin: Arc<[u8]>, versions: &[Version]) -> Result<Self, Error> {
        let config = Config::parse(&stdin).map_err(|error| match error {
            ConfigError::Version { found, .. } => incompatible(&found, versions),
            error => error.into(),
        })?;
        let version = config.version();
        if !versions.contains(&version) {
            return Err(incompatible(version.as_str(), versions));
        }
        let verb = call.verb;
        if !version.allows(verb) {
            return Err(Error::VerbTooNew { verb, version });
        }
        Ok(Self {
            call,
            config,
            stdin,
            siblings: &[],
        })
    }

    /// The same request in an executable that is all of these plugins.
    pub(crate) const fn among(mut self, siblings: Siblings) -> Self {
        self.siblings = siblings;
        self
    }

    /// What is asked for.
    pub const fn verb(&self) -> Verb {
        self.call.verb
    }

    /// The network configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The attachment that ADD, DEL and CHECK are about; an error in the other verbs.
    pub fn attachment(&self) -> Result<&Attachment, Error> {
        let attachment = self.call.attachment.as_ref();
        attachment.ok_or(Error::NoAttachment(self.call.verb))
    }

    /// The path of the container's namespace.
    ///
    /// On ADD and CHECK there always is one. For a plugin that enters it, it is a namespace and another
    /// one than the plugin's; on DEL, where that does not hold, there is none.
    pub fn netns(&self) -> Option<&Path> {
        self.call.netns.as_deref()
    }

    /// What came in `CNI_ARGS`.
    pub const fn args(&self) -> &CniArgs {
        &self.call.args
    }

    /// The folders in which plugins are (ENV-6).
    pub fn cni_path(&self) -> &[PathBuf] {
        &self.call.path
    }

    /// The `type` of the configuration's `ipam`; none also when it is empty.
    pub fn ipam_type(&self) -> Result<Option<&str>, Error> {
        let Some(ipam) = self.config.ipam()? else {
            return Ok(None);
        };
        Ok(ipam.string("type")?.filter(|name| !name.is_empty()))
    }

    /// Finds the plugin that is to do a part of the work (DLG-1).
    pub fn delegate(&self, plugin_type: &str) -> Result<Delegate, Error> {
        delegate::find(plugin_type, &self.call.path, self.siblings)
    }

    /// Tells whoever reads the runtime's log what went wrong in a verb that succeeds nevertheless. Not for more than that:
    /// runtimes keep every line.
    pub fn remark(&self, text: impl Display) {
        output::remark(self.config.plugin_type(), text);
    }

    /// The configuration as it came, which is what a delegate gets (DLG-2).
    pub(crate) fn stdin(&self) -> Arc<[u8]> {
        Arc::clone(&self.stdin)
    }

    /// The same request with its namespace looked at, or the reason why its verb cannot do.
    pub(crate) fn with_settled_netns(self) -> Result<Self, Error> {
        let call = netns::settle(self.call)?;
        Ok(Self { call, ..self })
    }
}

fn incompatible(found: &str, versions: &[Version]) -> Error {
    Error::Incompatible(cni::Error::incompatible_version(found, versions))
}
