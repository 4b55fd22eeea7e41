//! IP's settings of links by rtnetlink; the judge is /proc/sys.

// The lint spares tests, but not what they share.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod namespace;

use kernel::net::conf::{self, Ipv4Setting};
use kernel::net::link::NewBridge;
use kernel::net::sysctl::Sysctls;
use kernel::net::{Link, Mac, Rtnl};
use namespace::{inside, run};

fn bridge(rtnl: &mut Rtnl) -> Link {
    if let Some(present) = rtnl.link("br0").unwrap() {
        return present;
    }
    let bridge = NewBridge {
        name: "br0",
        mac: Mac([2, 0, 0, 0, 0, 1]),
        mtu: None,
        vlan_filtering: false,
    };
    rtnl.add_bridge(&bridge).unwrap();
    rtnl.link("br0").unwrap().unwrap()
}

#[test]
fn a_setting_of_ipv4_is_turned_on() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let link = bridge(&mut rtnl);
        for (setting, key) in [
            (Ipv4Setting::ArpNotify, "ipv4/conf/br0/arp_notify"),
            (Ipv4Setting::RouteLocalnet, "ipv4/conf/br0/route_localnet"),
        ] {
            let file = format!("/proc/sys/net/{key}");
            assert_eq!(run("cat", &file).trim_end(), "0", "{key}");
            rtnl.apply(conf::turn_on(&link.device, setting)).unwrap();
            assert_eq!(run("cat", &file).trim_end(), "1", "{key}");
        }
    });
}

#[test]
fn a_link_tells_its_settings() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let sysctls = Sysctls::open().unwrap();
        for (localnet, accept_ra) in [("0", 0), ("1", 2), ("0", 1)] {
            bridge(&mut rtnl);
            sysctls
                .set("ipv4/conf/br0/route_localnet", localnet)
                .unwrap();
            sysctls
                .set("ipv6/conf/br0/accept_ra", &accept_ra.to_string())
                .unwrap();
            let told = bridge(&mut rtnl).ip;
            assert_eq!(told.route_localnet, localnet == "1");
            assert_eq!(told.accept_ra, Some(accept_ra));
        }
    });
}

#[test]
fn a_namespace_tells_whether_it_forwards() {
    inside(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let sysctls = Sysctls::open().unwrap();
        for (v4, v6) in [("0", "1"), ("1", "0")] {
            sysctls.set("ipv4/ip_forward", v4).unwrap();
            sysctls.set("ipv6/conf/all/forwarding", v6).unwrap();
            assert_eq!(rtnl.forwards_v4().unwrap(), Some(v4 == "1"));
            assert_eq!(rtnl.forwards_v6().unwrap(), Some(v6 == "1"));
        }
    });
}
