//! The plot: for each operation up to three bars on a logarithmic scale. It takes its colours from the reader's scheme.

use crate::operation::{Kind, Operation, Volumes};
use crate::record::Record;

const WIDTH: f64 = 920.0;
const LEFT: f64 = 370.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// The scale, in milliseconds.
const LOWEST: f64 = 0.1;
const DECADES: i32 = 6;

const OPERATIONS: [Operation; 24] = [
    Operation::Create(Kind::Directory, Volumes::None),
    Operation::Create(Kind::Directory, Volumes::Some),
    Operation::Create(Kind::Directory, Volumes::Many),
    Operation::Create(Kind::Subvolume, Volumes::None),
    Operation::Create(Kind::Subvolume, Volumes::Many),
    Operation::Create(Kind::Ext4, Volumes::None),
    Operation::Create(Kind::Block, Volumes::Some),
    Operation::CreateParallel,
    Operation::StagePublish(Kind::Directory),
    Operation::StagePublish(Kind::Ext4),
    Operation::StagePublish(Kind::Block),
    Operation::UnpublishUnstage(Kind::Directory),
    Operation::UnpublishUnstage(Kind::Ext4),
    Operation::StatsMeanwhile,
    Operation::ListAll,
    Operation::Start,
    Operation::StartKilled,
    Operation::Snapshot(Kind::Reflink),
    Operation::Restore(Kind::Reflink),
    Operation::Snapshot(Kind::Subvolume),
    Operation::Snapshot(Kind::Directory),
    Operation::Restore(Kind::Directory),
    Operation::Snapshot(Kind::Block),
    Operation::Clone(Kind::Block),
];

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 10.5px; fill: #57606a }
  .grid { stroke: #d0d7de } .reference { fill: #afb8c1 } .hawser { fill: #0969da } .floor { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .reference { fill: #656c76 } .hawser { fill: #4493f8 } .floor { fill: #3fb950 }
  }
";

/// Whose times are drawn, and in which colour.
const SERIES: [(&str, &str); 3] = [
    ("reference (earlier)", "reference"),
    ("Hawser", "hawser"),
    ("the machine", "floor"),
];

/// The picture.
pub fn svg(record: &Record) -> String {
    let mut y = TOP;
    let mut rows = String::new();
    for operation in OPERATIONS {
        let (row, height) = row(record, operation, y);
        rows += &row;
        y += height;
    }
    let height = y + 28.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Times of the reference, Hawser and the machine\">\n<style>{STYLE}</style>\n{}{}{rows}</svg>\n",
        legend(),
        grid(y)
    )
}

fn legend() -> String {
    let mut text = format!(
        "<text x=\"{LEFT}\" y=\"20\" class=\"title\">Wall time of a call, median, in ms; shorter is faster</text>\n"
    );
    let mut x = LEFT;
    for (name, class) in SERIES {
        text += &format!("<rect x=\"{x}\" y=\"32\" width=\"11\" height=\"11\" class=\"{class}\"/>");
        text += &format!("<text x=\"{}\" y=\"42\">{name}</text>\n", x + 17.0);
        x += 150.0;
    }
    text
}

fn grid(bottom: f64) -> String {
    let mut text = String::new();
    for decade in 0..=DECADES {
        let value = LOWEST * 10_f64.powi(decade);
        let x = position(value);
        text += &format!(
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"grid\"/>",
            TOP - 8.0
        );
        text += &format!(
            "<text x=\"{x:.1}\" y=\"{}\" class=\"small\" text-anchor=\"middle\">{value}</text>\n",
            bottom + 15.0
        );
    }
    text
}

/// The bars of an operation, and how much room they take; nothing of what was not measured.
fn row(record: &Record, operation: Operation, top: f64) -> (String, f64) {
    let Some(ours) = record.median(operation) else {
        return (String::new(), 0.0);
    };
    let times = [operation.reference(), Some(ours), record.steps(operation)];
    let mut y = top;
    let mut text = String::new();
    for (time, (_, class)) in times.into_iter().zip(SERIES) {
        let Some(time) = time else {
            continue;
        };
        let end = position(time);
        let width = (end - LEFT).max(1.0);
        text += &format!(
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" class=\"{class}\"/>"
        );
        text += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"small\">{time:.1}</text>\n",
            end + 5.0,
            y + BAR - 1.5
        );
        y += BAR + 1.0;
    }
    let middle = f64::midpoint(top, y) + 3.5;
    let title = operation.title();
    text += &format!(
        "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{title}</text>\n",
        LEFT - 10.0
    );
    (text, y - top + GAP)
}

fn position(time: f64) -> f64 {
    let share = (time / LOWEST).log10() / f64::from(DECADES);
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}
