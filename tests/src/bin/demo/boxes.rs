//! Boxes of lines: two above, side by side, and one below them that both lead into.

/// Inner width of an upper box.
pub const WIDTH: usize = 31;
/// Inner width of the box below two of them.
pub const BOTH: usize = WIDTH * 2 + 4;

/// Two boxes with a title, their lines, and a line below each that says what leads down.
pub fn upper(titles: [String; 2], insides: &[Vec<String>; 2], below: [String; 2]) -> Vec<String> {
    let mut lines = vec![side_by_side(titles.map(|title| top(&title)))];
    let rows = insides.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..rows {
        let line = |inside: &Vec<String>| wall(inside.get(row).map_or("", String::as_str), WIDTH);
        lines.push(side_by_side([line(&insides[0]), line(&insides[1])]));
    }
    lines.push(side_by_side([(), ()].map(|()| border('┬', WIDTH))));
    lines.push(side_by_side(
        below.map(|text| format!("{text:^width$}", width = WIDTH + 2)),
    ));
    lines
}

/// The box below, with a joint in its lower border where something leads on.
pub fn lower(inside: &[String], joint: bool) -> Vec<String> {
    let mut lines = vec![joined()];
    lines.extend(inside.iter().map(|line| wall(line, BOTH)));
    lines.push(border(if joint { '┬' } else { '─' }, BOTH));
    lines
}

/// The picture, indented.
pub fn picture(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("  {}\n", line.trim_end()))
        .collect()
}

fn side_by_side(parts: [String; 2]) -> String {
    parts.join("  ")
}

fn top(title: &str) -> String {
    format!(
        "┌─ {title} {}┐",
        "─".repeat(WIDTH.saturating_sub(title.chars().count() + 3))
    )
}

fn wall(content: &str, width: usize) -> String {
    format!("│ {content:<inner$}│", inner = width - 1)
}

/// A lower border with a joint in its middle.
fn border(joint: char, width: usize) -> String {
    let half = (width - 1) / 2;
    format!(
        "└{}{joint}{}┘",
        "─".repeat(half),
        "─".repeat(width - 1 - half)
    )
}

/// The upper border of the box below, where both arrive.
fn joined() -> String {
    let half = (WIDTH - 1) / 2;
    let outer = "─".repeat(half);
    let between = "─".repeat(WIDTH + 3);
    format!("┌{outer}┴{between}┴{outer}┐")
}
