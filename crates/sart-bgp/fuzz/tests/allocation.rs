//! What reading one message may allocate, for the messages that would make a careless reader allocate most. One test
//! alone, because allocations are counted for the whole process.

use std::alloc::System;

use sart_bgp::wire::message::{EXTENDED_MAX_LEN, HEADER_LEN, MAX_LEN};
use sart_bgp::wire::update::Scratch;
use sart_bgp_fuzz::targets::MAX_ALLOCATED;
use sart_bgp_fuzz::{Target, seeds};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An UPDATE body of that many octets whose attributes repeat `unit`, behind the byte of negotiation.
fn attributes(options: u8, unit: &[u8], len: usize) -> Vec<u8> {
    let list: Vec<u8> = unit.iter().copied().cycle().take((len - 4) / unit.len() * unit.len()).collect();
    [&[options, 0, 0][..], &(list.len() as u16).to_be_bytes(), &list].concat()
}

/// One attribute that fills the message.
fn one_attribute(options: u8, flags: u8, code: u8, unit: &[u8], len: usize) -> Vec<u8> {
    let value: Vec<u8> = unit.iter().copied().cycle().take((len - 8) / unit.len() * unit.len()).collect();
    let header = [&[flags | 0x10, code][..], &(value.len() as u16).to_be_bytes()].concat();
    let total = ((header.len() + value.len()) as u16).to_be_bytes();
    [&[options, 0, 0][..], &total, &header, &value].concat()
}

/// Every attribute there can be, the last type first.
fn out_of_order(len: usize) -> Vec<u8> {
    let mut list = Vec::new();
    for code in (41..=255).rev() {
        let value = vec![code; (len - 4) / 215 - 4];
        list.extend([0xd0, code]);
        list.extend((value.len() as u16).to_be_bytes());
        list.extend(value);
    }
    [&[0x0f, 0, 0][..], &(list.len() as u16).to_be_bytes(), &list].concat()
}

fn worst(len: usize) -> Vec<(Target, Vec<u8>)> {
    let body = len - HEADER_LEN;
    let mut nlri = vec![0x0f, 0, 0, 0, 0];
    nlri.resize(body, 0);
    let parameters = (body - 13) as u16;
    let mut open = vec![4, 0, 1, 0, 90, 1, 1, 1, 1, 255, 255];
    open.extend(parameters.to_be_bytes());
    let head = [&[2][..], &(parameters - 3).to_be_bytes()].concat();
    open.extend(head);
    (0..usize::from(parameters - 3) / 3).for_each(|n| open.extend([(n / 256) as u8, 1, n as u8]));
    open.resize(body, 0);
    let mut notification = vec![6, 2];
    notification.resize(body, 7);
    vec![
        (Target::Update, nlri),
        (Target::Update, attributes(0x0f, &[0xc0, 200, 0], body)),
        (Target::Update, attributes(0x0f, &[0x40, 1, 0], body)),
        (Target::Update, one_attribute(0x0f, 0xc0, 32, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], body)),
        (Target::Update, one_attribute(0x0f, 0x40, 2, &[2, 1, 0, 0, 0, 1], body)),
        (Target::Update, one_attribute(0x0c, 0x40, 2, &[2, 1, 0, 1], body)),
        (Target::Update, one_attribute(0x0f, 0xc0, 254, &[0xee], body)),
        (Target::Update, out_of_order(body)),
        (Target::Open, open),
        (Target::Notification, notification),
    ]
}

#[test]
fn criterion_31_reading_one_message_allocates_at_most_64_kib() {
    let mut messages = worst(MAX_LEN);
    messages.extend(worst(EXTENDED_MAX_LEN).into_iter().filter(|(target, _)| *target != Target::Open));
    for target in Target::ALL {
        messages.extend(seeds::seeds(target).into_iter().map(|seed| (target, seed)));
    }
    for (target, message) in messages {
        let mut scratch = Scratch::default();
        let region = Region::new(ALLOCATOR);
        target.read(&message, &mut scratch);
        let allocated = region.change().bytes_allocated;
        let head = message.get(..24).unwrap_or(&message);
        assert!(allocated <= MAX_ALLOCATED, "{target:?} {head:02x?}: {allocated}");
    }
}
