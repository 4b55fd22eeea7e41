//! Links, addresses and routes against the kernel that runs the tests, each in network namespaces of its own.
//!
//! The judge is `ip`, run in the same namespace.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod namespace;

use ipnetwork::IpNetwork;
use kernel::net::link::{self, NewBridge, VethPair};
use kernel::net::monitor::{self, Events};
use kernel::net::port::Port;
use kernel::net::sysctl::Sysctls;
use kernel::net::{Device, Error, Mac, Netns, Route, Rtnl, address, route};
use namespace::{inside, run};
use nix::errno::Errno;
use nix::unistd::pipe;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

const BRIDGE_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const POD_MAC: Mac = Mac([2, 0, 0, 0, 0, 3]);

const PORT: Port = Port {
    hairpin: true,
    isolated: true,
};

fn bridge(rtnl: &mut Rtnl) -> Device {
    let bridge = NewBridge {
        name: "br0",
        mac: BRIDGE_MAC,
        mtu: None,
        vlan_filtering: false,
    };
    rtnl.add_bridge(&bridge).unwrap();
    let link = rtnl.link("br0").unwrap().unwrap();
    assert!(!link.up, "its sysctls are set before it goes up");
    let device = link.device;
    rtnl.apply(link::up(&device)).unwrap();
    device
}

fn pair<'a>(master: Option<&Device>) -> VethPair<'a> {
    VethPair {
        name: "host0",
        mac: HOST_MAC,
        port: master.map(|device| (device.index, PORT)),
        peer_name: "pod0",
        peer_mac: POD_MAC,
        peer_netns: None,
        mtu: Some(1400),
        alias: "podnet/c1/eth0",
    }
}

/// A pair that is up, whose other end has an address of each family.
fn addressed_pair(rtnl: &mut Rtnl) -> (Device, Device, [IpNetwork; 2]) {
    let (host, pod) = rtnl.add_veth(&pair(None)).unwrap();
    let nets = [
        "10.1.0.7/24".parse().unwrap(),
        "fd00::7/64".parse().unwrap(),
    ];
    let addresses = nets.iter().map(|net| address::add(&pod, *net, false));
    let requests = addresses.chain([link::up(&host), link::up(&pod)]);
    rtnl.apply_all(requests.collect()).unwrap();
    (host, pod, nets)
}

#[test]
fn a_pair_is_a_port_with_its_alias_from_the_start() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let master = bridge(&mut rtnl);
        let (host, pod) = rtnl.add_veth(&pair(Some(&master))).unwrap();
        let shown = run("ip", "-d link show host0");
        for part in [
            "alias podnet/c1/eth0",
            "master br0",
            "mtu 1400",
            "02:00:00:00:00:02",
            "hairpin on",
            "isolated on",
        ] {
            assert!(shown.contains(part), "no {part:?} in {shown}");
        }
        assert!(run("ip", "link show pod0").contains("02:00:00:00:00:03"));
        let found = rtnl.link_at(host.index).unwrap().unwrap();
        assert_eq!(
            (found.device, found.peer, found.mac),
            (host, Some(pod.index), Some(HOST_MAC))
        );
        assert_eq!(
            (found.kind.as_str(), found.alias.as_str(), found.mtu),
            ("veth", "podnet/c1/eth0", 1400)
        );
        assert_eq!(found.port.unwrap().settings, PORT);
        assert!(!found.up);
    });
}

#[test]
fn a_pair_that_cannot_be_names_the_reason_and_changes_nothing() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.add_veth(&pair(None)).unwrap();
        let before = run("ip", "-d link");
        let error = rtnl
            .add_veth(&VethPair {
                name: "host1",
                ..pair(None)
            })
            .unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EEXIST));
        assert!(
            error
                .to_string()
                .starts_with("create veth pair host1 and pod0: "),
            "{error}"
        );
        assert_eq!(run("ip", "-d link"), before);
    });
}

