//! Resolves the peers a ClusterBGP gives a node: template, then what is written inline on top of it.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use sart_api::net::parse_address;
use sart_api::{BGPPeerSpec, BGPPeerTemplateSpec, ClusterBGP, NodePeer, PeerConfig, names};

use crate::meta;

/// Why a peer cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeerError {
    /// The template does not exist.
    #[error("there is no BGPPeerTemplate {0:?}; create it or correct peerTemplateRef")]
    NoTemplate(String),
    /// A field nobody gives.
    #[error("neither template nor peerConfig of a peer gives {0}; set it in one of them")]
    Missing(&'static str),
    /// The address is none.
    #[error("peer address {0:?} is not an IP address")]
    Address(String),
}

impl PeerError {
    /// The word used in conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoTemplate(_) => "TemplateNotFound",
            Self::Missing(_) => "PeerIncomplete",
            Self::Address(_) => "InvalidPeerAddress",
        }
    }
}

/// Peers of `cluster` for the node, and what went wrong.
pub fn resolve(
    cluster: &ClusterBGP,
    node: &str,
    labels: &BTreeMap<String, String>,
    templates: &BTreeMap<String, BGPPeerTemplateSpec>,
) -> (Vec<NodePeer>, Vec<PeerError>) {
    let entries = cluster.spec.peers.iter().flatten();
    let meant = entries.filter(|entry| meta::selects(entry.node_bgp_selector.as_ref(), labels));
    let mut peers = Vec::new();
    let mut errors = Vec::new();
    for entry in meant {
        match peer(cluster, entry, node, templates) {
            Ok(peer) => peers.push(peer),
            Err(error) => errors.push(error),
        }
    }
    (peers, errors)
}

fn peer(
    cluster: &ClusterBGP,
    entry: &PeerConfig,
    node: &str,
    templates: &BTreeMap<String, BGPPeerTemplateSpec>,
) -> Result<NodePeer, PeerError> {
    let template = match &entry.peer_template_ref {
        None => None,
        Some(name) => Some(templates.get(name).cloned().ok_or_else(|| PeerError::NoTemplate(name.clone()))?),
    };
    let settings = overlay(template.unwrap_or_default(), entry.peer_config.clone().unwrap_or_default());
    let asn = settings.asn.ok_or(PeerError::Missing("asn"))?;
    let addr = settings.addr.ok_or(PeerError::Missing("addr"))?;
    if parse_address(&addr).is_err() {
        return Err(PeerError::Address(addr));
    }
    let name = names::peer(entry.peer_template_ref.as_deref(), node, asn, &addr);
    let spec = BGPPeerSpec {
        asn,
        addr,
        hold_time: settings.hold_time,
        keepalive_time: settings.keepalive_time,
        capabilities: settings.capabilities,
        node_bgp_ref: node.to_owned(),
        cluster_bgp_ref: Some(cluster.name_any()),
        speaker: cluster.spec.speaker.clone(),
        groups: settings.groups,
    };
    Ok(NodePeer { name, spec })
}

/// Every field that is written inline wins.
fn overlay(under: BGPPeerTemplateSpec, over: BGPPeerTemplateSpec) -> BGPPeerTemplateSpec {
    BGPPeerTemplateSpec {
        asn: over.asn.or(under.asn),
        addr: over.addr.or(under.addr),
        capabilities: over.capabilities.or(under.capabilities),
        hold_time: over.hold_time.or(under.hold_time),
        keepalive_time: over.keepalive_time.or(under.keepalive_time),
        groups: over.groups.or(under.groups),
    }
}
