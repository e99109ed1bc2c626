//! The speaker's answers as upstream's JSON, with what we know besides as further keys. Keys may be added, never renamed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sart_rpc::v1;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Done<'a> {
    pub(crate) message: &'a str,
}

/// What a reload changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    neighbors_added: u32,
    neighbors_removed: u32,
    neighbors_reset: u32,
    paths_changed: u32,
}

impl From<&v1::ApplyConfigResponse> for Applied {
    fn from(applied: &v1::ApplyConfigResponse) -> Self {
        Self {
            neighbors_added: applied.neighbors_added,
            neighbors_removed: applied.neighbors_removed,
            neighbors_reset: applied.neighbors_reset,
            paths_changed: applied.paths_changed,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Global<'a> {
    asn: u32,
    router_id: &'a str,
    port: u32,
    multi_path: bool,
    transit: &'static str,
    import_all: bool,
    import_ranges: &'a [String],
    protected_prefixes: &'a [String],
    ebgp_requires_policy: bool,
    max_paths: u32,
    multi_path_relax: bool,
    always_compare_med: bool,
    deterministic_med: bool,
    missing_med_as_worst: bool,
    prefer_oldest: bool,
    /// None is the router id.
    cluster_id: Option<&'a str>,
    reject_as_sets: bool,
    graceful_shutdown: bool,
    track_next_hops: bool,
    next_hop_metrics: BTreeMap<&'a str, u32>,
}

impl<'a> From<&'a v1::Global> for Global<'a> {
    fn from(global: &'a v1::Global) -> Self {
        Self {
            asn: global.asn,
            router_id: &global.router_id,
            port: global.port,
            multi_path: global.multipath(),
            transit: super::plain::transit(global.transit()),
            import_all: global.import_all,
            import_ranges: &global.import_ranges,
            protected_prefixes: &global.protected_prefixes,
            ebgp_requires_policy: global.ebgp_requires_policy,
            max_paths: global.max_paths,
            multi_path_relax: global.multipath_relax.unwrap_or(true),
            always_compare_med: global.always_compare_med,
            deterministic_med: global.deterministic_med.unwrap_or(true),
            missing_med_as_worst: global.missing_med_as_worst,
            prefer_oldest: global.prefer_oldest,
            cluster_id: given(&global.cluster_id),
            reject_as_sets: global.reject_as_sets,
            graceful_shutdown: global.graceful_shutdown,
            track_next_hops: global.track_next_hops,
            next_hop_metrics: global
                .next_hop_metrics
                .iter()
                .map(|hop| (hop.address.as_str(), hop.metric))
                .collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Peers<'a> {
    peers: Vec<Peer<'a>>,
}

impl<'a> From<&'a [v1::Neighbor]> for Peers<'a> {
    fn from(neighbors: &'a [v1::Neighbor]) -> Self {
        Self { peers: neighbors.iter().map(Peer::from).collect() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer<'a> {
    name: &'a str,
    address: &'a str,
    asn: u32,
    router_id: &'a str,
    state: &'static str,
    /// Seconds.
    uptime: u64,
    hold_time: u32,
    keep_alive_time: u32,
    families: Vec<Family>,
    capabilities: &'a [String],
    send_counter: Counter,
    receive_counter: Counter,
    passive: bool,
    groups: &'a [String],
    prefixes_received: u64,
    prefixes_accepted: u64,
    prefixes_sent: u64,
    import_refused: &'a BTreeMap<String, u64>,
    flaps: u64,
    last_error: &'a str,
    import: Option<Chain<'a>>,
    export: Option<Chain<'a>>,
    /// The text, if it is kept down on purpose.
    shutdown: Option<&'a str>,
    prefix_limit: Option<PrefixLimit>,
    prefixes_withheld: u64,
    export_limit: Option<u32>,
    route_reflector_client: bool,
    enforce_first_as: bool,
    transport: Option<Transport<'a>>,
    features: Option<Features>,
}

/// How it is reached, where that is configured; a number that is not is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Transport<'a> {
    local_address: Option<&'a str>,
    ttl: Option<u32>,
    ttl_security: Option<u32>,
    has_password: bool,
    /// Seconds.
    send_hold_time: Option<u32>,
}

impl<'a> From<&'a v1::Transport> for Transport<'a> {
    fn from(transport: &'a v1::Transport) -> Self {
        Self {
            local_address: given(&transport.local_address),
            ttl: number(transport.ttl),
            ttl_security: number(transport.ttl_security),
            has_password: transport.has_password,
            send_hold_time: number(transport.send_hold_time),
        }
    }
}

/// What it is offered, where that is configured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    extended_messages: bool,
    extended_next_hop: bool,
    add_path_receive: bool,
    add_path_send: u32,
    role: Option<&'static str>,
    strict_role: bool,
}

impl From<&v1::Features> for Features {
    fn from(features: &v1::Features) -> Self {
        Self {
            extended_messages: features.extended_messages,
            extended_next_hop: features.extended_next_hop,
            add_path_receive: features.add_path_receive,
            add_path_send: features.add_path_send,
            role: super::plain::role(features),
            strict_role: features.strict_role,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrefixLimit {
    max: u32,
    warn_percent: u32,
    /// Seconds; none stays down.
    restart: Option<u32>,
}

/// A neighbor's own chain.
#[derive(Debug, Serialize)]
pub(crate) struct Chain<'a> {
    policies: &'a [String],
    default: &'static str,
}

impl<'a> From<&'a v1::PolicyChain> for Chain<'a> {
    fn from(chain: &'a v1::PolicyChain) -> Self {
        let default = match chain.default() {
            v1::PolicyDefault::Reject => "reject",
            v1::PolicyDefault::Accept => "accept",
        };
        Self { policies: &chain.policies, default }
    }
}

impl<'a> From<&'a v1::Neighbor> for Peer<'a> {
    fn from(neighbor: &'a v1::Neighbor) -> Self {
        let config = neighbor.config.as_ref();
        Self {
            name: config.map_or("", |config| &config.name),
            address: config.map_or("", |config| &config.address),
            asn: config.map_or(0, |config| config.asn),
            router_id: &neighbor.router_id,
            state: super::plain::state(neighbor.state()),
            uptime: neighbor.uptime_seconds,
            hold_time: neighbor.negotiated_hold_time,
            keep_alive_time: neighbor.negotiated_keepalive_time,
            families: config.map(|config| config.families().map(Family::from).collect()).unwrap_or_default(),
            capabilities: &neighbor.capabilities,
            send_counter: neighbor.sent.unwrap_or_default().into(),
            receive_counter: neighbor.received.unwrap_or_default().into(),
            passive: config.is_some_and(|config| config.passive),
            groups: config.map_or(&[], |config| &config.groups),
            prefixes_received: neighbor.prefixes_received,
            prefixes_accepted: neighbor.prefixes_accepted,
            prefixes_sent: neighbor.prefixes_sent,
            import_refused: &neighbor.import_refused,
            flaps: neighbor.flaps,
            last_error: &neighbor.last_error,
            import: config.and_then(|config| config.import.as_ref()).map(Chain::from),
            export: config.and_then(|config| config.export.as_ref()).map(Chain::from),
            shutdown: config.and_then(|config| config.shutdown.as_deref()),
            prefix_limit: config.and_then(|config| config.prefix_limit.as_ref()).map(|limit| PrefixLimit {
                max: limit.max,
                warn_percent: limit.warn_percent,
                restart: number(limit.restart_seconds),
            }),
            prefixes_withheld: neighbor.prefixes_withheld,
            export_limit: config.and_then(|config| number(config.export_limit)),
            route_reflector_client: config.is_some_and(|config| config.route_reflector_client),
            enforce_first_as: config.is_some_and(|config| config.enforce_first_as),
            transport: config.and_then(|config| config.transport.as_ref()).map(Transport::from),
            features: config.and_then(|config| config.features.as_ref()).map(Features::from),
        }
    }
}

#[derive(Debug, Serialize)]
struct Family {
    afi: &'static str,
    safi: &'static str,
}

impl From<v1::AddressFamily> for Family {
    fn from(family: v1::AddressFamily) -> Self {
        let afi = match family {
            v1::AddressFamily::Unspecified => "unknown",
            v1::AddressFamily::Ipv4Unicast => "ipv4",
            v1::AddressFamily::Ipv6Unicast => "ipv6",
        };
        Self { afi, safi: "unicast" }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counter {
    open: u64,
    update: u64,
    keep_alive: u64,
    notification: u64,
    route_refresh: u64,
}

impl From<v1::MessageCounter> for Counter {
    fn from(counter: v1::MessageCounter) -> Self {
        Self {
            open: counter.open,
            update: counter.update,
            keep_alive: counter.keepalive,
            notification: counter.notification,
            route_refresh: counter.route_refresh,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Path<'a> {
    nlri: &'a str,
    family: Family,
    origin: &'static str,
    next_hops: &'a [String],
    segments: Vec<Segment<'a>>,
    local_pref: Option<u32>,
    med: Option<u32>,
    peer_asn: u32,
    peer_addr: &'a str,
    best: bool,
    timestamp: Timestamp,
    multipath: bool,
    communities: Vec<String>,
    ext_communities: &'a [String],
    large_communities: &'a [String],
    atomic_aggregate: bool,
    aggregator: Option<&'a str>,
    originator_id: Option<&'a str>,
    cluster_list: &'a [String],
    refused: Option<&'a str>,
    /// RFC 7911; none without.
    path_id: Option<u32>,
}

impl<'a> Path<'a> {
    /// `now` turns the age into a time.
    pub(crate) fn new(path: &'a v1::Path, now: Timestamp) -> Self {
        let age = SignedDuration::from_secs(i64::try_from(path.age_seconds).unwrap_or(i64::MAX));
        Self {
            nlri: &path.prefix,
            family: path.family().into(),
            origin: super::plain::origin(path.origin()),
            next_hops: &path.next_hops,
            segments: path.segments.iter().map(Segment::from).collect(),
            local_pref: path.local_pref,
            med: path.med,
            peer_asn: path.peer_asn,
            peer_addr: &path.peer_address,
            best: path.best,
            timestamp: now.checked_sub(age).unwrap_or(Timestamp::MIN),
            multipath: path.multipath,
            communities: path
                .communities
                .iter()
                .map(|value| format!("{}:{}", value >> 16, value & 0xffff))
                .collect(),
            ext_communities: &path.ext_communities,
            large_communities: &path.large_communities,
            atomic_aggregate: path.atomic_aggregate,
            aggregator: given(&path.aggregator),
            originator_id: given(&path.originator_id),
            cluster_list: &path.cluster_list,
            refused: given(&path.refused),
            path_id: number(path.path_id),
        }
    }
}

/// 0 is none.
pub(super) fn number(value: u32) -> Option<u32> {
    Some(value).filter(|value| *value != 0)
}

/// An empty text is none.
pub(super) fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[derive(Debug, Serialize)]
struct Segment<'a> {
    r#type: &'static str,
    elm: &'a [u32],
}

impl<'a> From<&'a v1::AsSegment> for Segment<'a> {
    fn from(segment: &'a v1::AsSegment) -> Self {
        let kind = match segment.kind() {
            v1::as_segment::Kind::Unspecified => "unknown",
            v1::as_segment::Kind::Set => "set",
            v1::as_segment::Kind::Sequence => "sequence",
        };
        Self { r#type: kind, elm: &segment.asns }
    }
}