#[test]
fn the_other_end_is_born_in_another_namespace() {
    inside(|| {
        let mut host = Rtnl::open().unwrap();
        let home = Netns::current().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let pod = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(Netns::current().unwrap()).unwrap();
            let _ = ended.recv();
        });
        let netns = told.recv().unwrap();
        host.add_veth(&VethPair {
            peer_netns: Some(netns.as_fd()),
            ..pair(None)
        })
        .unwrap();
        assert_eq!(host.link("pod0").unwrap(), None);
        let mut inner = netns.enter(&home, Rtnl::open).unwrap();
        let sysctls = Sysctls::open().unwrap();
        assert_eq!(inner.link("pod0").unwrap().unwrap().mac, Some(POD_MAC));
        netns
            .enter(&home, || sysctls.set("ipv4/conf/pod0/arp_notify", "1"))
            .unwrap();
        assert_eq!(
            sysctls.get("ipv4/conf/pod0/arp_notify").unwrap(),
            None,
            "we are back home"
        );
        let inside = netns
            .enter(&home, || sysctls.get("ipv4/conf/pod0/arp_notify"))
            .unwrap();
        assert_eq!(inside.as_deref(), Some("1"));
        drop(end);
        pod.join().unwrap();
    });
}

#[test]
fn a_path_that_is_no_network_namespace_cannot_be_entered() {
    inside(|| {
        let home = Netns::current().unwrap();
        for path in ["/proc/self/ns/mnt", "/dev/null"] {
            let error = Netns::open(Path::new(path))
                .unwrap()
                .enter(&home, || Ok(()))
                .unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
        assert_eq!(
            Netns::open(Path::new("/nowhere")).unwrap_err().errno(),
            Some(Errno::ENOENT)
        );
    });
}

#[test]
fn a_bridge_keeps_the_mac_that_it_was_given_whatever_its_ports_are() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let master = bridge(&mut rtnl);
        let low = VethPair {
            mac: Mac([2, 0, 0, 0, 0, 0]),
            ..pair(Some(&master))
        };
        rtnl.add_veth(&low).unwrap();
        assert_eq!(rtnl.link("br0").unwrap().unwrap().mac, Some(BRIDGE_MAC));
    });
}

#[test]
fn deleting_tells_whether_there_was_something() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.add_veth(&pair(None)).unwrap();
        assert!(rtnl.delete_link("host0").unwrap());
        assert!(!rtnl.delete_link("host0").unwrap());
        assert_eq!(
            rtnl.link("pod0").unwrap(),
            None,
            "the other end went with it"
        );
    });
}

#[test]
fn the_first_refusal_of_a_batch_is_reported_and_a_tolerated_one_is_not() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let (host, _) = rtnl.add_veth(&pair(None)).unwrap();
        let net = "10.1.0.7/24".parse().unwrap();
        let nowhere = Device {
            index: 4711,
            name: "nowhere".into(),
        };
        rtnl.apply(address::add(&host, net, false)).unwrap();
        let again = || address::add(&host, net, false);
        let batch = vec![
            again().tolerating(Errno::EEXIST),
            link::up(&nowhere),
            again(),
            link::up(&host),
        ];
        let error = rtnl.apply_all(batch).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENODEV));
        assert!(
            error.to_string().starts_with("bring up nowhere: "),
            "{error}"
        );
        assert!(
            rtnl.link("host0").unwrap().unwrap().up,
            "a batch is no transaction"
        );
        rtnl.apply(again().tolerating(Errno::EEXIST)).unwrap();
        let error = rtnl.apply(again()).unwrap_err();
        assert!(
            error.to_string().contains("10.1.0.7/24 to host0: ")
                && error.to_string().contains("EEXIST"),
            "{error}"
        );
    });
}

#[test]
fn addresses_of_both_families_are_usable_at_once_and_read_back() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let (_, pod, nets) = addressed_pair(&mut rtnl);
        let found: Vec<_> = rtnl
            .addresses(&pod)
            .unwrap()
            .into_iter()
            .filter(|a| a.global)
            .collect();
        assert_eq!(found.iter().map(|a| a.net).collect::<Vec<_>>(), nets);
        assert!(
            found
                .iter()
                .all(|address| !address.tentative && !address.duplicate),
            "{found:?}"
        );
        assert!(run("ip", "addr show pod0").contains("brd 10.1.0.255"));
        rtnl.apply(address::remove(&pod, nets[0])).unwrap();
        assert!(!run("ip", "addr show pod0").contains("10.1.0.7"));
    });
}

