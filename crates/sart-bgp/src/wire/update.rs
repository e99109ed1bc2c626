//! UPDATE (RFC 4271 section 4.3): what it announces and withdraws, with every fault already paid for (RFC 7606). Must
//! never apply policy.

use ipnet::IpNet;

use super::attr::{Attributes, NextHop};
use super::fault::Fault;
use crate::family::Family;

#[cfg(test)]
mod tests;
mod view;

pub use self::view::{Announcement, Scratch, UpdateView};

/// What the session negotiated, as far as UPDATEs depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateContext {
    /// AS numbers have four octets.
    pub as4: bool,
    /// The neighbour is internal (iBGP).
    pub internal: bool,
    /// Negotiated families.
    pub families: Vec<Family>,
    /// Families whose routes the neighbour sends with path identifiers (RFC 7911).
    pub path_ids: Vec<Family>,
    /// IPv4 routes may come with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
}

impl UpdateContext {
    /// Whether routes of `family` come with path identifiers.
    #[must_use]
    pub fn has_path_ids(&self, family: Family) -> bool {
        self.path_ids.contains(&family)
    }
}

/// What an UPDATE says, owned: for tests and for whoever looks at single messages. Tables read [`UpdateView`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes withdrawn, those of a treat-as-withdraw included.
    pub withdrawn: Vec<IpNet>,
    /// Prefixes announced, by next hop.
    pub announced: Vec<Announced>,
    /// The attributes of everything announced.
    pub attributes: Attributes,
    /// The message was an End-of-RIB marker (RFC 4724 section 2).
    pub end_of_rib: Option<Family>,
    /// What was wrong and survived.
    pub faults: Vec<Fault>,
}

/// Prefixes announced with one next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Where to forward.
    pub next_hop: NextHop,
    /// The prefixes.
    pub prefixes: Vec<IpNet>,
}

impl Update {
    /// Reads a body; path identifiers are left out.
    ///
    /// # Errors
    /// Only what ends the session: the prefixes cannot be told.
    pub fn decode(body: &[u8], context: &UpdateContext) -> Result<Self, Fault> {
        let mut scratch = Scratch::default();
        let view = UpdateView::parse(body, context, &mut scratch)?;
        let prefixes = |nlri: super::nlri::Nlri<'_>| nlri.prefixes().map(|(_, prefix)| prefix).collect();
        let announced: Vec<_> = view
            .announcements()
            .map(|part| Announced { next_hop: part.next_hop, prefixes: prefixes(part.nlri) })
            .collect();
        Ok(Self {
            withdrawn: view
                .withdrawals()
                .flat_map(|nlri| nlri.prefixes())
                .map(|(_, prefix)| prefix)
                .collect(),
            attributes: view.attributes().to_attributes(),
            announced,
            end_of_rib: view.end_of_rib(),
            faults: view.into_faults(),
        })
    }
}
