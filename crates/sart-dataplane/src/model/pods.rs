//! The reference model of a pod's link: what `pod_in` and `pod_out` must do to a frame.

use std::collections::BTreeMap;

use sart_ebpf_common::checksum;
use sart_ebpf_common::layout::{PodFlow, PodFlowKey, PodKey, PodRow};
use sart_ebpf_common::packet::ETHERNET;
use sart_ebpf_common::pod::{self, HandOver, decide_pod_in, decide_pod_out};
use sart_ebpf_common::reason::Reason;

/// The maps a pod's packet sees.
#[derive(Debug, Clone, Default)]
pub struct PodModel {
    /// Where each address is attached.
    pub pods: BTreeMap<PodKey, PodRow>,
    /// What packets write.
    pub flows: BTreeMap<PodFlowKey, PodFlow>,
    /// Now, in ticks.
    pub now: u32,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodOutcome {
    /// Why; says also whether it is dropped.
    pub reason: Reason,
    /// The host's end of the link it is redirected to.
    pub redirect: Option<u32>,
    /// The frame as it goes on.
    pub frame: Vec<u8>,
}

impl PodModel {
    /// What `pod_in` of the link `ifindex` does.
    #[must_use]
    pub fn pod_in(&mut self, frame: &[u8], ifindex: u32) -> PodOutcome {
        let verdict = decide_pod_in(frame, ifindex, self);
        let mut frame = frame.to_vec();
        if let Some(to) = &verdict.hand_over {
            rewrite(&mut frame, to);
        }
        let redirect = verdict.hand_over.map(|to| to.ifindex);
        PodOutcome { reason: verdict.reason, redirect, frame }
    }

    /// What `pod_out` of the link `ifindex` does.
    #[must_use]
    pub fn pod_out(&mut self, frame: &[u8], ifindex: u32) -> PodOutcome {
        let reason = decide_pod_out(frame, ifindex, self);
        PodOutcome { reason, redirect: None, frame: frame.to_vec() }
    }
}

fn rewrite(frame: &mut [u8], to: &HandOver) {
    if let Some(macs) = frame.get_mut(..12) {
        macs.copy_from_slice(&[to.to, to.from].concat());
    }
    if to.v6 {
        if let Some(hops) = frame.get_mut(ETHERNET + 7) {
            *hops = to.hops;
        }
    } else if let Some([ttl, proto, high, low]) = frame.get_mut(ETHERNET + 8..ETHERNET + 12) {
        let word = |ttl| u32::from(u16::from_ne_bytes([ttl, *proto]));
        let sum = checksum::replace(u16::from_ne_bytes([*high, *low]), word(*ttl), word(to.hops));
        [*high, *low] = sum.to_ne_bytes();
        *ttl = to.hops;
    }
}

impl pod::PodTables for PodModel {
    fn now(&self) -> u32 {
        self.now
    }

    fn pod(&self, key: &PodKey) -> Option<PodRow> {
        self.pods.get(key).copied()
    }

    fn pod_flow(&self, key: &PodFlowKey) -> Option<PodFlow> {
        self.flows.get(key).copied()
    }

    fn put_pod_flow(&mut self, key: &PodFlowKey, flow: &PodFlow) -> bool {
        self.flows.insert(*key, *flow);
        true
    }

    fn touch_pod_flow(&mut self, key: &PodFlowKey, seen: u32, state: u8) {
        if let Some(flow) = self.flows.get_mut(key) {
            flow.seen = seen;
            flow.state |= state;
        }
    }
}

#[cfg(test)]
mod tests;
