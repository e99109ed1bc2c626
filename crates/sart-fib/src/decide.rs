//! From merged routes and a kernel dump to the desired table and a verdict for each route. Decides everything about a
//! route but the order of the writes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::guard::{Guard, Refusal};
use crate::merge::{Rib, Source, SourceRoute, Target};
use crate::plan::{Desired, occupied};
use crate::resolve::{ResolveOptions, Resolver, Unresolved};
use crate::route::{KernelRoute, Leg, Route, RouteKey, normalise};

/// What holds for all channels.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Protocol id of the routes written.
    pub protocol: u8,
    /// How next hops are resolved.
    pub resolve: ResolveOptions,
    /// Prefixes that are never programmed, nor anything inside them.
    pub protected: Vec<IpNet>,
}

/// One channel: merged sources and the tables they go to.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    /// The sources.
    pub rib: &'a Rib,
    /// Kernel tables written.
    pub tables: &'a [u32],
}

/// What became of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The kernel has it, exactly so.
    Installed,
    /// Wanted; the kernel does not have it yet.
    Pending,
    /// No next hop leads anywhere now.
    Unresolved(Unresolved),
    /// Never programmed.
    Refused(Refusal),
}

/// One next hop and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedHop {
    /// As the source gave it; none for an imported on-link route.
    pub address: Option<IpAddr>,
    /// Share as the source gave it.
    pub weight: u16,
    /// Empty while unresolved.
    pub legs: Vec<Leg>,
}

/// One route of one channel in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the channel.
    pub channel: usize,
    /// Table, prefix, metric.
    pub key: RouteKey,
    /// The source that won.
    pub source: Source,
    /// Next hops with their resolution.
    pub hops: Vec<ResolvedHop>,
    /// What became of it.
    pub state: State,
}

/// The whole answer for one moment.
#[derive(Debug, Default)]
pub struct Decision {
    /// What [`crate::plan`] takes.
    pub desired: Desired,
    /// One per merged route and table, in channel, table and prefix order.
    pub verdicts: Vec<Verdict>,
}

/// Word of a state, as the API prints it.
impl State {
    /// `installed`, `pending`, `unresolved` or `refused`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Installed => "installed",
            State::Pending => "pending",
            State::Unresolved(_) => "unresolved",
            State::Refused(_) => "refused",
        }
    }

    /// Why it is not installed, in words; empty when it is.
    pub fn explain(&self) -> String {
        match self {
            State::Installed => String::new(),
            State::Pending => "waiting for the kernel".to_owned(),
            State::Unresolved(why) => why.to_string(),
            State::Refused(why) => why.to_string(),
        }
    }
}

/// Decides about every route of every channel. Between channels that write one table the lower distance wins a prefix,
/// then the earlier channel.
pub fn decide(channels: &[Channel<'_>], kernel: &[KernelRoute], policy: &Policy) -> Decision {
    let mut decider = Decider {
        guard: Guard::new(kernel, &policy.protected, &policy.resolve.skip_protocols),
        resolver: Resolver::new(kernel, &policy.resolve),
        policy,
        winners: winners(channels),
        out: Decision::default(),
    };
    decider.out.desired.protocol = policy.protocol;
    for (index, channel) in channels.iter().enumerate() {
        decider.out.desired.tables.extend(channel.tables);
        decider.channel(index, channel);
    }
    let Decision { desired, mut verdicts } = decider.out;
    settle(&mut verdicts, &desired, kernel);
    Decision { desired, verdicts }
}

type Place = (u32, IpNet);

struct Decider<'a> {
    guard: Guard,
    resolver: Resolver<'a>,
    policy: &'a Policy,
    winners: BTreeMap<Place, usize>,
    out: Decision,
}

