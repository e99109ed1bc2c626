//! What the node says of itself: the conditions, sessions and prefixes of `NodeBGP.status` and the session of each
//! `BGPPeer.status`. Without times: the writer adds them only where something changed.

use std::collections::{BTreeMap, BTreeSet};

use sart_api::condition::{DATAPLANE, SESSION, SPEAKER};
use sart_api::{AdvertisedPrefix, BGPPeerSpec, Condition, LostBlock, NodePeerStatus, node_bgp};

use super::facts::PeerFact;
use super::observed::{Forwarding, Observed, Session, SpeakerLink};
use super::plan::Plan;

/// State of a session that is up.
pub const ESTABLISHED: &str = "Established";

/// The status of a NodeBGP, times and backoff aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeReport {
    /// Sessions by peer name.
    pub peers: Vec<NodePeerStatus>,
    /// Announced prefixes, sorted.
    pub advertisements: Vec<AdvertisedPrefix>,
    /// What this node sees of blocks of lost nodes.
    pub lost_blocks: Vec<LostBlock>,
    /// `Dataplane`, then `Speaker` last.
    pub conditions: Vec<Condition>,
}

/// The `Session` condition of every BGPPeer, by name.
pub type PeerReports = BTreeMap<String, Condition>;

/// Writes the node's report.
pub fn node(observed: &Observed, plan: &Plan) -> NodeReport {
    let generation = observed.bgp.as_ref().map(|bgp| bgp.generation);
    NodeReport {
        peers: observed.peers.iter().map(|(name, peer)| session(observed, plan, name, peer)).collect(),
        advertisements: advertisements(observed, plan),
        lost_blocks: observed.lost_blocks.clone(),
        conditions: vec![dataplane(observed).observed(generation), speaker(observed).observed(generation)],
    }
}

/// Writes the report of every peer.
pub fn peers(observed: &Observed, plan: &Plan) -> PeerReports {
    let condition = |(name, peer): (&String, &PeerFact)| {
        let status = session(observed, plan, name, peer);
        let (reason, message) = match (plan.peer_problems.get(name), &observed.speaker.link) {
            (Some(problem), _) => (problem.reason(), problem.to_string()),
            (None, SpeakerLink::Down { message }) => ("SpeakerUnavailable", message.clone()),
            (None, SpeakerLink::Up) if status.state == ESTABLISHED => ("Established", String::new()),
            (None, SpeakerLink::Up) => ("NotEstablished", status.reason),
        };
        let condition = Condition::new(SESSION, &status.state, reason, message);
        (name.clone(), condition.observed(Some(peer.generation)))
    };
    observed.peers.iter().map(condition).collect()
}

fn session(observed: &Observed, plan: &Plan, name: &str, peer: &PeerFact) -> NodePeerStatus {
    let problem = plan.peer_problems.get(name);
    let found = peer.address.as_ref().ok().filter(|_| problem.is_none());
    let session = found.and_then(|address| observed.speaker.sessions.get(address));
    NodePeerStatus {
        name: name.to_owned(),
        address: match &peer.address {
            Ok(address) => address.to_string(),
            Err(_) => String::new(),
        },
        asn: peer.asn,
        state: session.map_or("Idle", |session| session.state).to_owned(),
        reason: problem.map_or_else(|| why_down(observed, session), ToString::to_string),
    }
}

fn why_down(observed: &Observed, session: Option<&Session>) -> String {
    match (session, &observed.speaker.link) {
        (Some(session), _) if session.state == ESTABLISHED => String::new(),
        (Some(session), _) => session.last_error.clone(),
        (None, SpeakerLink::Down { message }) => message.clone(),
        (None, SpeakerLink::Up) => "not configured in the speaker yet".to_owned(),
    }
}

/// What the speaker has confirmed and the plan still wants, with the sessions that carry it.
fn advertisements(observed: &Observed, plan: &Plan) -> Vec<AdvertisedPrefix> {
    let confirmed = |prefix| observed.speaker.announced.contains_key(prefix);
    let advertised = plan.decisions.values().flatten().filter(|path| confirmed(&path.prefix));
    let mut seen = BTreeSet::new();
    let mut list: Vec<_> = advertised
        .filter(|path| seen.insert(path.prefix))
        .map(|path| {
            let prefix = path.prefix.to_string();
            let peers = carriers(observed, plan, &prefix, &path.groups);
            AdvertisedPrefix { prefix, proof: path.proof, peers }
        })
        .collect();
    list.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix));
    list
}

fn carriers(observed: &Observed, plan: &Plan, prefix: &str, groups: &[String]) -> Vec<String> {
    let established = |peer: &PeerFact| {
        let session = peer.address.as_ref().ok().and_then(|address| observed.speaker.sessions.get(address));
        session.is_some_and(|session| session.state == ESTABLISHED)
    };
    let carries = |peer: &PeerFact| {
        let addr = peer.address.as_ref().map(ToString::to_string).unwrap_or_default();
        let spec = BGPPeerSpec { addr, groups: Some(peer.groups.clone()), ..BGPPeerSpec::default() };
        spec.carries(prefix, groups)
    };
    // A peer left out of the speaker may share its address with one whose session is up.
    let configured = observed.peers.iter().filter(|(name, _)| !plan.peer_problems.contains_key(*name));
    let carriers = configured.filter(|(_, peer)| established(peer) && carries(peer));
    carriers.map(|(name, _)| name.clone()).collect()
}

fn dataplane(observed: &Observed) -> Condition {
    match &observed.forwarding {
        Forwarding::Unknown => Condition::new(DATAPLANE, "Unknown", "Starting", "programs are being loaded"),
        Forwarding::Refused { reason, message } => {
            Condition::new(DATAPLANE, "False", reason, message.clone())
        }
        Forwarding::Serving { degraded: Some((reason, message)), .. } => {
            Condition::new(DATAPLANE, "True", reason, message.clone())
        }
        Forwarding::Serving { attached, refused, .. } => attached_condition(attached, refused.iter().next()),
    }
}

fn attached_condition(
    attached: &[String],
    refused: Option<(&super::observed::VipPort, &String)>,
) -> Condition {
    if let Some((vip, why)) = refused {
        let message = format!("{vip} is left to kube-proxy: {why}");
        return Condition::new(DATAPLANE, "True", "PartlyRefused", message);
    }
    if attached.is_empty() {
        let message = "no uplink found: no route leads to a BGPPeer's address; kube-proxy serves";
        return Condition::new(DATAPLANE, "False", "NoUplink", message);
    }
    Condition::new(DATAPLANE, "True", "Attached", format!("attached to {}", attached.join(", ")))
}

fn speaker(observed: &Observed) -> Condition {
    let view = &observed.speaker;
    let unavailable =
        |reason, message: String| Condition::new(SPEAKER, node_bgp::UNAVAILABLE, reason, message);
    if let SpeakerLink::Down { message } = &view.link {
        return unavailable(node_bgp::NOT_CONFIGURED, message.clone());
    }
    if let Some(refusal) = &view.refusal {
        return unavailable(node_bgp::INVALID_CONFIGURATION, refusal.clone());
    }
    let wanted = observed.bgp.as_ref().map(|bgp| (bgp.asn, bgp.router_id.clone()));
    if view.running.is_some() && view.running == wanted {
        return Condition::new(SPEAKER, node_bgp::AVAILABLE, node_bgp::CONFIGURED, "");
    }
    let message = if observed.complete() {
        "the settings are on their way to the speaker".to_owned()
    } else {
        "waiting for the first complete view of the cluster".to_owned()
    };
    unavailable(node_bgp::NOT_CONFIGURED, message)
}
