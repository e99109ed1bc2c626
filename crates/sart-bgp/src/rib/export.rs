//! What a group is told about one prefix (RFC 4271 sections 5.1 and 9.1.3, RFC 4456 section 8): which path, with which
//! attributes and next hop. Only the rule, and a memory of what it said about each set; must never remember what was
//! sent.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::RibConfig;
use super::answers::{Answer, Answers};
use super::choice::Choice;
use super::encode;
use super::group::{Group, Sent};
use super::hops::{HopId, Hops};
use super::otc::{self, Leaving};
use super::peer::Peers;
use super::rewrite::{self, Outward, Reflection};
use super::sets::{SetId, Sets};
use super::summary::Summary;
use super::table::{DestId, Path, PeerId, Table};
use crate::config::{LocalPath, TransitPolicy};
use crate::family::Family;
use crate::policy::{Changes, Facts, NextHopChange, Signature, Source, Verdict};
use crate::wire::attr::{Attributes, NextHop};

/// A route as one neighbour sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Attributes, shared.
    pub attributes: Arc<Attributes>,
    /// Next hop.
    pub next_hop: NextHop,
    /// The path identifier it was told with (RFC 7911); 0 without.
    pub path_id: u32,
}

/// Which rewriting a set goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To another AS, our own path.
    OwnOut,
    /// To another AS, a neighbour's path.
    LearnedOut,
    /// To our own AS, our own path.
    OwnIn,
    /// To our own AS, as it is.
    LearnedIn,
    /// To our own AS, from our own AS.
    Reflected(Reflection),
}

/// How a set leaves: which rewriting, and what mark of RFC 9234 it gets that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    way: Way,
    mark: Option<u32>,
}

/// Everything a chain's answer depends on besides the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    exit: Exit,
    signature: Signature,
    /// Only if the chain looks at it.
    source: Option<Source>,
}

/// What became of each set on each way, so that a set is rewritten once however many prefixes and groups have it.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// For [`COMMON`], by number of the set.
    learned_out: Vec<SetId>,
    others: Answers<Exit>,
}

/// The way most routes go.
const COMMON: Exit = Exit { way: Way::LearnedOut, mark: None };

impl Memo {
    fn get(&self, set: SetId, exit: Exit) -> Option<SetId> {
        if exit == COMMON {
            return self.learned_out.get(set.at()).copied().filter(|found| found.is_some());
        }
        self.others.get(set, &exit).map(|answer| answer.set)
    }

    fn put(&mut self, set: SetId, exit: Exit, rewritten: SetId, rows: usize) -> Option<SetId> {
        if exit != COMMON {
            return self.others.put(set, exit, Answer { set: rewritten, refused: 0 });
        }
        if self.learned_out.len() < rows {
            self.learned_out.resize(rows, SetId::NONE);
        }
        self.learned_out[set.at()] = rewritten;
        None
    }

    /// The numbers of `freed` may soon mean something else. What they were rewritten to, to be released.
    pub(crate) fn forget(&mut self, freed: &[SetId]) -> Vec<SetId> {
        let mut released = self.others.forget(freed);
        for set in freed {
            if let Some(rewritten) = self.learned_out.get_mut(set.at()).filter(|found| found.is_some()) {
                released.push(core::mem::take(rewritten));
            }
        }
        released
    }

    /// Forgets everything; what is to be released.
    pub(crate) fn clear(&mut self) -> Vec<SetId> {
        let mut released = self.others.clear();
        let all = core::mem::take(&mut self.learned_out).into_iter();
        released.extend(all.filter(|set| set.is_some()));
        released
    }
}

/// The rule with everything it looks at.
pub(crate) struct Exporter<'a> {
    pub config: &'a RibConfig,
    pub locals: &'a BTreeMap<IpNet, LocalPath>,
    pub peers: &'a Peers,
    pub sets: &'a mut Sets,
    pub hops: &'a mut Hops,
    pub memo: &'a mut Memo,
    pub scratch: Vec<u8>,
}

/// A prefix of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// The table's number.
    pub at: usize,
    pub family: Family,
    pub table: &'a Table,
    pub dest: DestId,
}

