//! Tables and cells in Markdown.

use super::options::Options;
use super::series::Series;

/// Stands above the tables of a quick run.
pub const QUICK: &str =
    "\nA quick run at a small scale: it shows that everything works, and measures nothing.\n";

/// A table: the first column is text, and the others are aligned for numbers.
pub fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let alignment = std::iter::once("---").chain(columns.iter().skip(1).map(|_| "---:"));
    let alignment: Vec<_> = alignment.collect();
    let mut text = format!(
        "\n| {} |\n| {} |\n",
        columns.join(" | "),
        alignment.join(" | ")
    );
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

/// The table of the machine and of the run.
pub fn machine(facts: Vec<(&'static str, String)>, options: &Options) -> String {
    let rounds = ("rounds", options.rounds.to_string());
    let rows = facts.into_iter().chain([rounds]);
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    "\n## The machine\n".to_owned() + &table(&["", ""], rows)
}

/// Whether something was reached, when it was measured.
pub fn verdict(reached: Option<bool>) -> String {
    match reached {
        None => "not measured",
        Some(true) => "pass",
        Some(false) => "**miss**",
    }
    .to_owned()
}

/// The median, and the 10th and the 90th percentile.
pub fn cell(series: &Series) -> String {
    let [low, median, high] = [0.1, 0.5, 0.9].map(|share| number(series.quantile(share)));
    if series.len() == 1 {
        return format!("**{median}**");
    }
    format!("**{median}** ({low} .. {high})")
}

/// A number, or a dash.
pub fn optional(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

/// With the digits that mean something.
pub fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
