//! The core's state as the API shows it. Must never hide a field that the contract has.

use std::net::Ipv4Addr;

use sart_bgp::config::{Global, NeighborConfig, PrefixLimit, TransitPolicy};
use sart_bgp::family::Family;
use sart_bgp::policy::{format_ext_community, format_large_community};
use sart_bgp::session::{MessageCounters, SessionState};
use sart_bgp::speaker::{Applied, BestPath, NeighborView, PathView};
use sart_bgp::wire::attr::{Origin, Segment, SegmentKind};
use sart_rpc::v1;

use super::session;

use crate::bgpd::owner::{BestPathEvent, NeighborEvent};
use crate::bgpd::policy::chain_text;

pub(super) fn global(global: &Global) -> v1::Global {
    let transit = match global.transit {
        TransitPolicy::LocalOnly => v1::TransitPolicy::LocalOnly,
        TransitPolicy::Full => v1::TransitPolicy::Full,
    };
    v1::Global {
        asn: global.asn,
        router_id: global.router_id.to_string(),
        port: u32::from(global.listen_port()),
        multipath: Some(global.decision.multipath),
        max_paths: u32::from(global.decision.max_paths),
        multipath_relax: Some(global.decision.relax),
        always_compare_med: global.decision.always_compare_med,
        deterministic_med: Some(global.decision.deterministic_med),
        missing_med_as_worst: global.decision.missing_med_as_worst,
        reject_as_sets: global.reject_as_sets,
        cluster_id: global.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        transit: transit.into(),
        import_ranges: global.import.ranges.iter().map(ToString::to_string).collect(),
        import_all: global.import.accept_all,
        protected_prefixes: global.import.protected.iter().map(ToString::to_string).collect(),
        ebgp_requires_policy: global.ebgp_requires_policy,
        prefer_oldest: global.decision.prefer_oldest,
        graceful_shutdown: global.graceful_shutdown,
        track_next_hops: global.track_next_hops,
        next_hop_metrics: global.next_hop_metrics.iter().map(next_hop_metric).collect(),
    }
}

fn next_hop_metric((address, metric): (&std::net::IpAddr, &u32)) -> v1::NextHopMetric {
    v1::NextHopMetric { address: address.to_string(), metric: *metric }
}

fn family(family: Family) -> v1::AddressFamily {
    match family {
        Family::IPV4_UNICAST => v1::AddressFamily::Ipv4Unicast,
        Family::IPV6_UNICAST => v1::AddressFamily::Ipv6Unicast,
        _ => v1::AddressFamily::Unspecified,
    }
}

fn state(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Idle => v1::SessionState::Idle,
        SessionState::Connect => v1::SessionState::Connect,
        SessionState::Active => v1::SessionState::Active,
        SessionState::OpenSent => v1::SessionState::OpenSent,
        SessionState::OpenConfirm => v1::SessionState::OpenConfirm,
        SessionState::Established => v1::SessionState::Established,
    }
}

fn counter(counters: &MessageCounters) -> Option<v1::MessageCounter> {
    Some(v1::MessageCounter {
        open: counters.open,
        update: counters.update,
        keepalive: counters.keepalive,
        notification: counters.notification,
        route_refresh: counters.route_refresh,
    })
}