impl Exporter<'_> {
    /// What the group has to be told; no set if it must not have a route.
    pub(crate) fn wanted(&mut self, group: &mut Group, row: Row<'_>) -> Sent {
        if !group.key.update.families.contains(&row.family) {
            return Sent::default();
        }
        let path = self.eligible(row);
        path.and_then(|path| self.route(group, row, path)).unwrap_or_default()
    }

    /// What the group has to be told of the best `at_most` paths: each that it may have, none twice. The path that a member
    /// sent counts among them and is kept from that member only.
    pub(crate) fn wanted_few(&mut self, group: &mut Group, row: Row<'_>, at_most: usize) -> Vec<Sent> {
        if !group.key.update.families.contains(&row.family) {
            return Vec::new();
        }
        let mut few = Vec::new();
        for path in self.eligible_few(row, at_most) {
            let route = self.route(group, row, path);
            few.extend(route.filter(|route| !few.contains(route)));
        }
        few
    }

    fn eligible_few(&self, row: Row<'_>, at_most: usize) -> Vec<Path> {
        match self.config.transit {
            TransitPolicy::LocalOnly => self.eligible(row).into_iter().collect(),
            TransitPolicy::Full => {
                let choice = Choice {
                    rules: &self.config.decision,
                    sets: self.sets,
                    hops: self.hops,
                    peers: self.peers,
                };
                choice.best_few(row.table, row.dest, at_most)
            }
        }
    }

    /// The path that may leave at all. Without transit our own one does, whatever neighbours say about the prefix.
    fn eligible(&self, row: Row<'_>) -> Option<Path> {
        match self.config.transit {
            TransitPolicy::LocalOnly => {
                row.table.paths(row.dest).find(|path| path.peer == PeerId::OWN).copied()
            }
            TransitPolicy::Full => row.table.best(row.dest).copied(),
        }
    }

    /// What the group is told of one path.
    pub(crate) fn route(&mut self, group: &mut Group, row: Row<'_>, path: Path) -> Option<Sent> {
        let way = if path.peer == PeerId::OWN {
            self.own_way(group, row, path)?
        } else {
            self.learned_way(group, path)?
        };
        let Some(exit) = self.exit(group, path, way) else {
            group.kept[row.at].add(row.dest, path.peer);
            return None;
        };
        let set = if group.key.export.trivial() {
            self.plain(path.set, exit)
        } else {
            self.by_chain(group, row, path, exit)?
        };
        let next_hop = next_hop(self.sets, self.hops, (group, row.family), set)?;
        let fits = encode::fits(self.sets.canonical(set), (row.family, next_hop), group.form(row.family));
        fits.then_some(Sent { set, from: path.peer })
    }

    fn own_way(&self, group: &Group, row: Row<'_>, path: Path) -> Option<Way> {
        if path.has(Path::GROUPED) {
            let local = self.locals.get(&row.table.key(row.dest).prefix())?;
            if !local.is_for(&group.key.groups) {
                return None;
            }
        }
        Some(if group.key.update.internal { Way::OwnIn } else { Way::OwnOut })
    }

    /// Whether a neighbour's path may go to the group, and as what.
    fn learned_way(&self, group: &Group, path: Path) -> Option<Way> {
        let (summary, internal) = (self.sets.summary(path.set), group.key.update.internal);
        let stays = summary.has(Summary::NO_ADVERTISE) || (summary.has(Summary::NO_EXPORT) && !internal);
        // Split horizon; with several members it is the one member's own matter.
        if stays || group.sole() == Some(path.peer) {
            return None;
        }
        if !internal {
            return Some(Way::LearnedOut);
        }
        let from = self.peers.get(path.peer)?;
        if !from.config.update.internal {
            return Some(Way::LearnedIn);
        }
        // What came from inside goes inside again only from or to a client (RFC 4271 section 9.2, RFC 4456 section 6).
        let reflects = from.config.reflector_client || group.key.reflector_client;
        let reflection = Reflection { originator: from.config.router_id, cluster: self.config.cluster() };
        reflects.then_some(Way::Reflected(reflection))
    }

    /// The mark that the path gets from the neighbour it came from or, if that gives none, towards the group (RFC 9234
    /// section 5). `None` if it must not leave.
    fn exit(&self, group: &Group, path: Path, way: Way) -> Option<Exit> {
        let has = self.sets.summary(path.set).has(Summary::HAS_OTC);
        let from = self.peers.get(path.peer).filter(|_| !has);
        let inward = from.and_then(|from| otc::mark_in(from.config.role, from.config.asn));
        match otc::leaving(group.key.role, has || inward.is_some()) {
            Leaving::Stays => None,
            Leaving::AsItIs => Some(Exit { way, mark: inward }),
            Leaving::Marked => Some(Exit { way, mark: Some(self.config.asn) }),
        }
    }

    /// Rewritten without a policy; the same for every group.
    fn plain(&mut self, set: SetId, exit: Exit) -> SetId {
        if let Some(known) = self.memo.get(set, exit) {
            return known;
        }
        self.scratch.clear();
        rewrite_into(self.sets.canonical(set), (self.config.asn, false), exit.way, &mut self.scratch);
        if let Some(asn) = exit.mark {
            self.scratch = otc::mark(&self.scratch, asn);
        }
        let hop = self.hop_of(set, exit.way);
        let rewritten = self.sets.hold(&self.scratch, hop, self.hops);
        if let Some(forgotten) = self.memo.put(set, exit, rewritten, self.sets.rows()) {
            self.sets.release(forgotten);
        }
        rewritten
    }

    /// RFC 4271 section 5.1.3: an internal neighbour gets the external next hop as it is, others ours.
    fn hop_of(&self, set: SetId, way: Way) -> HopId {
        match way {
            Way::OwnOut | Way::LearnedOut | Way::OwnIn => HopId::NONE,
            Way::LearnedIn | Way::Reflected(_) => self.sets.summary(set).hop,
        }
    }

    /// Rewritten by the group's export chain; `None` if it refuses.
    fn by_chain(&mut self, group: &mut Group, row: Row<'_>, path: Path, exit: Exit) -> Option<SetId> {
        let chain = &group.key.export;
        let reads = chain.reads();
        let source = self.peers.get(path.peer).map_or(Source::Local, |peer| peer.policy_source());
        let question = Question {
            exit,
            signature: chain.signature(&row.table.key(row.dest).prefix()),
            source: (reads.source_peer || reads.source_kind).then_some(source),
        };
        let answer = match group.judged.get(path.set, &question) {
            Some(known) => known,
            None => {
                let attributes = self.sets.attributes(path.set);
                let next_hop = self.hops.get(self.sets.summary(path.set).hop).map(|hop| hop.address);
                let facts = Facts { attributes: &attributes, next_hop, source };
                let set = match chain.judge(question.signature, &facts) {
                    Verdict::Accept(changes) => {
                        let mut attributes = attributes.clone();
                        attributes.only_to_customer = exit.mark.or(attributes.only_to_customer);
                        self.changed(path.set, attributes, &changes, exit.way)
                    }
                    Verdict::Reject(_) => None,
                };
                let answer = Answer { set: set.unwrap_or_default(), refused: 0 };
                if let Some(forgotten) = group.judged.put(path.set, question, answer) {
                    self.sets.release(forgotten);
                }
                answer
            }
        };
        Some(answer.set).filter(|set| set.is_some())
    }

    /// The set that a chain's changes and the way make of a set, held.
    fn changed(
        &mut self,
        set: SetId,
        mut attributes: Attributes,
        changes: &Changes,
        way: Way,
    ) -> Option<SetId> {
        changes.apply(&mut attributes);
        let mut canonical = Vec::new();
        attributes.encode(&mut canonical).ok()?;
        self.scratch.clear();
        rewrite_into(&canonical, (self.config.asn, changes.sets_med()), way, &mut self.scratch);
        let hop = match changes.next_hop {
            None => self.hop_of(set, way),
            Some(NextHopChange::Own) => HopId::NONE,
            Some(NextHopChange::Unchanged) => self.sets.summary(set).hop,
            Some(NextHopChange::Address(address)) => {
                let hop = self.hops.hold(NextHop { address, link_local: None });
                let set = self.sets.hold(&self.scratch, hop, self.hops);
                self.hops.release(hop);
                return Some(set);
            }
        };
        Some(self.sets.hold(&self.scratch, hop, self.hops))
    }
}

