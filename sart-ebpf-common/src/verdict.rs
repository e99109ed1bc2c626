//! The rules: what becomes of a packet, given the tables. The kernel programs and the reference model run this very
//! code. Decides and keeps the flow table; never touches the packet.

use crate::layout::{
    BACKEND_LIVE, Backend, DIR_FORWARD, DIR_REVERSE, FLOW_DIRECT, Flow, FlowKey, STATE_CLIENT_FIN,
    STATE_REPLIED, STATE_RESET, STATE_SERVER_FIN, VIP_SERVICE, Vip, VipKey,
};
use crate::packet::{Meta, TCP, TCP_FIN, TCP_RST};
use crate::reason::Reason;

/// A tick is 2^30 ns (about 1.07 s) of the monotonic clock: a shift costs the kernel nothing.
pub const TICK_SHIFT: u32 = 30;
/// [`Verdict::stat`] of a packet that belongs to no virtual address.
pub const NO_STAT: u32 = u32::MAX;
/// Ring slots tried for one new flow.
pub const PROBES: u32 = 8;

/// Ticks after which a silent flow no longer owns its reply tuple.
mod idle {
    pub(super) const TCP_OPEN: u32 = 7200;
    pub(super) const TCP_HALF_CLOSED: u32 = 120;
    pub(super) const CLOSED: u32 = 10;
    pub(super) const UDP_ANSWERED: u32 = 180;
    pub(super) const UNANSWERED: u32 = 30;
}

/// The tables as a packet sees them.
pub trait Tables {
    /// Now, in ticks.
    fn now(&self) -> u32;
    /// A row of [`crate::layout::VIPS`].
    fn vip(&self, key: &VipKey) -> Option<Vip>;
    /// A row of [`crate::layout::BACKENDS`].
    fn backend(&self, index: u16) -> Option<Backend>;
    /// A slot (not a word) of [`crate::layout::RING`].
    fn slot(&self, slot: u32) -> Option<u16>;
    /// An entry of [`crate::layout::FLOWS`].
    fn flow(&self, key: &FlowKey) -> Option<Flow>;
    /// Writes an entry; false when the table takes none.
    fn put_flow(&mut self, key: &FlowKey, flow: &Flow) -> bool;
    /// Sets `seen` and adds the bits `state` to an entry, if it is still there.
    fn touch(&mut self, key: &FlowKey, seen: u32, state: u8);
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Why; says also whether the packet is dropped.
    pub reason: Reason,
    /// Whether the destination (way in) or the source (way out) becomes `addr` and `port`.
    pub translate: bool,
    /// The new port, network order.
    pub port: u16,
    /// The new address, network order.
    pub addr: u32,
    /// Index into [`crate::layout::VIP_STATS`], or [`NO_STAT`].
    pub stat: u32,
}

impl Verdict {
    /// Neither translated nor of a virtual address.
    #[must_use]
    #[inline(always)]
    pub const fn plain(reason: Reason) -> Self {
        Self { reason, translate: false, port: 0, addr: 0, stat: NO_STAT }
    }

    #[inline(always)]
    const fn refused(reason: Reason, stat: u32) -> Self {
        Self { reason, translate: false, port: 0, addr: 0, stat }
    }

    #[inline(always)]
    const fn to(reason: Reason, flow: &Flow) -> Self {
        Self { reason, translate: true, port: flow.nat_port, addr: flow.nat_addr, stat: flow.stat }
    }
}

/// Where a new flow goes.
struct Choice {
    index: u16,
    backend: Backend,
    reverse: FlowKey,
    /// The ring's first choice could not be taken.
    second: bool,
}

/// A packet that comes in on an uplink.
#[inline(always)]
pub fn decide_in<T: Tables>(meta: &Meta, tables: &mut T) -> Verdict {
    let forward = sent(meta, DIR_FORWARD);
    let known = tables.flow(&forward);
    let mut gone = false;
    if let Some(flow) = known {
        gone = !owns(&flow, tables);
        // A new connection on the ports of one that is closing is a new flow.
        let again = meta.is_syn() && flow.state & (STATE_RESET | STATE_CLIENT_FIN | STATE_SERVER_FIN) != 0;
        if !gone && !again {
            refresh(meta, &forward, &flow, tables);
            return Verdict::to(Reason::Established, &flow);
        }
    }
    let row = VipKey { addr: meta.dst, port: meta.dport, proto: meta.proto, scope: 0 };
    let Some(vip) = tables.vip(&row) else { return Verdict::plain(Reason::NotOurs) };
    if vip.flags & VIP_SERVICE == 0 {
        return direct(meta, tables);
    }
    if gone && meta.proto == TCP && !meta.is_syn() {
        return Verdict::refused(Reason::BackendGone, vip.stat);
    }
    open(meta, &forward, &vip, gone, tables)
}

