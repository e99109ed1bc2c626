//! Builds frames of pods: both families, ICMP errors, ARP. Checksums of transports are left alone by the programs and not
//! made here.

use sart_ebpf_common::packet::{TCP, TCP_SYN};

use crate::podlink::{LINK, host_mac, pod_mac};

/// An address of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// A frame to be built.
#[derive(Debug, Clone)]
pub struct PodPacket {
    pub macs: ([u8; 6], [u8; 6]),
    pub src: Address,
    pub dst: Address,
    pub proto: u8,
    pub hops: u8,
    pub ports: (u16, u16),
    pub flags: u8,
    /// More fragments, and the offset in units of 8 bytes.
    pub fragment: Option<(bool, u16)>,
    /// Whole words of IPv4 options.
    pub options: usize,
}

impl PodPacket {
    /// A SYN that came in by [`LINK`].
    pub fn syn(src: Address, dst: Address) -> Self {
        Self {
            macs: (host_mac(LINK), pod_mac(LINK)),
            src,
            dst,
            proto: TCP,
            hops: 64,
            ports: (40_000, 8080),
            flags: TCP_SYN,
            fragment: None,
            options: 0,
        }
    }

    pub fn of(proto: u8, src: Address, dst: Address) -> Self {
        Self { proto, ..Self::syn(src, dst) }
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut l4 = [self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes()].concat();
        if self.proto == TCP {
            l4.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            l4.extend([0, 12, 0, 0, b'd', b'a', b't', b'a']);
        }
        self.around(self.proto, &l4)
    }

    /// An error of this kind about a packet that went the other way.
    pub fn error(&self, kind: u8) -> Vec<u8> {
        let about = Self {
            src: self.dst,
            dst: self.src,
            ports: (self.ports.1, self.ports.0),
            fragment: None,
            options: 0,
            ..self.clone()
        };
        let mut l4 = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        l4.extend(&about.frame()[14..]);
        self.around(if matches!(self.src, Address::V4(_)) { 1 } else { 58 }, &l4)
    }

    fn around(&self, proto: u8, l4: &[u8]) -> Vec<u8> {
        let mut frame = [self.macs.0, self.macs.1].concat();
        match (self.src, self.dst) {
            (Address::V4(src), Address::V4(dst)) => {
                frame.extend([8, 0]);
                frame.extend(self.ipv4(proto, l4.len(), (src, dst)));
            }
            (Address::V6(src), Address::V6(dst)) => {
                frame.extend([0x86, 0xdd]);
                frame.extend(self.ipv6(proto, l4.len(), (src, dst)));
            }
            mixed => panic!("one packet has one family: {mixed:?}"),
        }
        frame.extend(l4);
        frame
    }

    fn ipv4(&self, proto: u8, length: usize, (src, dst): ([u8; 4], [u8; 4])) -> Vec<u8> {
        let words = 5 + self.options;
        let total = ((words * 4 + length) as u16).to_be_bytes();
        let (more, offset) = self.fragment.unwrap_or((false, 0));
        let part = ((if more { 0x2000 } else { 0 }) | offset).to_be_bytes();
        let mut ip = vec![0x40 | words as u8, 0, total[0], total[1], 0x12, 0x34, part[0], part[1]];
        ip.extend([self.hops, proto, 0, 0]);
        ip.extend([src, dst].concat());
        ip.extend(vec![1; self.options * 4]);
        let sum = sum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        ip
    }

    fn ipv6(&self, proto: u8, length: usize, (src, dst): ([u8; 16], [u8; 16])) -> Vec<u8> {
        let inserted = if self.fragment.is_some() { 8 } else { 0 };
        let length = ((length + inserted) as u16).to_be_bytes();
        let next = if self.fragment.is_some() { 44 } else { proto };
        let mut ip = vec![0x60, 0, 0, 0, length[0], length[1], next, self.hops];
        ip.extend([src, dst].concat());
        if let Some((more, offset)) = self.fragment {
            let part = (offset << 3 | u16::from(more)).to_be_bytes();
            ip.extend([proto, 0, part[0], part[1], 0, 0, 0, 9]);
        }
        ip
    }
}

/// What an IPv4 header's checksum must be (RFC 791, section 3.1).
pub fn sum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let total: u32 = words.sum();
    let folded = (total & 0xffff) + (total >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// An ARP request that speaks for `sender`.
pub fn arp(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut frame = [[0xff; 6], pod_mac(LINK)].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(pod_mac(LINK));
    frame.extend(sender);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}