impl Decider<'_> {
    fn channel(&mut self, index: usize, channel: &Channel<'_>) {
        let merged = channel.rib.merged();
        let withdrawn = channel.rib.withdrawn();
        for &table in channel.tables {
            self.out.desired.unwanted.extend(withdrawn.iter().map(|prefix| (table, *prefix)));
            for route in merged.values() {
                let ours = self.winners.get(&(table, route.prefix)) == Some(&index);
                // A route imported from this very table is there already; ours, if it was there before, must go.
                let present = matches!(route.source, Source::Kernel { table: from, .. } if from == table);
                if ours && present {
                    self.out.desired.unwanted.insert((table, route.prefix));
                } else if ours {
                    self.route(index, table, route);
                }
            }
        }
    }

    fn route(&mut self, channel: usize, table: u32, route: &SourceRoute) {
        let key = RouteKey { table, prefix: route.prefix.trunc(), metric: metric(route.source) };
        let allowed = match route.source {
            Source::Bgp { .. } => self.guard.check(key.prefix),
            // What this kernel has in another table cannot take anything from the node.
            Source::Kernel { .. } => Ok(()),
        };
        let (hops, resolved) = match allowed {
            Err(refusal) => (unresolved_hops(&route.target), Err(State::Refused(refusal))),
            Ok(()) => self.resolve(&route.target),
        };
        let state = match resolved {
            Ok(legs) => {
                self.out.desired.routes.insert(key, Route::unicast(key, self.policy.protocol, legs));
                State::Pending
            }
            Err(state) => {
                self.out.desired.unwanted.insert((table, key.prefix));
                state
            }
        };
        self.out.verdicts.push(Verdict { channel, key, source: route.source, hops, state });
    }

    /// Legs of every next hop that leads somewhere; the first failure speaks if none does.
    fn resolve(&self, target: &Target) -> (Vec<ResolvedHop>, Result<Vec<Leg>, State>) {
        let mut hops = Vec::new();
        let mut why = None;
        match target {
            Target::Legs(legs) => hops.extend(legs.iter().map(|leg| ResolvedHop {
                address: leg.gateway,
                weight: leg.weight,
                legs: vec![*leg],
            })),
            Target::NextHops(next_hops) => {
                for &(address, weight) in next_hops {
                    let legs = self.resolver.resolve(address, weight).unwrap_or_else(|error| {
                        why.get_or_insert(error);
                        Vec::new()
                    });
                    hops.push(ResolvedHop { address: Some(address), weight, legs });
                }
            }
        }
        let legs = normalise(hops.iter().flat_map(|hop| hop.legs.iter().copied()).collect());
        let nothing = why.unwrap_or(Unresolved::NoNextHop);
        let result = if legs.is_empty() { Err(State::Unresolved(nothing)) } else { Ok(legs) };
        (hops, result)
    }
}

/// The channel that owns each prefix of each table.
fn winners(channels: &[Channel<'_>]) -> BTreeMap<Place, usize> {
    let mut best: BTreeMap<Place, (u32, usize)> = BTreeMap::new();
    for (index, channel) in channels.iter().enumerate() {
        let merged = channel.rib.merged();
        for &table in channel.tables {
            for route in merged.values() {
                let claim = (route.source.distance(), index);
                let kept = best.entry((table, route.prefix)).or_insert(claim);
                *kept = (*kept).min(claim);
            }
        }
    }
    best.into_iter().map(|(place, (_, index))| (place, index)).collect()
}

/// The kernel metric says the distance, so that `ip route` shows which kind of source won. Metric 0 is IPv6's way to
/// say 1024, so an imported connected route takes 1.
fn metric(source: Source) -> u32 {
    source.distance().max(1)
}

fn unresolved_hops(target: &Target) -> Vec<ResolvedHop> {
    match target {
        Target::NextHops(hops) => hops
            .iter()
            .map(|&(address, weight)| ResolvedHop { address: Some(address), weight, legs: Vec::new() })
            .collect(),
        Target::Legs(legs) => legs
            .iter()
            .map(|leg| ResolvedHop { address: leg.gateway, weight: leg.weight, legs: Vec::new() })
            .collect(),
    }
}

/// Tells what the kernel has from what it still lacks, and what another program's route keeps out.
fn settle(verdicts: &mut [Verdict], desired: &Desired, kernel: &[KernelRoute]) {
    let blocked = occupied(desired, kernel);
    let present: BTreeSet<RouteKey> = kernel
        .iter()
        .filter(|found| desired.routes.get(&found.route.key) == Some(&found.route))
        .map(|found| found.route.key)
        .collect();
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.state == State::Pending) {
        if let Some(refusal) = blocked.get(&verdict.key) {
            verdict.state = State::Refused(*refusal);
        } else if present.contains(&verdict.key) {
            verdict.state = State::Installed;
        }
    }
}

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
