//! Network configurations (IO-1, CFG-1 to CFG-6, GC-1): whatever comes on stdin is read or refused, never a panic.
//!
//! Every reading that a verb does is done here: the frame's, the bridge plugin's settings and plan, and the ranges of
//! host-local. A refusal has to be something a runtime can print: one line, and the same error once read back.

#![no_main]

use cni::{AddResult, Config, Dns, Route, Section, Verb, Version, declared_version};
use cni_bridge::conf::Settings;
use cni_bridge::plan::Plan;
use cni_plugin::{Call, Environment, Request};
use ipam_host_local::range::{Range, RangeSet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stdin: &[u8]| {
    let _ = declared_version(stdin);
    let Some(config) = accepted(Config::parse(stdin)) else {
        return;
    };
    let earlier = accepted(config.prev_result()).flatten();
    let _ = accepted(config.valid_attachments());
    if let Some(ipam) = accepted(config.ipam()).flatten() {
        let _ = accepted(Route::list(&ipam));
        offered(&ipam);
    }
    if let Some(dns) = accepted(config.root().section("dns")).flatten() {
        let _ = accepted(Dns::from_section(&dns));
    }
    for verb in [Verb::Add, Verb::Gc] {
        bridge(verb, stdin, earlier.as_ref());
    }
});

/// The value, or a look at how its refusal is told.
fn accepted<T>(outcome: Result<T, impl Into<cni::Error>>) -> Option<T> {
    outcome.map_err(|error| told(&error.into())).ok()
}

fn told(error: &cni::Error) {
    let is_one_line = !error.msg.is_empty() && !error.msg.contains(|c: char| c < ' ');
    assert!(is_one_line, "{error:?}");
    let again = cni::Error::from_json(&error.to_json(Version::NEWEST));
    assert_eq!(again.as_ref(), Some(error));
}

/// What the bridge plugin makes of the configuration, with an earlier result in the place of its IPAM plugin's.
fn bridge(verb: Verb, stdin: &[u8], earlier: Option<&AddResult>) {
    let environment = Environment {
        command: Some(verb.as_str().into()),
        container_id: Some("c7".into()),
        netns: Some("/run/netns/c7".into()),
        ifname: Some("eth0".into()),
        path: Some("/opt/cni/bin".into()),
        ..Environment::default()
    };
    let Some(call) = accepted(Call::read(&environment)) else {
        return;
    };
    let Some(request) = accepted(Request::new(call, stdin.into(), &Version::ALL)) else {
        return;
    };
    let Some(settings) = accepted(Settings::parse(&request)) else {
        return;
    };
    let network = request.config().network().as_str();
    let ipam = earlier.cloned().unwrap_or_default();
    // A refused plan names the IPAM plugin, which by then ran under that name: no text from here alone.
    if let Ok(plan) = Plan::build(&settings, network, ipam) {
        assert_eq!(plan.pod_routes().len(), plan.routes.len());
    }
}

/// The range sets of host-local: no address of a range lies outside it, however odd the subnet.
fn offered(ipam: &Section<'_>) {
    let lists = accepted(ipam.elements("ranges"))
        .flatten()
        .unwrap_or_default();
    for list in lists {
        let sections = accepted(list.sections()).unwrap_or_default();
        let Ok(set) = RangeSet::new(sections.iter().filter_map(range).collect()) else {
            continue;
        };
        let gateways: Vec<_> = set.ranges().iter().map(Range::gateway).collect();
        let _ = set.capacity(&gateways);
        for range in set.ranges() {
            assert!(range.contains(range.start()) && range.contains(range.end()));
            assert!(set.range_of(range.end()).is_some());
        }
    }
}

fn range(section: &Section<'_>) -> Option<Range> {
    let address = |key| accepted(section.address(key));
    let subnet = accepted(section.cidr("subnet")).flatten()?;
    let (start, end) = (address("rangeStart")?, address("rangeEnd")?);
    Range::new(subnet, start, end, address("gateway")?).ok()
}
