//! One run's namespaces, measured speaker and flooding peers. Everything ends with it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use sart_testkit::Namespace;
use sart_testkit::flood::{Flood, Identity, Table};
use sart_testkit::load::{self, FIRST_ASN, Load, Shape};

use crate::subject::{Kind, Neighbor, Programs, Subject};

/// How long a session may take to come up.
const UP: Duration = Duration::from_secs(60);

/// Where the speaker and the peers live. The speaker borrows from here, so this outlives it.
pub(crate) struct Ground {
    speaker: Namespace,
    peers: Namespace,
    neighbors: Vec<Neighbor>,
}

/// The speaker with every peer established.
pub(crate) struct Stage<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) peers: Vec<Flood>,
}

impl Ground {
    /// Namespaces with one veth pair for each of `peers`.
    pub(crate) fn new(peers: u32, hold_time: u16) -> anyhow::Result<Self> {
        let (speaker, far) = (Namespace::new("bgpbench-dut")?, Namespace::new("bgpbench-peers")?);
        let mut neighbors = Vec::new();
        for link in 0..peers {
            let neighbor = Neighbor { link, asn: FIRST_ASN + link, hold_time };
            let (near_name, far_name) = (format!("near{link}"), format!("far{link}"));
            let (near, there) = (format!("{}/24", neighbor.near()), format!("{}/24", neighbor.far()));
            speaker.link((&near_name, &[&near]), &far, (&far_name, &[&there]))?;
            neighbors.push(neighbor);
        }
        Ok(Self { speaker, peers: far, neighbors })
    }

    /// Starts the speaker and brings every session up; tables have room for `prefixes`.
    pub(crate) fn stage(&self, kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Stage<'_>> {
        let subject = kind.start(programs, &self.speaker, &self.neighbors)?;
        let peers = self.neighbors.iter().map(|neighbor| self.peer(neighbor, prefixes));
        let peers = peers.collect::<anyhow::Result<_>>();
        Ok(Stage { peers: peers.map_err(|error| error.context(subject.log()))?, subject })
    }

    fn peer(&self, neighbor: &Neighbor, prefixes: u32) -> anyhow::Result<Flood> {
        let identity =
            Identity { asn: neighbor.asn, router_id: neighbor.far().parse()?, hold_time: neighbor.hold_time };
        let to = format!("{}:179", neighbor.near()).parse()?;
        Flood::establish(&self.peers, to, identity, Table::new(prefixes, 1), UP)
    }

    /// What the peer of `link` sends: attribute sets of its own for the same prefixes in the same order as every other.
    pub(crate) fn load(&self, link: u32, prefixes: u32, hops: RangeInclusive<u32>) -> anyhow::Result<Load> {
        let next_hop = self.neighbors[link as usize].far().parse()?;
        let seed = u64::from(link) + 1;
        Ok(load::generate(&Shape { prefixes, asn: FIRST_ASN + link, next_hop, hops, seed }))
    }
}

impl Stage<'_> {
    /// Hands a buffer to a peer.
    pub(crate) fn send(&self, peer: usize, messages: Vec<u8>) -> anyhow::Result<()> {
        self.peers[peer].send(Arc::new(messages))
    }
}
