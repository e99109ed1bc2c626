//! Policy rules to and from rtnetlink bytes (linux/fib_rules.h).

use crate::attr::{Request, attrs_after, text};

pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
const HEADER_LEN: usize = 12;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const FR_ACT_TO_TBL: u8 = 1;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;

/// A rule that sends packets to a table, optionally those of one incoming interface: `iif X lookup T pref N`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// Incoming interface; none matches all.
    pub input: Option<String>,
    /// Table looked up.
    pub table: u32,
    /// Lower is asked earlier; 32766 is the main table's.
    pub preference: u32,
    /// Who wrote it.
    pub protocol: u8,
}

pub(crate) fn dump_request(family: u8) -> Request {
    let mut header = [0; HEADER_LEN];
    header[0] = family;
    Request::new(RTM_GETRULE, 0, &header)
}

pub(crate) fn add_request(rule: &Rule) -> Request {
    request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule)
}

pub(crate) fn delete_request(rule: &Rule) -> Request {
    request(RTM_DELRULE, 0, rule)
}

fn request(kind: u16, flags: u16, rule: &Rule) -> Request {
    let mut header = [0; HEADER_LEN];
    header[0] = if rule.v6 { crate::route::AF_INET6 } else { crate::route::AF_INET };
    header[4] = u8::try_from(rule.table).unwrap_or(0);
    header[7] = FR_ACT_TO_TBL;
    let request = Request::new(kind, flags, &header)
        .attr_u32(FRA_TABLE, rule.table)
        .attr_u32(FRA_PRIORITY, rule.preference)
        .attr(FRA_PROTOCOL, &[rule.protocol]);
    match &rule.input {
        Some(name) => request.attr(FRA_IIFNAME, &[name.as_bytes(), &[0]].concat()),
        None => request,
    }
}

/// Reads a rule; one with another action than a table lookup is none of ours.
pub(crate) fn decode(body: &[u8]) -> Option<Rule> {
    let header = body.get(..HEADER_LEN)?;
    if header[7] != FR_ACT_TO_TBL {
        return None;
    }
    let mut rule = Rule {
        v6: header[0] == crate::route::AF_INET6,
        input: None,
        table: u32::from(header[4]),
        preference: 0,
        protocol: 0,
    };
    for attr in attrs_after(body, HEADER_LEN) {
        match attr.kind {
            FRA_IIFNAME => rule.input = Some(text(attr.value).to_owned()),
            FRA_PRIORITY => rule.preference = attr.u32()?,
            FRA_TABLE => rule.table = attr.u32()?,
            FRA_PROTOCOL => rule.protocol = *attr.value.first()?,
            _ => {}
        }
    }
    Some(rule)
}
