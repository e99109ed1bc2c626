//! Update groups: neighbours that are told the same in the same form share one Adj-RIB-Out, two words for each prefix, or
//! for each prefix and path identifier where several paths are told (RFC 7911).
//! Must never hold what only one of them is owed.

use core::net::IpAddr;

use super::answers::Answers;
use super::compare::{Limit, Withheld};
use super::export::Question;
use super::kept::Kept;
use super::key::TABLES;
use super::peer::PeerConfig;
use super::sets::SetId;
use super::table::{DestId, PeerId};
use crate::family::{Family, LocalAddresses};
use crate::policy::Chain;
use crate::wire::WireForm;
use crate::wire::capability::Role;
use crate::wire::update::UpdateContext;

/// What decides what a neighbour is told, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub update: UpdateContext,
    pub next_hops: LocalAddresses,
    pub groups: Vec<String>,
    pub reflector_client: bool,
    pub role: Option<Role>,
    pub export: Chain,
    pub extended_messages: bool,
    pub send_paths: Vec<(Family, u8)>,
    pub limit: Option<Limit>,
}

impl GroupKey {
    pub(crate) fn of(config: &PeerConfig, member: IpAddr) -> Self {
        Self {
            update: config.update.clone(),
            next_hops: config.next_hops,
            groups: config.groups.clone(),
            reflector_client: config.reflector_client,
            role: config.role,
            export: config.policies.export.clone(),
            extended_messages: config.extended_messages,
            send_paths: config.send_paths.clone(),
            limit: config.export_limit.map(|max| Limit { member, max }),
        }
    }
}

/// What a group was told of a prefix: all members but the one that the route came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub set: SetId,
    pub from: PeerId,
}

impl Sent {
    /// What that member was told.
    pub(crate) fn to(self, member: PeerId) -> SetId {
        if self.from == member { SetId::NONE } else { self.set }
    }
}

/// What was told of one family with one path identifier; without identifiers a family has one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Column(u16);

impl Column {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn table(self) -> usize {
        self.at() % TABLES
    }

    /// Identifiers count from 1 on, so that none is the 0 of a route without one.
    pub(crate) const fn path_id(self) -> u32 {
        (self.at() / TABLES) as u32 + 1
    }

    /// The columns of a table among so many of all tables, in order of path identifier.
    pub(crate) fn of(table: usize, columns: usize) -> impl Iterator<Item = Self> {
        (table..columns).step_by(TABLES).map(|at| Self(at as u16))
    }
}

/// A column of an Adj-RIB-Out.
#[derive(Debug, Default)]
pub(crate) struct Out {
    sets: Vec<SetId>,
    from: Vec<PeerId>,
    told: u64,
    /// Of the routes told, how many came from each neighbour.
    by_source: Vec<u64>,
}

impl Out {
    /// Rows that may be taken.
    pub(crate) const fn rows(&self) -> usize {
        self.sets.len()
    }

    pub(crate) fn get(&self, dest: DestId) -> Sent {
        match (self.sets.get(dest.at()), self.from.get(dest.at())) {
            (Some(set), Some(from)) => Sent { set: *set, from: *from },
            _ => Sent::default(),
        }
    }

    /// Notes what is told from now on. `rows` is how many rows the table has.
    pub(crate) fn put(&mut self, dest: DestId, sent: Sent, rows: usize) {
        if self.sets.len() <= dest.at() {
            self.sets.resize(rows, SetId::NONE);
            self.from.resize(rows, PeerId::OWN);
        }
        let old = self.get(dest);
        self.count(old, false);
        self.count(sent, true);
        self.sets[dest.at()] = sent.set;
        self.from[dest.at()] = sent.from;
    }

    fn count(&mut self, sent: Sent, more: bool) {
        if !sent.set.is_some() {
            return;
        }
        if self.by_source.len() <= sent.from.at() {
            self.by_source.resize(sent.from.at() + 1, 0);
        }
        let step = |count: &mut u64| *count = if more { *count + 1 } else { *count - 1 };
        step(&mut self.told);
        step(&mut self.by_source[sent.from.at()]);
    }

    /// How many routes a member was told.
    pub(crate) fn told_to(&self, member: PeerId) -> u64 {
        self.told - self.by_source.get(member.at()).copied().unwrap_or(0)
    }

    fn held(&self) -> impl Iterator<Item = SetId> + '_ {
        self.sets.iter().copied().filter(|set| set.is_some())
    }
}

/// Neighbours with one key.
#[derive(Debug)]
pub(crate) struct Group {
    pub key: GroupKey,
    pub members: Vec<PeerId>,
    /// By column.
    out: Vec<Out>,
    /// What it must not be told, by table.
    pub kept: [Kept; TABLES],
    /// Compare every prefix at the next flush, not only changed ones.
    pub full_pass: bool,
    /// What a limit withholds, by table.
    pub withheld: [Withheld; TABLES],
    /// What the export chain made of each set.
    pub judged: Answers<Question>,
}

impl Group {
    pub(crate) fn new(key: GroupKey) -> Self {
        let paths = key.send_paths.iter().map(|(_, paths)| usize::from(*paths)).max();
        let columns = TABLES * paths.unwrap_or(1).max(1);
        Self {
            key,
            members: Vec::new(),
            out: core::iter::repeat_with(Out::default).take(columns).collect(),
            kept: Default::default(),
            full_pass: true,
            withheld: Default::default(),
            judged: Answers::default(),
        }
    }

    /// Every column.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> + use<> {
        (0..self.out.len() as u16).map(Column)
    }

    /// The columns of a table that are used: one for each path that is told of a prefix.
    pub(crate) fn columns_of(&self, table: usize) -> impl Iterator<Item = Column> + use<> {
        let paths = self.paths(Family::SUPPORTED[table]).max(1);
        Column::of(table, self.out.len()).take(usize::from(paths))
    }

    /// Whether more than the best path is told of any prefix.
    pub(crate) const fn tells_several(&self) -> bool {
        self.out.len() > TABLES
    }

    pub(crate) fn out(&self, column: Column) -> &Out {
        &self.out[column.at()]
    }

    pub(crate) fn out_mut(&mut self, column: Column) -> &mut Out {
        &mut self.out[column.at()]
    }

    /// How many routes a member was told.
    pub(crate) fn told_to(&self, member: PeerId) -> u64 {
        self.out.iter().map(|out| out.told_to(member)).sum()
    }

    /// How many routes of a table are told.
    pub(crate) fn told_of(&self, table: usize) -> u64 {
        self.columns_of(table).map(|column| self.out(column).told).sum()
    }

    /// Every set that is held, as often as it is.
    pub(crate) fn held(&self) -> impl Iterator<Item = SetId> + '_ {
        self.out.iter().flat_map(Out::held)
    }

    /// The only member: what came from it goes to nobody.
    pub(crate) fn sole(&self) -> Option<PeerId> {
        match self.members.as_slice() {
            [sole] => Some(*sole),
            _ => None,
        }
    }

    /// How messages of a family are written.
    pub(crate) fn form(&self, family: Family) -> WireForm {
        WireForm {
            as4: self.key.update.as4,
            extended: self.key.extended_messages,
            path_ids: self.paths(family) > 0,
        }
    }

    /// How many paths of each prefix the members are told with path identifiers; 0 is the best one without.
    pub(crate) fn paths(&self, family: Family) -> u8 {
        self.key.send_paths.iter().find(|(of, _)| *of == family).map_or(0, |(_, paths)| *paths)
    }
}
