//! Dashboard and alerts ask for what the driver really exports.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Scene};

use crate::rendered::{folder, list, text};

/// The names of metrics in an expression.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        self.0.extend(selector.and_then(|it| it.name.clone()));
        Ok(true)
    }
}

/// What a query asks for.
#[track_caller]
fn asks_for(query: &str) -> BTreeSet<String> {
    // Grafana's own words for durations and choices.
    let query = query
        .replace("$__rate_interval", "5m")
        .replace("$instance", ".*");
    let expr = parser::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut names = Names::default();
    walk_expr(&mut names, &expr).unwrap();
    assert!(!names.0.is_empty(), "{query}");
    names.0
}

fn dashboard() -> Vec<String> {
    let file = std::fs::read_to_string(folder().join("monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&file).unwrap();
    list(&dashboard, "/panels")
        .iter()
        .flat_map(|panel| list(panel, "/targets"))
        .map(|target| text(target, "/expr").to_owned())
        .collect()
}

fn alerts() -> Vec<String> {
    let file = std::fs::read_to_string(folder().join("monitoring/alerts.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&file).unwrap();
    let rules = list(&rules, "/groups")
        .iter()
        .flat_map(|group| list(group, "/rules"));
    rules
        .map(|rule| {
            text(rule, "/annotations/summary");
            text(rule, "/annotations/description");
            text(rule, "/expr").to_owned()
        })
        .collect()
}

/// The names of the samples that a driver tells that has a volume in a pod.
fn exported() -> BTreeSet<String> {
    let scene = Scene::with(PoolKind::Xfs, |setup| {
        setup.flag("http-endpoint", "127.0.0.1:9808")
    });
    scene.kubelet.register().unwrap();
    let pv = scene.volume(create_volume("one").size(64 * MIB));
    scene.publish(&pv);
    let page = scene
        .node
        .sh("curl -sf -m 10 http://127.0.0.1:9808/metrics");
    scene.release(&pv);
    scene.delete(&pv);
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_the_driver_tells() {
    let exported = exported();
    let queries = [dashboard(), alerts()].concat();
    assert!(queries.len() >= 14, "{queries:#?}");
    let mut asked = BTreeSet::new();
    for query in &queries {
        asked.extend(asks_for(query));
    }
    let unknown: Vec<_> = asked.difference(&exported).collect();
    assert!(unknown.is_empty(), "{unknown:?} of {exported:#?}");
}
