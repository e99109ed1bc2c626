//! Object names made of other names and addresses: one spelling per address, never longer than Kubernetes allows.
//!
//! IPv4 addresses keep their dots where upstream has them; IPv6 addresses use the spelling of claims, because a colon
//! is not allowed in a name. A name that would be too long is cut and gets a digest of the whole.

use core::net::{IpAddr, Ipv6Addr};

use sha2::{Digest, Sha256};

/// Longest object name (DNS-1123 subdomain).
pub const MAX_NAME: usize = 253;
/// Longest label value.
pub const MAX_LABEL_VALUE: usize = 63;
/// Hexadecimal digits of the digest in a cut name.
const DIGEST_DIGITS: usize = 16;

/// Name of the claim for an address: `v4-10-0-1-0`, or `v6-` and eight zero-padded groups.
#[must_use]
pub fn claim(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("v4-{}", v4.to_string().replace('.', "-")),
        IpAddr::V6(v6) => format!("v6-{}", groups(v6)),
    }
}

/// The address a claim's name stands for; `None` for any other spelling.
#[must_use]
pub fn claimed_address(name: &str) -> Option<IpAddr> {
    let address: IpAddr = if let Some(rest) = name.strip_prefix("v4-") {
        rest.replace('-', ".").parse().ok()?
    } else {
        name.strip_prefix("v6-")?.replace('-', ":").parse().ok()?
    };
    (claim(address) == name).then_some(address)
}

/// Name of a Service's advertisement for one of its addresses: `<service>-<address>`.
#[must_use]
pub fn advertisement(service: &str, address: IpAddr) -> String {
    bounded(format!("{service}-{}", in_name(address)), MAX_NAME)
}

/// Name of a generated peer: `<template>-<node>-<asn>-<addr>`, or without the template when the peer is written inline.
#[must_use]
pub fn peer(template: Option<&str>, node: &str, asn: u32, addr: &str) -> String {
    let addr = addr.parse().map_or_else(|_| addr.to_owned(), in_name);
    let tail = format!("{node}-{asn}-{addr}");
    bounded(template.map_or_else(|| tail.clone(), |t| format!("{t}-{tail}")), MAX_NAME)
}

/// Name of a pod block: `<pool>-<slot>`.
#[must_use]
pub fn block(pool: &str, slot: u128) -> String {
    bounded(format!("{pool}-{slot}"), MAX_NAME)
}

/// Name of a node's block request: `<pool>-<node>`.
#[must_use]
pub fn block_request(pool: &str, node: &str) -> String {
    bounded(format!("{pool}-{node}"), MAX_NAME)
}

/// Name of a node's block request when the plain one belongs to another pair of pool and node: (`a`, `b-c`) and (`a-b`, `c`)
/// share theirs.
#[must_use]
pub fn block_request_apart(pool: &str, node: &str) -> String {
    let digest = digest(&format!("{pool}\n{node}"));
    let head: String = format!("{pool}-{node}").chars().take(MAX_NAME - DIGEST_DIGITS - 1).collect();
    format!("{}-{digest}", head.trim_end_matches(['-', '.']))
}

/// An object name as a label value: node names may be longer than a label value may be.
#[must_use]
pub fn label_value(name: &str) -> String {
    bounded(name.to_owned(), MAX_LABEL_VALUE)
}

/// An address as part of a name.
fn in_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(_) => claim(address),
    }
}

fn groups(address: Ipv6Addr) -> String {
    address.segments().map(|group| format!("{group:04x}")).join("-")
}

/// `name`, or its head and a digest of all of it when it is longer than `max`.
fn bounded(name: String, max: usize) -> String {
    if name.len() <= max {
        return name;
    }
    let digest = digest(&name);
    let head: String = name.chars().take(max - DIGEST_DIGITS - 1).collect();
    format!("{}-{digest}", head.trim_end_matches(['-', '.']))
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(DIGEST_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_claim_name_has_one_spelling_per_address_and_reads_back() {
        assert_eq!(claim(ip("10.0.1.0")), "v4-10-0-1-0");
        assert_eq!(claim(ip("2001:db8::1")), "v6-2001-0db8-0000-0000-0000-0000-0000-0001");
        for text in ["10.0.1.0", "255.255.255.255", "::", "2001:db8::ffff", "::ffff:10.0.0.1"] {
            assert_eq!(claimed_address(&claim(ip(text))), Some(ip(text)), "{text}");
        }
    }

    #[test]
    fn another_spelling_of_an_address_is_no_claim_name() {
        for name in ["v4-010-0-1-0", "v6-2001-db8--1", "v4-10-0-1", "10-0-1-0", "v6-x", ""] {
            assert_eq!(claimed_address(name), None, "{name}");
        }
    }

    #[test]
    fn peer_and_advertisement_names_are_upstreams_for_ipv4_and_valid_for_ipv6() {
        assert_eq!(peer(Some("t"), "n1", 65000, "9.9.9.9"), "t-n1-65000-9.9.9.9");
        assert_eq!(peer(None, "n1", 65000, "9.9.9.9"), "n1-65000-9.9.9.9");
        assert_eq!(advertisement("web", ip("10.0.1.0")), "web-10.0.1.0");
        let v6 = peer(None, "n1", 1, "fd00::9");
        assert_eq!(v6, "n1-1-v6-fd00-0000-0000-0000-0000-0000-0000-0009");
        assert!(!v6.contains(':'));
    }

    #[test]
    fn two_requests_of_one_plain_name_stand_apart() {
        assert_eq!(block_request("a", "b-c"), block_request("a-b", "c"));
        let (one, other) = (block_request_apart("a", "b-c"), block_request_apart("a-b", "c"));
        assert_ne!(one, other);
        assert!(one.starts_with("a-b-c-") && block_request_apart(&"p".repeat(253), "n").len() <= MAX_NAME);
    }

    #[test]
    fn a_long_name_is_cut_and_stays_distinct() {
        let (a, b) = ("n".repeat(250) + "a", "n".repeat(250) + "b");
        let (pa, pb) = (peer(Some("t"), &a, 1, "9.9.9.9"), peer(Some("t"), &b, 1, "9.9.9.9"));
        assert_eq!(pa.len(), MAX_NAME);
        assert_ne!(pa, pb);
        assert_eq!(label_value(&a).len(), MAX_LABEL_VALUE);
        assert_eq!(label_value("node1"), "node1");
    }
}
