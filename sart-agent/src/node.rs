//! What one node knows and what follows from it: facts read from objects, proofs read from kernel and kube-proxy, and the
//! plan that says what the speaker, the maps and the routes must hold. Pure: no clock, client, socket or file.

mod announce;
mod backends;
mod facts;
mod grouped;
mod observed;
mod plan;
mod planner;
mod proof;
pub mod read;
pub mod report;
pub mod routes;
mod speaker;

pub use announce::{Advertised, Withheld};
pub use backends::Backend;
pub use facts::{
    AdvertFact, BgpFact, BlockAdvertFact, LocalEndpoint, NodeFact, ObjectKey, PeerFact, PeerProblem,
    PortFact, ServiceFact, SliceFact, SlicePort, TrafficPolicy, Transport,
};
pub use grouped::Grouped;
pub use observed::{
    Announced, Forwarding, Observed, Proxy, Row, Session, SpeakerLink, SpeakerView, Sync, Uplinks, VipPort,
};
pub use plan::{Decisions, ForwardingPlan, Paths, Plan, Rows, SpeakerPlan, plan};
pub use planner::{Change, Planner};
pub use routes::LoopStoppers;
pub use speaker::{Neighbor, SpeakerConfig};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
