//! The fields of a request, those of the messages within it included.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

/// A field somewhere in a request.
pub struct Field {
    /// What is defined.
    pub descriptor: FieldDescriptor,
    /// The fields, and of lists the first entry, that lead to it.
    way: Vec<FieldDescriptor>,
}

impl Field {
    /// Its name.
    pub fn name(&self) -> &str {
        self.descriptor.name()
    }

    /// Where it is, as `volume_capability.mount.fs_type`.
    pub fn path(&self) -> String {
        let way = self.way.iter().chain([&self.descriptor]);
        way.map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
    }

    /// The word by which an error calls it. Segments are called by what they make up.
    pub fn named(&self) -> &str {
        match self.way.last() {
            Some(topology) if self.name() == "segments" => topology.name(),
            _ => self.name(),
        }
    }

    /// Whether a text, or a list of texts.
    pub fn is_text(&self) -> bool {
        self.descriptor.kind() == Kind::String
    }

    /// Whether a map of texts.
    pub fn is_map(&self) -> bool {
        self.descriptor.is_map()
    }

    /// The request with something else in this field; in a list, as its only entry.
    pub fn set(&self, request: &DynamicMessage, value: Value) -> DynamicMessage {
        let value = if self.descriptor.is_list() {
            Value::List(vec![value])
        } else {
            value
        };
        let mut request = request.clone();
        set(&mut request, &self.way, &self.descriptor, value);
        request
    }

    /// The request with a text in this field.
    pub fn text(&self, request: &DynamicMessage, text: &str) -> DynamicMessage {
        self.set(request, Value::String(text.to_owned()))
    }

    /// The request with one more entry in this map.
    pub fn entry(&self, request: &DynamicMessage, key: &str, value: &str) -> DynamicMessage {
        let entry = (
            MapKey::String(key.to_owned()),
            Value::String(value.to_owned()),
        );
        let mut map = self.get(request).as_map().cloned().unwrap_or_default();
        map.extend([entry]);
        self.set(request, Value::Map(map))
    }

    fn get(&self, request: &DynamicMessage) -> Value {
        let mut message = request.clone();
        for step in &self.way {
            let value = message.get_field(step).into_owned();
            message = first(&value).unwrap().clone();
        }
        message.get_field(&self.descriptor).into_owned()
    }
}

fn set(
    message: &mut DynamicMessage,
    way: &[FieldDescriptor],
    field: &FieldDescriptor,
    value: Value,
) {
    let Some((step, rest)) = way.split_first() else {
        message.set_field(field, value);
        return;
    };
    let within = match message.get_field_mut(step) {
        Value::Message(within) => within,
        Value::List(entries) => entries[0].as_message_mut().unwrap(),
        other => panic!("{other:?} is no message"),
    };
    set(within, rest, field, value);
}

/// The message in a field, or the first one of a list.
fn first(value: &Value) -> Option<&DynamicMessage> {
    match value {
        Value::Message(message) => Some(message),
        Value::List(entries) => entries.first()?.as_message(),
        _ => None,
    }
}

/// Every field of a request that can be set without another message coming into being.
pub fn fields(request: &DynamicMessage) -> Vec<Field> {
    let mut all = Vec::new();
    collect(request, &[], &mut all);
    all
}

fn collect(message: &DynamicMessage, way: &[FieldDescriptor], all: &mut Vec<Field>) {
    for descriptor in message.descriptor().fields() {
        let is_message = matches!(descriptor.kind(), Kind::Message(_)) && !descriptor.is_map();
        if !is_message {
            let way = way.to_vec();
            all.push(Field { descriptor, way });
        } else if message.has_field(&descriptor)
            && let Some(within) = first(&message.get_field(&descriptor))
        {
            let way = [way, &[descriptor]].concat();
            collect(within, &way, all);
        }
    }
}
