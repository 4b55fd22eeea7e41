//! Topology: a volume is reachable from its own node.

use proto::csi::{CreateVolumeRequest, GetCapacityRequest, Topology, TopologyRequirement};
use tonic::Code;

use super::super::{create_volume, get_capacity};
use super::{bare, create, invalid, map, refused, rules};
use crate::error::Error;

const KEY: &str = "topology.hostpath.hawser.io/node";

fn on(node: &str) -> Topology {
    Topology {
        segments: map([(KEY, node)]),
    }
}

fn zoned(node: &str) -> Topology {
    Topology {
        segments: map([(KEY, node), ("zone", "eu")]),
    }
}

fn wanted(requisite: Vec<Topology>, preferred: Vec<Topology>) -> CreateVolumeRequest {
    CreateVolumeRequest {
        accessibility_requirements: Some(TopologyRequirement {
            requisite,
            preferred,
        }),
        ..create()
    }
}

fn made(requisite: Vec<Topology>, preferred: Vec<Topology>) -> Result<(), Error> {
    create_volume(&rules(), wanted(requisite, preferred)).map(|_| ())
}

#[test]
fn cv08_this_node_among_the_acceptable_ones_will_do() {
    let in_other_letters = Topology {
        segments: map([("Topology.Hostpath.Hawser.IO/Node", "node-a")]),
    };
    made(vec![], vec![]).unwrap();
    made(vec![on("node-a")], vec![]).unwrap();
    made(vec![on("node-b"), on("node-a")], vec![on("node-b")]).unwrap();
    made(vec![], vec![on("node-b"), on("node-a")]).unwrap();
    made(vec![in_other_letters], vec![]).unwrap();
}

#[test]
fn cv08_other_nodes_only_are_told_by_name() {
    let text = refused(
        made(vec![on("node-b"), on("node-c")], vec![]),
        Code::ResourceExhausted,
    );
    let expected = "the volume is wanted on node \"node-b\" or node \"node-c\", and this is node \"node-a\": \
                    volumes can be made on their own node only";
    assert_eq!(text, expected);
    // What is required counts, whatever is preferred.
    refused(
        made(vec![on("node-b")], vec![on("node-a")]),
        Code::ResourceExhausted,
    );
    refused(made(vec![], vec![on("node-b")]), Code::ResourceExhausted);
    refused(made(vec![on("NODE-A")], vec![]), Code::ResourceExhausted);
}

#[test]
fn cv08_a_term_about_something_else_is_never_met() {
    let other_key = Topology {
        segments: map([("topology.kubernetes.io/zone", "node-a")]),
    };
    for term in [zoned("node-a"), other_key, Topology::default()] {
        refused(made(vec![term], vec![]), Code::ResourceExhausted);
    }
    let keys = (0..500).map(|number| (format!("k{number}"), "v".to_owned()));
    let long = Topology {
        segments: keys.collect(),
    };
    let text = refused(made(vec![long], vec![]), Code::ResourceExhausted);
    assert!(text.contains("497 more") && text.len() < 300, "{text}");
    let many = (0..1000)
        .map(|number| on(&format!("node-{number}")))
        .collect();
    let text = refused(made(many, vec![]), Code::ResourceExhausted);
    assert!(text.contains("997 more") && text.len() < 300, "{text}");
}

#[test]
fn cv08_a_requirement_without_topology_is_refused() {
    let refusal = create_volume(&bare(), wanted(vec![on("node-a")], vec![]));
    invalid(refusal, "accessibility_requirements.requisite is set");
    let refusal = create_volume(&bare(), wanted(vec![], vec![on("node-a")]));
    invalid(refusal, "accessibility_requirements.preferred is set");
    create_volume(&bare(), wanted(vec![], vec![])).unwrap();
    create_volume(&bare(), create()).unwrap();
}

#[test]
fn g06_the_maps_of_a_term_have_limits_too() {
    let long = on(&"a".repeat(4096));
    invalid(
        made(vec![long.clone()], vec![]),
        "accessibility_requirements.requisite holds",
    );
    invalid(
        made(vec![on("node-a")], vec![long]),
        "accessibility_requirements.preferred holds",
    );
    invalid(
        made(vec![on("node-a\0")], vec![]),
        "accessibility_requirements.requisite holds a NUL",
    );
}

#[test]
fn gc01_capacity_is_that_of_the_node_asked_for() {
    let measured = |accessible_topology| {
        let wanted = GetCapacityRequest {
            accessible_topology,
            ..GetCapacityRequest::default()
        };
        get_capacity(&rules(), wanted).unwrap().here
    };
    assert!(measured(None) && measured(Some(on("node-a"))));
    assert!(!measured(Some(on("node-b"))) && !measured(Some(zoned("node-a"))));
}
