//! A contender at home: a host of its own with pods on it, and one network.

use crate::contender::Contender;
use crate::process::{Ended, Failed, Recipe};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use testkit::{Host, Pod, SCRATCH, bridge, host_local};

/// The network of all experiments.
pub const SUBNET: &str = "10.30.0.0/16";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 30, 0, 1);
/// 10.30.0.0, to count from.
pub const BASE: u32 = u32::from_be_bytes([10, 30, 0, 0]);

/// What a plugin makes, told to the bare program in advance.
const BARE_BRIDGE: &str =
    "ip link add cni0 type bridge; ip address add 10.30.0.1/16 dev cni0; ip link set cni0 up";
const BARE_FILTER: &str = "nft -f - <<'END'
table inet floor {
    set pods { type ipv4_addr; }
    chain leaving { ip daddr 10.30.0.0/16 return; masquerade; }
    chain postrouting { type nat hook postrouting priority srcnat; ip saddr @pods goto leaving; }
}
END";

/// A network of pods that takes its turns.
#[derive(Debug)]
pub struct Lane {
    /// Whose.
    pub contender: Contender,
    /// Where.
    pub host: Host,
    config: Value,
    plugin: String,
    pods: Vec<Pod>,
    results: Vec<Option<Value>>,
}

/// The network without a gateway on it.
pub fn plain() -> Value {
    bridge(json!({
        "ipam": {"subnet": SUBNET, "routes": [{"dst": "0.0.0.0/0"}]}
    }))
}

/// The same as a gateway that hides its pods.
pub fn masquerading() -> Value {
    testkit::merged(plain(), json!({"isGateway": true, "ipMasq": true}))
}

/// The same in both families.
pub fn dual_stack() -> Value {
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    let ranges = json!([[{"subnet": SUBNET}], [{"subnet": "fd00:30::/64"}]]);
    let ipam = json!({"subnet": null, "ranges": ranges, "routes": routes});
    testkit::merged(masquerading(), json!({"ipam": ipam}))
}

/// Host-local alone, with a store of its own.
pub fn store(name: &str) -> Value {
    host_local(json!({"subnet": SUBNET, "dataDir": format!("{SCRATCH}/{name}")}))
}

impl Lane {
    /// A contender with so many pods, none of them on the network yet.
    pub fn new(contender: Contender, config: Value, pods: usize) -> Self {
        let host = Host::new();
        let plugin = config["type"].as_str().unwrap_or_default().to_owned();
        if contender == Contender::Floor {
            host.sh(BARE_BRIDGE);
            if config["ipMasq"] == true {
                host.sh(BARE_FILTER);
            }
        }
        let pods: Vec<_> = (0..pods).map(|index| host.pod(&container(index))).collect();
        let results = vec![None; pods.len()];
        Self {
            contender,
            host,
            config,
            plugin,
            pods,
            results,
        }
    }

    /// The same network with something changed in its configuration.
    #[must_use]
    pub fn patched(mut self, patch: Value) -> Self {
        self.config = testkit::merged(self.config, patch);
        self
    }

    /// Runs a verb for one pod; it must succeed.
    pub fn run(&mut self, verb: &str, pod: usize) -> Result<Ended, Failed> {
        let recipe = self.recipe(verb, pod);
        let ended = self.host.run(|| recipe.run())?;
        self.took_place(verb, pod, &ended)?;
        Ok(ended)
    }

    /// Checks how a verb ended, and keeps what it says for the later ones.
    pub fn took_place(&mut self, verb: &str, pod: usize, ended: &Ended) -> Result<(), Failed> {
        if !ended.succeeded {
            let (name, answer) = (self.contender.name(), ended.stdout.trim());
            return Err(Failed(format!("{verb} by {name}: {answer}")));
        }
        if let Some(result) = self.results.get_mut(pod).filter(|_| verb == "ADD") {
            *result = serde_json::from_str(&ended.stdout).ok();
        }
        Ok(())
    }

    /// How a verb is run for one pod.
    pub fn recipe(&self, verb: &str, pod: usize) -> Recipe {
        if self.contender == Contender::Floor {
            return self.bare_recipe(verb, pod);
        }
        let program = self.contender.executable(&self.plugin);
        let folder = program.parent().unwrap_or(&program).as_os_str().to_owned();
        let mut env = BTreeMap::from([
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("CNI_COMMAND", verb.into()),
            ("CNI_PATH", folder),
        ]);
        let mut config = self.config.clone();
        if verb == "VERSION" {
            config = json!({"cniVersion": config["cniVersion"]});
        } else {
            env.insert("CNI_CONTAINERID", container(pod).into());
            env.insert("CNI_NETNS", self.netns(pod));
            env.insert("CNI_IFNAME", "eth0".into());
            if let Some(result) = self.results.get(pod).filter(|_| verb != "ADD") {
                config["prevResult"] = json!(result);
            }
        }
        Recipe {
            program,
            args: Vec::new(),
            env,
            stdin: config.to_string(),
        }
    }

    fn bare_recipe(&self, verb: &str, pod: usize) -> Recipe {
        let number = u32::try_from(pod).unwrap_or(u32::MAX - BASE - 2);
        let address = Ipv4Addr::from(BASE + 2 + number);
        let mut args = Vec::new();
        if verb != "VERSION" {
            args.extend([verb.to_lowercase().into(), self.netns(pod)]);
            args.extend([format!("floor{pod}"), "cni0".to_owned()].map(OsString::from));
            args.extend([address, GATEWAY].map(|address| OsString::from(address.to_string())));
            args.push(self.host.scratch(&address.to_string()).into());
            args.extend((self.config["ipMasq"] == true).then(|| "masquerade".into()));
        }
        Recipe {
            program: self.contender.executable(""),
            args,
            env: BTreeMap::new(),
            stdin: String::new(),
        }
    }

    fn netns(&self, pod: usize) -> OsString {
        let path = self
            .pods
            .get(pod)
            .map_or_else(PathBuf::new, |pod| pod.path().to_owned());
        path.into()
    }

    /// Gives host-local a store with reservations of these addresses, the last of which was given out last.
    pub fn reserve(&self, addresses: impl Iterator<Item = Ipv4Addr> + Send) -> Result<(), Failed> {
        let name = self.config["name"].as_str().unwrap_or_default();
        let dir = self.config["ipam"]["dataDir"].as_str().unwrap_or_default();
        let dir = PathBuf::from(dir).join(name);
        self.host.run(|| -> std::io::Result<()> {
            std::fs::create_dir_all(&dir)?;
            let mut last = None;
            for address in addresses {
                let holder = format!("{}\r\neth0", holder(address));
                std::fs::write(dir.join(address.to_string()), holder)?;
                last = Some(address);
            }
            let last = last.map(|address| address.to_string()).unwrap_or_default();
            std::fs::write(dir.join("last_reserved_ip.0"), last)
        })?;
        Ok(())
    }
}

/// Container ids are as long as a runtime's.
fn container(pod: usize) -> String {
    format!("{pod:064x}")
}

fn holder(address: Ipv4Addr) -> String {
    format!("{:064x}", u64::from(u32::from(address)) << 16)
}