/// A packet that leaves on an uplink.
#[inline(always)]
pub fn decide_out<T: Tables>(meta: &Meta, tables: &mut T) -> Verdict {
    let key = sent(meta, DIR_REVERSE);
    let Some(flow) = tables.flow(&key) else { return Verdict::plain(Reason::NoFlow) };
    let now = tables.now();
    let state = STATE_REPLIED | closing(meta, STATE_SERVER_FIN);
    if flow.seen != now || flow.state & state != state {
        tables.touch(&key, now, state);
    }
    if flow.flags & FLOW_DIRECT != 0 {
        return Verdict::plain(Reason::DirectReply);
    }
    if state & (STATE_SERVER_FIN | STATE_RESET) != 0 {
        let forward = FlowKey {
            src: meta.dst,
            dst: flow.nat_addr,
            sport: meta.dport,
            dport: flow.nat_port,
            proto: meta.proto,
            dir: DIR_FORWARD,
            zone: 0,
        };
        tables.touch(&forward, now, state);
    }
    Verdict::to(Reason::Reply, &flow)
}

/// A packet the XDP program sees: it only counts.
#[inline(always)]
pub fn decide_xdp<T: Tables>(meta: &Meta, tables: &T) -> Verdict {
    let row = VipKey { addr: meta.dst, port: meta.dport, proto: meta.proto, scope: 0 };
    match tables.vip(&row) {
        Some(vip) if vip.flags & VIP_SERVICE != 0 => Verdict::refused(Reason::XdpVip, vip.stat),
        _ => Verdict::plain(Reason::XdpOther),
    }
}

/// Where a flow starts in its ring. Every node computes the same.
#[must_use]
#[inline(always)]
pub const fn hash(meta: &Meta) -> u32 {
    let ports = (meta.sport as u32) << 16 | meta.dport as u32;
    let mut hash = meta.src.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = (hash ^ meta.dst).wrapping_mul(0xc2b2_ae35);
    hash ^= hash >> 16;
    hash = (hash ^ ports).wrapping_mul(0x27d4_eb2f);
    hash ^= hash >> 15;
    hash = (hash ^ meta.proto as u32).wrapping_mul(0x1656_67b1);
    hash ^ (hash >> 16)
}

#[inline(always)]
const fn sent(meta: &Meta, dir: u8) -> FlowKey {
    FlowKey {
        src: meta.src,
        dst: meta.dst,
        sport: meta.sport,
        dport: meta.dport,
        proto: meta.proto,
        dir,
        zone: 0,
    }
}

/// The key of the replies to `meta` when `addr` and `port` answer it.
#[inline(always)]
const fn replies(meta: &Meta, addr: u32, port: u16) -> FlowKey {
    FlowKey {
        src: addr,
        dst: meta.src,
        sport: port,
        dport: meta.sport,
        proto: meta.proto,
        dir: DIR_REVERSE,
        zone: 0,
    }
}

#[inline(always)]
const fn closing(meta: &Meta, fin: u8) -> u8 {
    let fin = if meta.tcp_flags & TCP_FIN != 0 { fin } else { 0 };
    let reset = if meta.tcp_flags & TCP_RST != 0 { STATE_RESET } else { 0 };
    fin | reset
}

/// Whether the endpoint the flow was given to is still there.
#[inline(always)]
fn owns<T: Tables>(flow: &Flow, tables: &T) -> bool {
    match tables.backend(flow.backend) {
        Some(backend) => backend.flags & BACKEND_LIVE != 0 && backend.generation == flow.generation,
        None => false,
    }
}

/// Keeps both halves of a flow young, at most once a tick, and puts back the half the table has evicted.
#[inline(always)]
fn refresh<T: Tables>(meta: &Meta, forward: &FlowKey, flow: &Flow, tables: &mut T) {
    let now = tables.now();
    let state = closing(meta, STATE_CLIENT_FIN);
    if flow.seen == now && flow.state & state == state {
        return;
    }
    tables.touch(forward, now, state);
    let key = replies(meta, flow.nat_addr, flow.nat_port);
    match tables.flow(&key) {
        Some(reply) if answers(&reply, meta) => tables.touch(&key, now, state),
        Some(_) => {}
        None => {
            let reply = Flow { nat_addr: meta.dst, nat_port: meta.dport, seen: now, state, ..*flow };
            // A table that takes no entry now is asked again a tick later.
            let _retried = tables.put_flow(&key, &reply);
        }
    }
}

/// Whether a reverse entry translates back to the address `meta` was sent to.
#[inline(always)]
const fn answers(reply: &Flow, meta: &Meta) -> bool {
    reply.flags & FLOW_DIRECT == 0 && reply.nat_addr == meta.dst && reply.nat_port == meta.dport
}

