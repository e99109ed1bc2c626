//! Which pools a pod draws from: those its annotation names, else those its namespace's names, else the default ones.

use ipnet::IpNet;

use crate::unusable::{Closed, Unusable};

/// What the choice needs of a pool of type `pod`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodPool {
    /// Its name.
    pub name: String,
    /// Its prefix.
    pub net: IpNet,
    /// Prefix length of its blocks.
    pub block_len: u8,
    /// Whether pods that name no pool get it.
    pub auto_assign: bool,
    /// Whether its condition `Accepted` is `True`.
    pub accepted: bool,
    /// Drained: nothing new comes from it.
    pub disabled: bool,
    /// Skip IPv4 addresses that end in .0 and .255.
    pub avoid_buggy: bool,
}

/// Why a pod has no pool to draw from.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChoiceError {
    /// A pool it names does not exist, or gives nothing.
    #[error(transparent)]
    Pool(#[from] Unusable),
    /// An annotation names two pools of one address family.
    #[error("AddressPools {first:?} and {second:?} have the same address family; name one per family")]
    SameFamily {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// Nothing is named and nothing serves by default.
    #[error(
        "no AddressPool of type pod has autoAssign; set autoAssign on one or name a pool by annotation sart.terassyi.net/addresspool"
    )]
    NoDefaultPool,
}

impl ChoiceError {
    /// The word used in errors of the CNI, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pool(error) => error.reason(),
            Self::SameFamily { .. } => "SameFamily",
            Self::NoDefaultPool => "NoDefaultPool",
        }
    }
}

/// The pools a pod draws from, one address of each, in the order of the result: as the annotation names them
/// (comma-separated, one per address family), else the default pool of each family, IPv4 first.
///
/// # Errors
/// The pod cannot be served as it asks.
pub fn choose<'a>(
    pod: Option<&str>,
    namespace: Option<&str>,
    pools: &'a [PodPool],
) -> Result<Vec<&'a PodPool>, ChoiceError> {
    let named = [pod, namespace].into_iter().flatten().find(|text| !text.trim().is_empty());
    let chosen = named.map_or_else(|| defaults(pools), |text| by_name(text, pools))?;
    for (at, pool) in chosen.iter().enumerate() {
        Closed::refuse(Closed::of(pool.accepted, pool.disabled), &pool.name)?;
        let same = |other: &&&PodPool| other.net.addr().is_ipv4() == pool.net.addr().is_ipv4();
        if let Some(first) = chosen.iter().take(at).find(same) {
            return Err(ChoiceError::SameFamily { first: first.name.clone(), second: pool.name.clone() });
        }
    }
    Ok(chosen)
}

fn by_name<'a>(text: &str, pools: &'a [PodPool]) -> Result<Vec<&'a PodPool>, ChoiceError> {
    let mut chosen: Vec<&PodPool> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if chosen.iter().any(|pool| pool.name == name) {
            continue;
        }
        let pool = pools.iter().find(|pool| pool.name == name);
        chosen.push(pool.ok_or_else(|| Unusable::Unknown { kind: "pod", pool: name.to_owned() })?);
    }
    if chosen.is_empty() { Err(ChoiceError::NoDefaultPool) } else { Ok(chosen) }
}

/// A default pool that is not accepted has lost to another one, so it does not count.
fn defaults(pools: &[PodPool]) -> Result<Vec<&PodPool>, ChoiceError> {
    let default = |v4: bool| {
        pools.iter().find(|p| p.auto_assign && p.accepted && !p.disabled && p.net.addr().is_ipv4() == v4)
    };
    let chosen: Vec<&PodPool> = [true, false].into_iter().filter_map(default).collect();
    if chosen.is_empty() { Err(ChoiceError::NoDefaultPool) } else { Ok(chosen) }
}
