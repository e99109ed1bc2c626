//! The list of path attributes in an UPDATE: walks it, checks flags, and charges each fault by the rule of its type.
//! Must never stop a session for a fault that leaves the prefixes readable (RFC 7606).

use core::net::Ipv4Addr;

use ipnet::IpNet;

use super::multiprotocol::{self, Reach};
use super::rule::{self, EXTENDED_LENGTH, OPTIONAL, PARTIAL, Rule, TRANSITIVE};
use super::{Aggregator, AsPath, Attributes, UnknownAttribute};
use super::{aggregator, as_path, communities, next_hop, reflection, scalar};
use crate::family::Family;
use crate::wire::code;
use crate::wire::fault::{Fault, FaultClass, Problem};
use crate::wire::open::AS_TRANS;
use crate::wire::reader::Reader;

/// What a session negotiated, as far as attributes depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListContext<'a> {
    pub as4: bool,
    pub internal: bool,
    pub families: &'a [Family],
}

/// What a list said.
#[derive(Debug, Default)]
pub(crate) struct DecodedList {
    pub attributes: Attributes,
    pub next_hop: Option<Ipv4Addr>,
    pub reach: Option<Reach>,
    pub unreach: Option<(Family, Vec<IpNet>)>,
    pub faults: Vec<Fault>,
    pub has_origin: bool,
    pub has_as_path: bool,
    seen: Vec<u8>,
    as4_path: Option<AsPath>,
    as4_aggregator: Option<Aggregator>,
}

/// Reads the list.
pub(crate) fn decode_list(bytes: &[u8], context: ListContext<'_>) -> Result<DecodedList, Fault> {
    let mut list = DecodedList::default();
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        match next_attribute(&mut reader) {
            Ok((flags, code, value)) => list.take(flags, code, value, context)?,
            // The cut-off attribute may have held the prefixes; any other one did not (RFC 7606 section 4).
            Err(code @ (code::MP_REACH | code::MP_UNREACH)) => {
                return Err(Fault { code, problem: Problem::Overrun, class: FaultClass::SessionReset });
            }
            Err(code) => {
                list.fault(code, Problem::Overrun, FaultClass::TreatAsWithdraw);
                break;
            }
        }
    }
    list.merge_four_octet(context.as4);
    Ok(list)
}

fn next_attribute<'a>(reader: &mut Reader<'a>) -> Result<(u8, u8, &'a [u8]), u8> {
    let flags = reader.u8().ok_or(0)?;
    let code = reader.u8().ok_or(0)?;
    let value = if flags & EXTENDED_LENGTH == 0 { reader.block8() } else { reader.block16() };
    Ok((flags, code, value.ok_or(code)?))
}

impl DecodedList {
    fn fault(&mut self, code: u8, problem: Problem, class: FaultClass) {
        self.faults.push(Fault { code, problem, class });
    }

    fn take(&mut self, flags: u8, code: u8, value: &[u8], context: ListContext<'_>) -> Result<(), Fault> {
        if self.seen.contains(&code) {
            return self.duplicate(code);
        }
        self.seen.push(code);
        let Some(rule) = rule::rule(code) else { return self.take_unknown(flags, code, value) };
        if rule.internal_only && !context.internal {
            self.fault(code, Problem::NotFromExternal, FaultClass::AttributeDiscard);
            return Ok(());
        }
        if flags & (OPTIONAL | TRANSITIVE) != rule.flags {
            // RFC 7606 section 3 c.
            self.fault(code, Problem::Flags, FaultClass::TreatAsWithdraw);
        }
        let result = match code {
            code::MP_REACH | code::MP_UNREACH => self.take_multiprotocol(code, value, context),
            code::ORIGIN..=code::AGGREGATOR => self.take_base(code, value, context.as4),
            _ => self.take_optional(code, value),
        };
        result.or_else(|problem| self.charge(code, problem, rule))
    }

    fn charge(&mut self, code: u8, problem: Problem, rule: Rule) -> Result<(), Fault> {
        if rule.malformed == FaultClass::SessionReset {
            return Err(Fault { code, problem, class: rule.malformed });
        }
        self.fault(code, problem, rule.malformed);
        Ok(())
    }

    /// RFC 7606 section 3 g: the first one counts, except that two sets of prefixes end the session.
    fn duplicate(&mut self, code: u8) -> Result<(), Fault> {
        let problem = Problem::Duplicate;
        if matches!(code, code::MP_REACH | code::MP_UNREACH) {
            return Err(Fault { code, problem, class: FaultClass::SessionReset });
        }
        self.fault(code, problem, FaultClass::AttributeDiscard);
        Ok(())
    }

    /// RFC 4271 section 9: transitive ones are passed on, others dropped; all well-known ones are known.
    fn take_unknown(&mut self, flags: u8, code: u8, value: &[u8]) -> Result<(), Fault> {
        if flags & OPTIONAL == 0 {
            return Err(Fault { code, problem: Problem::Unrecognized, class: FaultClass::SessionReset });
        }
        if flags & TRANSITIVE != 0 {
            self.attributes.unknown.push(UnknownAttribute { code, value: value.to_vec() });
        }
        Ok(())
    }

    fn take_base(&mut self, code: u8, value: &[u8], as4: bool) -> Result<(), Problem> {
        let attributes = &mut self.attributes;
        match code {
            code::ORIGIN => {
                self.has_origin = true;
                attributes.origin = scalar::decode_origin(value)?;
            }
            code::AS_PATH => {
                self.has_as_path = true;
                attributes.as_path = as_path::decode(value, as4)?;
            }
            code::NEXT_HOP => self.next_hop = Some(next_hop::decode(value)?),
            code::MED => attributes.med = Some(scalar::decode_u32(value)?),
            code::LOCAL_PREF => attributes.local_pref = Some(scalar::decode_u32(value)?),
            code::ATOMIC_AGGREGATE => {
                scalar::decode_empty(value)?;
                attributes.atomic_aggregate = true;
            }
            _ => attributes.aggregator = Some(aggregator::decode(value, as4)?),
        }
        Ok(())
    }