fn router_id(id: Option<Ipv4Addr>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn config(config: &NeighborConfig) -> v1::NeighborConfig {
    v1::NeighborConfig {
        name: config.name.clone(),
        address: config.address.to_string(),
        asn: config.asn,
        hold_time: u32::from(config.proposed_hold_time()),
        keepalive_time: u32::from(config.keepalive_time),
        passive: config.passive,
        families: config.offered_families().into_iter().map(|offered| family(offered).into()).collect(),
        groups: config.groups.clone(),
        port: u32::from(config.dial_port()),
        router_id: router_id(config.router_id),
        route_reflector_client: config.reflector_client,
        enforce_first_as: config.enforce_first_as,
        export_limit: config.export_limit.unwrap_or_default(),
        hold_timer_off: config.proposed_hold_time() == 0,
        connect_retry: u32::try_from(config.longest_retry().as_secs()).unwrap_or(u32::MAX),
        prefix_limit: config.prefix_limit.as_ref().map(prefix_limit),
        shutdown: config.shutdown.clone(),
        transport: session::show_transport(&config.transport),
        features: session::show_features(&config.features),
        import: config.import.as_ref().map(chain_text),
        export: config.export.as_ref().map(chain_text),
    }
}

fn prefix_limit(limit: &PrefixLimit) -> v1::PrefixLimit {
    v1::PrefixLimit {
        max: limit.max,
        warn_percent: u32::from(limit.warn_percent),
        restart_seconds: limit.restart.unwrap_or_default(),
    }
}

pub(super) fn applied(applied: &Applied) -> v1::ApplyConfigResponse {
    v1::ApplyConfigResponse {
        neighbors_added: applied.neighbors_added,
        neighbors_removed: applied.neighbors_removed,
        neighbors_reset: applied.neighbors_reset,
        paths_changed: applied.paths_changed,
    }
}

pub(super) fn neighbor(view: &NeighborView) -> v1::Neighbor {
    v1::Neighbor {
        config: Some(config(&view.config)),
        state: state(view.state).into(),
        router_id: router_id(view.router_id),
        uptime_seconds: view.uptime.unwrap_or_default().as_secs(),
        negotiated_hold_time: u32::try_from(view.hold_time.as_secs()).unwrap_or(u32::MAX),
        negotiated_keepalive_time: u32::try_from(view.keepalive_time.as_secs()).unwrap_or(u32::MAX),
        capabilities: view.capabilities.clone(),
        sent: counter(&view.sent),
        received: counter(&view.received),
        prefixes_received: view.prefixes_received,
        prefixes_accepted: view.prefixes_accepted,
        prefixes_sent: view.prefixes_sent,
        prefixes_withheld: view.prefixes_withheld,
        flaps: view.flaps,
        last_error: view.last_error.clone().unwrap_or_default(),
        import_refused: view.import_refused.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
    }
}

pub(super) fn neighbor_event(event: NeighborEvent) -> v1::NeighborEvent {
    use v1::neighbor_event::Event;
    let event = match event {
        NeighborEvent::Changed(view) => Event::Neighbor(neighbor(&view)),
        NeighborEvent::Deleted(peer) => Event::DeletedAddress(peer.to_string()),
        NeighborEvent::Synced => Event::Synced(true),
    };
    v1::NeighborEvent { event: Some(event) }
}

pub(super) fn path(view: &PathView) -> v1::Path {
    let attributes = &view.attributes;
    let origin = match attributes.origin {
        Origin::Igp => v1::Origin::Igp,
        Origin::Egp => v1::Origin::Egp,
        Origin::Incomplete => v1::Origin::Incomplete,
    };
    v1::Path {
        prefix: view.prefix.to_string(),
        path_id: view.path_id,
        family: family(view.family()).into(),
        origin: origin.into(),
        next_hops: view.next_hop.iter().map(ToString::to_string).collect(),
        segments: attributes.as_path.segments.iter().map(segment).collect(),
        local_pref: attributes.local_pref,
        med: attributes.med,
        communities: attributes.communities.clone(),
        peer_asn: view.peer_asn,
        peer_address: view.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        best: view.best,
        multipath: view.multipath,
        age_seconds: view.age.as_secs(),
        ext_communities: attributes
            .ext_communities
            .iter()
            .map(|value| format_ext_community(*value))
            .collect(),
        large_communities: attributes.large_communities.iter().map(format_large_community).collect(),
        atomic_aggregate: attributes.atomic_aggregate,
        aggregator: attributes
            .aggregator
            .map(|by| format!("{} {}", by.asn, by.router_id))
            .unwrap_or_default(),
        originator_id: router_id(attributes.originator_id),
        cluster_list: attributes.cluster_list.iter().map(ToString::to_string).collect(),
        refused: view.refused.unwrap_or_default().to_owned(),
    }
}

fn segment(segment: &Segment) -> v1::AsSegment {
    let kind = match segment.kind {
        SegmentKind::Set => v1::as_segment::Kind::Set,
        SegmentKind::Sequence => v1::as_segment::Kind::Sequence,
    };
    v1::AsSegment { kind: kind.into(), asns: segment.asns.clone() }
}

pub(super) fn best_path_event(event: BestPathEvent) -> v1::BestPathEvent {
    use v1::best_path_event::Event;
    let event = match event {
        BestPathEvent::Path(path) => Event::Path(best_path(&path)),
        BestPathEvent::Settled => Event::EndOfRib(true),
    };
    v1::BestPathEvent { event: Some(event) }
}

fn best_path(path: &BestPath) -> v1::BestPath {
    let hop = |address: &std::net::IpAddr| v1::BestNextHop { address: address.to_string(), weight: 1 };
    v1::BestPath {
        prefix: path.prefix.to_string(),
        next_hops: path.next_hops.iter().map(hop).collect(),
        internal: path.internal,
    }
}
