//! What should exist for one attachment, decided from settings and the IPAM plugin's answer alone.

use crate::conf::Settings;
use crate::error::Error;
use cni::{AddResult, Dns, IpConfig, excerpt};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use kernel::net::Route;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Index of the pod's interface in the result's list.
pub const POD_INTERFACE: usize = 2;

/// What an attachment consists of beyond its veth pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The pod's addresses, as the result reports them.
    pub ips: Vec<IpConfig>,
    /// The routes that the result reports.
    pub routes: Vec<cni::Route>,
    /// Name resolution, as the result reports it.
    pub dns: Dns,
    /// The addresses of the bridge.
    pub gateways: Vec<IpNetwork>,
}

impl Plan {
    /// The plan for what the IPAM plugin returned.
    pub fn build(settings: &Settings, network: &str, ipam: AddResult) -> Result<Self, Error> {
        if let (Some(ipam_type), true) = (&settings.ipam, ipam.ips.is_empty()) {
            return Err(Error::NoAddress {
                ipam: excerpt(ipam_type),
                network: network.to_owned(),
            });
        }
        let mut plan = Self {
            routes: ipam.routes,
            dns: ipam.dns,
            ..Self::default()
        };
        for mut ip in ipam.ips {
            ip.interface = Some(POD_INTERFACE);
            if settings.is_gateway {
                let gateway = gateway_of(&ip)?;
                ip.gateway = Some(gateway);
                plan.add_gateway(gateway, ip.address);
                if settings.is_default_gateway {
                    plan.add_default_route(gateway);
                }
            }
            plan.ips.push(ip);
        }
        if !settings.dns.is_empty() {
            plan.dns = settings.dns.clone();
        }
        Ok(plan)
    }

    fn add_gateway(&mut self, gateway: IpAddr, pod: IpNetwork) {
        // The prefix is one that the pod's address already has.
        let address = IpNetwork::new(gateway, pod.prefix()).unwrap_or(pod);
        if !self.gateways.contains(&address) {
            self.gateways.push(address);
        }
    }

    /// One default route a family, unless the IPAM plugin returned one that names its gateway.
    fn add_default_route(&mut self, gateway: IpAddr) {
        let dst = everything(gateway);
        if !self
            .routes
            .iter()
            .any(|route| route.dst == dst && route.gw.is_some())
        {
            self.routes.push(cni::Route::new(dst, Some(gateway)));
        }
    }

    /// The routes as the pod gets them: one without a gateway leads to the first gateway of its family, unless its
    /// scope says that its destination is on the link.
    pub fn pod_routes(&self) -> Vec<Route> {
        let gateway = |dst: IpNetwork| {
            let mut gateways = self.ips.iter().filter_map(|ip| ip.gateway);
            gateways.find(|gateway| gateway.is_ipv4() == dst.is_ipv4())
        };
        let of_pod = |route: &cni::Route| Route {
            destination: route.dst,
            gateway: route
                .gw
                .or_else(|| gateway(route.dst).filter(|_| !on_link(route))),
            mtu: route.mtu,
            advmss: route.advmss,
            priority: route.priority,
            table: route.table,
            scope: route.scope,
        };
        self.routes.iter().map(of_pod).collect()
    }

    /// The pod's addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpNetwork> {
        self.ips.iter().map(|ip| ip.address)
    }
}

/// `link` and every narrower scope.
fn on_link(route: &cni::Route) -> bool {
    const RT_SCOPE_LINK: u8 = 253;
    route.scope.is_some_and(|scope| scope >= RT_SCOPE_LINK)
}

/// The gateway of an address: the IPAM plugin's, or the first address of the subnet.
fn gateway_of(ip: &IpConfig) -> Result<IpAddr, Error> {
    if let Some(gateway) = ip.gateway {
        return Ok(gateway);
    }
    let first = match ip.address {
        IpNetwork::V4(net) => u32::from(net.network())
            .checked_add(1)
            .map(|first| IpAddr::V4(Ipv4Addr::from(first))),
        IpNetwork::V6(net) => u128::from(net.network())
            .checked_add(1)
            .map(|first| IpAddr::V6(Ipv6Addr::from(first))),
    };
    first
        .filter(|first| ip.address.contains(*first))
        .ok_or(Error::NoGateway(ip.address))
}

/// The destination of a default route in the family of `address`.
const fn everything(address: IpAddr) -> IpNetwork {
    match address {
        IpAddr::V4(_) => IpNetwork::V4(EVERYTHING_V4),
        IpAddr::V6(_) => IpNetwork::V6(EVERYTHING_V6),
    }
}

