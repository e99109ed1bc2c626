//! Random ports, flows and frames of pods, out of so few addresses and ports that they meet all the time.

use std::collections::BTreeMap;

use sart_dataplane::model::pods::PodModel;
use sart_ebpf_common::layout::{PORT_READY, PodFlow, PodFlowKey, PodKey, PodRow, be16};
use sart_ebpf_common::packet::{TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, UDP};

use crate::podframe::{Address, PodPacket, arp};
use crate::podlink::{LINK, host_mac, key4, key6, row};
use crate::random::Random;

/// Where a frame meets the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodHook {
    In,
    Out,
}

pub fn v6(last: u8) -> Address {
    Address::V6([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}

fn key(address: Address) -> PodKey {
    match address {
        Address::V4(address) => key4(address),
        Address::V6(address) => key6(address),
    }
}

impl Random {
    /// The last byte says the pod; pods 0 to 2 have links 1 to 3, of pod 3 nothing is known.
    fn address(&mut self, family: u8) -> Address {
        let last = self.pick(&[1, 1, 2, 2, 3, 4]);
        if family == 4 { Address::V4([10, 1, 0, last]) } else { v6(last) }
    }

    fn port(&mut self) -> u16 {
        self.pick(&[80, 8080])
    }

    /// All tables of a pod's link, with rows that contradict each other.
    pub fn pod_model(&mut self, now: u32) -> PodModel {
        let mut pods = BTreeMap::new();
        for link in [1, 2, 3] {
            for address in [Address::V4([10, 1, 0, link as u8]), v6(link as u8)] {
                if !self.one_in(8) {
                    pods.insert(key(address), self.pod_row(link));
                }
            }
        }
        let flows = (0..self.below(24)).map(|_| self.pod_flow(now)).collect();
        PodModel { pods, flows, now }
    }

    fn pod_row(&mut self, link: u32) -> PodRow {
        let link = if self.one_in(12) { self.pick(&[1, 2, 3]) } else { link };
        let mtu = self.pick(&[1500, 1500, 1500, 9000]);
        let flags = if self.one_in(10) { 0 } else { PORT_READY };
        PodRow { mtu, flags, ..row(link, self.pick(&[0, 1])) }
    }

    fn pod_flow(&mut self, now: u32) -> (PodFlowKey, PodFlow) {
        let links = self.pick(&[(1, 2), (1, 2), (1, 3), (2, 3)]);
        let key = PodFlowKey {
            low: links.0,
            high: links.1,
            low_port: be16(self.port()),
            high_port: be16(self.port()),
            proto: self.pick(&[TCP, UDP]),
            low_slot: self.pick(&[0, 1]),
            high_slot: self.pick(&[0, 1]),
            pad: 0,
        };
        let flow = PodFlow {
            seen: now.wrapping_sub(self.pick(&[0, 1, 10, 11, 30, 31, 120, 121, 180, 181, 7200, 7201])),
            state: if self.one_in(2) { self.pick(&[0, 8]) } else { self.below(16) as u8 },
            flags: self.below(4) as u8,
            pad: 0,
        };
        (key, flow)
    }

    /// A frame and where it arrives: most often a good one, sometimes anything.
    pub fn pod_frame(&mut self) -> (PodHook, Vec<u8>) {
        let hook = self.pick(&[PodHook::In, PodHook::In, PodHook::Out]);
        if self.one_in(20) {
            let sender = self.pick(&[[10, 1, 0, 1], [10, 1, 0, 2], [0; 4], [10, 9, 9, 9]]);
            return (hook, arp(sender, [169, 254, 1, 1]));
        }
        let packet = self.pod_packet(hook);
        let mut frame = match self.below(8) {
            0 => packet.error(self.pick(&[1, 2, 3, 4, 8, 11, 12, 128, 135])),
            _ => packet.frame(),
        };
        if self.one_in(8) {
            self.damage_pod(&mut frame);
        }
        (hook, frame)
    }

    fn pod_packet(&mut self, hook: PodHook) -> PodPacket {
        let family = self.pick(&[4, 6]);
        let (mut src, mut dst) = (self.address(family), self.address(family));
        if !self.one_in(3) {
            let own = if family == 4 { Address::V4([10, 1, 0, LINK as u8]) } else { v6(LINK as u8) };
            *(if hook == PodHook::In { &mut src } else { &mut dst }) = own;
        }
        let (src, dst) = if family == 6 && self.one_in(10) { self.on_link(src, dst) } else { (src, dst) };
        let flags = self.pick(&[TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST]);
        let mut packet = PodPacket {
            proto: self.pick(&[TCP, TCP, UDP, UDP, 132]),
            hops: self.pick(&[0, 1, 2, 64, 64, 64, 64, 255]),
            ports: (self.port(), self.port()),
            flags,
            ..PodPacket::syn(src, dst)
        };
        if self.one_in(10) {
            packet.fragment = Some((self.one_in(2), self.pick(&[0, 0, 1, 185])));
        }
        if self.one_in(10) {
            packet.options = self.below(11) as usize;
        }
        if self.one_in(12) {
            packet.macs.0 = self.pick(&[[0xff; 6], host_mac(2)]);
        }
        packet
    }

    /// Link-local and unspecified sources, groups.
    fn on_link(&mut self, src: Address, dst: Address) -> (Address, Address) {
        let local = |last| Address::V6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        let group = Address::V6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1]);
        let wide = Address::V6([0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let src = self.pick(&[src, local(1), local(2), Address::V6([0; 16])]);
        (src, self.pick(&[dst, local(9), group, wide]))
    }

    /// The kernel runs a classifier on no IP frame that ends before its IP header does.
    fn damage_pod(&mut self, frame: &mut Vec<u8>) {
        let least = if frame[12] == 0x86 { 54 } else { 34 };
        match self.below(4) {
            0 => frame.truncate(least + self.below((frame.len() - least) as u64) as usize),
            1 => frame[12] = self.pick(&[0, 8, 0x81, 0x88]),
            2 => frame[14] = self.below(256) as u8,
            _ => {
                let at = self.below(frame.len() as u64) as usize;
                frame[at] ^= self.below(256) as u8;
            }
        }
    }
}
