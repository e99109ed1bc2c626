//! A small node for tests: one Service `ns/web` at 10.0.1.0:80 on uplink `eth0`, everything synced and proven unless a test
//! changes it.

use std::collections::BTreeMap;

use super::*;

pub(super) fn vip() -> VipPort {
    VipPort { address: "10.0.1.0".parse().unwrap(), transport: Transport::Tcp, port: 80 }
}

pub(super) fn web() -> ObjectKey {
    ObjectKey::new("ns", "web")
}

pub(super) fn advert_key() -> ObjectKey {
    ObjectKey::new("ns", "web-10.0.1.0")
}

pub(super) fn service(policy: TrafficPolicy) -> ServiceFact {
    let port = PortFact { name: "http".into(), transport: Transport::Tcp, number: 80 };
    ServiceFact { policy, ports: vec![port], ingress: vec![vip().address] }
}

pub(super) fn advert() -> AdvertFact {
    AdvertFact { service: web(), prefix: vip().address.into(), groups: Vec::new(), generation: 1 }
}

pub(super) fn endpoint(last: u8, ready: bool) -> LocalEndpoint {
    LocalEndpoint { address: [10, 1, 0, last].into(), ready, identity: u64::from(last) }
}

pub(super) fn slice(ready_anywhere: bool, local: Vec<LocalEndpoint>) -> SliceFact {
    let port = SlicePort { name: "http".into(), transport: Transport::Tcp, number: 8080 };
    SliceFact { ipv6: false, ports: vec![port], ready_anywhere, local, api_servers: Vec::new() }
}

pub(super) fn peer(address: &str) -> PeerFact {
    PeerFact {
        address: address.parse().map_err(|_| PeerProblem::Address(address.into())),
        asn: 65001,
        hold_time: None,
        keepalive_time: None,
        groups: Vec::new(),
        created: 1,
        generation: 1,
    }
}

pub(super) fn serving() -> Forwarding {
    Forwarding::Serving {
        rows: BTreeMap::new(),
        refused: BTreeMap::new(),
        attached: vec!["eth0".into()],
        degraded: None,
    }
}

/// kube-proxy is healthy and serves the VIP, or not.
pub(super) fn rules(present: bool) -> Proxy {
    let served = present.then(|| (vip().address, vip().port, sart_netlink::Protocol::Tcp));
    Proxy::Healthy { rules: std::sync::Arc::new(served.into_iter().collect()) }
}

pub(super) fn observed(policy: TrafficPolicy) -> Observed {
    let mut observed = Observed::new("node0");
    observed.synced =
        Sync { node: true, bgp: true, peers: true, adverts: true, services: true, slices: true };
    observed.node = Some(NodeFact { addresses: vec!["172.18.0.2".parse().unwrap()], excluded: false });
    observed.bgp = Some(BgpFact {
        asn: 65000,
        router_id: "172.18.0.2".into(),
        multipath: Some(true),
        import_ranges: Vec::new(),
        generation: 1,
    });
    observed.peers.insert("spine0".into(), peer("9.9.9.9"));
    observed.uplinks = Some(Uplinks::from([("eth0".to_owned(), 2)]));
    observed.forwarding = serving();
    observed.proxy = rules(true);
    observed.services.insert(web(), service(policy));
    observed.adverts.set(advert_key(), web(), advert());
    observed.slices.set(ObjectKey::new("ns", "web-1"), web(), slice(true, vec![endpoint(1, true)]));
    observed.speaker.link = SpeakerLink::Up;
    observed
}

/// The dataplane reaches what the plan asks of it.
pub(super) fn program(observed: &mut Observed, plan: &Plan) {
    let Some(wanted) = &plan.forwarding else { return };
    if let Forwarding::Serving { rows, attached, .. } = &mut observed.forwarding {
        *rows = wanted.rows.clone();
        *attached = wanted.uplinks.keys().cloned().collect();
    }
}

/// The speaker acknowledges what the plan asks of it.
pub(super) fn acknowledge(observed: &mut Observed, plan: &Plan) {
    let Some(wanted) = &plan.speaker else { return };
    let ours = |(prefix, groups): (&ipnet::IpNet, &std::sync::Arc<[String]>)| {
        (*prefix, Announced::Ours { groups: groups.clone() })
    };
    observed.speaker.announced = wanted.paths.iter().map(ours).collect();
    observed.speaker.running = Some((wanted.config.asn, wanted.config.router_id.clone()));
}

pub(super) fn announces(plan: &Plan) -> bool {
    plan.speaker.as_ref().is_some_and(|speaker| speaker.paths.contains_key(&vip().address.into()))
}

pub(super) fn programs(plan: &Plan) -> bool {
    plan.forwarding.as_ref().is_some_and(|forwarding| forwarding.rows.contains_key(&vip()))
}

/// Runs plan, maps and speaker until nothing changes.
pub(super) fn settle(observed: &mut Observed) -> Plan {
    loop {
        let planned = plan(observed);
        let before = observed.clone();
        program(observed, &planned);
        acknowledge(observed, &planned);
        if *observed == before {
            return planned;
        }
    }
}
