//! Which addresses a Service gets: all of what it asks for, or a refusal that says why and takes nothing.
//!
//! The answer holds what the Service has already, as long as that satisfies the request, so nothing moves without a reason.

use core::net::IpAddr;

use ipnet::IpNet;

use crate::free;
use crate::unusable::{Closed, Unusable};

/// A pool of virtual addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VipPool {
    /// Its name.
    pub name: String,
    /// Its prefix.
    pub net: IpNet,
    /// Whether it serves whoever names no pool.
    pub auto_assign: bool,
    /// Whether addresses ending in .0 and .255 are passed over.
    pub avoid_buggy: bool,
    /// Why nothing new is allocated from it, if so.
    pub closed: Option<Closed>,
}

/// Address family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What a Service asks for and has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// Pools it names, in order; none means the default pools.
    pub pools: Vec<String>,
    /// Addresses it names, in order.
    pub addresses: Vec<IpAddr>,
    /// Families it serves, the preferred one first.
    pub families: Vec<Family>,
    /// Whether it insists on an address of each family.
    pub require_dual: bool,
    /// Addresses it holds, the recorded ones first.
    pub held: Vec<IpAddr>,
}

/// Who else holds which address.
pub trait Ledger {
    /// Another holder of the address, in words.
    fn holder(&self, address: IpAddr) -> Option<String>;
    /// Addresses of the prefix that others hold, ascending.
    fn taken(&self, net: IpNet) -> Box<dyn Iterator<Item = IpAddr> + '_>;
}

/// Why a Service gets nothing new.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A pool it names does not exist, or gives nothing.
    #[error(transparent)]
    Pool(#[from] Unusable),
    /// No pool is named and none serves by default.
    #[error(
        "no AddressPool of type service with autoAssign fits; set autoAssign on one or name a pool by annotation"
    )]
    NoDefaultPool,
    /// An address in none of the allowed pools.
    #[error("{address} is in none of the allowed pools; ask for an address inside one of them")]
    OutsidePool {
        /// The address asked for.
        address: IpAddr,
    },
    /// An address someone else has.
    #[error("{address} belongs to {owner}; ask for another address or release it there")]
    Taken {
        /// The address asked for.
        address: IpAddr,
        /// Its holder, in words.
        owner: String,
    },
    /// No address is left.
    #[error("AddressPool {pool:?} is exhausted; the Service waits and is served when an address is freed")]
    Exhausted {
        /// The pool.
        pool: String,
    },
    /// The Service does not serve this family.
    #[error("the Service does not serve the address family of {what}; see its ipFamilies")]
    Family {
        /// The pool or address.
        what: String,
    },
    /// Dual stack is required and one family has no pool.
    #[error("ipFamilyPolicy RequireDualStack needs default pools of both families")]
    NotDualStack,
}

impl Refusal {
    /// The word used in conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pool(error) => error.reason(),
            Self::NoDefaultPool => "NoDefaultPool",
            Self::OutsidePool { .. } => "AddressOutsidePool",
            Self::Taken { .. } => "AddressTaken",
            Self::Exhausted { .. } => "PoolExhausted",
            Self::Family { .. } => "FamilyMismatch",
            Self::NotDualStack => "NotDualStack",
        }
    }
}

/// One address to get: this one, or any of the pool.
enum Want<'a> {
    This(&'a VipPool, IpAddr),
    Any(&'a VipPool),
}

/// Chooses the addresses, in the order they are recorded.
///
/// # Errors
/// The request cannot be served as a whole.
pub fn allocate(request: &Request, pools: &[VipPool], ledger: &dyn Ledger) -> Result<Vec<IpAddr>, Refusal> {
    let mut chosen: Vec<IpAddr> = Vec::new();
    for want in wants(request, pools)? {
        let address = match want {
            Want::This(pool, address) => this(request, pool, address, ledger)?,
            Want::Any(pool) => from_pool(request, pool, ledger, &chosen)?,
        };
        if !chosen.contains(&address) {
            chosen.push(address);
        }
    }
    Ok(chosen)
}

fn wants<'a>(request: &Request, pools: &'a [VipPool]) -> Result<Vec<Want<'a>>, Refusal> {
    if !request.pools.is_empty() {
        return from_named_pools(request, pools);
    }
    if request.addresses.is_empty() {
        return from_default_pools(request, pools);
    }
    let find = |address: &IpAddr| {
        let pool = pools.iter().find(|p| p.net.contains(address));
        pool.map(|p| Want::This(p, *address)).ok_or(Refusal::OutsidePool { address: *address })
    };
    request.addresses.iter().map(find).collect()
}

fn from_named_pools<'a>(request: &Request, pools: &'a [VipPool]) -> Result<Vec<Want<'a>>, Refusal> {
    let mut wants = Vec::new();
    let mut named = Vec::new();
    for name in &request.pools {
        let pool = pools.iter().find(|p| p.name == *name);
        named.push(pool.ok_or_else(|| Unusable::Unknown { kind: "service", pool: name.clone() })?);
    }
    if let Some(address) = request.addresses.iter().find(|a| !named.iter().any(|p| p.net.contains(*a))) {
        return Err(Refusal::OutsidePool { address: *address });
    }
    for pool in named {
        let before = wants.len();
        let inside = request.addresses.iter().filter(|a| pool.net.contains(*a));
        wants.extend(inside.map(|a| Want::This(pool, *a)));
        if wants.len() == before {
            wants.push(Want::Any(pool));
        }
    }
    Ok(wants)
}

fn from_default_pools<'a>(request: &Request, pools: &'a [VipPool]) -> Result<Vec<Want<'a>>, Refusal> {
    let default = |family: &Family| {
        pools
            .iter()
            .find(|p| p.auto_assign && p.closed != Some(Closed::NotAccepted) && family_of(p) == *family)
    };
    let found: Vec<&VipPool> = request.families.iter().filter_map(default).collect();
    if found.is_empty() {
        return Err(Refusal::NoDefaultPool);
    }
    if request.require_dual && found.len() < 2 {
        return Err(Refusal::NotDualStack);
    }
    Ok(found.into_iter().map(Want::Any).collect())
}

fn this(request: &Request, pool: &VipPool, address: IpAddr, ledger: &dyn Ledger) -> Result<IpAddr, Refusal> {
    if !request.families.contains(&Family::of(address)) {
        return Err(Refusal::Family { what: address.to_string() });
    }
    if let Some(owner) = ledger.holder(address) {
        return Err(Refusal::Taken { address, owner });
    }
    if !request.held.contains(&address) {
        Closed::refuse(pool.closed, &pool.name)?;
    }
    Ok(address)
}

fn from_pool(
    request: &Request,
    pool: &VipPool,
    ledger: &dyn Ledger,
    chosen: &[IpAddr],
) -> Result<IpAddr, Refusal> {
    if !request.families.contains(&family_of(pool)) {
        return Err(Refusal::Family { what: format!("AddressPool {}", pool.name) });
    }
    let keepable = |a: &&IpAddr| pool.net.contains(*a) && ledger.holder(**a).is_none() && !chosen.contains(a);
    if let Some(held) = request.held.iter().find(keepable) {
        return Ok(*held);
    }
    Closed::refuse(pool.closed, &pool.name)?;
    free::lowest(pool.net, pool.avoid_buggy, ledger.taken(pool.net))
        .ok_or_else(|| Refusal::Exhausted { pool: pool.name.clone() })
}

fn family_of(pool: &VipPool) -> Family {
    Family::of(pool.net.addr())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod proptests;
