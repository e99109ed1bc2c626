//! Merges all EndpointSlices of a Service into what this node can do for each port. The slices are one set: no slice
//! decides alone, so a Service spread over several never flaps.

use std::net::{IpAddr, SocketAddr};

use super::facts::{PortFact, SliceFact, SlicePort};

/// One pod of this node behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// Where its packets go.
    pub socket: SocketAddr,
    /// Which pod it is.
    pub identity: u64,
    /// Keeps the flows it has, gets no new one.
    pub draining: bool,
}

/// What stands behind one port of a Service, for one address family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortBackends {
    /// Backends of this node for the maps, sorted.
    pub local: Vec<Backend>,
    /// One of them is ready.
    pub ready: bool,
    /// Some node has a ready endpoint.
    pub ready_anywhere: bool,
}

impl PortBackends {
    /// Collects the backends of `port` for a VIP of the same family as `vip`. Terminating ones that still serve drain, unless
    /// nothing else is left: then they take what arrives until the routers have heard the withdrawal (as KEP-1669 asks of
    /// kube-proxy).
    pub fn collect<'a>(port: &'a PortFact, vip: IpAddr, slices: impl Iterator<Item = &'a SliceFact>) -> Self {
        let mut found = Self::default();
        for (slice, target) in matching(port, vip, slices) {
            found.ready_anywhere |= slice.ready_anywhere;
            found.local.extend(slice.local.iter().map(|endpoint| Backend {
                socket: SocketAddr::new(endpoint.address, target),
                identity: endpoint.identity,
                draining: !endpoint.ready,
            }));
        }
        found.ready = found.local.iter().any(|backend| !backend.draining);
        if !found.ready {
            found.local.iter_mut().for_each(|backend| backend.draining = false);
        }
        found.local.sort_unstable();
        // While an endpoint moves between slices it stands in both: one entry, and ready (false sorts first) wins.
        found.local.dedup_by_key(|backend| (backend.socket, backend.identity));
        found
    }
}

/// Slices of the VIP's family that implement the port, with the port number the pods listen on.
fn matching<'a>(
    port: &'a PortFact,
    vip: IpAddr,
    slices: impl Iterator<Item = &'a SliceFact>,
) -> impl Iterator<Item = (&'a SliceFact, u16)> {
    slices.filter(move |slice| slice.ipv6 == vip.is_ipv6()).filter_map(move |slice| {
        slice.ports.iter().find(|candidate| implements(candidate, port)).map(|found| (slice, found.number))
    })
}

fn implements(candidate: &SlicePort, port: &PortFact) -> bool {
    candidate.name == port.name && candidate.transport == port.transport
}
