//! What the kernel has, drawn with boxes.

use serde_json::Value;
use testkit::{Host, Pod, Uplink, addresses};

const WIDTH: usize = 31;

/// Pods above, their pairs, the bridge below them, and the way out.
pub fn of(host: &Host, pods: &[Pod; 2]) -> String {
    let bridge = host.link("cni0");
    let insides: Vec<Vec<String>> = pods.iter().map(inside).collect();
    let ports: Vec<String> = pods
        .iter()
        .map(|pod| text(&pod.host_end("eth0"), "ifname").to_owned())
        .collect();
    let both = WIDTH * 2 + 4;

    let mut lines = vec![side_by_side(
        pods.iter()
            .map(|pod| top(&format!("pod {}", pod.name()), WIDTH)),
    )];
    let rows = insides.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..rows {
        lines.push(side_by_side(
            insides
                .iter()
                .map(|i| wall(i.get(row).map_or("", String::as_str), WIDTH)),
        ));
    }
    lines.push(side_by_side(
        pods.iter().map(|_| border('└', '┬', '┘', WIDTH)),
    ));
    lines.push(side_by_side(
        ports
            .iter()
            .map(|name| format!("{name:^width$}", width = WIDTH + 2)),
    ));
    lines.push(joined());
    lines.push(wall(
        &format!("bridge cni0       {}", text(&bridge, "address")),
        both,
    ));
    lines.push(wall(&format!("                  {}", list(&bridge)), both));
    lines.push(wall(
        &format!("host   uplink     {}", list(&host.link("uplink"))),
        both,
    ));
    lines.push(border('└', '┬', '┘', both));
    let [v4, v6] = Uplink::OUTSIDE;
    lines.push(format!(
        "{:^width$}",
        format!("outside  {v4} {v6}"),
        width = both + 2
    ));
    lines
        .iter()
        .map(|line| format!("  {}\n", line.trim_end()))
        .collect()
}

fn inside(pod: &Pod) -> Vec<String> {
    let eth0 = pod.link("eth0");
    let mut lines = vec![format!("eth0   {}", text(&eth0, "address"))];
    lines.extend(
        addresses(&eth0)
            .iter()
            .map(|address| format!("       {address}")),
    );
    for family in ["-4", "-6"] {
        let route = pod.json(&format!("ip {family} -j route show default"));
        lines.push(format!("via    {}", text(&route[0], "gateway")));
    }
    lines
}

fn list(link: &Value) -> String {
    addresses(link).join("  ")
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn side_by_side(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("  ")
}

fn top(title: &str, width: usize) -> String {
    format!(
        "┌─ {title} {}┐",
        "─".repeat(width.saturating_sub(title.chars().count() + 3))
    )
}

fn wall(content: &str, width: usize) -> String {
    format!("│ {content:<inner$}│", inner = width - 1)
}

/// A horizontal line with a joint in its middle.
fn border(left: char, joint: char, right: char, width: usize) -> String {
    let half = (width - 1) / 2;
    format!(
        "{left}{}{joint}{}{right}",
        "─".repeat(half),
        "─".repeat(width - 1 - half)
    )
}

/// The upper line of the host, where both pairs arrive.
fn joined() -> String {
    let half = (WIDTH - 1) / 2;
    let outer = "─".repeat(half);
    let between = "─".repeat(WIDTH + 3);
    format!("┌{outer}┴{between}┴{outer}┐")
}
