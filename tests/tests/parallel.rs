//! Many pods at once (CON-1): no address is given twice, none is lost, and nothing is left.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Attachment, Dump, Scene, at_once, bridge, host_local, reference_under_test};

/// The reference, which takes half a minute for all of them, shows with fewer that the test is right.
fn number_of_pods() -> usize {
    if reference_under_test() { 50 } else { 200 }
}

fn addresses(results: &[Value]) -> BTreeSet<String> {
    results
        .iter()
        .flat_map(|r| r["ips"].as_array().cloned().unwrap_or_default())
        .map(|ip| ip["address"].to_string())
        .collect()
}

#[test]
fn a_crowd_comes_and_goes() {
    let config = bridge(
        json!({"isDefaultGateway": true, "ipMasq": true, "ipam": {"subnet": "10.10.0.0/22"}}),
    );
    let scene = Scene::shared(config);
    let before = Dump::of(&scene.host);
    let number = number_of_pods();
    let pods: Vec<_> = (0..number)
        .map(|n| scene.host.pod(&format!("p{n}")))
        .collect();
    let attachments: Vec<_> = pods.iter().map(|pod| pod.attachment()).collect();

    let results = at_once(&attachments, |each| scene.network.add(each).ok());
    assert_eq!(addresses(&results).len(), number);
    at_once(&attachments, |each| scene.network.check(each).silent());
    at_once(&attachments, |each| scene.network.del(each).silent());

    let diff = before.diff(&Dump::of(&scene.host));
    let left: Vec<_> = diff
        .lines()
        .iter()
        .filter(|line| !line.contains("/run/netns/p"))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn adds_race_for_the_last_addresses() {
    // 13 addresses for 40 pods.
    let scene = Scene::new(host_local(json!({"subnet": "10.10.0.0/28"})));
    let attachments: Vec<_> = (0..40)
        .map(|n| Attachment::new(&format!("c{n}"), "eth0", "/run/netns/a"))
        .collect();
    let outcomes = at_once(&attachments, |each| scene.network.add(each));
    let results: Vec<Value> = outcomes
        .iter()
        .filter(|o| o.succeeded())
        .map(|o| o.ok())
        .collect();
    assert_eq!((results.len(), addresses(&results).len()), (13, 13));
    at_once(&attachments, |each| scene.network.del(each).silent());
    assert!(!Dump::of(&scene.host).mentions("/networks/podnet/10."));
}

#[test]
fn the_first_pods_of_a_host_race_to_make_the_bridge() {
    let scene = Scene::new(bridge(
        json!({"isDefaultGateway": true, "ipMasq": true, "macspoofchk": true}),
    ));
    let pods: Vec<_> = (0..20).map(|n| scene.host.pod(&format!("p{n}"))).collect();
    let attachments: Vec<_> = pods.iter().map(|pod| pod.attachment()).collect();
    let results = at_once(&attachments, |each| scene.network.add(each).ok());
    assert_eq!(addresses(&results).len(), 20);
    for attachment in &attachments {
        scene.network.check(attachment).silent();
    }
}

#[test]
fn adds_and_dels_mix() {
    let scene = Scene::shared(bridge(json!({"isGateway": true, "ipMasq": true})));
    let before = Dump::of(&scene.host);
    let pods: Vec<_> = (0..30).map(|n| scene.host.pod(&format!("p{n}"))).collect();
    let attachments: Vec<_> = pods.iter().map(|pod| pod.attachment()).collect();
    at_once(&attachments, |each| {
        for _ in 0..3 {
            scene.network.add(each).ok();
            scene.network.check(each).silent();
            scene.network.del(each).silent();
        }
    });
    let diff = before.diff(&Dump::of(&scene.host));
    let left: Vec<_> = diff
        .lines()
        .iter()
        .filter(|line| !line.contains("/run/netns/p"))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}
