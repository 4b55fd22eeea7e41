//! Why a container ended is in the file that kubelet reads it from, at the manifests' `terminationMessagePath`.

use crate::machine::{BIN_DIR, Machine, POOL_DIR, daemonset};

/// Something that keeps a container from its work: how it comes about, and words that name it.
struct Trouble {
    flag: Option<(&'static str, &'static str)>,
    script: String,
    words: [&'static str; 2],
}

impl Machine {
    /// The last words of a container that is started in trouble.
    fn in_trouble(&self, daemonset_name: &str, container: &str, trouble: &Trouble) -> String {
        self.node.sh(&trouble.script);
        let mut pod = self.pod_of(&daemonset(daemonset_name), daemonset_name);
        if let Some((flag, value)) = trouble.flag {
            pod.container_mut(container).set(flag, value);
        }
        let running = self.launch(pod, container);
        let words = self.last_words(&running);
        self.end(&running);
        words
    }

    #[track_caller]
    fn assert_told(&self, daemonset_name: &str, container: &str, trouble: &Trouble) {
        let told = self.in_trouble(daemonset_name, container, trouble);
        for words in trouble.words {
            assert!(told.contains(words), "{words:?} is not in {told:?}");
        }
    }
}

#[test]
fn the_agent_says_what_the_node_lacks() {
    let machine = Machine::new();
    machine.take_pod_cidr();
    let agent = |trouble| machine.assert_told("hawser-node", "hawser-node", &trouble);
    agent(Trouble {
        // Nobody wants to wait for the usual minute.
        flag: Some(("--patience", "1")),
        script: String::new(),
        words: ["node n1 has no pod CIDR", "--pod-network-cidr"],
    });
    agent(Trouble {
        flag: None,
        script: format!("mount -t tmpfs -o ro none {BIN_DIR}"),
        words: [BIN_DIR, "mount it writable"],
    });
    agent(Trouble {
        flag: Some(("--patience", "soon")),
        script: format!("umount {BIN_DIR}"),
        words: ["--patience", "soon"],
    });
}

#[test]
fn the_driver_says_what_the_node_lacks() {
    let machine = Machine::new();
    let _agent = machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    let driver = |trouble| machine.assert_told("hawser-csi-node", "driver", &trouble);
    driver(Trouble {
        flag: Some(("--kubelet-dir", "/var/lib/k0s/kubelet")),
        script: String::new(),
        words: ["/var/lib/k0s/kubelet", "--kubelet-dir"],
    });
    driver(Trouble {
        flag: Some(("--max-volume-size", "large")),
        script: String::new(),
        words: ["--max-volume-size", "large"],
    });
    // A driver has been here, and then the node came up without the pool's disk.
    let earlier = machine.start(&daemonset("hawser-csi-node"), "driver");
    machine.end(&earlier);
    driver(Trouble {
        flag: None,
        script: format!("umount {POOL_DIR}"),
        words: ["/var/lib/hawser/pool", "mount"],
    });
}
