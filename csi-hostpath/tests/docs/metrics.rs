//! Every metric with its labels, as a driver with a volume in a pod tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use csi_hostpath::access::{Filesystem, Mode};
use csi_hostpath::metrics::Metrics;
use csi_hostpath::record::Kind;
use csi_hostpath::registration::Standing;
use tokio::sync::watch;
use tonic::Code;

use super::node::{Node, mounted, on_a_node};
use super::page::{codes, rows};

/// Metrics with their labels.
type Told = BTreeMap<String, BTreeSet<String>>;

#[test]
fn metrics_are_those_that_are_served() {
    let (sender, served) = sync_channel(1);
    on_a_node(move |node| sender.send(encoded(node)).unwrap());
    let told = rows("## Metrics").into_iter().map(|row| {
        let labels = codes(&row[1]).into_iter().map(str::to_owned).collect();
        (codes(&row[0])[0].to_owned(), labels)
    });
    assert_eq!(told.collect::<Told>(), read(&served.recv().unwrap()));
}

/// What is served while a volume is in a pod and after a call.
fn encoded(node: &Node) -> String {
    let capability = mounted(Some(Filesystem::Ext4), Mode::SingleNodeWriter, &[]);
    let volume = node.create(Kind::Image, 16, &capability);
    let (staging, target) = (node.staging(), node.path("target"));
    volume.stage(&staging).unwrap();
    volume.publish(&staging, &target, false).unwrap();
    let (_sender, standing) = watch::channel(Standing::Registered);
    let metrics = Metrics::new(Arc::clone(&node.driver), standing);
    metrics.count("Probe", Code::Ok, Duration::from_millis(1));
    let text = metrics.encode().unwrap();
    volume.unpublish(&target).unwrap();
    volume.unstage(&staging).unwrap();
    text
}

/// The metrics in the text format of OpenMetrics, named as they are queried.
fn read(text: &str) -> Told {
    let mut told = Told::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            let name = match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            };
            told.insert(name, BTreeSet::new());
        } else if let Some((sample, rest)) = line.split_once('{') {
            let mut metrics = told.iter_mut();
            let metric = metrics.find(|(name, _)| sample.starts_with(name.as_str()));
            let (labels, _) = rest.split_once('}').unwrap();
            let labels = labels
                .split(',')
                .map(|label| label.split_once('=').unwrap().0);
            // The bound of a bucket belongs to the format.
            let labels = labels.filter(|label| *label != "le").map(str::to_owned);
            metric.unwrap().1.extend(labels);
        }
    }
    told
}
