//! Attributes on their way out (RFC 4271 sections 5.1 and 9.2, RFC 4456 section 8), octets to octets: what a neighbour in
//! another AS may not see goes, our own AS comes. Must never decide whether a route leaves.

use core::net::Ipv4Addr;

use super::summary::DEFAULT_LOCAL_PREF;
use crate::wire::attr::{AttrBlock, RawAttribute, put_attribute, put_attribute_header};
use crate::wire::code;

/// RFC 4360 section 3.1: the bit of an extended community that keeps it inside its AS (RFC 5701 section 2 likewise).
const NON_TRANSITIVE: u8 = 0x40;
/// AS_SEQUENCE.
const SEQUENCE: u8 = 2;
/// Flags: well-known transitive, optional non-transitive.
const WELL_KNOWN: u8 = 0x40;
const OPTIONAL: u8 = 0x80;

/// Whose route goes to another AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outward {
    /// Our AS.
    pub asn: u32,
    /// It is a neighbour's route, not our own.
    pub learned: bool,
    /// A policy of ours gave it its MED.
    pub own_med: bool,
}

/// Appends what another AS is told.
pub(crate) fn external(canonical: &[u8], outward: Outward, out: &mut Vec<u8>) {
    for raw in AttrBlock::new(canonical).iter() {
        match raw.code {
            code::AS_PATH => prepend(raw, outward.asn, out),
            // LOCAL_PREF and the route reflector's marks are our AS's own business.
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => {}
            // RFC 4271 section 5.1.4: a MED received is not passed on to another AS; one that we set is.
            code::MED if outward.learned && !outward.own_med => {}
            code::EXT_COMMUNITIES if outward.learned => transitive::<8>(raw, out),
            code::IPV6_EXT_COMMUNITIES if outward.learned => transitive::<20>(raw, out),
            _ => put_attribute(out, raw.code, raw.flags, raw.value),
        }
    }
}

/// RFC 4271 section 5.1.2 b: our AS goes in front; a full segment is not grown but preceded.
fn prepend(path: RawAttribute<'_>, asn: u32, out: &mut Vec<u8>) {
    let (asn, value) = (asn.to_be_bytes(), path.value);
    match *value {
        [SEQUENCE, count, ref rest @ ..] if count < u8::MAX => {
            put_attribute_header(out, path.code, path.flags, value.len() + 4);
            out.extend([SEQUENCE, count + 1]);
            out.extend(asn);
            out.extend_from_slice(rest);
        }
        _ => {
            put_attribute_header(out, path.code, path.flags, value.len() + 6);
            out.extend([SEQUENCE, 1]);
            out.extend(asn);
            out.extend_from_slice(value);
        }
    }
}

fn transitive<const N: usize>(raw: RawAttribute<'_>, out: &mut Vec<u8>) {
    let communities = raw.value.as_chunks::<N>().0;
    let leaves = |community: &&[u8; N]| community[0] & NON_TRANSITIVE == 0;
    let count = communities.iter().filter(leaves).count();
    if count > 0 {
        put_attribute_header(out, raw.code, raw.flags, count * N);
        for community in communities.iter().filter(leaves) {
            out.extend_from_slice(community);
        }
    }
}

/// What a route reflector adds: who brought the route into the AS, and which clusters it went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reflection {
    pub originator: Ipv4Addr,
    pub cluster: Ipv4Addr,
}

/// Appends what a neighbour in our own AS is told.
pub(crate) fn internal(canonical: &[u8], reflection: Option<Reflection>, out: &mut Vec<u8>) {
    let block = AttrBlock::new(canonical);
    let mut additions = Vec::new();
    if block.get(code::LOCAL_PREF).is_none() {
        additions.push((code::LOCAL_PREF, WELL_KNOWN, DEFAULT_LOCAL_PREF.to_be_bytes().to_vec()));
    }
    if let Some(reflection) = reflection {
        if block.get(code::ORIGINATOR_ID).is_none() {
            additions.push((code::ORIGINATOR_ID, OPTIONAL, reflection.originator.octets().to_vec()));
        }
        let clusters = block.get(code::CLUSTER_LIST).map(|list| list.value).unwrap_or_default();
        let clusters = [&reflection.cluster.octets(), clusters].concat();
        additions.push((code::CLUSTER_LIST, OPTIONAL, clusters));
    }
    let mut additions = additions.into_iter().peekable();
    for raw in block.iter() {
        while let Some((code, flags, value)) = additions.next_if(|(code, ..)| *code <= raw.code) {
            put_attribute(out, code, flags, &value);
        }
        // The longer list is out already.
        if reflection.is_none() || raw.code != code::CLUSTER_LIST {
            put_attribute(out, raw.code, raw.flags, raw.value);
        }
    }
    for (code, flags, value) in additions {
        put_attribute(out, code, flags, &value);
    }
}
