//! An object of a manifest that is taken apart field by field, so that none is overlooked.

use serde_json::{Map, Value};

/// What came of it, or what is wrong with the manifest.
pub(super) type Result<T> = std::result::Result<T, String>;

/// The fields of an object that nobody has taken yet.
pub(super) struct Fields {
    path: String,
    left: Map<String, Value>,
}

impl Fields {
    /// All fields of a value, which has to be an object. `path` says where it is.
    pub(super) fn of(path: &str, value: Value) -> Result<Self> {
        match value {
            Value::Object(left) => Ok(Self {
                path: path.to_owned(),
                left,
            }),
            other => Err(format!("{path} is no object: {other}")),
        }
    }

    /// Where the object is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A field, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    /// Passes over fields that say nothing to a node's container runtime.
    pub(super) fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.left.remove(*name);
        }
    }

    /// An object within; an empty one if it is not there.
    pub(super) fn object(&mut self, name: &str) -> Result<Self> {
        let value = self.take(name);
        Self::of(
            &self.within(name),
            value.unwrap_or_else(|| Map::new().into()),
        )
    }

    /// A list of objects; an empty one if it is not there.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Self>> {
        let path = self.within(name);
        let all = self.list(name)?.into_iter().enumerate();
        all.map(|(at, value)| Self::of(&format!("{path}[{at}]"), value))
            .collect()
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        let path = self.within(name);
        self.take(name).map(|value| text(&path, value)).transpose()
    }

    /// A text that has to be there.
    pub(super) fn need(&mut self, name: &str) -> Result<String> {
        let found = self.text(name)?;
        found.ok_or_else(|| format!("{} is missing", self.within(name)))
    }

    /// A list of texts; an empty one if it is not there.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let path = self.within(name);
        let all = self.list(name)?.into_iter();
        all.map(|value| text(&path, value)).collect()
    }

    /// A number, if it is there.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>> {
        self.scalar(name, "number", Value::as_i64)
    }

    /// A switch, if it is there.
    pub(super) fn switch(&mut self, name: &str) -> Result<Option<bool>> {
        self.scalar(name, "switch", Value::as_bool)
    }

    fn scalar<T>(
        &mut self,
        name: &str,
        kind: &str,
        read: fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let path = self.within(name);
        let value = self.take(name);
        let read = |value: Value| read(&value).ok_or(format!("{path} is no {kind}: {value}"));
        value.map(read).transpose()
    }

    /// The names of the fields that are left.
    pub(super) fn names(&self) -> Vec<String> {
        self.left.keys().cloned().collect()
    }

    /// Says that every field has been understood.
    pub(super) fn end(self) -> Result<()> {
        match self.left.keys().next() {
            Some(name) => Err(format!(
                "{} is not known: teach its meaning to testkit::containerd::manifest",
                self.within(name)
            )),
            None => Ok(()),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => Ok(all),
            Some(other) => Err(format!("{} is no list: {other}", self.within(name))),
        }
    }

    fn within(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }
}

fn text(path: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("{path} is no text: {other}")),
    }
}
