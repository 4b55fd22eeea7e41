//! A runtime's part, played as libcni plays it: it injects name and version into each plugin's configuration, hands
//! results down the chain, keeps the last one for CHECK and DEL, and walks the chain backwards on DEL (CFG-1, CFG-3,
//! CFG-5, CAP-1).

use crate::call::{Call, Outcome};
use crate::host::Host;
use crate::place::Place;
use crate::plugins::Plugins;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Mutex;

/// One interface of one pod, as a runtime asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`; empty when the runtime no longer has one.
    pub netns: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// What the runtime offers for the capabilities that a plugin declares: `{"ips": [...], "mac": ...}`.
    pub capabilities: Value,
}

impl Attachment {
    /// An attachment without arguments.
    pub fn new(id: &str, ifname: &str, netns: &str) -> Self {
        let text = str::to_owned;
        Self {
            id: text(id),
            ifname: text(ifname),
            netns: text(netns),
            args: String::new(),
            capabilities: json!({}),
        }
    }

    /// The same for another interface of the pod.
    #[must_use]
    pub fn ifname(mut self, ifname: &str) -> Self {
        ifname.clone_into(&mut self.ifname);
        self
    }

    /// The same in another namespace, or in none.
    #[must_use]
    pub fn netns(mut self, netns: &str) -> Self {
        netns.clone_into(&mut self.netns);
        self
    }

    /// The same with `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        args.clone_into(&mut self.args);
        self
    }

    /// The same with something offered for capabilities.
    #[must_use]
    pub fn offering(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// What the verbs name that concern no attachment.
    fn none() -> Self {
        Self::new("", "", "")
    }

    fn key(&self) -> (String, String) {
        (self.id.clone(), self.ifname.clone())
    }
}

/// A network of a host: a configuration list, the plugins that serve it, and the results that a runtime would keep.
#[derive(Debug)]
pub struct Network {
    host: Place,
    plugins: Plugins,
    extra_path: Vec<PathBuf>,
    list: Value,
    results: Mutex<BTreeMap<(String, String), Value>>,
}

impl Network {
    /// The network of a configuration list, or of a single plugin's configuration, served by the plugins under test.
    pub fn new(host: &Host, config: Value) -> Self {
        let list = if config["plugins"].is_array() {
            config
        } else {
            list_of_one(config)
        };
        Self {
            host: host.place().clone(),
            plugins: Plugins::under_test(),
            extra_path: Vec::new(),
            list,
            results: Mutex::default(),
        }
    }

    /// The same network, its results included, served by other plugins from now on.
    #[must_use]
    pub fn served_by(mut self, plugins: Plugins) -> Self {
        self.plugins = plugins;
        self
    }

    /// The same network with one more folder, searched first, in which plugins and delegates are found.
    #[must_use]
    pub fn searching(mut self, dir: impl Into<PathBuf>) -> Self {
        self.extra_path.insert(0, dir.into());
        self
    }

    /// The same network, its results included, with another configuration.
    #[must_use]
    pub fn configured(mut self, config: Value) -> Self {
        self.list = if config["plugins"].is_array() {
            config
        } else {
            list_of_one(config)
        };
        self
    }

    /// The plugins that serve the network.
    pub const fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// The result of the attachment's ADD, as far as the runtime knows it.
    pub fn result(&self, attachment: &Attachment) -> Option<Value> {
        self.results().get(&attachment.key()).cloned()
    }

    /// Makes the runtime believe that this was the attachment's result; `None` makes it forget.
    pub fn remember(&self, attachment: &Attachment, result: Option<Value>) {
        match result {
            Some(result) => self.results().insert(attachment.key(), result),
            None => self.results().remove(&attachment.key()),
        };
    }

    /// ADD: each plugin in turn, given the result of the one before. The outcome is the last one's, or the failed one's.
    pub fn add(&self, attachment: &Attachment) -> Outcome {
        let mut previous = None;
        let mut last = None;
        for plugin in self.chain() {
            let outcome = self
                .prepare("ADD", plugin, attachment, previous.as_ref())
                .run();
            if !outcome.succeeded() {
                return outcome;
            }
            previous = serde_json::from_slice(&outcome.stdout).ok();
            last = Some(outcome);
        }
        self.remember(attachment, previous);
        last.expect("a list has at least one plugin")
    }

    /// CHECK: each plugin in turn, given the kept result.
    pub fn check(&self, attachment: &Attachment) -> Outcome {
        self.each("CHECK", attachment, self.chain().iter().collect())
    }

    /// DEL: the last plugin first, given the kept result, which is then forgotten.
    pub fn del(&self, attachment: &Attachment) -> Outcome {
        let outcome = self.each("DEL", attachment, self.chain().iter().rev().collect());
        if outcome.succeeded() {
            self.remember(attachment, None);
        }
        outcome
    }

