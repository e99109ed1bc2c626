//! The decision process (RFC 4271 section 9.1, RFC 4456 section 9) over summaries: each rule is one filter over what is
//! left. Must never look at anything but candidates.

use core::cmp::Reverse;
use core::net::IpAddr;

use super::summary::Summary;
use super::table::Path;
use crate::config::DecisionRules;

/// A path that may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub index: usize,
    pub path: Path,
    pub summary: Summary,
    /// Who sent it; `None` for an own path.
    pub source: Option<Source>,
    pub igp_metric: u32,
}

/// What is compared of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub address: IpAddr,
    pub router_id: u32,
    pub internal: bool,
}

/// Everything that is compared before MEDs, least first: RFC 4271 section 9.1.1 (own paths first among equals), then
/// section 9.1.2.2 a and b.
pub(crate) fn rank(summary: &Summary, own: bool) -> u64 {
    u64::from(!summary.local_pref) << 32
        | u64::from(!own) << 31
        | u64::from(summary.path_len) << 8
        | u64::from(summary.origin)
}

impl Candidate {
    fn is_internal(&self) -> bool {
        self.source.is_some_and(|source| source.internal)
    }

    fn med(&self, rules: &DecisionRules) -> u32 {
        if rules.missing_med_as_worst && !self.summary.has(Summary::HAS_MED) {
            u32::MAX
        } else {
            self.summary.med
        }
    }

    /// RFC 4456 section 9: a reflected path counts as its originator's.
    fn router_id(&self) -> Option<u32> {
        let originator = Some(self.summary.originator).filter(|id| *id != 0);
        originator.or(self.source.map(|source| source.router_id))
    }
}

/// Indexes of the paths to use, the best one first, out of candidates of equal [`rank`]. Without multipath there is at
/// most one. `same_as_path` is asked only where multipath must not be relaxed.
pub(crate) fn choose(
    mut left: Vec<Candidate>,
    rules: &DecisionRules,
    same_as_path: impl Fn(&Candidate, &Candidate) -> bool,
) -> Vec<usize> {
    if !rules.deterministic_med && !rules.always_compare_med {
        return choose_in_pairs(left, rules);
    }
    // Section 9.1.2.2 c to e.
    drop_worse_med(&mut left, rules);
    keep_least(&mut left, Candidate::is_internal);
    keep_least(&mut left, |path| path.igp_metric);
    let equals = left.clone();
    break_tie(&mut left, rules);
    let Some(best) = left.first() else { return Vec::new() };
    let mut chosen = vec![best.index];
    if rules.multipath {
        let fits = |path: &&Candidate| path.index != best.index && (rules.relax || same_as_path(best, path));
        let rest = equals.iter().filter(fits).map(|path| path.index);
        chosen.extend(rest.take(usize::from(rules.max_paths.max(1)) - 1));
    }
    chosen
}

/// Section 9.1.2.2 f and g; the cluster list between them is RFC 4456 section 9.
fn break_tie(left: &mut Vec<Candidate>, rules: &DecisionRules) {
    if rules.prefer_oldest && left.iter().all(|path| !path.is_internal()) {
        keep_least(left, |path| path.path.time);
    }
    keep_least(left, Candidate::router_id);
    keep_least(left, |path| path.summary.cluster_len);
    keep_least(left, |path| path.source.map(|source| source.address));
    // Two paths of one neighbour (RFC 7911).
    keep_least(left, |path| path.path.id);
}

/// Each path against the best one so far, the newest first: what a router without deterministic MED does.
fn choose_in_pairs(mut left: Vec<Candidate>, rules: &DecisionRules) -> Vec<usize> {
    left.sort_by_key(|path| (Reverse(path.path.time), path.index));
    let mut left = left.into_iter();
    let Some(first) = left.next() else { return Vec::new() };
    let best = left.fold(first, |best, other| {
        let mut pair = vec![best, other];
        drop_worse_med(&mut pair, rules);
        keep_least(&mut pair, Candidate::is_internal);
        keep_least(&mut pair, |path| path.igp_metric);
        break_tie(&mut pair, rules);
        pair.first().copied().unwrap_or(best)
    });
    vec![best.index]
}

fn keep_least<K: Ord>(left: &mut Vec<Candidate>, key: impl Fn(&Candidate) -> K) {
    if left.len() > 1
        && let Some(least) = left.iter().map(&key).min()
    {
        left.retain(|path| key(path) == least);
    }
}

/// MEDs compare only between paths of one neighbouring AS, unless configured otherwise.
fn drop_worse_med(left: &mut Vec<Candidate>, rules: &DecisionRules) {
    if rules.always_compare_med {
        return keep_least(left, |path| path.med(rules));
    }
    let all = left.clone();
    let group = |path: &Candidate| path.summary.neighbor_as;
    left.retain(|path| {
        !all.iter().any(|other| group(other) == group(path) && other.med(rules) < path.med(rules))
    });
}
