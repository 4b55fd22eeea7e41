//! Everything a plugin may have changed, written down so that two moments can be compared: links, addresses, routes,
//! rules, nf_tables, bridge ports, sysctls, mounts and files.
//!
//! What changes by itself is left out: indexes and handles (objects go by their names), counters, timers and lifetimes,
//! carrier states, neighbours, learnt MAC addresses, and the link-local addresses and routes that the kernel adds some
//! time after a link comes up. So is what plugins share and keep on purpose: host-local's lock and its cursors.

mod diff;
mod files;
mod network;

pub use diff::Diff;

use crate::host::Host;
use crate::place::Place;
use crate::pod::Pod;
use crate::wait::patience;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The state of a host, and of pods on it, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Dump {
    objects: BTreeMap<String, Value>,
}

impl Dump {
    /// The state of a host: its network, its mounts, and its files under /run and /var/lib/cni.
    pub fn of(host: &Host) -> Self {
        let mut dump = Self {
            objects: BTreeMap::new(),
        };
        dump.add_network(host.place());
        host.run(|| {
            dump.add_mounts();
            for dir in ["/run", "/var/lib/cni"] {
                dump.add_files(&PathBuf::from(dir));
            }
        });
        dump
    }

    /// The same, and the network of each of these pods.
    #[must_use]
    pub fn and(mut self, pods: &[&Pod]) -> Self {
        for pod in pods {
            self.add_network(pod.place());
        }
        self
    }

    /// What is different in `later`.
    pub fn diff(&self, later: &Self) -> Diff {
        Diff::between(&self.objects, &later.objects)
    }

    /// Asserts that `later` is the same.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        let diff = self.diff(later);
        assert!(diff.is_empty(), "something was left or lost:\n{diff}");
    }

    /// Asserts that `host` becomes the same, but for differences that have one of `words`: a link goes some time after the
    /// namespace that it was in.
    #[track_caller]
    pub fn assert_regained(&self, host: &Host, words: &[&str]) {
        let deadline = Instant::now() + patience();
        loop {
            let diff = self.diff(&Self::of(host));
            let other = |line: &&String| !words.iter().any(|word| line.contains(word));
            let left: Vec<_> = diff.lines().iter().filter(other).collect();
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "something was left or lost: {left:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything of which the name begins so, as in `host link `.
    pub fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let found = self
            .objects
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (name.as_str(), value))
    }

    /// Whether any name or content holds `text`.
    pub fn mentions(&self, text: &str) -> bool {
        self.objects
            .iter()
            .any(|(name, value)| name.contains(text) || value.to_string().contains(text))
    }

    fn add_network(&mut self, place: &Place) {
        let dev = network::sysctls(place);
        for (name, value) in network::objects(place).into_iter().chain(dev) {
            self.insert(format!("{} {name}", place.name()), value);
        }
    }

    /// Two objects of one name, such as two rules that read the same, are two objects.
    fn insert(&mut self, name: String, value: Value) {
        let free = (2..).map(|n| format!("{name} ({n})"));
        let name = std::iter::once(name.clone())
            .chain(free)
            .find(|name| !self.objects.contains_key(name));
        self.objects
            .insert(name.expect("numbers do not end"), value);
    }
}
