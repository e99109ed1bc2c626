//! The programs of a pod's link on maps of their own. Packets meet them as if they came in by link 1: that is where
//! `BPF_PROG_TEST_RUN` says they are.

use std::collections::BTreeMap;

use bytemuck::cast;
use sart_dataplane::model::pods::PodModel;
use sart_ebpf_common::layout::{self, PORT_READY, PodFlow, PodFlowKey, PodKey, PodRow, be32};

use crate::bench::{Bench, Rows};

/// The link that packets meet the programs at.
pub const LINK: u32 = 1;
/// What `pod_in` answers when the packet goes to another pod (`TC_ACT_REDIRECT`).
pub const REDIRECTED: u32 = 7;

/// MAC of the host's end of a link.
pub const fn host_mac(link: u32) -> [u8; 6] {
    [0x0a, 0, 0, 0, 0, link as u8]
}

/// MAC of the pod's end of a link.
pub const fn pod_mac(link: u32) -> [u8; 6] {
    [0x02, 0, 0, 0, 0, link as u8]
}

/// A row of a complete port.
pub const fn row(link: u32, slot: u8) -> PodRow {
    PodRow {
        ifindex: link,
        mtu: 1500,
        flags: PORT_READY,
        slot,
        pad: 0,
        host_mac: host_mac(link),
        pod_mac: pod_mac(link),
    }
}

pub const fn key4(address: [u8; 4]) -> PodKey {
    PodKey::v4(be32(address))
}

pub fn key6(address: [u8; 16]) -> PodKey {
    PodKey::v6(cast(address))
}

impl Bench {
    pub fn put_pod(&mut self, key: PodKey, row: PodRow) {
        let mut map: Rows<'_, 20, 24> = self.map(layout::PODS.name);
        map.insert(cast::<PodKey, [u8; 20]>(key), cast::<PodRow, [u8; 24]>(row), 0).unwrap();
    }

    pub fn put_pod_flow(&mut self, key: PodFlowKey, flow: PodFlow) {
        let mut map: Rows<'_, 16, 8> = self.map(layout::POD_FLOWS.name);
        map.insert(cast::<PodFlowKey, [u8; 16]>(key), cast::<PodFlow, [u8; 8]>(flow), 0).unwrap();
    }

    pub fn pods(&mut self) -> BTreeMap<PodKey, PodRow> {
        let map: Rows<'_, 20, 24> = self.map(layout::PODS.name);
        map.iter().map(Result::unwrap).map(|(key, row)| (cast(key), cast(row))).collect()
    }

    pub fn pod_flows(&mut self) -> BTreeMap<PodFlowKey, PodFlow> {
        let map: Rows<'_, 16, 8> = self.map(layout::POD_FLOWS.name);
        map.iter().map(Result::unwrap).map(|(key, flow)| (cast(key), cast(flow))).collect()
    }

    /// Makes the tables of pods equal to the model's.
    pub fn pods_like(&mut self, model: &PodModel) {
        for key in self.pods().keys() {
            let mut map: Rows<'_, 20, 24> = self.map(layout::PODS.name);
            map.remove(&cast::<PodKey, [u8; 20]>(*key)).unwrap();
        }
        for key in self.pod_flows().keys() {
            let mut map: Rows<'_, 16, 8> = self.map(layout::POD_FLOWS.name);
            map.remove(&cast::<PodFlowKey, [u8; 16]>(*key)).unwrap();
        }
        model.pods.iter().for_each(|(key, row)| self.put_pod(*key, *row));
        model.flows.iter().for_each(|(key, flow)| self.put_pod_flow(*key, *flow));
    }
}
