//! The figures of each neighbour and table. As many series as neighbors, families and fixed words; those of a neighbor that
//! is configured no more are gone. Must never ask the speaker: a scrape shows what it published last.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use sart_bgp::family::Family;
use sart_bgp::session::{MessageCounters, SessionEvent, SessionState};
use sart_bgp::speaker::{FamilyFigures, NeighborFigures};
use sart_bgp::wire::notification::Notification;

/// What was published last, and what was counted since a neighbor is configured.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Known>);

/// A clone shares everything until one of the two changes.
#[derive(Clone, Debug, Default)]
struct Known {
    /// In order of address.
    peers: Arc<Vec<NeighborFigures>>,
    tables: Vec<(Family, usize)>,
    counted: Arc<BTreeMap<IpAddr, Counted>>,
}

/// What only events tell.
#[derive(Clone, Debug, Default)]
struct Counted {
    established: u64,
    /// By price and problem.
    faults: BTreeMap<(&'static str, &'static str), u64>,
    /// By direction and code.
    notifications: BTreeMap<(&'static str, &'static str), u64>,
}

const SENT: &str = "sent";
const RECEIVED: &str = "received";

impl Peers {
    /// Takes what the speaker says now in place of what it said before.
    pub(super) fn publish(&self, peers: Vec<NeighborFigures>, tables: &[(Family, usize)]) {
        self.with(|known| {
            let is_there = |peer: &IpAddr| peers.binary_search_by_key(peer, |figures| figures.peer).is_ok();
            if !known.counted.keys().all(is_there) {
                Arc::make_mut(&mut known.counted).retain(|peer, _| is_there(peer));
            }
            known.peers = Arc::new(peers);
            known.tables = tables.to_vec();
        });
    }

    /// Something happened on the session of a neighbor.
    pub(super) fn count(&self, peer: IpAddr, event: &SessionEvent) {
        self.with(|known| Arc::make_mut(&mut known.counted).entry(peer).or_default().count(event));
    }

    /// A neighbor is configured no more.
    pub(super) fn forget(&self, peer: IpAddr) {
        self.with(|known| {
            Arc::make_mut(&mut known.counted).remove(&peer);
            Arc::make_mut(&mut known.peers).retain(|figures| figures.peer != peer);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        // Numbers are whole between any two statements.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counted {
    fn count(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::State { to: SessionState::Established, .. } => self.established += 1,
            SessionEvent::UpdateFault { fault } => {
                *self.faults.entry((fault.class.reason(), fault.problem.reason())).or_default() += 1;
            }
            SessionEvent::NotificationSent { notification, .. } => self.notified(SENT, notification),
            SessionEvent::NotificationReceived { notification } => self.notified(RECEIVED, notification),
            SessionEvent::HoldTimerExpired { .. } => {
                self.notified(SENT, &Notification::new(Notification::HOLD_EXPIRED));
            }
            _ => {}
        }
    }

    fn notified(&mut self, direction: &'static str, notification: &Notification) {
        *self.notifications.entry((direction, code(notification.code))).or_default() += 1;
    }
}

/// The error codes that exist (RFC 4271 section 4.5, RFC 7313, RFC 9687); a neighbor can send any other number, which must
/// not make a series.
const fn code(code: u8) -> &'static str {
    match code {
        1 => "MessageHeader",
        2 => "OpenMessage",
        3 => "UpdateMessage",
        4 => "HoldTimerExpired",
        5 => "StateMachine",
        6 => "Cease",
        7 => "RouteRefresh",
        8 => "SendHoldTimerExpired",
        _ => "Other",
    }
}

/// As the BGP4-MIB numbers them (RFC 4273, bgpPeerState).
const fn state_number(state: SessionState) -> u64 {
    match state {
        SessionState::Idle => 1,
        SessionState::Connect => 2,
        SessionState::Active => 3,
        SessionState::OpenSent => 4,
        SessionState::OpenConfirm => 5,
        SessionState::Established => 6,
    }
}

fn by_kind(counters: &MessageCounters) -> [(&'static str, u64); 5] {
    [
        ("Open", counters.open),
        ("Update", counters.update),
        ("Keepalive", counters.keepalive),
        ("Notification", counters.notification),
        ("RouteRefresh", counters.route_refresh),
    ]
}

impl Collector for Peers {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        // The text is long: nobody who counts waits while it is written.
        let known = self.with(|known| known.clone());
        known.sessions(&mut to)?;
        known.messages(&mut to)?;
        known.counted(&mut to)?;
        known.prefixes(&mut to)?;
        let tables =
            known.tables.iter().map(|(family, size)| ([("family", family.to_string())], *size as u64));
        gauge(&mut to, ("table_prefixes", "Prefixes in the table, by family"), tables)
    }
}

impl Known {
    fn sessions(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of = |figure: fn(&NeighborFigures) -> u64| {
            self.peers.iter().map(move |peer| ([("peer", peer.peer.to_string())], figure(peer)))
        };
        let help = "Where the session stands: 1 Idle to 6 Established, as bgpPeerState of RFC 4273";
        gauge(to, ("peer_state", help), of(|peer| state_number(peer.state)))?;
        let help = "The most octets that waited to be sent since the session came up";
        gauge(to, ("peer_backlog_high_octets", help), of(|peer| peer.backlog_high as u64))
    }

