//! Finds "destination address, protocol, port, jump" in the expressions of one rule (linux/netfilter/nf_tables.h).
//! Only exact comparisons count: a masked, negated or ranged match proves nothing about one address.

use std::net::IpAddr;

use super::Protocol;
use crate::attr::{attrs, find, text, u16_at};
use crate::route::address;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
const NFT_PAYLOAD_NETWORK: u32 = 1;
const NFT_PAYLOAD_TRANSPORT: u32 = 2;
const NFT_META_L4PROTO: u32 = 16;
const NFT_CMP_EQ: u32 = 0;

/// What the register holds that the next comparison looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Address,
    Protocol,
    Port,
    Other,
}

#[derive(Debug, Default)]
struct Match {
    address: Option<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<u16>,
    jump: bool,
}

/// The triple that a rule of the `KUBE-SERVICES` chain serves, if it is such a rule.
pub(super) fn service_of_rule(expressions: &[u8], v6: bool) -> Option<(IpAddr, u16, Protocol)> {
    let mut found = Match::default();
    let mut loaded = Loaded::Other;
    for element in attrs(expressions).filter(|attr| attr.kind == NFTA_LIST_ELEM) {
        let name = find(element.value, NFTA_EXPR_NAME).map(text)?;
        let data = find(element.value, NFTA_EXPR_DATA).unwrap_or_default();
        match name {
            "payload" => loaded = payload(data, v6),
            "meta" => loaded = meta(data),
            "cmp" => compare(&mut found, loaded, data),
            "match" => extension(&mut found, data),
            "immediate" => found.jump |= jumps_to_service(data),
            // A bitwise, lookup or range expression changes what the register means.
            _ => loaded = Loaded::Other,
        }
    }
    found.jump.then_some(())?;
    Some((found.address?, found.port?, found.protocol?))
}

/// The triple of an element of kube-proxy's `service-ips` map: address, protocol and port, each padded to 4 bytes.
pub(super) fn service_of_element(element: &[u8], v6: bool) -> Option<(IpAddr, u16, Protocol)> {
    let flags = find(element, NFTA_SET_ELEM_FLAGS).and_then(be32).unwrap_or(0);
    if flags & NFT_SET_ELEM_INTERVAL_END != 0 {
        return None;
    }
    let key = find(find(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
    let at = if v6 { 16 } else { 4 };
    let protocol = Protocol::from_number(*key.get(at)?)?;
    let port = u16::from_be_bytes(key.get(at + 4..at + 6)?.try_into().ok()?);
    Some((address(key.get(..at)?)?, port, protocol))
}

/// `NFTA_PAYLOAD_BASE` 2, `OFFSET` 3, `LEN` 4. The destination address is at 16 of an IPv4 and 24 of an IPv6 header, the
/// protocol at 9 and 6, the destination port at 2 of TCP, UDP and SCTP.
fn payload(data: &[u8], v6: bool) -> Loaded {
    let field = |kind| find(data, kind).and_then(be32);
    let (destination, length, protocol) = if v6 { (24, 16, 6) } else { (16, 4, 9) };
    match (field(2), field(3), field(4)) {
        (Some(NFT_PAYLOAD_NETWORK), Some(at), Some(len)) if at == destination && len == length => {
            Loaded::Address
        }
        (Some(NFT_PAYLOAD_NETWORK), Some(at), Some(1)) if at == protocol => Loaded::Protocol,
        (Some(NFT_PAYLOAD_TRANSPORT), Some(2), Some(2)) => Loaded::Port,
        _ => Loaded::Other,
    }
}

fn meta(data: &[u8]) -> Loaded {
    match find(data, 2).and_then(be32) {
        Some(NFT_META_L4PROTO) => Loaded::Protocol,
        _ => Loaded::Other,
    }
}

/// `NFTA_CMP_OP` 2, `NFTA_CMP_DATA` 3.
fn compare(found: &mut Match, loaded: Loaded, data: &[u8]) {
    if find(data, 2).and_then(be32) != Some(NFT_CMP_EQ) {
        return;
    }
    let Some(value) = find(data, 3).and_then(|data| find(data, NFTA_DATA_VALUE)) else { return };
    match loaded {
        Loaded::Address => found.address = address(value),
        Loaded::Protocol => found.protocol = value.first().copied().and_then(Protocol::from_number),
        Loaded::Port => found.port = value.try_into().ok().map(u16::from_be_bytes),
        Loaded::Other => {}
    }
}

/// The xtables matches `tcp` and `udp` (`NFTA_MATCH_NAME` 1, `INFO` 3), as iptables-nft writes them when it does not
/// translate: source port range, destination port range, then flags whose last byte inverts.
fn extension(found: &mut Match, data: &[u8]) {
    let (Some(name), Some(info)) = (find(data, 1).map(text), find(data, 3)) else { return };
    let inverted = match name {
        "tcp" => info.get(11),
        "udp" => info.get(8),
        _ => return,
    };
    let (low, high) = (u16_at(info, 4), u16_at(info, 6));
    if inverted == Some(&0) && low == high {
        found.port = low;
    }
}

/// A jump to one of kube-proxy's Service chains (`KUBE-SVC-`, `KUBE-SVL-`, `KUBE-EXT-`, `KUBE-FW-`).
fn jumps_to_service(data: &[u8]) -> bool {
    let verdict = find(data, 2).and_then(|data| find(data, NFTA_DATA_VERDICT));
    let chain = verdict.and_then(|verdict| find(verdict, 2)).map(text).unwrap_or_default();
    ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-"].iter().any(|prefix| chain.starts_with(prefix))
}

fn be32(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.get(..4)?.try_into().ok()?))
}
