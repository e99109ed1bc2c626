//! The plan: what speaker, maps and routes must hold, given everything observed. Each part is a whole desired state, so
//! planning again after it was reached yields the same plan. The order between the parts is in the plan itself: a path is
//! only in it once its rows were read back, and a row stays in it until the speaker has confirmed the withdrawal.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::announce::{self, Advertised, Withheld};
use super::facts::{ObjectKey, PeerProblem, TrafficPolicy};
use super::observed::{Forwarding, Observed, Row, Uplinks, VipPort};
use super::proof;
use super::routes::{self, LoopStoppers};
use super::speaker::{self, SpeakerConfig};

/// Paths to originate: prefix → groups.
pub type Paths = BTreeMap<IpNet, Arc<[String]>>;
/// Rows of the maps.
pub type Rows = BTreeMap<VipPort, Row>;
/// Decision per advertisement.
pub type Decisions = BTreeMap<ObjectKey, Result<Advertised, Withheld>>;

/// What the speaker must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerPlan {
    /// Identity, policy and neighbours.
    pub config: Arc<SpeakerConfig>,
    /// Originated paths.
    pub paths: Paths,
}

/// What the maps must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingPlan {
    /// Links with our programs.
    pub uplinks: Uplinks,
    /// Rows.
    pub rows: Rows,
}

/// The desired state of the node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Speaker; `None` leaves it as it is (not everything has been observed yet, or it was never ours).
    pub speaker: Option<SpeakerPlan>,
    /// Maps; `None` leaves them as they are.
    pub forwarding: Option<ForwardingPlan>,
    /// Loop stoppers; `None` leaves them as they are.
    pub stoppers: Option<LoopStoppers>,
    /// Decision per advertisement, with its reason.
    pub decisions: Decisions,
    /// Peers left out of the speaker's configuration.
    pub peer_problems: BTreeMap<String, PeerProblem>,
}

/// What one Service asks of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServicePlan {
    pub(super) decisions: Vec<(ObjectKey, Result<Advertised, Withheld>)>,
    pub(super) rows: Vec<(VipPort, Row)>,
    /// Its advertised prefixes, announced or not.
    pub(super) prefixes: Vec<IpNet>,
}

/// Plans the whole node.
pub fn plan(observed: &Observed) -> Plan {
    let services: Vec<_> = observed.adverts.groups().map(|key| service(observed, key)).collect();
    assemble(observed, services.iter())
}

/// Plans one Service: its decisions and rows.
pub(super) fn service(observed: &Observed, key: &ObjectKey) -> ServicePlan {
    let mut plan = ServicePlan::default();
    for (name, advert) in observed.adverts.group(key) {
        plan.prefixes.push(advert.prefix);
        plan.decisions.push((name.clone(), announce::decide(observed, advert)));
        let Ok((service, ports)) = announce::allocated(observed, advert) else { continue };
        if service.policy == TrafficPolicy::Local {
            let fitting = ports.into_iter().filter(|port| proof::fits_maps(&port.vip));
            let backed = fitting.filter(|port| !port.backends.local.is_empty());
            let row = |backends: Vec<_>| Row { service: key.clone(), backends: backends.into() };
            plan.rows.extend(backed.map(|port| (port.vip, row(port.backends.local))));
        }
    }
    plan
}

/// Puts the Services' plans together with what concerns the whole node.
pub(super) fn assemble<'a>(observed: &Observed, services: impl Iterator<Item = &'a ServicePlan>) -> Plan {
    let mut decisions = Decisions::new();
    let mut rows = Rows::new();
    let mut paths = Paths::new();
    for service in services {
        // No two Services hold one address; should the API say so, the lower name wins here as in the dataplane.
        for (vip, row) in &service.rows {
            rows.entry(*vip).or_insert_with(|| row.clone());
        }
        decisions.extend(service.decisions.iter().cloned());
        let advertised = service.decisions.iter().filter_map(|(_, decision)| decision.as_ref().ok());
        paths.extend(advertised.map(|path| (path.prefix, path.groups.clone())));
    }
    for (key, path) in announce::blocks(observed) {
        paths.insert(path.prefix, path.groups.clone());
        decisions.insert(key, Ok(path));
    }
    retain_announced(observed, &paths, &mut rows);
    let (config, peer_problems) = speaker::configure(observed);
    let speaker = config
        .filter(|_| observed.complete())
        .map(|config| SpeakerPlan { paths: originated(observed, paths), config: Arc::new(config) });
    let uplinks = observed.uplinks.clone().filter(|_| observed.may_program());
    Plan {
        speaker,
        forwarding: uplinks.map(|uplinks| ForwardingPlan { uplinks, rows }),
        stoppers: observed.may_program().then(|| routes::stoppers(observed)),
        decisions,
        peer_problems,
    }
}

/// Without a NodeBGP the node speaks for nobody.
fn originated(observed: &Observed, paths: Paths) -> Paths {
    if observed.bgp.is_some() { paths } else { Paths::new() }
}

/// Withdraw first: a row that nothing wants any more stays in the maps while its prefix is still announced.
fn retain_announced(observed: &Observed, paths: &Paths, rows: &mut Rows) {
    let Forwarding::Serving { rows: programmed, .. } = &observed.forwarding else { return };
    for (vip, row) in programmed {
        let prefix = IpNet::from(vip.address);
        let leaving = observed.speaker.announced.contains_key(&prefix) && !paths.contains_key(&prefix);
        if leaving && !rows.contains_key(vip) {
            rows.insert(*vip, row.clone());
        }
    }
}
