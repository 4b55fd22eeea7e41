//! `firewall` on Debian's kernel, in a VM: older than 6.12, so that elements cannot be told to expire, and with modules
//! instead of everything built in.

use serde_json::json;
use testkit::vm::Equipment;
use testkit::{Pod, Scene, Uplink, eventually, firewalled, merged, reference_under_test};

static OLDER: Equipment = Equipment {
    modules: &[
        "veth",
        "bridge",
        "br_netfilter",
        "nf_tables",
        "nft_chain_nat",
        "nft_masq",
        "nft_ct",
        "nft_meta_bridge",
        "nft_compat",
        "xt_comment",
        "xt_mark",
    ],
    programs: &[
        ("grep", "grep"),
        ("ip", "iproute2"),
        ("bridge", "iproute2"),
        ("iptables-nft", "iptables"),
        ("ip6tables-nft", "iptables"),
        ("nft", "nftables"),
        ("ping", "iputils-ping"),
    ],
    executables: &["bridge", "host-local", "firewall"],
    memory: 512,
};

/// Runs `body` in the VM; the reference's iptables is not there.
fn on_an_older_kernel<F: FnOnce()>(body: F) {
    if !reference_under_test() {
        OLDER.where_able(false, body);
    }
}

fn dropping(policy: &str) -> Scene {
    let list = firewalled(json!({"ingressPolicy": policy}));
    let scene = Scene::new(merged(list, json!({"cniVersion": "1.1.0"})));
    scene
        .host
        .sh("iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP");
    scene
}

fn gets_out(pod: &Pod) -> bool {
    eventually("the gateways answer", || {
        pod.ping("10.10.0.1") && pod.ping("fd00:10::1")
    });
    Uplink::OUTSIDE.iter().all(|address| pod.ping(address))
}

#[test]
fn pods_get_out_and_leave_nothing() {
    on_an_older_kernel(|| {
        for policy in ["open", "isolated"] {
            let scene = dropping(policy);
            let _world = Uplink::of(&scene.host);
            let keeper = scene.join("keeper");
            let before = scene.dump();
            scene.add();
            assert!(gets_out(&scene.pod), "{policy}");
            assert_eq!(scene.pod.ping("10.10.0.2"), policy == "open", "{policy}");
            scene.network.check(&scene.eth0()).silent();
            scene.network.del(&scene.eth0()).silent();
            before.assert_same(&scene.dump());
            scene.add();
            scene.network.gc(&[&keeper.attachment()]).silent();
            before.assert_same(&scene.dump());
        }
    });
}

#[test]
fn it_is_older_than_expiring_elements() {
    on_an_older_kernel(|| {
        let scene = dropping("open");
        scene.host.sh(
            "nft 'table inet t { set s { type ipv4_addr; flags timeout; elements = { 10.1.0.7 }; }; }'; \
             nft add element inet t s '{ 10.1.0.7 timeout 1ms }'",
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
        let left = scene.host.sh("nft list set inet t s");
        assert!(
            left.contains("10.1.0.7"),
            "this kernel knows them; take an older one: {left}"
        );
    });
}
