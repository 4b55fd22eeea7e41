//! Every flag with its names, its variable and its default.

use std::collections::BTreeMap;

use clap::{Arg, CommandFactory};
use csi_hostpath::args::Args;

use super::page::{codes, rows};

/// Names, variable and default.
type Flag = (Vec<String>, String, String);

fn of(flag: &Arg) -> Flag {
    let mut names: Vec<_> = flag.get_long().into_iter().collect();
    names.extend(flag.get_all_aliases().unwrap_or_default());
    let mut names: Vec<_> = names.iter().map(|name| format!("--{name}")).collect();
    names.extend(flag.get_short().map(|short| format!("-{short}")));
    let variable = flag.get_env().unwrap().to_str().unwrap().to_owned();
    let default = flag.get_default_values().first();
    let default = default.map_or_else(String::new, |text| text.to_str().unwrap().to_owned());
    (names, variable, default)
}

#[test]
fn flags_are_those_of_the_command_line() {
    let command = Args::command();
    // The two that end the program are no settings.
    let settings = command
        .get_arguments()
        .filter(|flag| flag.get_env().is_some());
    let known: BTreeMap<_, _> = settings
        .map(|flag| (flag.get_id().as_str(), of(flag)))
        .collect();
    let told: BTreeMap<_, _> = rows("## Flags").into_iter().map(told).collect();
    let known: BTreeMap<_, _> = known
        .into_values()
        .map(|(names, variable, default)| (names[0].clone(), (names, variable, default)))
        .collect();
    assert_eq!(told, known);
}

fn told(row: Vec<String>) -> (String, Flag) {
    let code = |cell: usize| codes(&row[cell]).first().copied().unwrap_or_default();
    let names: Vec<_> = codes(&row[0]).into_iter().map(str::to_owned).collect();
    (
        names[0].clone(),
        (names, code(1).to_owned(), code(2).to_owned()),
    )
}
