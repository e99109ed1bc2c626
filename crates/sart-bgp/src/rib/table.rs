//! The prefixes of one family and their paths, in dense rows. Holds; must never choose.

use super::index::Index;
use super::key::Key;
use super::sets::SetId;

/// A row of a table. Stays the same as long as the prefix has paths or somebody has still to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DestId(pub u32);

impl DestId {
    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A source of paths: a neighbour's session, or [`PeerId::OWN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerId(pub u16);

impl PeerId {
    /// Ourselves.
    pub(crate) const OWN: Self = Self(0);

    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// One path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Path {
    pub set: SetId,
    /// When it last changed, in sixteenths of a second.
    pub time: u32,
    /// The neighbour's path identifier (RFC 7911); 0 without.
    pub id: u32,
    pub peer: PeerId,
    /// Why it may not be used; 0 if it may ([`super::import::Refusal::code`]).
    pub refused: u8,
    /// [`Path::STALE`], [`Path::GROUPED`], [`Path::REPLACED`].
    pub flags: u8,
}

impl Path {
    /// Not repeated yet since the neighbour began to repeat everything (RFC 7313 section 4).
    pub(crate) const STALE: u8 = 1;
    /// An own path that is not for everyone.
    pub(crate) const GROUPED: u8 = 2;
    /// The import policy changed its attributes; the former ones are kept apart.
    pub(crate) const REPLACED: u8 = 4;

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A prefix. The best path stands inline, if there is one; the others on a shelf.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    first: Path,
    /// The shelf place of all paths but the first.
    more: u32,
    count: u16,
    flags: u8,
}

/// The first path is the best one.
const CHOSEN: u8 = 1;
/// Some neighbour may have to hear of it.
const DIRTY: u8 = 2;
/// The route manager may have to hear of it.
const FED: u8 = 4;
/// The row holds a prefix.
const LIVE: u8 = 8;

#[derive(Debug)]
enum Keys {
    V4(Vec<(u32, u8)>),
    V6(Vec<([u8; 16], u8)>),
}

/// The table of one family.
#[derive(Debug)]
pub(crate) struct Table {
    seed: u64,
    keys: Keys,
    index: Index,
    heads: Vec<Head>,
    shelves: Shelves,
    free: Vec<u32>,
    live: usize,
    dirty: Vec<DestId>,
    fed: Vec<DestId>,
}

impl Table {
    pub(crate) fn new(table: usize, seed: u64) -> Self {
        let keys = if table == 0 { Keys::V4(Vec::new()) } else { Keys::V6(Vec::new()) };
        Self {
            seed,
            keys,
            index: Index::default(),
            heads: Vec::new(),
            shelves: Shelves::default(),
            free: Vec::new(),
            live: 0,
            dirty: Vec::new(),
            fed: Vec::new(),
        }
    }

    /// Rows, in use or not.
    pub(crate) const fn rows(&self) -> usize {
        self.heads.len()
    }

    /// Prefixes.
    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    /// Every row number, in use or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = DestId> + use<> {
        (0..self.heads.len() as u32).map(DestId)
    }

    pub(crate) fn is_live(&self, dest: DestId) -> bool {
        self.heads[dest.at()].flags & LIVE != 0
    }

    pub(crate) fn key(&self, dest: DestId) -> Key {
        match &self.keys {
            Keys::V4(keys) => {
                let (bits, len) = keys[dest.at()];
                Key::V4 { bits, len }
            }
            Keys::V6(keys) => {
                let (octets, len) = keys[dest.at()];
                Key::V6 { bits: u128::from_be_bytes(octets), len }
            }
        }
    }

    pub(crate) fn find(&self, key: Key) -> Option<DestId> {
        self.index.find(key.hash(self.seed), |row| self.key(DestId(row)) == key).map(DestId)
    }