/// Gives each route a place among those of a prefix, which becomes its path identifier: the one it has, or else that of
/// its source's former route, or else that of a route that goes, so that one message does both (RFC 7911 section 3: an
/// announcement replaces what had the identifier). There is room for all of them.
pub(crate) fn seat(old: &[Sent], mut wanted: Vec<Sent>) -> Vec<Sent> {
    let preferences: [fn(&Sent, &Sent) -> bool; 4] = [
        |old, new| old == new,
        |old, new| old.set.is_some() && old.from == new.from,
        |old, _| old.set.is_some(),
        |_, _| true,
    ];
    let mut seats = vec![Sent::default(); old.len()];
    for suits in preferences {
        wanted.retain(|new| {
            let mut free = old.iter().zip(&mut seats).filter(|(_, seat)| !seat.set.is_some());
            let found = free.find(|(old, _)| suits(old, new)).map(|(_, seat)| *seat = *new);
            found.is_none()
        });
    }
    seats
}

fn rewrite_into(canonical: &[u8], (asn, own_med): (u32, bool), way: Way, out: &mut Vec<u8>) {
    match way {
        Way::OwnOut => rewrite::external(canonical, Outward { asn, learned: false, own_med }, out),
        Way::LearnedOut => rewrite::external(canonical, Outward { asn, learned: true, own_med }, out),
        Way::OwnIn | Way::LearnedIn => rewrite::internal(canonical, None, out),
        Way::Reflected(reflection) => rewrite::internal(canonical, Some(reflection), out),
    }
}

/// The next hop that a set is sent with: its own one, or our address on the group's link. `None` if there is no such
/// address, or if the group's neighbours cannot be told one of the other family (RFC 8950).
pub(crate) fn next_hop(
    sets: &Sets,
    hops: &Hops,
    (group, family): (&Group, Family),
    set: SetId,
) -> Option<NextHop> {
    let other_family = family == Family::IPV4_UNICAST && group.key.update.extended_next_hop;
    let own = || {
        let same = group.key.next_hops.next_hop(family);
        let address = same.or(group.key.next_hops.v6.map(IpAddr::V6).filter(|_| other_family))?;
        Some(NextHop { address, link_local: None })
    };
    let next_hop = hops.get(sets.summary(set).hop).or_else(own)?;
    let fits =
        Family::of_address(&next_hop.address) == family || (other_family && next_hop.address.is_ipv6());
    fits.then_some(next_hop)
}
