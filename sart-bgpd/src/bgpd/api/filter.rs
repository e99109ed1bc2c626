//! Which rows of a table a listing asks for. Must never hold up the speaker: all but family and one prefix is asked
//! after the rows have left it.

use std::net::IpAddr;

use ipnet::IpNet;
use sart_bgp::policy::{AsPathPattern, CommunityPattern, ExtCommunityPattern, LargeCommunityPattern};
use sart_bgp::speaker::{PathFilter, PathView};
use sart_bgp::wire::attr::Attributes;
use sart_rpc::v1;
use tonic::Status;

use super::from_proto::{self, invalid};

/// Everything asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct RowFilter {
    exact: PathFilter,
    inside: Option<IpNet>,
    community: Option<AnyCommunity>,
    as_path: Option<AsPathPattern>,
    peer: Option<Peer>,
    best: bool,
}

#[derive(Clone, Debug)]
enum AnyCommunity {
    Standard(CommunityPattern),
    Extended(ExtCommunityPattern),
    Large(LargeCommunityPattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Local,
    Neighbor(IpAddr),
}

impl RowFilter {
    pub(super) fn read(request: &v1::ListPathsRequest) -> Result<Self, Status> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let prefix = given(&request.prefix).map(|text| from_proto::prefix("prefix", &text)).transpose()?;
        if request.longer && prefix.is_none() {
            return Err(Status::invalid_argument("longer: needs a prefix"));
        }
        Ok(Self {
            exact: PathFilter {
                family: from_proto::family("family", request.family)?,
                prefix: prefix.filter(|_| !request.longer),
            },
            inside: prefix.filter(|_| request.longer),
            community: given(&request.community).map(|text| community(&text)).transpose()?,
            as_path: given(&request.as_path).map(|text| as_path(&text)).transpose()?,
            peer: given(&request.peer).map(|text| peer(&text)).transpose()?,
            best: request.best,
        })
    }

    /// The part that the speaker itself looks at.
    pub(super) const fn coarse(&self) -> PathFilter {
        self.exact
    }

    /// Whether the row has everything else that is asked for.
    pub(super) fn takes(&self, row: &PathView) -> bool {
        let from = row.peer.map_or(Peer::Local, Peer::Neighbor);
        self.inside.is_none_or(|net| net.contains(&row.prefix))
            && self.peer.is_none_or(|peer| peer == from)
            && (!self.best || row.best)
            && self.community.as_ref().is_none_or(|pattern| pattern.found(&row.attributes))
            && self
                .as_path
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&row.attributes.as_path.to_string()))
    }
}

impl AnyCommunity {
    fn found(&self, attributes: &Attributes) -> bool {
        match self {
            Self::Standard(pattern) => attributes.communities.iter().any(|value| pattern.matches(*value)),
            Self::Extended(pattern) => attributes.ext_communities.iter().any(|value| pattern.matches(*value)),
            Self::Large(pattern) => attributes.large_communities.iter().any(|value| pattern.matches(value)),
        }
    }
}

fn community(text: &str) -> Result<AnyCommunity, Status> {
    let standard = || text.parse().ok().map(AnyCommunity::Standard);
    let large = || text.parse().ok().map(AnyCommunity::Large);
    let extended = || text.parse().ok().map(AnyCommunity::Extended);
    standard().or_else(large).or_else(extended).ok_or_else(|| {
        invalid(
            "community",
            text,
            "is not a community or pattern like 65000:100, 65000:*, 65000:1:2 or rt:65000:1",
        )
    })
}

fn as_path(text: &str) -> Result<AsPathPattern, Status> {
    text.parse().map_err(|error| invalid("as_path", text, &format!("{error}")))
}

fn peer(text: &str) -> Result<Peer, Status> {
    if text == "local" {
        return Ok(Peer::Local);
    }
    let address = text.parse().map(Peer::Neighbor);
    address.map_err(|_| invalid("peer", text, "is neither local nor an address"))
}
