//! Random configurations over few values, so that conditions meet routes often.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::family::Family;
use crate::policy::{
    Actions, ChainConfig, Conditions, DefaultAction, DefinedSets, ListChange, MatchKind, MedChange, NamedSet,
    NextHopAction, NumberRange, Policy, PolicyConfig, PrefixRange, Prepend, SetMatch, Source, SourceKind,
    Statement, Then,
};
use crate::wire::attr::{AsPath, Attributes, Origin, Segment, SegmentKind};

/// A route with everything a chain may ask.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub prefix: IpNet,
    pub attributes: Attributes,
    pub next_hop: Option<IpAddr>,
    pub source: Source,
}

pub(super) fn peer(last: u8) -> IpAddr {
    if last == 3 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }
}

/// Few bits, so that prefixes nest and meet.
pub(super) fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0u32..8, select(vec![0u8, 1, 2, 3, 8, 16, 24, 31, 32])).prop_map(|(high, len)| {
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(high << 29 | high), len).trunc())
    });
    let v6 = (0u128..8, select(vec![0u8, 1, 3, 48, 64, 127, 128])).prop_map(|(high, len)| {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(high << 125 | high), len).trunc())
    });
    prop_oneof![v4, v6]
}

pub(super) fn range() -> impl Strategy<Value = PrefixRange> {
    (prefix(), any::<bool>(), any::<bool>(), 0u8..16, 0u8..16).prop_map(
        |(prefix, exact, covering, up, more)| {
            let (own, max) = (prefix.prefix_len(), prefix.max_prefix_len());
            let ge = if exact { own } else { (own + up).min(max) };
            let le = if exact { own } else { (ge + more).min(max) };
            PrefixRange { prefix, ge, le, covering }
        },
    )
}

fn sets<T: core::fmt::Debug + Clone + 'static>(
    member: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<NamedSet<T>>> {
    prop::collection::vec(prop::collection::vec(member, 0..3), 2).prop_map(|sets| {
        let named = |(index, members)| NamedSet { name: format!("s{index}"), members };
        sets.into_iter().enumerate().map(named).collect()
    })
}

fn text<T: core::str::FromStr<Err: core::fmt::Debug> + Clone + core::fmt::Debug + 'static>(
    texts: &[&'static str],
) -> impl Strategy<Value = T> + Clone + use<T> {
    select(texts.iter().map(|text| text.parse::<T>().unwrap()).collect::<Vec<_>>())
}

fn defined() -> impl Strategy<Value = DefinedSets> {
    (
        sets(range_boxed()),
        sets(text(&["^$", "_65001_", "^65002_", "_65003$", "^[0-9]+$", "\\{1,2\\}"])),
        sets(text(&["65001:1", "65001:*", "*:2", "no-export", "65000-65002:1-2"])),
        sets(text(&["rt:65001:1", "rt:*:*", "soo:192.0.2.1:7", "rt:70000:1", "0x0002fde900000001"])),
        sets(text(&["65001:1:1", "65001:*:2", "*:1-2:*"])),
        sets(text(&["192.0.2.0/30", "192.0.2.2/32", "2001:db8::/64"])),
        sets(text(&["192.0.2.1/32", "192.0.2.0/24", "2001:db8::3/128"])),
    )
        .prop_map(
            |(prefixes, as_paths, communities, ext_communities, large_communities, next_hops, neighbors)| {
                DefinedSets {
                    prefixes,
                    as_paths,
                    communities,
                    ext_communities,
                    large_communities,
                    next_hops,
                    neighbors,
                }
            },
        )
}

fn range_boxed() -> BoxedStrategy<PrefixRange> {
    range().boxed()
}

