//! The compiled definitions against the specification's tables, row by row and in both directions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};

/// A row: the cell of each column, by the column's name.
type Row = BTreeMap<&'static str, String>;

#[test]
fn csi_is_what_the_tables_say() {
    let package = Package::of("csi.v1");
    package.has_fields(include_str!("../tables/csi-fields.tsv"));
    package.has_enums(include_str!("../tables/csi-enums.tsv"));
    package.has_calls(include_str!("../tables/csi-services.tsv"));
}

#[test]
fn plugin_registration_is_what_the_tables_say() {
    let package = Package::of("pluginregistration");
    package.has_fields(include_str!("../tables/pluginregistration-fields.tsv"));
    package.has_enums("enum\tvalue\tnumber\talpha\n");
    package.has_calls(include_str!("../tables/pluginregistration-services.tsv"));
}

#[test]
fn the_options_have_the_numbers_of_the_specification() {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let options: BTreeSet<String> = pool
        .all_extensions()
        .map(|option| {
            let of = option.containing_message();
            format!("{} {} = {}", of.name(), option.name(), option.number())
        })
        .collect();
    let expected = [
        "EnumOptions alpha_enum = 1060",
        "EnumValueOptions alpha_enum_value = 1060",
        "FieldOptions alpha_field = 1060",
        "FieldOptions csi_secret = 1059",
        "MessageOptions alpha_message = 1060",
        "MethodOptions alpha_method = 1060",
        "ServiceOptions alpha_service = 1060",
    ];
    assert_eq!(options, expected.map(str::to_owned).into());
}

/// The definitions of one package.
struct Package {
    name: &'static str,
    pool: DescriptorPool,
}

impl Package {
    fn of(name: &'static str) -> Self {
        let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        Self { name, pool }
    }

    fn has_fields(&self, table: &str) {
        let messages = self.pool.all_messages();
        let ours = messages
            .filter(|message| message.package_name() == self.name && !message.is_map_entry());
        same(table, ours.flat_map(|message| self.fields(&message)));
    }

    fn has_enums(&self, table: &str) {
        let enums = self.pool.all_enums();
        let ours = enums.filter(|of| of.package_name() == self.name);
        same(table, ours.flat_map(|of| self.values(&of)));
    }

    fn has_calls(&self, table: &str) {
        let services = self.pool.services();
        let ours = services.filter(|service| service.package_name() == self.name);
        let methods = ours.flat_map(|service| service.methods().collect::<Vec<_>>());
        same(table, methods.map(|method| self.call(&method)));
    }

    fn fields(&self, message: &MessageDescriptor) -> Vec<Row> {
        let name = self.local(message.full_name());
        if message.fields().len() == 0 {
            let mut row = Row::from([("message", name), ("field", "(none)".to_owned())]);
            row.extend(["number", "type", "label"].map(|column| (column, "-".to_owned())));
            row.extend(["alpha", "secret"].map(|column| (column, "no".to_owned())));
            return vec![row];
        }
        let row = |field: FieldDescriptor| {
            let alpha =
                set(&field.options(), "alpha_field") || set(&message.options(), "alpha_message");
            Row::from([
                ("message", name.clone()),
                ("field", field.name().to_owned()),
                ("number", field.number().to_string()),
                ("type", self.type_of(&field)),
                ("label", label(&field)),
                ("alpha", yes(alpha)),
                ("secret", yes(set(&field.options(), "csi_secret"))),
            ])
        };
        message.fields().map(row).collect()
    }

    fn values(&self, of: &EnumDescriptor) -> Vec<Row> {
        let row = |value: prost_reflect::EnumValueDescriptor| {
            let alpha =
                set(&value.options(), "alpha_enum_value") || set(&of.options(), "alpha_enum");
            Row::from([
                ("enum", self.local(of.full_name())),
                ("value", value.name().to_owned()),
                ("number", value.number().to_string()),
                ("alpha", yes(alpha)),
            ])
        };
        of.values().map(row).collect()
    }

    fn call(&self, method: &MethodDescriptor) -> Row {
        let service = method.parent_service();
        let alpha =
            set(&method.options(), "alpha_method") || set(&service.options(), "alpha_service");
        let streaming = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (false, true) => "server",
            (true, false) => "client",
            (true, true) => "both",
        };
        Row::from([
            ("service", service.full_name().to_owned()),
            ("rpc", method.name().to_owned()),
            ("request", self.local(method.input().full_name())),
            ("response", self.local(method.output().full_name())),
            ("streaming", streaming.to_owned()),
            ("alpha", yes(alpha)),
        ])
    }

    fn type_of(&self, field: &FieldDescriptor) -> String {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => format!(
                "map<{},{}>",
                self.type_of(&entry.map_entry_key_field()),
                self.type_of(&entry.map_entry_value_field())
            ),
            Kind::Message(message) => self.local(message.full_name()),
            Kind::Enum(of) => self.local(of.full_name()),
            scalar => format!("{scalar:?}"),
        }
    }

    /// A name as the tables have it: without the package, where it is of this one.
    fn local(&self, full_name: &str) -> String {
        let name = full_name.strip_prefix(self.name);
        let name = name.and_then(|name| name.strip_prefix('.'));
        name.unwrap_or(full_name).to_owned()
    }
}

fn label(field: &FieldDescriptor) -> String {
    match field.containing_oneof() {
        Some(oneof) => format!("oneof {}", oneof.name()),
        None if field.is_map() => "map".to_owned(),
        None if field.is_list() => "repeated".to_owned(),
        None => "singular".to_owned(),
    }
}

/// Whether one of our options, a bool, is set.
fn set(options: &DynamicMessage, name: &str) -> bool {
    options
        .extensions()
        .any(|(option, value)| option.name() == name && value.as_bool() == Some(true))
}

fn yes(holds: bool) -> String {
    if holds { "yes" } else { "no" }.to_owned()
}

/// Compares a table with what was found, in the table's columns.
#[track_caller]
fn same(table: &str, found: impl Iterator<Item = Row>) {
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let told: BTreeSet<String> = lines.map(str::to_owned).collect();
    let found: BTreeSet<String> = found
        .map(|row| {
            let cells = columns.iter().map(|column| row[column].as_str());
            cells.collect::<Vec<_>>().join("\t")
        })
        .collect();
    let missing: Vec<_> = told.difference(&found).collect();
    let extra: Vec<_> = found.difference(&told).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "only in the table: {missing:#?}\nonly in the definition: {extra:#?}"
    );
}
