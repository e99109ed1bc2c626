//! UPDATE: what is kept has one form, and a message written from it reads back as the same routes.

use sart_bgp::family::Family;
use sart_bgp::wire::attr::AttrBlock;
use sart_bgp::wire::fault::FaultClass;
use sart_bgp::wire::message::HEADER_LEN;
use sart_bgp::wire::nlri::Nlri;
use sart_bgp::wire::update::{Announcement, Scratch, UpdateContext, UpdateView};
use sart_bgp::wire::{UpdateWriter, WireForm};

/// Bits of the byte in front: what the session negotiated.
const AS4: u8 = 1;
const INTERNAL: u8 = 1 << 1;
const IPV4: u8 = 1 << 2;
const IPV6: u8 = 1 << 3;
const IPV4_PATH_IDS: u8 = 1 << 4;
const IPV6_PATH_IDS: u8 = 1 << 5;
const EXTENDED_NEXT_HOP: u8 = 1 << 6;
const EVPN: u8 = 1 << 7;

fn context(options: u8) -> UpdateContext {
    let chosen = |bits: &[(u8, Family)]| {
        bits.iter().filter(|(bit, _)| options & bit != 0).map(|(_, family)| *family).collect()
    };
    UpdateContext {
        as4: options & AS4 != 0,
        internal: options & INTERNAL != 0,
        families: chosen(&[(IPV4, Family::IPV4_UNICAST), (IPV6, Family::IPV6_UNICAST), (EVPN, Family::EVPN)]),
        path_ids: chosen(&[(IPV4_PATH_IDS, Family::IPV4_UNICAST), (IPV6_PATH_IDS, Family::IPV6_UNICAST)]),
        extended_next_hop: options & EXTENDED_NEXT_HOP != 0,
    }
}

pub(super) fn run(bytes: &[u8]) {
    if let Some((options, body)) = bytes.split_first() {
        check(*options, body);
    }
}

pub(super) fn read(bytes: &[u8], scratch: &mut Scratch) {
    if let Some((options, body)) = bytes.split_first() {
        drop(UpdateView::parse(body, &context(*options), scratch));
    }
}

pub(super) fn check(options: u8, body: &[u8]) {
    let context = context(options);
    let mut scratch = Scratch::default();
    match UpdateView::parse(body, &context, &mut scratch) {
        Ok(view) => survives(&view, &context, body.len()),
        Err(fault) => {
            assert_eq!(fault.class, FaultClass::SessionReset);
            assert_eq!(fault.notification().code, 3);
        }
    }
}

fn survives(view: &UpdateView<'_>, context: &UpdateContext, len: usize) {
    assert!(view.faults().len() <= 32 && view.faults().iter().all(|f| f.class < FaultClass::SessionReset));
    let treated = view.faults().iter().any(|fault| fault.class == FaultClass::TreatAsWithdraw);
    if treated {
        assert_eq!((view.announcements().count(), view.attributes().bytes()), (0, &[][..]));
        return;
    }
    // Every octet of a list can become two at most, when AS numbers widen.
    assert!(view.attributes().bytes().len() <= 2 * len && view.attributes().bytes().len() < 65536);
    for nlri in view.withdrawals() {
        assert!(context.families.contains(&nlri.family()) && count(&nlri) == nlri.len());
        withdrawn_again(&nlri, context);
    }
    for part in view.announcements() {
        assert!(context.families.contains(&part.nlri.family()) && count(&part.nlri) == part.nlri.len());
        one_form(view.attributes());
        announced_again(&part, view.attributes(), context);
    }
}

fn count(nlri: &Nlri<'_>) -> usize {
    nlri.prefixes().count() + nlri.evpn().count()
}

/// Owned and written again the bytes are the same: equal attributes have equal bytes.
fn one_form(block: AttrBlock<'_>) {
    let attributes = block.to_attributes();
    let mut again = Vec::new();
    let written = attributes.encode(&mut again);
    assert_eq!((written, &again[..]), (Ok(()), block.bytes()));
    let summary = block.summary();
    assert_eq!((summary.med, summary.local_pref), (attributes.med, attributes.local_pref));
    assert_eq!(usize::from(summary.path_hops), attributes.as_path.hops());
    assert_eq!(summary.neighbor_as, attributes.as_path.neighbor_as());
    assert!(summary.neighbor_as.is_none_or(|asn| block.path_contains(asn)));
}

/// What is announced again to a neighbour with the same session reads back the same.
fn announced_again(part: &Announcement<'_>, block: AttrBlock<'_>, context: &UpdateContext) {
    let family = part.nlri.family();
    if !family.is_supported() {
        return;
    }
    let form = WireForm { as4: context.as4, extended: true, path_ids: part.nlri.has_path_ids() };
    let mut out = Vec::new();
    let Ok(mut announcer) = UpdateWriter::announcing(&mut out, block, part.next_hop, family, form) else {
        return;
    };
    part.nlri.prefixes().for_each(|(path_id, prefix)| announcer.push(path_id, &prefix));
    if announcer.finish() != 1 {
        return;
    }
    // The next hop was accepted, so it is again; an internal neighbour takes every attribute.
    let context = UpdateContext { internal: true, extended_next_hop: true, ..context.clone() };
    let mut scratch = Scratch::default();
    let read = UpdateView::parse(out.get(HEADER_LEN..).unwrap_or_default(), &context, &mut scratch);
    assert!(read.is_ok(), "{:?}", read.err());
    let Ok(read) = read else { return };
    assert_eq!(read.faults(), []);
    let again = read.announcements().next();
    assert!(again.is_some(), "routes got lost");
    let Some(again) = again else { return };
    assert_eq!(again.next_hop, part.next_hop);
    assert!(again.nlri.prefixes().eq(part.nlri.prefixes()));
    assert_eq!(read.attributes(), block);
}

fn withdrawn_again(nlri: &Nlri<'_>, context: &UpdateContext) {
    if !nlri.family().is_supported() {
        return;
    }
    let form = WireForm { as4: true, extended: true, path_ids: nlri.has_path_ids() };
    let mut out = Vec::new();
    let mut withdrawer = UpdateWriter::withdrawing(&mut out, nlri.family(), form);
    nlri.prefixes().for_each(|(path_id, prefix)| withdrawer.push(path_id, &prefix));
    if withdrawer.finish() != 1 {
        return;
    }
    let mut scratch = Scratch::default();
    let read = UpdateView::parse(out.get(HEADER_LEN..).unwrap_or_default(), context, &mut scratch);
    assert!(read.is_ok(), "{:?}", read.err());
    let again = read.iter().flat_map(UpdateView::withdrawals).flat_map(|nlri| nlri.prefixes());
    assert!(again.eq(nlri.prefixes()), "withdrawals got lost");
}