    fn take_optional(&mut self, code: u8, value: &[u8]) -> Result<(), Problem> {
        let attributes = &mut self.attributes;
        match code {
            code::COMMUNITIES => attributes.communities = communities::decode(value, u32::from_be_bytes)?,
            code::EXT_COMMUNITIES => {
                attributes.ext_communities = communities::decode(value, u64::from_be_bytes)?;
            }
            code::LARGE_COMMUNITIES => {
                attributes.large_communities = communities::decode(value, communities::large_from_octets)?;
            }
            code::ORIGINATOR_ID => attributes.originator_id = Some(reflection::decode_originator(value)?),
            code::CLUSTER_LIST => attributes.cluster_list = reflection::decode_cluster_list(value)?,
            code::AS4_PATH => self.as4_path = Some(as_path::decode(value, true)?),
            _ => self.as4_aggregator = Some(aggregator::decode(value, true)?),
        }
        Ok(())
    }

    fn take_multiprotocol(
        &mut self,
        code: u8,
        value: &[u8],
        context: ListContext<'_>,
    ) -> Result<(), Problem> {
        let family = multiprotocol::family(value).ok_or(Problem::Length)?;
        if !context.families.contains(&family) {
            // RFC 4760 section 7 allows to ignore what was not negotiated.
            self.fault(code, Problem::Family, FaultClass::AttributeDiscard);
            return Ok(());
        }
        if code == code::MP_UNREACH {
            self.unreach = Some((family, multiprotocol::decode_unreach(family, value)?));
            return Ok(());
        }
        let reach = multiprotocol::decode_reach(family, value)?;
        if let Err(problem) = reach.next_hop {
            self.fault(code, problem, FaultClass::TreatAsWithdraw);
        }
        self.reach = Some(reach);
        Ok(())
    }

    /// RFC 6793 section 4.2.3. From a four-octet speaker both attributes are ignored.
    fn merge_four_octet(&mut self, as4: bool) {
        if as4 {
            return;
        }
        let attributes = &mut self.attributes;
        if let (Some(narrow), Some(wide)) = (attributes.aggregator, self.as4_aggregator) {
            if narrow.asn != u32::from(AS_TRANS) {
                return;
            }
            attributes.aggregator = Some(wide);
        }
        if let Some(wide) = &self.as4_path {
            attributes.as_path = as_path::merge(&attributes.as_path, wide);
        }
    }
}

/// Appends all attributes but next hop and multiprotocol ones, in order of type (RFC 4271 appendix F.3).
pub(crate) fn encode_list(attributes: &Attributes, next_hop: Option<Ipv4Addr>, as4: bool, out: &mut Vec<u8>) {
    let mut put = |code, value: &[u8]| rule::put_known(out, code, value);
    put(code::ORIGIN, &scalar::encode_origin(attributes.origin));
    put(code::AS_PATH, &as_path::encode(&attributes.as_path, as4));
    if let Some(next_hop) = next_hop {
        put(code::NEXT_HOP, &next_hop.octets());
    }
    if let Some(med) = attributes.med {
        put(code::MED, &med.to_be_bytes());
    }
    if let Some(local_pref) = attributes.local_pref {
        put(code::LOCAL_PREF, &local_pref.to_be_bytes());
    }
    if attributes.atomic_aggregate {
        put(code::ATOMIC_AGGREGATE, &[]);
    }
    if let Some(aggregator) = attributes.aggregator {
        put(code::AGGREGATOR, &aggregator::encode(aggregator, as4));
    }
    encode_lists(attributes, out);
    if !as4 {
        encode_four_octet(attributes, out);
    }
    for unknown in &attributes.unknown {
        rule::put(out, unknown.code, OPTIONAL | TRANSITIVE | PARTIAL, &unknown.value);
    }
}

fn encode_lists(attributes: &Attributes, out: &mut Vec<u8>) {
    let mut put = |code, value: Vec<u8>| {
        if !value.is_empty() {
            rule::put_known(out, code, &value);
        }
    };
    put(code::COMMUNITIES, attributes.communities.iter().flat_map(|value| value.to_be_bytes()).collect());
    put(code::ORIGINATOR_ID, attributes.originator_id.iter().flat_map(Ipv4Addr::octets).collect());
    put(code::CLUSTER_LIST, attributes.cluster_list.iter().flat_map(Ipv4Addr::octets).collect());
    put(
        code::EXT_COMMUNITIES,
        attributes.ext_communities.iter().flat_map(|value| value.to_be_bytes()).collect(),
    );
    let large = attributes.large_communities.iter().flat_map(communities::large_to_octets).collect();
    put(code::LARGE_COMMUNITIES, large);
}

/// What a two-octet speaker passes on for us (RFC 6793 section 4.2.2).
fn encode_four_octet(attributes: &Attributes, out: &mut Vec<u8>) {
    if attributes.as_path.needs_four_octets() {
        rule::put_known(out, code::AS4_PATH, &as_path::encode(&attributes.as_path, true));
    }
    if let Some(aggregator) = attributes.aggregator
        && aggregator.asn > u32::from(u16::MAX)
    {
        rule::put_known(out, code::AS4_AGGREGATOR, &aggregator::encode(aggregator, true));
    }
}
