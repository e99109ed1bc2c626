//! Reads the headers of a frame between a pod and its node, IPv4 and IPv6 alike. Decides nothing.

use crate::layout::PodKey;
use crate::packet::{Bytes, ETHERNET, TCP, UDP};

/// Next header of an IPv6 fragment (RFC 8200, section 4.5).
const FRAGMENT: u8 = 44;
/// IPv6 next header of ICMPv6.
const ICMP6: u8 = 58;
/// IPv4 protocol number of ICMP.
const ICMP4: u8 = 1;
const IPV4_HEADER: u16 = 20;
const IPV6_HEADER: u16 = 40;
const FRAGMENT_HEADER: u16 = 8;

/// Which part of its datagram a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// A fragment that still has the ports.
    First,
    Later,
}

/// What the rules need of an IP header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) src: PodKey,
    pub(super) dst: PodKey,
    pub(super) proto: u8,
    /// TTL or hop limit.
    pub(super) hops: u8,
    /// Where the next header starts.
    pub(super) l4: u16,
    pub(super) part: Part,
    /// Neither options nor anything else that only the stack judges.
    pub(super) plain: bool,
}

/// Ports and TCP flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) src: u16,
    pub(super) dst: u16,
    pub(super) proto: u8,
    pub(super) tcp_flags: u8,
    /// The packet is an error about a packet of the other direction, whose ports these are, turned round.
    pub(super) error: bool,
}

/// What a frame carries.
pub(super) enum Kind {
    Arp,
    Ipv4,
    Ipv6,
    Other,
}

#[inline(always)]
pub(super) fn kind<B: Bytes + ?Sized>(frame: &B) -> Kind {
    match frame.read::<2>(12) {
        Some([0x08, 0x00]) => Kind::Ipv4,
        Some([0x86, 0xdd]) => Kind::Ipv6,
        Some([0x08, 0x06]) => Kind::Arp,
        _ => Kind::Other,
    }
}

/// The address that an ARP packet speaks for (RFC 826); nothing if it is not about IPv4 over Ethernet.
#[inline(always)]
pub(super) fn arp_sender<B: Bytes + ?Sized>(frame: &B) -> Option<u32> {
    let arp = frame.read::<28>(ETHERNET)?;
    if arp[0] != 0 || arp[1] != 1 || arp[2] != 8 || arp[3] != 0 || arp[4] != 6 || arp[5] != 4 {
        return None;
    }
    Some(u32::from_ne_bytes([arp[14], arp[15], arp[16], arp[17]]))
}

#[inline(always)]
pub(super) fn ipv4<B: Bytes + ?Sized>(frame: &B) -> Option<Head> {
    let ip = frame.read::<20>(ETHERNET)?;
    let offset = u16::from_be_bytes([ip[6] & 0x1f, ip[7]]);
    let more = ip[6] & 0x20 != 0;
    let part = if offset != 0 {
        Part::Later
    } else if more {
        Part::First
    } else {
        Part::Whole
    };
    Some(Head {
        src: PodKey::v4(u32::from_ne_bytes([ip[12], ip[13], ip[14], ip[15]])),
        dst: PodKey::v4(u32::from_ne_bytes([ip[16], ip[17], ip[18], ip[19]])),
        proto: ip[9],
        hops: ip[8],
        l4: ETHERNET as u16 + (((ip[0] & 0x0f) as u16) << 2),
        part,
        plain: ip[0] == 0x45,
    })
}

#[inline(always)]
pub(super) fn ipv6<B: Bytes + ?Sized>(frame: &B) -> Option<Head> {
    let ip = frame.read::<40>(ETHERNET)?;
    let mut head = Head {
        src: PodKey::v6(words(&ip, 8)),
        dst: PodKey::v6(words(&ip, 24)),
        proto: ip[6],
        hops: ip[7],
        l4: ETHERNET as u16 + IPV6_HEADER,
        part: Part::Whole,
        plain: ip[0] >> 4 == 6,
    };
    if head.proto == FRAGMENT {
        fragment(frame, &mut head);
    }
    Some(head)
}

