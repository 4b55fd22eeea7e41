//! The chain that a node runs: bridge with masquerade and host-local, portmap with two ports, firewall.

use crate::common::options::Options;
use crate::contender::Contender::{self, Hawser, Reference};
use crate::process::{Failed, Recipe};
use crate::record::{Operation, Record};
use crate::rounds;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testkit::{Host, Pod};

/// The networks that fill a node, so that no bridge has more ports than a usual one.
const NETWORKS: usize = 10;
const PODS: usize = 100;
const MAPPINGS: usize = 5;
/// The mappings of the pod that is measured; the others' follow.
const PORTS: [usize; 2] = [8080, 8443];
const FIRST_OTHER: usize = 10_000;

pub fn run(options: &Options, record: &mut Record) -> Result<(), Failed> {
    let alone = (Operation::ChainAdd, Operation::ChainDel);
    let among_many = (Operation::ChainAddMany, Operation::ChainDelMany);
    let mut lanes = vec![
        (Chain::new(Reference), alone),
        (Chain::new(Hawser), alone),
        (Chain::new(Hawser), among_many),
    ];
    let others = options.scale(PODS, 2);
    for (chain, operations) in &mut lanes {
        if *operations == among_many {
            chain.fill(others)?;
        }
    }
    // The first round makes what all pods share, and is not measured.
    for round in 0..=options.rounds {
        for verb in ["ADD", "DEL"] {
            for at in rounds::order(round, lanes.len()) {
                let Some((chain, (add, del))) = lanes.get_mut(at) else {
                    continue;
                };
                let took = chain.measure(verb)?;
                let operation = if verb == "ADD" { *add } else { *del };
                if round > 0 {
                    record.time(operation, chain.contender, took);
                }
            }
        }
    }
    Ok(())
}

/// A host of its own with one pod that joins and leaves, and others that stay.
struct Chain {
    contender: Contender,
    host: Host,
    pod: Pod,
    /// The others, which live as long as this.
    staying: Vec<Pod>,
    result: Option<Value>,
}

impl Chain {
    fn new(contender: Contender) -> Self {
        let host = Host::new();
        Self {
            contender,
            pod: host.pod("measured"),
            host,
            staying: Vec::new(),
            result: None,
        }
    }

    /// Adds so many pods to each of the other networks.
    fn fill(&mut self, pods: usize) -> Result<(), Failed> {
        for network in 1..=NETWORKS {
            for number in 0..pods {
                let index = (network - 1) * pods + number;
                let pod = self.host.pod(&format!("other{index}"));
                let first = FIRST_OTHER + index * MAPPINGS;
                let ports: Vec<_> = (first..first + MAPPINGS).collect();
                self.add(&chain(network, &ports), &pod)?;
                self.staying.push(pod);
            }
        }
        Ok(())
    }

    /// Runs a verb for the pod that is measured, from the start of the first process to the end of the last.
    fn measure(&mut self, verb: &str) -> Result<Duration, Failed> {
        let plugins = chain(0, &PORTS);
        // What the kernel put off earlier is not on this one's account.
        crate::process::settle();
        if verb == "ADD" {
            let (took, result) = self.add(&plugins, &self.pod)?;
            self.result = result;
            return Ok(took);
        }
        let at = Instant::now();
        for plugin in plugins.iter().rev() {
            self.call(verb, plugin, &self.pod, self.result.as_ref())?;
        }
        Ok(at.elapsed())
    }

    fn add(&self, plugins: &[Value], pod: &Pod) -> Result<(Duration, Option<Value>), Failed> {
        let at = Instant::now();
        let mut result = None;
        for plugin in plugins {
            let printed = self.call("ADD", plugin, pod, result.as_ref())?;
            result = serde_json::from_str(&printed).ok();
        }
        Ok((at.elapsed(), result))
    }

    fn call(
        &self,
        verb: &str,
        plugin: &Value,
        pod: &Pod,
        previous: Option<&Value>,
    ) -> Result<String, Failed> {
        let name = plugin["type"].as_str().unwrap_or_default();
        let program = self.contender.executable(name);
        let folder = program.parent().unwrap_or(&program).as_os_str().to_owned();
        let mut config = plugin.clone();
        if let Some(previous) = previous {
            config["prevResult"] = previous.clone();
        }
        let attachment = pod.attachment();
        let env = BTreeMap::from([
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("CNI_COMMAND", verb.into()),
            ("CNI_PATH", folder),
            ("CNI_CONTAINERID", attachment.id.into()),
            ("CNI_NETNS", attachment.netns.into()),
            ("CNI_IFNAME", attachment.ifname.into()),
        ]);
        let recipe = Recipe {
            program,
            args: Vec::new(),
            env,
            stdin: config.to_string(),
        };
        let ended = self.host.run(|| recipe.prepare()?.start()?.finish())?;
        if !ended.succeeded {
            let (who, answer) = (self.contender.name(), ended.stdout.trim());
            return Err(Failed(format!("{verb} of {name} by {who}: {answer}")));
        }
        Ok(ended.stdout)
    }
}

/// The plugins of a network, as they leave the list.
fn chain(network: usize, ports: &[usize]) -> [Value; 3] {
    let plugin = |fields: Value| {
        let named = json!({"cniVersion": "1.0.0", "name": format!("chain{network}")});
        testkit::merged(named, fields)
    };
    let mappings: Vec<_> = ports
        .iter()
        .map(|port| json!({"hostPort": port, "containerPort": 80, "protocol": "tcp"}))
        .collect();
    [
        plugin(json!({
            "type": "bridge", "bridge": format!("cni{network}"), "isGateway": true, "ipMasq": true,
            "ipam": {
                "type": "host-local", "subnet": format!("10.{}.0.0/16", 40 + network),
                "routes": [{"dst": "0.0.0.0/0"}]
            }
        })),
        plugin(json!({"type": "portmap", "runtimeConfig": {"portMappings": mappings}})),
        plugin(json!({"type": "firewall"})),
    ]
}
