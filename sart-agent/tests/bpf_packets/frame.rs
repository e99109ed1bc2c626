//! Builds Ethernet frames with IPv4 and TCP or UDP, and checks their checksums from first principles (RFC 1071), so that no
//! test trusts the code it tests.

use sart_ebpf_common::packet::{TCP, TCP_ACK, TCP_SYN, UDP};

/// Address and port.
pub type Socket = ([u8; 4], u16);

/// A frame to be built.
#[derive(Debug, Clone)]
pub struct Packet {
    pub src: Socket,
    pub dst: Socket,
    pub proto: u8,
    pub flags: u8,
    /// Whole words, at most ten.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    /// A UDP sender may leave the checksum out (RFC 768).
    pub checksum: bool,
}

impl Packet {
    pub fn syn(src: Socket, dst: Socket) -> Self {
        let (options, payload) = (Vec::new(), Vec::new());
        Self { src, dst, proto: TCP, flags: TCP_SYN, options, payload, checksum: true }
    }

    pub fn tcp(src: Socket, dst: Socket) -> Self {
        Self { flags: TCP_ACK, payload: b"odd".to_vec(), ..Self::syn(src, dst) }
    }

    pub fn udp(src: Socket, dst: Socket) -> Self {
        Self { proto: UDP, flags: 0, payload: b"hello".to_vec(), ..Self::syn(src, dst) }
    }

    pub fn of(proto: u8, src: Socket, dst: Socket) -> Self {
        if proto == TCP { Self::syn(src, dst) } else { Self { proto, ..Self::udp(src, dst) } }
    }

    pub fn with_flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub fn frame(&self) -> Vec<u8> {
        let mut l4 = [self.src.1.to_be_bytes(), self.dst.1.to_be_bytes()].concat();
        if self.proto == TCP {
            l4.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            l4.extend((8 + self.payload.len() as u16).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4.extend(&self.payload);
        let header = 20 + self.options.len();
        let length = ((header + l4.len()) as u16).to_be_bytes();
        let first = 0x40 | (header / 4) as u8;
        let mut ip = vec![first, 0, length[0], length[1], 0x12, 0x34, 0x40, 0, 64, self.proto, 0, 0];
        ip.extend([self.src.0, self.dst.0].concat());
        ip.extend(&self.options);
        let sum = (!total(&ip)).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        if self.checksum {
            let at = if self.proto == TCP { 16 } else { 6 };
            let sum = match !total(&[pseudo(&ip, l4.len()), l4.clone()].concat()) {
                0 if self.proto == UDP => 0xffff,
                sum => sum,
            };
            l4[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        [[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0].as_slice(), &ip, &l4].concat()
    }
}

/// The one's complement sum of 16-bit words.
fn total(data: &[u8]) -> u16 {
    let words =
        data.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    let mut folded: u64 = words.sum();
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    folded as u16
}

/// The pseudo header of RFC 9293, section 3.1.
fn pseudo(ip: &[u8], length: usize) -> Vec<u8> {
    [&ip[12..20], &[0, ip[9]], &(length as u16).to_be_bytes()].concat()
}

/// Where the transport header starts.
fn transport(frame: &[u8]) -> usize {
    14 + usize::from(frame[14] & 15) * 4
}

/// Fails unless the header's and the transport's checksum are right.
pub fn assert_sums(frame: &[u8]) {
    let at = transport(frame);
    assert_eq!(total(&frame[14..at]), 0xffff, "IPv4 header checksum of {frame:02x?}");
    let whole = [pseudo(&frame[14..], frame.len() - at), frame[at..].to_vec()].concat();
    assert_eq!(total(&whole), 0xffff, "transport checksum of {frame:02x?}");
}

pub fn source(frame: &[u8]) -> Socket {
    end(frame, 26, 0)
}

pub fn destination(frame: &[u8]) -> Socket {
    end(frame, 30, 2)
}

fn end(frame: &[u8], addr: usize, port: usize) -> Socket {
    let at = transport(frame) + port;
    (frame[addr..addr + 4].try_into().unwrap(), u16::from_be_bytes([frame[at], frame[at + 1]]))
}
