//! Random tables, flows and frames out of so few addresses and ports that they meet all the time. The same seed gives the
//! same ones.

use std::collections::BTreeMap;

use sart_dataplane::model::Model;
use sart_dataplane::tables::Dump;
use sart_ebpf_common::layout::{
    BACKEND_LIVE, Backend, DIR_FORWARD, DIR_REVERSE, FLOW_DIRECT, Flow, FlowKey, VIP_SERVICE, Vip, VipKey,
    be16, be32,
};
use sart_ebpf_common::packet::{TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, UDP};

use crate::bench::Hook;
use crate::frame::{Packet, Socket};

/// Rows of each small table.
pub const BACKENDS: u16 = 8;
/// Counters in use.
pub const STATS: u32 = 8;

/// The generator xorshift64* (Vigna 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn client(&mut self) -> Socket {
        ([192, 0, 2, self.pick(&[1, 2])], self.pick(&[40_000, 40_001]))
    }

    fn vip(&mut self) -> Socket {
        ([198, 51, 100, self.pick(&[1, 2, 3])], self.pick(&[80, 53]))
    }

    fn pod(&mut self) -> Socket {
        ([10, 244, 0, self.pick(&[1, 2, 3])], self.pick(&[80, 8080]))
    }

    fn proto(&mut self) -> u8 {
        self.pick(&[TCP, UDP])
    }

    /// All tables. Rows contradict each other on purpose: the programs must do what the rules say with whatever is there.
    pub fn model(&mut self, now: u32) -> Model {
        let mut tables = Dump::default();
        for index in 0..BACKENDS {
            tables.backends.insert(index, self.backend());
        }
        for word in 0..8 {
            let slots = (0..4).fold(0, |slots, _| slots << 16 | self.below(u64::from(BACKENDS)));
            tables.ring.insert(word, slots);
        }
        for _ in 0..6 {
            let (addr, port) = if self.one_in(4) { self.pod() } else { self.vip() };
            let key = VipKey { addr: be32(addr), port: be16(port), proto: self.proto(), scope: 0 };
            tables.vips.insert(key, self.row());
        }
        let flows: BTreeMap<_, _> = (0..self.below(24)).map(|_| self.flow(now)).collect();
        Model { tables, flows, now }
    }

    fn backend(&mut self) -> Backend {
        let (addr, port) = self.pod();
        Backend {
            identity: self.next(),
            addr: be32(addr),
            generation: self.pick(&[1, 2]),
            port: be16(port),
            flags: if self.one_in(4) { 0 } else { BACKEND_LIVE },
            pad: 0,
        }
    }

    fn row(&mut self) -> Vip {
        Vip {
            generation: self.next(),
            ring_base: self.pick(&[0, 4, 8, 16]),
            ring_mask: self.pick(&[3, 7, 15]),
            stat: self.below(u64::from(STATS)) as u32,
            backends: self.pick(&[0, 1, 2, 2, 2, 2]),
            flags: if self.one_in(4) { 0 } else { VIP_SERVICE },
            pad: 0,
        }
    }

    fn flow(&mut self, now: u32) -> (FlowKey, Flow) {
        let (client, vip, pod) = (self.client(), self.vip(), self.pod());
        let forward = self.one_in(2);
        let (src, dst, dir, nat) =
            if forward { (client, vip, DIR_FORWARD, pod) } else { (pod, client, DIR_REVERSE, vip) };
        let key = FlowKey {
            src: be32(src.0),
            dst: be32(dst.0),
            sport: be16(src.1),
            dport: be16(dst.1),
            proto: self.proto(),
            dir,
            zone: 0,
        };
        let flow = Flow {
            nat_addr: be32(nat.0),
            nat_port: be16(nat.1),
            backend: self.below(u64::from(BACKENDS)) as u16,
            generation: self.pick(&[1, 2]),
            stat: self.below(u64::from(STATS)) as u32,
            // Both sides of every limit of idleness, and far in the past.
            seen: now.wrapping_sub(self.pick(&[0, 1, 10, 11, 30, 31, 120, 121, 180, 181, 7200, 7201])),
            state: self.below(16) as u8,
            flags: if self.one_in(4) { FLOW_DIRECT } else { 0 },
            pad: [0; 10],
        };
        (key, flow)
    }

    /// A frame and where it arrives: most often a good one, sometimes anything.
    pub fn frame(&mut self) -> (Hook, Vec<u8>) {
        let hook = self.pick(&[Hook::In, Hook::In, Hook::In, Hook::Out, Hook::Out, Hook::Xdp]);
        let (client, pod) = (self.client(), self.pod());
        let to = if self.one_in(6) { pod } else { self.vip() };
        let (src, dst) = if hook == Hook::Out { (pod, client) } else { (client, to) };
        let flags = self.pick(&[TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST]);
        let options = if self.one_in(4) { self.bytes(40) } else { Vec::new() };
        let payload = self.bytes(64);
        let packet = Packet {
            src,
            dst,
            proto: self.proto(),
            flags,
            options: options[..options.len() / 4 * 4].to_vec(),
            payload,
            checksum: !self.one_in(4),
        };
        let mut frame = packet.frame();
        if self.one_in(6) {
            self.damage(&mut frame);
        }
        (hook, frame)
    }

    fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..=self.below(limit)).map(|_| self.next() as u8).collect()
    }

    /// The kernel runs a classifier on no IPv4 frame that ends before its IPv4 header does.
    fn damage(&mut self, frame: &mut Vec<u8>) {
        match self.below(6) {
            0 => frame.truncate(34 + self.below(frame.len() as u64 - 34) as usize),
            1 => frame[12] = self.next() as u8,
            2 => frame[14] = self.next() as u8,
            3 => frame[20] = self.next() as u8,
            4 => frame[23] = self.pick(&[0, 1, 2, 47, 58, 132]),
            _ => {
                let at = self.below(frame.len() as u64) as usize;
                frame[at] ^= self.next() as u8;
            }
        }
    }
}