    /// GC: each plugin in turn, told which attachments are still valid. (libcni first sends a DEL to those that it
    /// remembers and that are not; a test that wants them sends them.)
    pub fn gc(&self, valid: &[&Attachment]) -> Outcome {
        let valid: Vec<Value> = valid
            .iter()
            .map(|a| json!({"containerID": a.id, "ifname": a.ifname}))
            .collect();
        let mut last = None;
        for plugin in self.chain() {
            let mut config = self.inject(plugin);
            config.insert("cni.dev/valid-attachments".to_owned(), json!(valid));
            let outcome = self.call("GC", plugin, &Attachment::none(), config).run();
            if !outcome.succeeded() {
                return outcome;
            }
            last = Some(outcome);
        }
        last.expect("a list has at least one plugin")
    }

    /// STATUS: each plugin in turn.
    pub fn status(&self) -> Outcome {
        self.each("STATUS", &Attachment::none(), self.chain().iter().collect())
    }

    /// One run of the first plugin, ready to be changed before it is started.
    pub fn first(&self, verb: &str, attachment: &Attachment) -> Call {
        self.prepare(
            verb,
            &self.chain()[0],
            attachment,
            self.result(attachment).as_ref().filter(|_| verb != "ADD"),
        )
    }

    fn each(&self, verb: &str, attachment: &Attachment, plugins: Vec<&Value>) -> Outcome {
        let kept = self.result(attachment);
        let mut last = None;
        for plugin in plugins {
            let outcome = self.prepare(verb, plugin, attachment, kept.as_ref()).run();
            if !outcome.succeeded() {
                return outcome;
            }
            last = Some(outcome);
        }
        last.expect("a list has at least one plugin")
    }

    fn prepare(
        &self,
        verb: &str,
        plugin: &Value,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Call {
        let mut config = self.inject(plugin);
        if let Some(previous) = previous {
            config.insert("prevResult".to_owned(), previous.clone());
        }
        let offered = offered(plugin, &attachment.capabilities);
        if !offered.is_empty() {
            config.insert("runtimeConfig".to_owned(), Value::Object(offered));
        }
        self.call(verb, plugin, attachment, config)
    }

    /// The plugin's configuration as it leaves the list.
    fn inject(&self, plugin: &Value) -> Map<String, Value> {
        let mut config = plugin
            .as_object()
            .cloned()
            .expect("a plugin's configuration is an object");
        for key in ["name", "cniVersion"] {
            if let Some(value) = self.list.get(key) {
                config.insert(key.to_owned(), value.clone());
            }
        }
        config.remove("capabilities");
        config
    }

    /// All of libcni's variables are always set; those that the verb has no use for are empty.
    fn call(
        &self,
        verb: &str,
        plugin: &Value,
        attachment: &Attachment,
        config: Map<String, Value>,
    ) -> Call {
        let plugin_type = plugin["type"]
            .as_str()
            .expect("a plugin's configuration has a type");
        let found = self
            .extra_path
            .iter()
            .map(|dir| dir.join(plugin_type))
            .find(|path| self.host.run(|| path.is_file()));
        let lenient = self.plugins.is_reference();
        let call = match found {
            Some(path) => Call::of(&self.host, &path, lenient),
            None => Call::new(&self.host, &self.plugins, plugin_type),
        };
        call.env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &attachment.id)
            .env("CNI_NETNS", &attachment.netns)
            .env("CNI_IFNAME", &attachment.ifname)
            .env("CNI_ARGS", &attachment.args)
            .env("CNI_PATH", self.search_path())
            .stdin(Value::Object(config).to_string())
    }

    fn search_path(&self) -> OsString {
        let dirs = self
            .extra_path
            .iter()
            .map(PathBuf::as_path)
            .chain([self.plugins.dir()]);
        std::env::join_paths(dirs).expect("a folder of plugins has no colon in its path")
    }

    fn chain(&self) -> &[Value] {
        self.list["plugins"].as_array().map_or(&[], Vec::as_slice)
    }

    fn results(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Value>> {
        self.results
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A single configuration as the list that libcni makes of it: name and version belong to the list.
fn list_of_one(mut config: Value) -> Value {
    let fields = config
        .as_object_mut()
        .expect("a configuration is an object");
    let mut list = Map::new();
    for key in ["name", "cniVersion"] {
        if let Some(value) = fields.remove(key) {
            list.insert(key.to_owned(), value);
        }
    }
    list.insert("plugins".to_owned(), json!([config]));
    Value::Object(list)
}

/// What is offered for the capabilities that the plugin declares (CAP-1).
fn offered(plugin: &Value, capabilities: &Value) -> Map<String, Value> {
    let declared = plugin["capabilities"].as_object().into_iter().flatten();
    let declared = declared.filter(|(_, wanted)| **wanted == Value::Bool(true));
    declared
        .filter_map(|(name, _)| Some((name.clone(), capabilities.get(name)?.clone())))
        .collect()
}
