//! Reads the headers of an Ethernet frame that carries IPv4. Decides whether the frame can be translated at all; never
//! changes it.

use crate::reason::Reason;

/// Bytes of a frame, wherever it is.
pub trait Bytes {
    /// `N` bytes from `offset`, or nothing when the frame ends before.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Bytes for [u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }
}

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
/// IPv4 protocol number of ICMP.
pub const ICMP: u8 = 1;
/// IPv4 protocol number of TCP.
pub const TCP: u8 = 6;
/// IPv4 protocol number of UDP.
pub const UDP: u8 = 17;
/// FIN, SYN, RST and ACK of the TCP header's flags (RFC 9293, section 3.1).
pub const TCP_FIN: u8 = 1;
/// See [`TCP_FIN`].
pub const TCP_SYN: u8 = 2;
/// See [`TCP_FIN`].
pub const TCP_RST: u8 = 4;
/// See [`TCP_FIN`].
pub const TCP_ACK: u8 = 16;

const IHL_MIN: usize = 20;

/// What the rules need to know of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Source address, network order.
    pub src: u32,
    /// Destination address, network order.
    pub dst: u32,
    /// Source port, network order.
    pub sport: u16,
    /// Destination port, network order.
    pub dport: u16,
    /// [`TCP`] or [`UDP`].
    pub proto: u8,
    /// TCP flags; 0 for UDP.
    pub tcp_flags: u8,
    /// Where the TCP or UDP header starts: 34 to 74.
    pub l4: u16,
}

impl Meta {
    /// Offset of the TCP or UDP checksum.
    #[must_use]
    #[inline(always)]
    pub const fn checksum_offset(&self) -> usize {
        let field = if self.proto == TCP { 16 } else { 6 };
        self.l4 as usize + field
    }

    /// The first segment of a connection: SYN without ACK.
    #[must_use]
    #[inline(always)]
    pub const fn is_syn(&self) -> bool {
        self.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN
    }
}

/// Reads a frame.
///
/// # Errors
/// The reason why it is none of ours; such a frame passes untouched.
#[inline(always)]
pub fn parse<B: Bytes + ?Sized>(frame: &B) -> Result<Meta, Reason> {
    let Some(ether) = frame.read::<2>(12) else { return Err(Reason::NotIpv4) };
    if ether != [0x08, 0x00] {
        return Err(Reason::NotIpv4);
    }
    let Some(ip) = frame.read::<20>(ETHERNET) else { return Err(Reason::Short) };
    let header = ((ip[0] & 0x0f) as usize) << 2;
    if ip[0] >> 4 != 4 || header < IHL_MIN {
        return Err(Reason::BadHeader);
    }
    // More fragments, or an offset: ports stand in the first fragment only (RFC 791, section 3.2).
    if ip[6] & 0x3f != 0 || ip[7] != 0 {
        return Err(Reason::Fragment);
    }
    let mut meta = Meta {
        src: u32::from_ne_bytes([ip[12], ip[13], ip[14], ip[15]]),
        dst: u32::from_ne_bytes([ip[16], ip[17], ip[18], ip[19]]),
        sport: 0,
        dport: 0,
        proto: ip[9],
        tcp_flags: 0,
        l4: (ETHERNET + header) as u16,
    };
    transport(frame, &mut meta)?;
    Ok(meta)
}

/// Fills in the ports and flags. The whole fixed header must be there, because its checksum is rewritten.
#[inline(always)]
fn transport<B: Bytes + ?Sized>(frame: &B, meta: &mut Meta) -> Result<(), Reason> {
    let at = meta.l4 as usize;
    if meta.proto == TCP {
        let Some(tcp) = frame.read::<20>(at) else { return Err(Reason::Short) };
        meta.sport = u16::from_ne_bytes([tcp[0], tcp[1]]);
        meta.dport = u16::from_ne_bytes([tcp[2], tcp[3]]);
        meta.tcp_flags = tcp[13];
        return Ok(());
    }
    if meta.proto == UDP {
        let Some(udp) = frame.read::<8>(at) else { return Err(Reason::Short) };
        meta.sport = u16::from_ne_bytes([udp[0], udp[1]]);
        meta.dport = u16::from_ne_bytes([udp[2], udp[3]]);
        return Ok(());
    }
    Err(if meta.proto == ICMP { Reason::Icmp } else { Reason::OtherProtocol })
}