const EVERYTHING_V4: Ipv4Network = match Ipv4Network::new_checked(Ipv4Addr::UNSPECIFIED, 0) {
    Some(network) => network,
    None => unreachable!(),
};
const EVERYTHING_V6: Ipv6Network = match Ipv6Network::new_checked(Ipv6Addr::UNSPECIFIED, 0) {
    Some(network) => network,
    None => unreachable!(),
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ipam(addresses: &[(&str, Option<&str>)], routes: &[(&str, Option<&str>)]) -> AddResult {
        let ip = |(address, gateway): &(&str, Option<&str>)| IpConfig {
            address: address.parse().unwrap(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            interface: None,
        };
        AddResult {
            ips: addresses.iter().map(ip).collect(),
            routes: routes.iter().map(|(dst, gw)| route(dst, *gw)).collect(),
            ..AddResult::default()
        }
    }

    fn route(dst: &str, gw: Option<&str>) -> cni::Route {
        let gw = gw.map(|gw| gw.parse().unwrap());
        cni::Route::new(dst.parse().unwrap(), gw)
    }

    fn default_gateway() -> Settings {
        Settings {
            is_gateway: true,
            is_default_gateway: true,
            ipam: Some("host-local".into()),
            ..Settings::default()
        }
    }

    #[test]
    fn a_gateway_that_the_ipam_left_out_is_the_first_of_the_subnet() {
        let plan = Plan::build(
            &default_gateway(),
            "podnet",
            ipam(&[("10.1.3.9/16", None), ("fd00::9/64", None)], &[]),
        )
        .unwrap();
        assert_eq!(
            plan.gateways,
            [
                "10.1.0.1/16".parse().unwrap(),
                "fd00::1/64".parse().unwrap()
            ]
        );
        assert_eq!(
            plan.routes,
            [
                route("0.0.0.0/0", Some("10.1.0.1")),
                route("::/0", Some("fd00::1"))
            ]
        );
        assert!(
            plan.ips
                .iter()
                .all(|ip| ip.interface == Some(POD_INTERFACE))
        );
    }

    #[test]
    fn a_default_route_of_the_ipam_is_kept() {
        let answer = ipam(
            &[("10.1.3.9/16", Some("10.1.0.1"))],
            &[("0.0.0.0/0", Some("10.1.0.254"))],
        );
        let plan = Plan::build(&default_gateway(), "podnet", answer).unwrap();
        assert_eq!(plan.routes, [route("0.0.0.0/0", Some("10.1.0.254"))]);
    }

    #[test]
    fn a_bridge_that_is_no_gateway_gets_no_address() {
        let settings = Settings {
            ipam: Some("host-local".into()),
            ..Settings::default()
        };
        let plan = Plan::build(
            &settings,
            "podnet",
            ipam(
                &[("10.1.3.9/16", Some("10.1.0.1"))],
                &[("10.9.0.0/16", None)],
            ),
        )
        .unwrap();
        assert!(plan.gateways.is_empty());
        assert_eq!(
            plan.pod_routes()[0].gateway,
            Some("10.1.0.1".parse().unwrap())
        );
    }

    #[test]
    fn an_ipam_without_an_answer_and_a_subnet_without_room_are_errors() {
        let error = Plan::build(&default_gateway(), "podnet", AddResult::default()).unwrap_err();
        assert!(error.to_string().contains("host-local") && error.to_string().contains("podnet"));
        let error = Plan::build(
            &default_gateway(),
            "podnet",
            ipam(&[("10.1.3.9/32", None)], &[]),
        )
        .unwrap_err();
        assert!(error.to_string().contains("10.1.3.9/32"));
    }

    proptest! {
        #[test]
        fn every_pod_route_leads_somewhere_of_its_family(host in 2u8..250, v6 in any::<bool>(), routes in 0usize..4) {
            let mut addresses = vec![(format!("10.1.0.{host}/24"), None)];
            if v6 {
                addresses.push((format!("fd00::{host:x}/64"), None));
            }
            let addresses: Vec<_> = addresses.iter().map(|(address, gateway)| (address.as_str(), *gateway)).collect();
            let wanted: Vec<_> = ["192.168.0.0/16", "2001:db8::/32", "172.16.0.0/12", "::/0"][..routes].iter().map(|dst| (*dst, None)).collect();
            let plan = Plan::build(&default_gateway(), "podnet", ipam(&addresses, &wanted)).unwrap();
            for route in plan.pod_routes() {
                let reachable = route.destination.is_ipv4() || v6;
                prop_assert_eq!(route.gateway.is_some(), reachable);
                prop_assert!(route.gateway.is_none_or(|gateway| gateway.is_ipv4() == route.destination.is_ipv4()));
            }
            prop_assert_eq!(plan.gateways.len(), addresses.len());
        }
    }
}
