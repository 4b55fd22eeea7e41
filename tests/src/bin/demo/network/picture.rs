//! Pods, their pairs, the bridge below them and the way out, as the kernel has them.

use crate::boxes::{self, BOTH};
use serde_json::Value;
use testkit::{Host, Pod, Uplink, addresses};

/// The picture of two pods on their host.
pub fn of(host: &Host, pods: &[Pod; 2]) -> String {
    let bridge = host.link("cni0");
    let [web, db] = pods;
    let title = |pod: &Pod| format!("pod {}", pod.name());
    let port = |pod: &Pod| text(&pod.host_end("eth0"), "ifname").to_owned();
    let mut lines = boxes::upper(
        [title(web), title(db)],
        &[inside(web), inside(db)],
        [port(web), port(db)],
    );
    let shared = [
        format!("bridge cni0       {}", text(&bridge, "address")),
        format!("                  {}", list(&bridge)),
        format!("host   uplink     {}", list(&host.link("uplink"))),
    ];
    lines.extend(boxes::lower(&shared, true));
    let [v4, v6] = Uplink::OUTSIDE;
    lines.push(format!(
        "{:^width$}",
        format!("outside  {v4} {v6}"),
        width = BOTH + 2
    ));
    boxes::picture(&lines)
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
