//! Reads and rewrites the packet through the kernel's helpers, which know about checksum offload. Decides nothing.

use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::programs::{TcContext, XdpContext};
use sart_ebpf_common::checksum;
use sart_ebpf_common::packet::{Bytes, ETHERNET, Meta, UDP};
use sart_ebpf_common::pod::HandOver;
use sart_ebpf_common::verdict::Verdict;

use crate::maps::fault;

const IP_CHECKSUM: usize = ETHERNET + 10;
const IP_TTL: usize = ETHERNET + 8;
const IP6_HOPS: usize = ETHERNET + 7;
const IP_SRC: usize = ETHERNET + 12;
const IP_DST: usize = ETHERNET + 16;

/// A frame in a socket buffer.
pub(crate) struct Skb<'a>(pub(crate) &'a TcContext);

impl Bytes for Skb<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.load::<[u8; N]>(offset).ok()
    }
}

/// A frame in a driver's page.
pub(crate) struct Page<'a>(pub(crate) &'a XdpContext);

impl Bytes for Page<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        // The mask tells the verifier what the rules know: headers end before byte 128.
        let start = self.0.data() + (offset & 0x7f);
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: `start..start + N` lies in the packet, as just compared.
        Some(unsafe { *(start as *const [u8; N]) })
    }
}

/// Which end of the packet is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Puts the verdict's address and port into the packet and mends both checksums; false when the kernel refuses.
#[inline(always)]
pub(crate) fn rewrite(ctx: &TcContext, meta: &Meta, verdict: &Verdict, end: End) -> bool {
    let source = matches!(end, End::Source);
    let (addr, port) = if source { (meta.src, meta.sport) } else { (meta.dst, meta.dport) };
    let addr_at = if source { IP_SRC } else { IP_DST };
    let port_at = meta.l4 as usize + if source { 0 } else { 2 };
    // A UDP checksum of 0 means "none" and stays so; a computed 0 is sent as all ones (RFC 768).
    let udp = if meta.proto == UDP { u64::from(BPF_F_MARK_MANGLED_0) } else { 0 };
    let sum_at = meta.checksum_offset();
    if fault(2) {
        return false;
    }
    let (old, new) = (u64::from(addr), u64::from(verdict.addr));
    let done = ctx
        .l4_csum_replace(sum_at, old, new, u64::from(BPF_F_PSEUDO_HDR) | udp | 4)
        .and_then(|()| ctx.l4_csum_replace(sum_at, u64::from(port), u64::from(verdict.port), udp | 2))
        .and_then(|()| ctx.l3_csum_replace(IP_CHECKSUM, old, new, 4))
        .and_then(|()| ctx.store(addr_at, &verdict.addr, 0))
        .and_then(|()| ctx.store(port_at, &verdict.port, 0));
    done.is_ok()
}

/// Gives the packet the header it has on the other pod's link, and takes one hop; false when the kernel refuses.
#[inline(always)]
pub(crate) fn hand_over(ctx: &TcContext, to: &HandOver) -> bool {
    if fault(2) {
        return false;
    }
    let hops = if to.v6 {
        ctx.store(IP6_HOPS, &to.hops, u64::from(BPF_F_RECOMPUTE_CSUM))
    } else {
        // TTL, protocol and checksum in one piece. The sum over the whole header stays the same.
        ctx.load::<[u8; 4]>(IP_TTL).and_then(|[ttl, proto, high, low]| {
            let word = |ttl| u32::from(u16::from_ne_bytes([ttl, proto]));
            let old = u16::from_ne_bytes([high, low]);
            let sum = checksum::replace(old, word(ttl), word(to.hops)).to_ne_bytes();
            ctx.store(IP_TTL, &[to.hops, proto, sum[0], sum[1]], 0)
        })
    };
    let (a, b) = (to.to, to.from);
    let macs = [a[0], a[1], a[2], a[3], a[4], a[5], b[0], b[1], b[2], b[3], b[4], b[5]];
    hops.and_then(|()| ctx.store(0, &macs, 0)).is_ok()
}
