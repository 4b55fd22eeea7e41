//! What other programs made, found and deleted.

use super::namespace::run;
use super::{commit, in_a_namespace, ruleset};
use kernel::net::nft::{Batch, Family, Table};

#[test]
fn rules_and_chains_of_iptables_are_found_and_deleted() {
    in_a_namespace(|mut socket| {
        for (iptables, family, pod, range) in [
            ("iptables-nft", Family::Ip, "10.1.0.7/32", "224.0.0.0/4"),
            ("ip6tables-nft", Family::Ip6, "fd00::7/128", "ff00::/8"),
        ] {
            for rule in [
                "-N CNI-0123456789abcdef".to_owned(),
                format!("-A CNI-0123456789abcdef -d {pod} -j ACCEPT"),
                format!("-A CNI-0123456789abcdef ! -d {range} -j MASQUERADE"),
                "-N OTHER".to_owned(),
                "-A POSTROUTING -j OTHER".to_owned(),
                format!(
                    "-A POSTROUTING -s {pod} -m comment --comment podnet:c7 -j CNI-0123456789abcdef"
                ),
                format!("-A POSTROUTING -s {range} -j CNI-0123456789abcdef"),
            ] {
                run(iptables, &format!("-t nat {rule}"));
            }
            let postrouting = Table::new(family, "nat").chain("POSTROUTING");
            let legacy = Table::new(family, "nat").chain("CNI-0123456789abcdef");
            let rules = socket.rules(postrouting).expect("rules");
            let comments: Vec<_> = rules.iter().map(|rule| rule.comment.as_deref()).collect();
            assert_eq!(comments, [None, Some("podnet:c7"), None]);
            let leading: Vec<_> = rules
                .iter()
                .filter(|rule| rule.leads_to(legacy.name))
                .collect();
            assert_eq!(leading.len(), 2);
            commit(&mut socket, |batch| {
                for rule in leading {
                    batch.delete_rule(postrouting, rule.handle);
                }
                batch.flush_chain(legacy).delete_chain(legacy);
            })
            .expect("commit");
            let left = run(iptables, "-t nat -S");
            assert!(
                !left.contains("CNI-") && left.contains("-A POSTROUTING -j OTHER"),
                "{left}"
            );
        }
    });
}

#[test]
fn rules_and_chains_of_the_reference_are_found_and_deleted() {
    in_a_namespace(|mut socket| {
        const RULESET: &str = "\
add table inet cni_plugins_masquerade
add chain inet cni_plugins_masquerade masq_checks
add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.1.0.7 ip daddr != 10.1.0.0/16 masquerade comment \"abc-123, net: podnet, if: eth0, id: c7\"
add rule inet cni_plugins_masquerade masq_checks ip saddr == 10.1.0.8 masquerade comment \"def-456, net: podnet, if: eth0, id: c8\"
add table bridge nat
add chain bridge nat PREROUTING { type filter hook prerouting priority -300; }
add chain bridge nat cni-br-iface-c7-eth0
add chain bridge nat cni-br-iface-c7-eth0-mac
add rule bridge nat PREROUTING iifname \"veth7\" jump cni-br-iface-c7-eth0 comment \"macspoofchk-c7-eth0\"
add rule bridge nat cni-br-iface-c7-eth0 jump cni-br-iface-c7-eth0-mac
add rule bridge nat cni-br-iface-c7-eth0-mac ether saddr 02:00:00:00:00:07 return
add rule bridge nat cni-br-iface-c7-eth0-mac drop
";
        for line in RULESET.lines() {
            run("nft", line);
        }
        let checks = Table::new(Family::Inet, "cni_plugins_masquerade").chain("masq_checks");
        let nat = Table::new(Family::Bridge, "nat");
        let (spoof, mac) = (
            nat.chain("cni-br-iface-c7-eth0"),
            nat.chain("cni-br-iface-c7-eth0-mac"),
        );
        let prerouting = nat.chain("PREROUTING");
        let mut batch = Batch::new();
        for rule in socket.rules(checks).expect("rules") {
            if rule
                .comment
                .is_some_and(|comment| comment.starts_with("abc-123"))
            {
                batch.delete_rule(checks, rule.handle);
            }
        }
        for rule in socket.rules(prerouting).expect("rules") {
            if rule.leads_to(spoof.name) {
                batch.delete_rule(prerouting, rule.handle);
            }
        }
        batch
            .flush_chain(spoof)
            .flush_chain(mac)
            .delete_chain(spoof)
            .delete_chain(mac);
        socket.commit(&batch).expect("commit");
        let left = ruleset();
        assert!(!left.contains("c7") && left.contains("def-456"), "{left}");
        assert_eq!(socket.chains(nat).expect("chains"), ["PREROUTING"]);
    });
}