/// Goes past a fragment header; an atomic fragment (RFC 6946) counts as one as well.
#[inline(always)]
fn fragment<B: Bytes + ?Sized>(frame: &B, head: &mut Head) {
    head.part = Part::Later;
    let Some(fragment) = frame.read::<8>(head.l4 as usize) else { return };
    if fragment[2] == 0 && fragment[3] & 0xf8 == 0 {
        head.part = Part::First;
    }
    head.proto = fragment[0];
    head.l4 += FRAGMENT_HEADER;
}

#[inline(always)]
fn words(ip: &[u8; 40], at: usize) -> [u32; 4] {
    let word = |i: usize| u32::from_ne_bytes([ip[at + i], ip[at + i + 1], ip[at + i + 2], ip[at + i + 3]]);
    [word(0), word(4), word(8), word(12)]
}

/// Ports of TCP and UDP, and of the packet that an ICMP error is about.
#[inline(always)]
pub(super) fn ports<B: Bytes + ?Sized>(frame: &B, head: &Head) -> Option<Ports> {
    let at = head.l4 as usize;
    if head.proto == TCP {
        let tcp = frame.read::<14>(at)?;
        return Some(Ports { tcp_flags: tcp[13], ..pair(&[tcp[0], tcp[1], tcp[2], tcp[3]], TCP) });
    }
    if head.proto == UDP {
        return Some(pair(&frame.read::<4>(at)?, UDP));
    }
    if head.proto == ICMP4 && head.src.family == 4 {
        let kind = frame.read::<1>(at)?[0];
        // Unreachable, time exceeded, parameter problem (RFC 792).
        return if matches!(kind, 3 | 11 | 12) { inner4(frame, head, at + 8) } else { None };
    }
    if head.proto == ICMP6 && head.src.family == 6 {
        let kind = frame.read::<1>(at)?[0];
        // Errors are 1 to 127 (RFC 4443, section 2.1); these four are defined.
        return if matches!(kind, 1..=4) { inner6(frame, head, at + 8) } else { None };
    }
    None
}

#[inline(always)]
const fn pair(bytes: &[u8; 4], proto: u8) -> Ports {
    Ports {
        src: u16::from_ne_bytes([bytes[0], bytes[1]]),
        dst: u16::from_ne_bytes([bytes[2], bytes[3]]),
        proto,
        tcp_flags: 0,
        error: false,
    }
}

/// The packet an error is about went from the error's destination to its source.
#[inline(always)]
fn inner4<B: Bytes + ?Sized>(frame: &B, head: &Head, at: usize) -> Option<Ports> {
    let ip = frame.read::<20>(at)?;
    let src = u32::from_ne_bytes([ip[12], ip[13], ip[14], ip[15]]);
    let dst = u32::from_ne_bytes([ip[16], ip[17], ip[18], ip[19]]);
    let whole = ip[0] == 0x45 && ip[6] & 0x1f == 0 && ip[7] == 0;
    if !whole || src != head.dst.addr[0] || dst != head.src.addr[0] {
        return None;
    }
    turned(frame, ip[9], at + IPV4_HEADER as usize)
}

#[inline(always)]
fn inner6<B: Bytes + ?Sized>(frame: &B, head: &Head, at: usize) -> Option<Ports> {
    let ip = frame.read::<40>(at)?;
    if words(&ip, 8) != head.dst.addr || words(&ip, 24) != head.src.addr {
        return None;
    }
    turned(frame, ip[6], at + IPV6_HEADER as usize)
}

#[inline(always)]
fn turned<B: Bytes + ?Sized>(frame: &B, proto: u8, at: usize) -> Option<Ports> {
    if proto != TCP && proto != UDP {
        return None;
    }
    let inner = pair(&frame.read::<4>(at)?, proto);
    Some(Ports { src: inner.dst, dst: inner.src, error: true, ..inner })
}
