//! Variables, and what becomes of `$(NAME)` in them, in commands and in arguments.

use super::Placement;
use super::fields::{Fields, Result};
use crate::containerd::cri::KeyValue;
use std::collections::BTreeMap;

/// A container's variables. Those of the service `kubernetes` come first, and the manifest's may refer to them.
pub(super) struct Environment {
    values: BTreeMap<String, String>,
}

impl Environment {
    pub(super) fn of(env: Vec<Fields>, placement: &Placement, namespace: &str) -> Result<Self> {
        let (host, port) = &placement.api_server;
        let service = [("HOST", host.clone()), ("PORT", port.to_string())];
        let service = service.map(|(name, value)| (format!("KUBERNETES_SERVICE_{name}"), value));
        let mut environment = Self {
            values: service.into(),
        };
        for mut variable in env {
            let name = variable.need("name")?;
            let value = match variable.text("value")? {
                Some(text) => environment.expand(&text),
                None => of_pod(variable.object("valueFrom")?, placement, namespace)?,
            };
            variable.end()?;
            environment.values.insert(name, value);
        }
        Ok(environment)
    }

    /// A text with the variables' values in place of their names. A name that there is not stays as it is written, and `$$`
    /// is a dollar sign.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                expanded.push('$');
                rest = after;
            } else if let Some((value, after)) = self.reference(rest) {
                expanded.push_str(value);
                rest = after;
            } else {
                expanded.push('$');
                rest = &rest[1..];
            }
        }
        expanded + rest
    }

    /// The value that a text's beginning refers to, and what comes behind.
    fn reference<'a>(&'a self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (name, after) = text.strip_prefix("$(")?.split_once(')')?;
        Some((self.values.get(name)?, after))
    }

    pub(super) fn into_messages(self) -> Vec<KeyValue> {
        let pairs = self.values.into_iter();
        pairs.map(|(key, value)| KeyValue { key, value }).collect()
    }
}

/// What the pod itself is asked for.
fn of_pod(mut source: Fields, placement: &Placement, namespace: &str) -> Result<String> {
    let mut field = source.object("fieldRef")?;
    source.end()?;
    let path = field.need("fieldPath")?;
    field.end()?;
    match path.as_str() {
        "spec.nodeName" => Ok(placement.node.clone()),
        "metadata.name" => Ok(placement.pod.clone()),
        "metadata.namespace" => Ok(namespace.to_owned()),
        other => Err(format!("fieldPath: {other} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values_as_kubelet_does_it() {
        let values = [("NAME", "n1"), ("EMPTY", "")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment {
            values: values.into(),
        };
        for (text, expanded) in [
            ("--nodeid=$(NAME)", "--nodeid=n1"),
            ("$(NAME)$(EMPTY)-$(NAME)", "n1-n1"),
            ("$(OTHER) $NAME $(NAME", "$(OTHER) $NAME $(NAME"),
            ("$$(NAME) costs $$5", "$(NAME) costs $5"),
            ("plain", "plain"),
        ] {
            assert_eq!(environment.expand(text), expanded, "{text}");
        }
    }
}