    fn messages(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let rows = self.peers.iter().flat_map(|peer| {
            [(SENT, &peer.sent), (RECEIVED, &peer.received)].into_iter().flat_map(|(direction, counters)| {
                by_kind(counters).map(|(kind, count)| {
                    let peer = ("peer", peer.peer.to_string());
                    ([peer, ("direction", direction.to_owned()), ("type", kind.to_owned())], count)
                })
            })
        });
        counter(
            to,
            ("peer_messages", "Messages since the neighbor is configured, by direction and type"),
            rows,
        )
    }

    fn counted(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let established =
            self.counted.iter().map(|(peer, counted)| ([("peer", peer.to_string())], counted.established));
        counter(to, ("peer_established", "Times the session became Established"), established)?;
        let words = |(first, second): (&'static str, &'static str),
                     of: fn(&Counted) -> &BTreeMap<(&'static str, &'static str), u64>| {
            self.counted.iter().flat_map(move |(peer, counted)| {
                of(counted).iter().map(move |((a, b), count)| {
                    let peer = ("peer", peer.to_string());
                    ([peer, (first, (*a).to_owned()), (second, (*b).to_owned())], *count)
                })
            })
        };
        let help =
            "Faults of UPDATEs that the session survived (RFC 7606), by what they cost and what was wrong";
        let rows = words(("action", "reason"), |counted| &counted.faults);
        counter(to, ("peer_update_faults", help), rows)?;
        let rows = words(("direction", "code"), |counted| &counted.notifications);
        counter(to, ("peer_notifications", "NOTIFICATIONs that ended a session, by direction and code"), rows)
    }

    fn prefixes(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of = |figure: fn(&FamilyFigures) -> u64| {
            self.peers.iter().flat_map(move |peer| {
                let row = move |family: &FamilyFigures| {
                    let labels = [("peer", peer.peer.to_string()), ("family", family.family.to_string())];
                    (labels, figure(family))
                };
                peer.families.iter().map(row)
            })
        };
        let help = "Prefixes that the neighbor announces now, by family";
        gauge(to, ("peer_prefixes_received", help), of(|family| family.received))?;
        let help = "Prefixes of the neighbor that the import rules accept, by family";
        gauge(to, ("peer_prefixes_accepted", help), of(|family| family.accepted))?;
        let help = "Prefixes that the neighbor is told, by family";
        gauge(to, ("peer_prefixes_advertised", help), of(|family| family.advertised))?;
        let help = "Prefixes kept from the neighbor by its export limit, by family";
        gauge(to, ("peer_prefixes_withheld", help), of(|family| family.withheld))?;
        let help = "Routes kept from the neighbor because they would leak (RFC 9234), by family";
        gauge(to, ("peer_leaks_kept", help), of(|family| family.leaks_kept))
    }
}

fn gauge<L: EncodeLabelSet>(
    to: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))?;
    }
    Ok(())
}

fn counter<L: EncodeLabelSet>(
    to: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)?;
    }
    Ok(())
}
