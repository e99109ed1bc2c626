//! Which of a chain's prefix sets hold a prefix: all of them in one walk. Must never answer otherwise than asking every
//! range of every set would.

use core::ops::BitOr;

use ipnet::IpNet;

use super::model::PrefixRange;

/// Everything a chain asks about a prefix, as one value: the family and the prefix sets that hold it. Two prefixes with
/// equal signatures are treated alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub(super) u128);

impl Signature {
    /// How many different prefix sets one chain may ask about.
    pub const MAX_SETS: usize = 127;
    /// The bit that says IPv6.
    pub(super) const V6: u128 = 1 << 127;

    pub(super) const fn is_v6(self) -> bool {
        self.0 & Self::V6 != 0
    }
}

impl BitOr for Signature {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A path-compressed binary trie per family. Set numbers are below [`Signature::MAX_SETS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PrefixTrie {
    v4: Tree,
    v6: Tree,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tree {
    root: Option<Box<Node>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    key: Key,
    ranges: Vec<Lengths>,
    /// Sets with a covering range at this node or below.
    covering: u128,
    children: [Option<Box<Node>>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    ge: u8,
    le: u8,
    set: u8,
}

/// The leading `len` bits of `bits`; the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    bits: u128,
    len: u8,
}

impl Key {
    fn of(prefix: &IpNet) -> Self {
        let prefix = prefix.trunc();
        let bits = match prefix {
            IpNet::V4(net) => u128::from(u32::from(net.network())) << 96,
            IpNet::V6(net) => u128::from(net.network()),
        };
        Self { bits, len: prefix.prefix_len() }
    }

    /// Whether `other` lies inside.
    const fn holds(self, other: Self) -> bool {
        self.len <= other.len && self.common(other) >= self.len
    }

    /// How many leading bits are the same, at most the shorter one's length.
    const fn common(self, other: Self) -> u8 {
        let same = (self.bits ^ other.bits).leading_zeros() as u8;
        let shorter = if self.len < other.len { self.len } else { other.len };
        if same < shorter { same } else { shorter }
    }

    /// The bit behind the first `at`, for `at` below 128.
    const fn bit(self, at: u8) -> usize {
        (self.bits >> (127 - at) & 1) as usize
    }

    const fn cut(self, len: u8) -> Self {
        let bits = if len == 0 { 0 } else { self.bits >> (128 - len as u32) << (128 - len as u32) };
        Self { bits, len }
    }
}

impl PrefixTrie {
    pub(super) fn insert(&mut self, range: &PrefixRange, set: u8) {
        let tree = match range.prefix {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        };
        let key = Key::of(&range.prefix);
        let node = Tree::node_at(&mut tree.root, key);
        node.ranges.push(Lengths { ge: range.ge, le: range.le, set });
        if range.covering {
            Tree::mark_covering(&mut tree.root, key, 1 << set);
        }
    }

    /// The family and every set that holds `prefix`.
    pub(super) fn signature(&self, prefix: &IpNet) -> Signature {
        match prefix {
            IpNet::V4(_) => Signature(self.v4.sets_of(Key::of(prefix))),
            IpNet::V6(_) => Signature(self.v6.sets_of(Key::of(prefix))) | Signature(Signature::V6),
        }
    }
}

impl Tree {
    /// The node of `key`, made if there is none yet.
    fn node_at(place: &mut Option<Box<Node>>, key: Key) -> &mut Node {
        let splits = place.as_ref().is_some_and(|node| !node.key.holds(key));
        if splits && let Some(old) = place.take() {
            *place = Some(Node::above(old, key));
        }
        let node = place.get_or_insert_with(|| Box::new(Node::new(key)));
        if node.key == key {
            return node;
        }
        let side = key.bit(node.key.len);
        Self::node_at(&mut node.children[side], key)
    }

    fn mark_covering(place: &mut Option<Box<Node>>, key: Key, mask: u128) {
        let mut next = place.as_mut();
        while let Some(node) = next {
            node.covering |= mask;
            if node.key == key {
                return;
            }
            let side = key.bit(node.key.len);
            next = node.children[side].as_mut();
        }
    }

    fn sets_of(&self, key: Key) -> u128 {
        let mut sets = 0;
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            if key.len > 0 && key.holds(node.key) {
                // Everything from here on lies inside the prefix asked for.
                sets |= node.covering;
            }
            if !node.key.holds(key) {
                break;
            }
            let fits = node.ranges.iter().filter(|range| (range.ge..=range.le).contains(&key.len));
            sets |= fits.fold(0, |found, range| found | 1 << range.set);
            if node.key.len == key.len {
                break;
            }
            next = node.children[key.bit(node.key.len)].as_ref();
        }
        sets
    }
}

impl Node {
    const fn new(key: Key) -> Self {
        Self { key, ranges: Vec::new(), covering: 0, children: [None, None] }
    }

    /// The branch where `old` and `key` part; `key` does not lie inside `old`.
    fn above(old: Box<Self>, key: Key) -> Box<Self> {
        let mut branch = Self::new(key.cut(old.key.common(key)));
        branch.covering = old.covering;
        let side = old.key.bit(branch.key.len);
        branch.children[side] = Some(old);
        Box::new(branch)
    }
}