    pub(crate) fn find_or_add(&mut self, key: Key) -> DestId {
        let hash = key.hash(self.seed);
        if let Some(row) = self.index.find(hash, |row| self.key(DestId(row)) == key) {
            return DestId(row);
        }
        let row = self.free.pop().unwrap_or(self.heads.len() as u32);
        if row as usize == self.heads.len() {
            self.heads.push(Head { flags: LIVE, ..Head::default() });
        } else {
            let head = &mut self.heads[row as usize];
            *head = Head { flags: LIVE | head.flags & (DIRTY | FED), ..Head::default() };
        }
        self.set_key(row as usize, key);
        self.index.insert(hash, row);
        self.live += 1;
        DestId(row)
    }

    fn set_key(&mut self, row: usize, key: Key) {
        match (&mut self.keys, key) {
            (Keys::V4(keys), Key::V4 { bits, len }) => put_at(keys, row, (bits, len)),
            (Keys::V6(keys), Key::V6 { bits, len }) => put_at(keys, row, (bits.to_be_bytes(), len)),
            // A key of the other family never gets here: `Key::table` chose this table.
            _ => {}
        }
    }

    /// Forgets a prefix without paths.
    pub(crate) fn forget(&mut self, dest: DestId) {
        if self.is_live(dest) && self.heads[dest.at()].count == 0 {
            self.index.remove(self.key(dest).hash(self.seed), dest.0);
            self.heads[dest.at()].flags &= DIRTY | FED;
            self.free.push(dest.0);
            self.live -= 1;
        }
    }

    pub(crate) fn count(&self, dest: DestId) -> usize {
        usize::from(self.heads[dest.at()].count)
    }

    /// Every path; the first one is the best one if [`Table::best`] says so.
    pub(crate) fn paths(&self, dest: DestId) -> impl Iterator<Item = &Path> + Clone {
        let head = &self.heads[dest.at()];
        let first = (head.count > 0).then_some(&head.first);
        first.into_iter().chain(self.shelves.get(usize::from(head.count.saturating_sub(1)), head.more))
    }

    pub(crate) fn path(&self, dest: DestId, index: usize) -> Path {
        let head = &self.heads[dest.at()];
        match index.checked_sub(1) {
            None => head.first,
            Some(place) => self.shelves.get(usize::from(head.count) - 1, head.more)[place],
        }
    }

    pub(crate) fn path_mut(&mut self, dest: DestId, index: usize) -> &mut Path {
        let head = &mut self.heads[dest.at()];
        match index.checked_sub(1) {
            None => &mut head.first,
            Some(place) => &mut self.shelves.get_mut(usize::from(head.count) - 1, head.more)[place],
        }
    }

    pub(crate) fn position(&self, dest: DestId, peer: PeerId, id: u32) -> Option<usize> {
        self.paths(dest).position(|path| path.peer == peer && path.id == id)
    }

    /// Adds a path; `false` if the prefix has as many as it may.
    pub(crate) fn push(&mut self, dest: DestId, path: Path) -> bool {
        let head = &mut self.heads[dest.at()];
        match head.count {
            0 => head.first = path,
            u16::MAX => return false,
            count => head.more = self.shelves.push(usize::from(count) - 1, head.more, path),
        }
        head.count += 1;
        true
    }

    /// Takes a path out; the last one takes its place.
    pub(crate) fn take(&mut self, dest: DestId, index: usize) -> Path {
        let last = self.count(dest) - 1;
        let taken = self.path(dest, index);
        let moved = self.path(dest, last);
        *self.path_mut(dest, index) = moved;
        let head = &mut self.heads[dest.at()];
        head.count -= 1;
        if index == 0 {
            head.flags &= !CHOSEN;
        }
        if last > 0 {
            head.more = self.shelves.pop(last, head.more);
        }
        taken
    }

    /// The best path.
    pub(crate) fn best(&self, dest: DestId) -> Option<&Path> {
        let head = &self.heads[dest.at()];
        (head.count > 0 && head.flags & CHOSEN != 0).then_some(&head.first)
    }

    /// Makes a path the best one.
    pub(crate) fn choose(&mut self, dest: DestId, index: Option<usize>) {
        let Some(index) = index else {
            self.heads[dest.at()].flags &= !CHOSEN;
            return;
        };
        if index > 0 {
            let (first, chosen) = (self.path(dest, 0), self.path(dest, index));
            *self.path_mut(dest, index) = first;
            self.heads[dest.at()].first = chosen;
        }
        self.heads[dest.at()].flags |= CHOSEN;
    }