/// Most conditions are absent, or nothing would ever hold.
fn set_match() -> impl Strategy<Value = Option<SetMatch>> {
    let how = select(vec![MatchKind::Any, MatchKind::All, MatchKind::Invert]);
    prop::option::weighted(
        0.2,
        (0..2, how).prop_map(|(index, how)| SetMatch { set: format!("s{index}"), how }),
    )
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let sets = (
        (set_match(), set_match(), set_match(), set_match()),
        (set_match(), set_match(), set_match(), set_match()),
    );
    let kinds = select(vec![SourceKind::Local, SourceKind::External, SourceKind::Internal]);
    let rest = (
        prop::option::weighted(0.15, select(Family::SUPPORTED.to_vec())),
        prop::option::weighted(0.15, (0u32..3, 0u32..3)),
        prop::option::weighted(0.15, kinds),
        prop::option::weighted(0.15, origin()),
    );
    (sets, rest).prop_map(|((first, second), (family, length, source, origin))| Conditions {
        prefix_set: first.0,
        family,
        as_path_set: first.1,
        as_path_length: length.map(|(min, more)| NumberRange { min, max: min + more }),
        community_set: first.2,
        ext_community_set: first.3,
        large_community_set: second.0,
        next_hop_set: second.1,
        neighbor_set: second.2,
        source_set: second.3,
        source,
        origin,
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    select(vec![Origin::Igp, Origin::Egp, Origin::Incomplete])
}

fn list<V: Clone + core::fmt::Debug + 'static, P: Clone + core::fmt::Debug + 'static>(
    values: Vec<V>,
    patterns: impl Strategy<Value = P> + 'static,
) -> impl Strategy<Value = ListChange<V, P>> {
    let some = |most| prop::collection::vec(select(values.clone()), 0..most);
    (prop::option::weighted(0.2, some(3)), prop::collection::vec(patterns, 0..2), some(2))
        .prop_map(|(replace, remove, add)| ListChange { replace, remove, add })
}

fn actions() -> impl Strategy<Value = Actions> {
    let med = prop_oneof![
        any::<u32>().prop_map(MedChange::Set),
        any::<u32>().prop_map(MedChange::Add),
        any::<u32>().prop_map(MedChange::Subtract),
    ];
    let prepend = (of(65_001u32..65_004), 1u8..4).prop_map(|(asn, count)| Prepend { asn, count });
    let next_hop = select(vec![
        NextHopAction::Own,
        NextHopAction::Unchanged,
        NextHopAction::Peer,
        NextHopAction::Address(peer(1)),
        NextHopAction::Address(peer(3)),
    ]);
    (
        (of(0u32..3), of(med), of(prepend), of(origin())),
        list(COMMUNITIES.to_vec(), text(&["65001:*", "no-export"])),
        list(EXT.to_vec(), text(&["rt:65001:*", "0x0002fde900000001"])),
        list(LARGE.to_vec(), text(&["65001:*:*"])),
        prop::option::weighted(0.1, next_hop),
    )
        .prop_map(|(scalars, communities, ext_communities, large_communities, next_hop)| Actions {
            local_pref: scalars.0,
            med: scalars.1,
            prepend: scalars.2,
            origin: scalars.3,
            communities,
            ext_communities,
            large_communities,
            next_hop,
        })
}

const COMMUNITIES: [u32; 4] = [65_001 << 16 | 1, 65_001 << 16 | 2, 65_002 << 16 | 2, 0xffff_ff01];
const EXT: [u64; 4] =
    [0x0002_fde9_0000_0001, 0x0003_fde9_0000_0001, 0x0202_0001_1170_0001, 0x0103_c000_0201_0007];
const LARGE: [[u32; 3]; 3] = [[65_001, 1, 1], [65_001, 9, 2], [7, 2, 9]];

fn statement() -> impl Strategy<Value = Statement> {
    let then = select(vec![Then::Next, Then::Next, Then::Accept, Then::Reject]);
    (conditions(), actions(), then).prop_map(|(conditions, actions, then)| Statement {
        name: String::new(),
        conditions,
        actions,
        then,
    })
}

pub(super) fn config_and_chain() -> impl Strategy<Value = (PolicyConfig, ChainConfig)> {
    let policies = prop::collection::vec(prop::collection::vec(statement(), 0..4), 3);
    let order = prop::collection::vec(0..3, 0..4);
    (defined(), policies, order, any::<bool>()).prop_map(|(sets, policies, order, accept)| {
        let named = |(index, statements)| Policy { name: format!("p{index}"), statements };
        let policies = policies.into_iter().enumerate().map(named).collect();
        let default = if accept { DefaultAction::Accept } else { DefaultAction::Reject };
        let names = order.into_iter().map(|index| format!("p{index}")).collect();
        (PolicyConfig { sets, policies }, ChainConfig { policies: names, default })
    })
}

pub(super) fn route() -> impl Strategy<Value = Route> {
    let segment =
        (any::<bool>(), prop::collection::vec(select(vec![1u32, 2, 65_001, 65_002, 65_003]), 1..4)).prop_map(
            |(set, asns)| Segment { kind: if set { SegmentKind::Set } else { SegmentKind::Sequence }, asns },
        );
    let values = (
        prop::collection::vec(select(COMMUNITIES.to_vec()), 0..3),
        prop::collection::vec(select(EXT.to_vec()), 0..3),
        prop::collection::vec(select(LARGE.to_vec()), 0..3),
    );
    let scalars = (origin(), of(any::<u32>()), of(0u32..3));
    (prefix(), prop::collection::vec(segment, 0..3), values, scalars, (of(1u8..4), 0u8..3, 1u8..4)).prop_map(
        |(prefix, segments, values, (origin, med, local_pref), (hop, kind, from))| Route {
            prefix,
            attributes: Attributes {
                origin,
                as_path: AsPath { segments },
                med,
                local_pref,
                communities: values.0,
                ext_communities: values.1,
                large_communities: values.2,
                ..Attributes::default()
            },
            next_hop: hop.map(peer),
            source: match kind {
                0 => Source::Local,
                1 => Source::External(peer(from)),
                _ => Source::Internal(peer(from)),
            },
        },
    )
}
