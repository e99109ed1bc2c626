//! What two OPENs agree on (RFC 4271 sections 4.2 and 6.2, RFC 5492, RFC 6286). Decides whether the neighbour is the
//! one configured; must never keep state.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::{SessionConfig, features};
use crate::family::Family;
use crate::wire::capability::{Capability, GracefulRestart};
use crate::wire::notification::Notification;
use crate::wire::open::Open;
use crate::wire::update::UpdateContext;

/// What a session agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The neighbour's router id.
    pub router_id: Ipv4Addr,
    /// The smaller hold time; zero turns timers off.
    pub hold_time: Duration,
    /// The keepalive interval; `None` if timers are off.
    pub keepalive: Option<Duration>,
    /// How UPDATEs are read and written.
    pub update: UpdateContext,
    /// The neighbour answers ROUTE-REFRESH.
    pub route_refresh: bool,
    /// Beginning and end of a refresh are marked, both ways (RFC 7313).
    pub enhanced_refresh: bool,
    /// Messages may have 65535 octets, both ways (RFC 8654).
    pub extended_messages: bool,
    /// How many paths of a prefix the neighbour is told with path identifiers, by family (RFC 7911).
    pub send_paths: Vec<(Family, u8)>,
    /// Everything the neighbour's OPEN named.
    pub capabilities: Vec<Capability>,
}

/// Our OPEN. Graceful restart without families promises nothing but an End-of-RIB, and asks for the neighbour's
/// (RFC 4724 section 3).
pub(crate) fn our_open(config: &SessionConfig) -> Open {
    let families = config.neighbor.offered_families();
    let mut capabilities: Vec<_> = families.into_iter().map(Capability::Multiprotocol).collect();
    capabilities.push(Capability::RouteRefresh);
    capabilities.push(Capability::EnhancedRouteRefresh);
    capabilities.extend(features::offered(&config.neighbor));
    capabilities.push(Capability::GracefulRestart(GracefulRestart::default()));
    capabilities.push(Capability::FourOctetAs(config.asn));
    Open {
        asn: config.asn,
        hold_time: config.neighbor.proposed_hold_time(),
        router_id: config.router_id,
        capabilities,
    }
}

/// Compares the neighbour's OPEN with what is configured.
///
/// # Errors
/// The NOTIFICATION to answer with, and why in words.
pub(crate) fn negotiate(config: &SessionConfig, open: &Open) -> Result<Negotiated, (Notification, String)> {
    check_identity(config, open)?;
    features::check_role(config.neighbor.features, open)?;
    if matches!(open.hold_time, 1 | 2) {
        let detail = format!("hold time {} is below 3 seconds", open.hold_time);
        return Err((Notification::new(Notification::BAD_HOLD_TIME), detail));
    }
    let hold_time = Duration::from_secs(u64::from(open.hold_time.min(config.neighbor.proposed_hold_time())));
    let families = common_families(config, open)?;
    let features = config.neighbor.features;
    let both = |ours: bool, theirs: &Capability| ours && open.capabilities.contains(theirs);
    let route_refresh = both(true, &Capability::RouteRefresh);
    Ok(Negotiated {
        router_id: open.router_id,
        hold_time,
        keepalive: config.neighbor.keepalive_interval(hold_time),
        update: UpdateContext {
            as4: open.capabilities.iter().any(|capability| matches!(capability, Capability::FourOctetAs(_))),
            internal: config.is_internal(),
            path_ids: features::path_ids(features, open, &families),
            extended_next_hop: features.extended_next_hop && features::takes_v6_for_v4(open),
            families: families.clone(),
        },
        route_refresh,
        enhanced_refresh: both(route_refresh, &Capability::EnhancedRouteRefresh),
        extended_messages: both(features.extended_messages, &Capability::ExtendedMessage),
        send_paths: features::send_paths(features, open, &families),
        capabilities: open.capabilities.clone(),
    })
}

fn check_identity(config: &SessionConfig, open: &Open) -> Result<(), (Notification, String)> {
    if open.asn != config.neighbor.asn {
        let detail = format!("the neighbor is in AS {}, configured is {}", open.asn, config.neighbor.asn);
        return Err((Notification::new(Notification::BAD_PEER_AS), detail));
    }
    let id = open.router_id;
    let fault = if id.is_unspecified() {
        Some(String::from("router id 0.0.0.0"))
    } else if id == config.router_id && config.is_internal() {
        Some(format!("router id {id} is our own"))
    } else {
        let expected = config.neighbor.router_id.filter(|expected| *expected != id);
        expected.map(|expected| format!("router id is {id}, configured is {expected}"))
    };
    match fault {
        Some(detail) => Err((Notification::new(Notification::BAD_ROUTER_ID), detail)),
        None => Ok(()),
    }
}

/// A neighbour without any multiprotocol capability means IPv4 unicast (RFC 4760 section 8).
fn common_families(config: &SessionConfig, open: &Open) -> Result<Vec<Family>, (Notification, String)> {
    let mut theirs: Vec<_> = open
        .capabilities
        .iter()
        .filter_map(|capability| match capability {
            Capability::Multiprotocol(family) => Some(*family),
            _ => None,
        })
        .collect();
    if theirs.is_empty() {
        theirs.push(Family::IPV4_UNICAST);
    }
    let ours = config.neighbor.offered_families();
    let common: Vec<_> = ours.iter().copied().filter(|family| theirs.contains(family)).collect();
    if common.is_empty() {
        let mut data = Vec::new();
        for family in &ours {
            Capability::Multiprotocol(*family).encode(&mut data);
        }
        let detail = String::from("no common address family");
        return Err((Notification::with_data(Notification::NO_COMMON_CAPABILITY, &data), detail));
    }
    Ok(common)
}