#[test]
fn neighbours_find_an_ipv6_address_some_time_after_it_was_added() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let (_, pod, _) = addressed_pair(&mut rtnl);
        let (stop, _stopper) = pipe().unwrap();
        let answers = |_: &mut Rtnl| {
            let answers = address::answers_neighbours(&pod, "fd00::7".parse().unwrap())?;
            Ok(answers.then_some(()))
        };
        let limit = Duration::from_secs(10);
        let what = "wait for fd00::7";
        let events = Events::AddressesV6;
        monitor::wait(&mut rtnl, events, limit, stop.as_fd(), what, answers).unwrap();
        assert!(!address::answers_neighbours(&pod, "fd00::8".parse().unwrap()).unwrap());
    });
}

#[test]
fn routes_keep_what_they_were_given() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let (host, pod, _) = addressed_pair(&mut rtnl);
        let plain = Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            gateway: Some("10.1.0.1".parse().unwrap()),
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        };
        let full = Route {
            destination: "192.168.0.0/16".parse().unwrap(),
            mtu: Some(1300),
            advmss: Some(1200),
            priority: Some(50),
            table: Some(1000),
            ..plain
        };
        let v6 = Route {
            destination: "2001:db8::/32".parse().unwrap(),
            gateway: Some("fd00::1".parse().unwrap()),
            priority: Some(7),
            ..plain
        };
        let on_link = Route {
            destination: "192.0.2.1/32".parse().unwrap(),
            gateway: None,
            scope: Some(253),
            ..plain
        };
        let wanted = [plain, full, v6, on_link];
        rtnl.apply_all(
            wanted
                .iter()
                .map(|wanted| route::add(&pod, wanted))
                .collect(),
        )
        .unwrap();
        let shown = run("ip", "route show table 1000");
        for part in [
            "192.168.0.0/16 via 10.1.0.1",
            "metric 50",
            "mtu 1300",
            "advmss 1200",
        ] {
            assert!(shown.contains(part), "no {part:?} in {shown}");
        }
        let found = rtnl.routes(&pod).unwrap();
        for wanted in &wanted {
            assert!(
                found.iter().any(|there| wanted.is_met_by(there)),
                "{wanted:?} is not in {found:?}"
            );
        }
        let other = Route {
            gateway: Some("10.1.0.9".parse().unwrap()),
            ..plain
        };
        assert!(!found.iter().any(|there| other.is_met_by(there)));
        assert!(
            rtnl.routes(&host)
                .unwrap()
                .iter()
                .all(|route| route.gateway.is_none()),
            "only its own"
        );
    });
}

#[test]
fn waiting_ends_with_the_event_the_deadline_or_a_stop() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let (host, _) = rtnl.add_veth(&pair(None)).unwrap();
        let (stop, stopper) = pipe().unwrap();
        let up = |rtnl: &mut Rtnl| Ok(rtnl.link("host0")?.filter(|link| link.up));
        let what = "wait for host0";

        let late = monitor::wait(
            &mut rtnl,
            Events::Links,
            Duration::from_millis(20),
            stop.as_fd(),
            what,
            up,
        );
        assert!(matches!(late, Err(Error::Late { .. })), "{late:?}");

        let home = Netns::current().unwrap();
        let netns = Netns::current().unwrap();
        let other = std::thread::spawn(move || {
            netns
                .enter(&home, || Rtnl::open()?.apply(link::up(&host)))
                .unwrap();
        });
        let limit = Duration::from_secs(60);
        let found = monitor::wait(&mut rtnl, Events::Links, limit, stop.as_fd(), what, up).unwrap();
        assert!(found.up);
        other.join().unwrap();

        drop(stopper);
        let never = |_: &mut Rtnl| Ok(None::<()>);
        let stopped = monitor::wait(&mut rtnl, Events::Links, limit, stop.as_fd(), what, never);
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    });
}

#[test]
fn a_listing_has_every_link() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let names: Vec<_> = (0..60)
            .map(|n| (format!("h{n}"), format!("p{n}")))
            .collect();
        for (name, peer_name) in &names {
            rtnl.add_veth(&VethPair {
                name,
                peer_name,
                ..pair(None)
            })
            .unwrap();
        }
        let veths = rtnl.veths().unwrap();
        assert_eq!(veths.len(), 120);
        assert_eq!(
            veths
                .iter()
                .filter(|link| link.alias == "podnet/c1/eth0")
                .count(),
            60
        );
    });
}
