//! `Debug` for messages that carry what must reach no log (G-05): such fields show how many entries they have, and nothing
//! else. Which fields those are is read from the definition.

use protox::prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor, Value,
};

/// Fields that the definition does not mark and that carry secrets all the same: mount options, and the tokens of service
/// accounts that kubelet puts into contexts.
const ALSO_SECRET: [&str; 3] = ["mount_flags", "volume_context", "publish_context"];

/// Which fields are hidden.
pub struct Redaction {
    csi_secret: ExtensionDescriptor,
}

impl Redaction {
    pub fn new(pool: &DescriptorPool) -> Result<Self, &'static str> {
        let csi_secret = pool.get_extension_by_name("csi.v1.csi_secret");
        Ok(Self {
            csi_secret: csi_secret.ok_or("csi.proto defines no csi_secret")?,
        })
    }

    /// The messages that have a field to hide.
    pub fn messages(&self, pool: &DescriptorPool) -> Result<Vec<MessageDescriptor>, String> {
        let messages: Vec<_> = pool
            .all_messages()
            .filter(|message| message.fields().any(|field| self.hides(&field)))
            .collect();
        // A message without its derived Debug has none for its oneofs and nested messages either.
        let nests = |message: &&MessageDescriptor| {
            message.oneofs().len() > 0
                || message.child_messages().any(|child| !child.is_map_entry())
        };
        match messages.iter().find(nests) {
            Some(message) => Err(format!(
                "{} has secrets beside a oneof or a nested message, which debug_impl cannot show",
                message.full_name()
            )),
            None => Ok(messages),
        }
    }

    /// `impl Debug` for a message, as source for the module of its package.
    pub fn debug_impl(&self, message: &MessageDescriptor) -> String {
        let fields: String = message.fields().map(|field| self.shown(&field)).collect();
        format!(
            "impl ::core::fmt::Debug for {} {{
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
                    f.debug_struct({:?}){fields}.finish()
                }}
            }}
            ",
            rust_path(message),
            message.name()
        )
    }

    fn shown(&self, field: &FieldDescriptor) -> String {
        let name = field.name();
        let value = if !self.hides(field) {
            format!("&self.{name}")
        } else if field.is_map() || field.is_list() {
            format!("&format_args!(\"({{}} not shown)\", self.{name}.len())")
        } else {
            "&format_args!(\"(not shown)\")".to_owned()
        };
        format!(".field({name:?}, {value})")
    }

    fn hides(&self, field: &FieldDescriptor) -> bool {
        *field.options().get_extension(&self.csi_secret) == Value::Bool(true)
            || ALSO_SECRET.contains(&field.name())
    }
}

/// Where the type is that prost generates, within the module of its package: nested messages lie in a module that is named
/// after their parent.
fn rust_path(message: &MessageDescriptor) -> String {
    match message.parent_message() {
        None => message.name().to_owned(),
        Some(parent) => format!("{}::{}", snake_case(&rust_path(&parent)), message.name()),
    }
}

fn snake_case(camel_case: &str) -> String {
    let mut snake = String::new();
    for letter in camel_case.chars() {
        if letter.is_ascii_uppercase() && snake.chars().last().is_some_and(char::is_alphanumeric) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
