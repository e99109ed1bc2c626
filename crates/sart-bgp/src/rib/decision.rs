//! The decision process (RFC 4271 section 9.1, RFC 4456 section 9): each rule is one filter over what is left. Must
//! never look at anything but candidates.

use core::cmp::Reverse;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::destination::Learned;
use crate::wire::attr::Attributes;

/// The preference of a path without LOCAL_PREF, wherever it came from.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// Switches of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub multipath: bool,
    pub prefer_oldest: bool,
}

/// A path that may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub index: usize,
    pub attributes: &'a Attributes,
    pub learned: Option<Learned>,
    pub igp_metric: u32,
    pub changed_at: Duration,
}

impl Candidate<'_> {
    fn local_pref(&self) -> u32 {
        self.attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF)
    }

    fn is_internal(&self) -> bool {
        self.learned.is_some_and(|learned| learned.internal)
    }

    /// The AS that MEDs are compared within; for an own or internally born path none.
    fn neighbor_as(&self) -> Option<u32> {
        self.attributes.as_path.neighbor_as()
    }

    /// RFC 4456 section 9: a reflected path counts as its originator's.
    fn router_id(&self) -> Option<Ipv4Addr> {
        self.attributes.originator_id.or(self.learned.map(|learned| learned.router_id))
    }
}

/// Indexes of the paths to use, the best one first. Without multipath there is at most one.
pub(crate) fn choose(mut left: Vec<Candidate<'_>>, rules: Rules) -> Vec<usize> {
    // RFC 4271 section 9.1.1: degree of preference, own paths first among equals.
    keep_least(&mut left, |path| Reverse(path.local_pref()));
    keep_least(&mut left, |path| path.learned.is_some());
    // Section 9.1.2.2 a to e.
    keep_least(&mut left, |path| path.attributes.as_path.hops());
    keep_least(&mut left, |path| path.attributes.origin);
    drop_worse_med(&mut left);
    keep_least(&mut left, Candidate::is_internal);
    keep_least(&mut left, |path| path.igp_metric);
    let equals: Vec<usize> = left.iter().map(|path| path.index).collect();
    if rules.prefer_oldest && left.iter().all(|path| !path.is_internal()) {
        keep_least(&mut left, |path| path.changed_at);
    }
    // Section 9.1.2.2 f and g; the cluster list between them is RFC 4456 section 9.
    keep_least(&mut left, Candidate::router_id);
    keep_least(&mut left, |path| path.attributes.cluster_list.len());
    keep_least(&mut left, |path| path.learned.map(|learned| learned.peer));
    let best = left.first().map(|path| path.index);
    let rest = equals.into_iter().filter(|index| rules.multipath && Some(*index) != best);
    best.into_iter().chain(rest).collect()
}

fn keep_least<'a, K: Ord>(left: &mut Vec<Candidate<'a>>, key: impl Fn(&Candidate<'a>) -> K) {
    if let Some(least) = left.iter().map(&key).min() {
        left.retain(|path| key(path) == least);
    }
}

/// Section 9.1.2.2 c: MEDs compare only between paths of one neighbouring AS; a missing one is the lowest.
fn drop_worse_med(left: &mut Vec<Candidate<'_>>) {
    let all = left.clone();
    let med = |path: &Candidate<'_>| path.attributes.med.unwrap_or(0);
    left.retain(|path| {
        !all.iter().any(|other| other.neighbor_as() == path.neighbor_as() && med(other) < med(path))
    });
}