    /// Notes that neighbours, and the route manager if `feed`, may have to hear of it.
    pub(crate) fn touch(&mut self, dest: DestId, feed: bool) {
        let flags = &mut self.heads[dest.at()].flags;
        if *flags & DIRTY == 0 {
            *flags |= DIRTY;
            self.dirty.push(dest);
        }
        if feed {
            self.touch_feed(dest);
        }
    }

    /// Notes that only the route manager may have to hear of it.
    pub(crate) fn touch_feed(&mut self, dest: DestId) {
        let flags = &mut self.heads[dest.at()].flags;
        if *flags & FED == 0 {
            *flags |= FED;
            self.fed.push(dest);
        }
    }

    pub(crate) const fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What neighbours may have to hear of, each once.
    pub(crate) fn take_dirty(&mut self) -> Vec<DestId> {
        for dest in &self.dirty {
            self.heads[dest.at()].flags &= !DIRTY;
        }
        core::mem::take(&mut self.dirty)
    }

    /// What the route manager may have to hear of, each once.
    pub(crate) fn take_fed(&mut self) -> Vec<DestId> {
        for dest in &self.fed {
            self.heads[dest.at()].flags &= !FED;
        }
        core::mem::take(&mut self.fed)
    }
}

fn put_at<T>(rows: &mut Vec<T>, row: usize, value: T) {
    if row == rows.len() {
        rows.push(value);
    } else {
        rows[row] = value;
    }
}

/// Places for 1, 3, 7, 15 and so on paths. A place is known by how many paths stand there and its number.
#[derive(Debug, Default)]
struct Shelves(Vec<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    paths: Vec<Path>,
    free: Vec<u32>,
}

/// The shelf for `count` paths, at least 1.
const fn shelf_of(count: usize) -> usize {
    count.ilog2() as usize
}

const fn room(shelf: usize) -> usize {
    (2 << shelf) - 1
}

impl Shelves {
    fn get(&self, count: usize, place: u32) -> &[Path] {
        if count == 0 {
            return &[];
        }
        let shelf = shelf_of(count);
        &self.0[shelf].paths[place as usize * room(shelf)..][..count]
    }

    fn get_mut(&mut self, count: usize, place: u32) -> &mut [Path] {
        if count == 0 {
            return &mut [];
        }
        let shelf = shelf_of(count);
        &mut self.0[shelf].paths[place as usize * room(shelf)..][..count]
    }

    /// Puts one more behind `count` paths; where they all stand then.
    fn push(&mut self, count: usize, place: u32, path: Path) -> u32 {
        let place = if count == 0 || shelf_of(count) != shelf_of(count + 1) {
            self.relocate(count, place, count + 1)
        } else {
            place
        };
        self.get_mut(count + 1, place)[count] = path;
        place
    }

    /// Takes the last of `count` paths away; where the others stand then.
    fn pop(&mut self, count: usize, place: u32) -> u32 {
        if count == 1 {
            self.0[0].free.push(place);
            0
        } else if shelf_of(count) != shelf_of(count - 1) {
            self.relocate(count - 1, place, count - 1)
        } else {
            place
        }
    }

    /// Moves `kept` paths from the shelf they stand on to the one for `wanted`.
    fn relocate(&mut self, kept: usize, place: u32, wanted: usize) -> u32 {
        let (to, from) = (shelf_of(wanted), if kept < wanted { kept.max(1) } else { wanted + 1 });
        let old: Vec<Path> = if kept == 0 { Vec::new() } else { self.get(from, place)[..kept].to_vec() };
        if kept > 0 {
            self.0[shelf_of(from)].free.push(place);
        }
        if self.0.len() <= to {
            self.0.resize_with(to + 1, Shelf::default);
        }
        let shelf = &mut self.0[to];
        let place = shelf.free.pop().unwrap_or_else(|| {
            let place = shelf.paths.len() / room(to);
            shelf.paths.resize(shelf.paths.len() + room(to), Path::default());
            place as u32
        });
        self.get_mut(wanted, place)[..kept].copy_from_slice(&old);
        place
    }
}
