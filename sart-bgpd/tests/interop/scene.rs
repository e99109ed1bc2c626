//! A raw peer that sends, a raw peer that hears what gets through, and the speaker between them.

use std::net::Ipv4Addr;
use std::time::Duration;

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::heard::Attributes;
use sart_testkit::{Heard, Open, RawPeer, Update, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, neighbor};

/// Long enough that a raw peer need not send KEEPALIVEs during a test.
pub const HOLD: u16 = 240;

/// Our own AS number in these tests.
pub const OWN: u32 = 65_000;

/// The sender is neighbour 0, the hearer neighbour 1.
pub struct Scene {
    pub fabric: Fabric,
    pub sart: Sart,
    pub sender: RawPeer,
    pub hearer: RawPeer,
    pub heard: Heard,
    /// The sender's AS number; our own for iBGP.
    pub asn: u32,
    sentinels: u32,
}

/// Neighbour `n` with a long hold time, both families, and this AS number; it has to dial.
pub fn waiting(n: usize, asn: u32) -> v1::NeighborConfig {
    let families = vec![v1::AddressFamily::Ipv4Unicast.into(), v1::AddressFamily::Ipv6Unicast.into()];
    v1::NeighborConfig { asn, families, passive: true, hold_time: HOLD.into(), ..neighbor(n) }
}

/// A speaker that passes on what it learns.
pub fn transit(neighbors: &[v1::NeighborConfig]) -> v1::ApplyConfigRequest {
    let mut request = crate::fixture::config(neighbors, &[]);
    if let Some(global) = &mut request.global {
        global.transit = v1::TransitPolicy::Full.into();
    }
    request
}

/// An OPEN with both families and four-octet AS numbers.
pub fn open(n: usize, asn: u32) -> Open {
    Open::new(asn, HOLD, address(n)).family(1, 1).family(2, 1).four_octets()
}

/// The raw peer's address on link `n`.
pub fn address(n: usize) -> Ipv4Addr {
    far(n).parse().unwrap()
}

/// A session from link `n` with this OPEN.
pub fn establish(fabric: &Fabric, sart: &Sart, n: usize, open: &Open) -> RawPeer {
    let mut peer = fabric.raw(n);
    let up = peer.establish(&open.body(), LIMIT);
    up.unwrap_or_else(|error| panic!("neighbor {n}: {error:#}\n{}", sart.process.log()));
    peer
}

impl Sart {
    /// A table of the neighbour at `address`, which need not be the one of a link.
    pub fn rows(&mut self, table: v1::Table, address: &str) -> Vec<v1::Path> {
        let request =
            v1::ListPathsRequest { table: table.into(), neighbor: address.to_owned(), ..Default::default() };
        let mut rows = self.call(async |client| client.list_paths(request).await);
        self.block_on(async {
            let mut paths = Vec::new();
            while let Some(path) = rows.message().await? {
                paths.push(path);
            }
            Ok::<_, tonic::Status>(paths)
        })
        .unwrap()
    }

    /// The neighbour at `address`, once it is Established.
    pub fn established(&mut self, address: &str, limit: Duration) -> v1::Neighbor {
        let seen = wait_for("the session", limit, || {
            let seen = self.neighbor_at(address);
            if seen.state() == Established { Ok(Some(seen)) } else { anyhow::bail!("{seen:?}") }
        });
        seen.unwrap_or_else(|error| panic!("{address}: {error:#}\n{}", self.process.log()))
    }
}

impl Scene {
    /// Both sessions are up; `asn` is the sender's.
    pub fn new(purpose: &str, asn: u32) -> Self {
        let fabric = Fabric::new(purpose, 2);
        let mut sart = Sart::start(&fabric.sart, &[]);
        sart.apply(&transit(&[waiting(0, asn), waiting(1, 65_002)]));
        let sender = establish(&fabric, &sart, 0, &open(0, asn));
        let hearer = establish(&fabric, &sart, 1, &open(1, 65_002));
        sart.wait_state(0, Established);
        sart.wait_state(1, Established);
        Self { fabric, sart, sender, hearer, heard: Heard::default(), asn, sentinels: 0 }
    }

    /// A sound announcement of `prefixes` by the sender; with LOCAL_PREF where it is internal.
    pub fn announce(&self, prefixes: &[&str]) -> Update {
        let path: &[u32] = if self.asn == OWN { &[] } else { &[self.asn] };
        let next_hop =
            if prefixes[0].contains(':') { V6_NEXT_HOP.parse().unwrap() } else { address(0).into() };
        let update = Update::announce(prefixes, path, next_hop);
        if self.asn == OWN {
            update.attribute(0x40, sart_testkit::update::LOCAL_PREF, &[0, 0, 0, 100])
        } else {
            update
        }
    }

    pub fn send(&mut self, update: &Update) {
        self.sender.send(&update.bytes()).unwrap();
    }

    /// Sends a prefix of its own and waits until the hearer has it: everything before it has been dealt with, and the
    /// session is up.
    pub fn sentinel(&mut self, what: &str) {
        self.sentinels += 1;
        let prefix = format!("10.51.{}.0/24", self.sentinels);
        let update = self.announce(&[&prefix]);
        self.send(&update);
        self.hear(what, &prefix);
        assert_eq!(self.sart.neighbor(0).state(), Established, "{what}");
    }

    /// Waits until the hearer has `prefix`.
    pub fn hear(&mut self, what: &str, prefix: &str) -> Attributes {
        let heard = self.heard.until_route(&mut self.hearer, prefix, LIMIT);
        heard.unwrap_or_else(|error| panic!("{what}: {error:#}\n{}", self.sart.process.log()))
    }

    /// What the speaker stores of the sender's route.
    pub fn stored(&mut self, prefix: &str) -> Option<v1::Path> {
        self.sart.paths(v1::Table::AdjIn, 0).into_iter().find(|path| path.prefix == prefix)
    }

    /// Starts the sender's session anew after it was reset, without the pause that a fault costs.
    pub fn revive(&mut self) {
        let request = v1::DeleteNeighborRequest { address: far(0) };
        self.sart.call(async |client| client.delete_neighbor(request).await);
        let request = v1::AddNeighborRequest { neighbor: Some(waiting(0, self.asn)) };
        self.sart.call(async |client| client.add_neighbor(request).await);
        self.sender = establish(&self.fabric, &self.sart, 0, &open(0, self.asn));
        self.sart.wait_state(0, Established);
    }
}

/// The sender's IPv6 address.
pub const V6_NEXT_HOP: &str = "fd77::2";
