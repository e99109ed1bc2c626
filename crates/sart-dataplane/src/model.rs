//! The reference model: what the kernel programs must do to a packet, in plain Rust over the twin of the maps. It runs
//! the rules of `sart-ebpf-common` and rewrites the bytes itself, so that it can be compared with the kernel byte by byte.

pub mod pods;

use std::collections::BTreeMap;

use sart_ebpf_common::checksum;
use sart_ebpf_common::layout::{Backend, Flow, FlowKey, SLOTS_PER_WORD, Vip, VipKey};
use sart_ebpf_common::packet::{ETHERNET, Meta, UDP, parse};
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::{self, NO_STAT, Verdict, decide_in, decide_out, decide_xdp};

use crate::tables::Dump;

/// The maps a packet sees.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// What the planner writes.
    pub tables: Dump,
    /// What packets write.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// Now, in ticks.
    pub now: u32,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why; says also whether it is dropped.
    pub reason: Reason,
    /// Index of the counters it belongs to.
    pub stat: u32,
    /// The frame as it goes on.
    pub frame: Vec<u8>,
}

/// Which end of the packet is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

impl Model {
    /// What `up_in` does.
    #[must_use]
    pub fn ingress(&mut self, frame: &[u8]) -> Outcome {
        match parse(frame) {
            Ok(meta) => outcome(frame, &meta, decide_in(&meta, self), End::Destination),
            Err(reason) => untouched(frame, reason),
        }
    }

    /// What `up_out` does.
    #[must_use]
    pub fn egress(&mut self, frame: &[u8]) -> Outcome {
        match parse(frame) {
            Ok(meta) => outcome(frame, &meta, decide_out(&meta, self), End::Source),
            Err(reason) => untouched(frame, reason),
        }
    }

    /// What `xdp_in` does.
    #[must_use]
    pub fn xdp(&self, frame: &[u8]) -> Outcome {
        match parse(frame) {
            Ok(meta) => outcome(frame, &meta, decide_xdp(&meta, self), End::Source),
            Err(_) => untouched(frame, Reason::XdpOther),
        }
    }
}

fn untouched(frame: &[u8], reason: Reason) -> Outcome {
    Outcome { reason, stat: NO_STAT, frame: frame.to_vec() }
}

fn outcome(frame: &[u8], meta: &Meta, verdict: Verdict, end: End) -> Outcome {
    let mut frame = frame.to_vec();
    if verdict.translate {
        rewrite(&mut frame, meta, &verdict, end);
    }
    Outcome { reason: verdict.reason, stat: verdict.stat, frame }
}

fn rewrite(frame: &mut [u8], meta: &Meta, verdict: &Verdict, end: End) {
    let (addr, port, addr_at, port_at) = match end {
        End::Source => (meta.src, meta.sport, ETHERNET + 12, 0),
        End::Destination => (meta.dst, meta.dport, ETHERNET + 16, 2),
    };
    let sum_at = meta.checksum_offset();
    mend(frame, sum_at, meta.proto == UDP, (addr, verdict.addr));
    mend(frame, sum_at, meta.proto == UDP, (u32::from(port), u32::from(verdict.port)));
    mend(frame, ETHERNET + 10, false, (addr, verdict.addr));
    put(frame, addr_at, verdict.addr.to_ne_bytes());
    put(frame, usize::from(meta.l4) + port_at, verdict.port.to_ne_bytes());
}

/// RFC 1624; for UDP 0 means that there is no checksum and a computed 0 is sent as all ones (RFC 768).
fn mend(frame: &mut [u8], at: usize, udp: bool, (from, to): (u32, u32)) {
    let Some(old) = frame.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
    else {
        return;
    };
    if udp && old == 0 {
        return;
    }
    let new = checksum::replace(old, from, to);
    let new = if udp && new == 0 { u16::MAX } else { new };
    put(frame, at, new.to_ne_bytes());
}

fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(field) = frame.get_mut(at..at + N) {
        field.copy_from_slice(&bytes);
    }
}

impl verdict::Tables for Model {
    fn now(&self) -> u32 {
        self.now
    }

    fn vip(&self, key: &VipKey) -> Option<Vip> {
        self.tables.vips.get(key).copied()
    }

    fn backend(&self, index: u16) -> Option<Backend> {
        self.tables.backends.get(&index).copied()
    }

    fn slot(&self, slot: u32) -> Option<u16> {
        let word = self.tables.ring.get(&(slot / SLOTS_PER_WORD)).copied().unwrap_or(0);
        Some((word >> (slot % SLOTS_PER_WORD * 16)) as u16)
    }

    fn flow(&self, key: &FlowKey) -> Option<Flow> {
        self.flows.get(key).copied()
    }

    fn put_flow(&mut self, key: &FlowKey, flow: &Flow) -> bool {
        self.flows.insert(*key, *flow);
        true
    }

    fn touch(&mut self, key: &FlowKey, seen: u32, state: u8) {
        if let Some(flow) = self.flows.get_mut(key) {
            flow.seen = seen;
            flow.state |= state;
        }
    }
}