/// A packet to an endpoint's own address. Its replies look like those of a translated flow of the same client and port,
/// so whoever came first keeps the tuple.
#[inline(always)]
fn direct<T: Tables>(meta: &Meta, tables: &mut T) -> Verdict {
    let key = replies(meta, meta.dst, meta.dport);
    let now = tables.now();
    let state = closing(meta, STATE_CLIENT_FIN);
    if let Some(flow) = tables.flow(&key) {
        if flow.flags & FLOW_DIRECT != 0 {
            if flow.seen != now || flow.state & state != state {
                tables.touch(&key, now, state);
            }
            return Verdict::plain(Reason::Direct);
        }
        if owns(&flow, tables) && !idle_out(&flow, meta.proto, now) {
            return Verdict::refused(Reason::Clash, flow.stat);
        }
    }
    let flow = Flow {
        nat_addr: meta.dst,
        nat_port: meta.dport,
        backend: 0,
        generation: 0,
        stat: 0,
        seen: now,
        state,
        flags: FLOW_DIRECT,
        pad: [0; 10],
    };
    // Not remembering costs only the protection against a clash; the packet itself needs no entry.
    let _unprotected = tables.put_flow(&key, &flow);
    Verdict::plain(Reason::Direct)
}

/// Gives a new flow to an endpoint.
#[inline(always)]
fn open<T: Tables>(meta: &Meta, forward: &FlowKey, vip: &Vip, gone: bool, tables: &mut T) -> Verdict {
    let choice = match choose(meta, vip, tables) {
        Ok(choice) => choice,
        Err(reason) => return Verdict::refused(reason, vip.stat),
    };
    let mut flow = Flow {
        nat_addr: meta.dst,
        nat_port: meta.dport,
        backend: choice.index,
        generation: choice.backend.generation,
        stat: vip.stat,
        seen: tables.now(),
        state: closing(meta, STATE_CLIENT_FIN),
        flags: 0,
        pad: [0; 10],
    };
    if !tables.put_flow(&choice.reverse, &flow) {
        return Verdict::refused(Reason::FlowTable, vip.stat);
    }
    flow.nat_addr = choice.backend.addr;
    flow.nat_port = choice.backend.port;
    if !tables.put_flow(forward, &flow) {
        return Verdict::refused(Reason::FlowTable, vip.stat);
    }
    let reason = if gone {
        Reason::Reselected
    } else if choice.second {
        Reason::ClashAvoided
    } else if meta.proto == TCP && !meta.is_syn() {
        Reason::Adopted
    } else {
        Reason::NewFlow
    };
    Verdict::to(reason, &flow)
}

/// The first endpoint from the flow's place in the ring whose replies can be told from every other flow's.
#[inline(always)]
fn choose<T: Tables>(meta: &Meta, vip: &Vip, tables: &T) -> Result<Choice, Reason> {
    if vip.backends == 0 {
        return Err(Reason::NoBackend);
    }
    let start = hash(meta);
    let mut second = false;
    let mut probe = 0;
    while probe < PROBES {
        let slot = vip.ring_base.wrapping_add(start.wrapping_add(probe) & vip.ring_mask);
        probe += 1;
        let Some(index) = tables.slot(slot) else { continue };
        let Some(backend) = tables.backend(index) else { continue };
        if backend.flags & BACKEND_LIVE == 0 {
            continue;
        }
        let reverse = replies(meta, backend.addr, backend.port);
        if free(&reverse, meta, tables) {
            return Ok(Choice { index, backend, reverse, second });
        }
        second = true;
    }
    Err(if second { Reason::Clash } else { Reason::NoBackend })
}

/// Whether the reply tuple is unused, already that of this very flow, or of a flow that has ended.
#[inline(always)]
fn free<T: Tables>(reverse: &FlowKey, meta: &Meta, tables: &T) -> bool {
    let Some(flow) = tables.flow(reverse) else { return true };
    if answers(&flow, meta) || idle_out(&flow, meta.proto, tables.now()) {
        return true;
    }
    flow.flags & FLOW_DIRECT == 0 && !owns(&flow, tables)
}

/// Whether a flow has been silent for so long that its tuple may be used again.
#[inline(always)]
const fn idle_out(flow: &Flow, proto: u8, now: u32) -> bool {
    silent(flow.state, flow.seen, proto, now)
}

/// Whether a flow in `state`, last seen at `seen`, counts as ended.
#[inline(always)]
pub(crate) const fn silent(state: u8, seen: u32, proto: u8, now: u32) -> bool {
    let both = STATE_CLIENT_FIN | STATE_SERVER_FIN;
    let limit = if state & STATE_RESET != 0 || state & both == both {
        idle::CLOSED
    } else if state & both != 0 {
        idle::TCP_HALF_CLOSED
    } else if state & STATE_REPLIED == 0 {
        idle::UNANSWERED
    } else if proto == TCP {
        idle::TCP_OPEN
    } else {
        idle::UDP_ANSWERED
    };
    now.wrapping_sub(seen) > limit
}
