//! The rules of a pod's link: what becomes of a packet that a pod sends, and of one that the stack sends to a pod. The kernel
//! programs and the reference model run this very code. Decides and keeps the table of flows between pods; never touches
//! the packet.
//!
//! Netfilter sees all packets of a flow between two pods of a node or none: a flow is redirected if its first packet went
//! from one pod to the other's own address, and stays with the stack if the stack ever carried a packet of it. So replies of
//! what kube-proxy or a host port translated go back through the translation.

mod head;

use crate::layout::{
    POD_FLOW_FAST, POD_FLOW_FROM_HIGH, PORT_READY, PodFlow, PodFlowKey, PodKey, PodRow, STATE_CLIENT_FIN,
    STATE_REPLIED, STATE_RESET, STATE_SERVER_FIN,
};
use crate::packet::{Bytes, TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};
use crate::reason::Reason;
use crate::verdict::silent;
use head::{Head, Kind, Part, Ports};

/// The tables as a pod's packet sees them.
pub trait PodTables {
    /// Now, in ticks.
    fn now(&self) -> u32;
    /// A row of [`crate::layout::PODS`].
    fn pod(&self, key: &PodKey) -> Option<PodRow>;
    /// An entry of [`crate::layout::POD_FLOWS`].
    fn pod_flow(&self, key: &PodFlowKey) -> Option<PodFlow>;
    /// Writes an entry; false when the table takes none.
    fn put_pod_flow(&mut self, key: &PodFlowKey, flow: &PodFlow) -> bool;
    /// Sets `seen` and adds the bits `state` to an entry, if it is still there.
    fn touch_pod_flow(&mut self, key: &PodFlowKey, seen: u32, state: u8);
}

/// What becomes of a packet of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodVerdict {
    /// Why; says also whether the packet is dropped.
    pub reason: Reason,
    /// To which pod it is redirected.
    pub hand_over: Option<HandOver>,
}

/// A packet that skips the stack: it gets the link layer's header that the stack would give it, and loses one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// Index of the host's end of the link to go in at.
    pub ifindex: u32,
    /// MAC of the pod.
    pub to: [u8; 6],
    /// MAC of the host's end.
    pub from: [u8; 6],
    /// TTL or hop limit that the packet leaves with.
    pub hops: u8,
    /// Whether it is IPv6.
    pub v6: bool,
}

impl PodVerdict {
    #[inline(always)]
    const fn plain(reason: Reason) -> Self {
        Self { reason, hand_over: None }
    }
}

/// The two pods of a packet: who sends it and whom it is for.
struct Ends {
    own: PodRow,
    peer: PodRow,
}

/// A packet that came from the pod behind the link `ifindex`.
#[inline(always)]
pub fn decide_pod_in<B: Bytes + ?Sized, T: PodTables>(frame: &B, ifindex: u32, tables: &mut T) -> PodVerdict {
    let head = match head::kind(frame) {
        Kind::Arp => return PodVerdict::plain(arp(frame, ifindex, tables)),
        Kind::Other => return PodVerdict::plain(Reason::PodOther),
        Kind::Ipv4 => head::ipv4(frame),
        Kind::Ipv6 => head::ipv6(frame),
    };
    let Some(head) = head else { return PodVerdict::plain(Reason::Short) };
    let own = match tables.pod(&head.src) {
        Some(row) if row.ifindex == ifindex => row,
        _ => return PodVerdict::plain(foreign(&head)),
    };
    let Some(peer) = tables.pod(&head.dst) else { return PodVerdict::plain(Reason::PodAway) };
    let ends = Ends { own, peer };
    if !fits(frame, &head, &ends) {
        return PodVerdict::plain(Reason::PodUnfit);
    }
    let Some(ports) = head::ports(frame, &head) else { return PodVerdict::plain(Reason::PodUnfit) };
    let reason = carry(&ends, &ports, tables);
    if !matches!(reason, Reason::PodPeer) {
        return PodVerdict::plain(reason);
    }
    let hand_over = HandOver {
        ifindex: ends.peer.ifindex,
        to: ends.peer.pod_mac,
        from: ends.peer.host_mac,
        hops: head.hops.wrapping_sub(1),
        v6: head.src.family == 6,
    };
    PodVerdict { reason, hand_over: Some(hand_over) }
}

/// A packet that the stack sends to the pod behind the link `ifindex`.
#[inline(always)]
pub fn decide_pod_out<B: Bytes + ?Sized, T: PodTables>(frame: &B, ifindex: u32, tables: &mut T) -> Reason {
    let head = match head::kind(frame) {
        Kind::Ipv4 => head::ipv4(frame),
        Kind::Ipv6 => head::ipv6(frame),
        Kind::Arp | Kind::Other => None,
    };
    let Some(head) = head else { return Reason::PodIn };
    let Some(own) = tables.pod(&head.src) else { return Reason::PodIn };
    let Some(peer) = tables.pod(&head.dst) else { return Reason::PodIn };
    if peer.ifindex != ifindex || own.ifindex == ifindex || matches!(head.part, Part::Later) {
        return Reason::PodIn;
    }
    match head::ports(frame, &head) {
        Some(ports) if !ports.error => remember(&Ends { own, peer }, &ports, tables),
        _ => Reason::PodIn,
    }
}

/// An ARP packet may ask or answer for the pod's own addresses, or probe without one (RFC 5227, section 2.1.1).
#[inline(always)]
fn arp<B: Bytes + ?Sized, T: PodTables>(frame: &B, ifindex: u32, tables: &T) -> Reason {
    let Some(sender) = head::arp_sender(frame) else { return Reason::PodSpoofArp };
    if sender == 0 {
        return Reason::PodLink;
    }
    match tables.pod(&PodKey::v4(sender)) {
        Some(row) if row.ifindex == ifindex => Reason::PodLink,
        _ => Reason::PodSpoofArp,
    }
}

/// A source that is none of the pod's: what stays on the link by its addresses may pass, so that neighbours are found
/// (RFC 4861) and groups are told (RFC 9777).
#[inline(always)]
fn foreign(head: &Head) -> Reason {
    if head.src.family == 4 {
        return Reason::PodSpoof4;
    }
    let unspecified = head.src.addr[0] | head.src.addr[1] | head.src.addr[2] | head.src.addr[3] == 0;
    let to_group = head.dst.addr[0].to_ne_bytes();
    let to_group = to_group[0] == 0xff && to_group[1] & 0x0f == 2;
    if unspecified && to_group || link_local(&head.src) && (to_group || link_local(&head.dst)) {
        return Reason::PodLink;
    }
    Reason::PodSpoof6
}

/// `fe80::/10` (RFC 4291, section 2.5.6).
#[inline(always)]
const fn link_local(key: &PodKey) -> bool {
    let start = key.addr[0].to_ne_bytes();
    start[0] == 0xfe && start[1] & 0xc0 == 0x80
}

/// Whether the packet may skip the stack at all. All but options and fragments is the same for every packet of a flow, as long
/// as the ports stay what they are.
#[inline(always)]
fn fits<B: Bytes + ?Sized>(frame: &B, head: &Head, ends: &Ends) -> bool {
    let ready = ends.own.flags & ends.peer.flags & PORT_READY != 0;
    let apart = ends.own.ifindex != ends.peer.ifindex;
    // What the own link carries, segments of an offloaded packet among it, the other link has to carry as well.
    let narrow = ends.own.mtu > ends.peer.mtu;
    let whole = head.plain && matches!(head.part, Part::Whole);
    if !ready || !apart || narrow || !whole || head.hops <= 1 {
        return false;
    }
    // Sent to the node as the next hop, not to a group or past it.
    frame.read::<6>(0) == Some(ends.own.host_mac)
}

/// Whether the pod `own` has the greater index.
#[inline(always)]
const fn is_high(ends: &Ends) -> bool {
    ends.own.ifindex > ends.peer.ifindex
}

#[inline(always)]
const fn key(ends: &Ends, ports: &Ports) -> PodFlowKey {
    let (low, high, low_port, high_port) = if is_high(ends) {
        (&ends.peer, &ends.own, ports.dst, ports.src)
    } else {
        (&ends.own, &ends.peer, ports.src, ports.dst)
    };
    PodFlowKey {
        low: low.ifindex,
        high: high.ifindex,
        low_port,
        high_port,
        proto: ports.proto,
        low_slot: low.slot,
        high_slot: high.slot,
        pad: 0,
    }
}

/// The first segment of a connection: SYN without ACK.
#[inline(always)]
const fn is_syn(ports: &Ports) -> bool {
    ports.proto == TCP && ports.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN
}

/// The bits a packet adds to its flow.
#[inline(always)]
const fn news(ends: &Ends, ports: &Ports, flow: &PodFlow) -> u8 {
    let from_client = is_high(ends) == (flow.flags & POD_FLOW_FROM_HIGH != 0);
    let fin = if from_client { STATE_CLIENT_FIN } else { STATE_SERVER_FIN };
    let mut state = if from_client { 0 } else { STATE_REPLIED };
    if ports.tcp_flags & TCP_FIN != 0 {
        state |= fin;
    }
    if ports.tcp_flags & TCP_RST != 0 {
        state |= STATE_RESET;
    }
    state
}

/// An entry of a flow that starts with this packet.
#[inline(always)]
const fn opened(ends: &Ends, fast: u8, now: u32) -> PodFlow {
    let from = if is_high(ends) { POD_FLOW_FROM_HIGH } else { 0 };
    PodFlow { seen: now, state: 0, flags: fast | from, pad: 0 }
}

/// Writes to an entry at most once a tick, and when its state changes.
#[inline(always)]
fn refresh<T: PodTables>(key: &PodFlowKey, flow: &PodFlow, state: u8, tables: &mut T) {
    let now = tables.now();
    if flow.seen != now || flow.state & state != state {
        tables.touch_pod_flow(key, now, state);
    }
}

/// Whether the packet of a pod skips the stack.
#[inline(always)]
fn carry<T: PodTables>(ends: &Ends, ports: &Ports, tables: &mut T) -> Reason {
    let key = key(ends, ports);
    let known = tables.pod_flow(&key);
    if ports.error {
        // An error belongs to its flow and opens none.
        return match known {
            Some(flow) if flow.flags & POD_FLOW_FAST != 0 => Reason::PodPeer,
            _ => Reason::PodStack,
        };
    }
    let opens = is_syn(ports) || ports.proto != TCP;
    if let Some(flow) = known {
        let closing = flow.state & (STATE_RESET | STATE_CLIENT_FIN | STATE_SERVER_FIN) != 0;
        let fast = flow.flags & POD_FLOW_FAST != 0;
        // Translation remembers a flow for as long whether it was answered or not, as far as we know.
        let ended = silent(flow.state | STATE_REPLIED, flow.seen, ports.proto, tables.now());
        // A new connection on the ports of one that is closing is a new flow.
        let over = if fast { is_syn(ports) && closing } else { opens && ended };
        if !over {
            refresh(&key, &flow, news(ends, ports, &flow), tables);
            return if fast { Reason::PodPeer } else { Reason::PodStack };
        }
    }
    if !opens {
        return Reason::PodStack;
    }
    let flow = opened(ends, POD_FLOW_FAST, tables.now());
    if tables.put_pod_flow(&key, &flow) { Reason::PodPeer } else { Reason::PodTable }
}

/// Keeps in mind that the stack carries this flow.
#[inline(always)]
fn remember<T: PodTables>(ends: &Ends, ports: &Ports, tables: &mut T) -> Reason {
    let key = key(ends, ports);
    if let Some(flow) = tables.pod_flow(&key) {
        if flow.flags & POD_FLOW_FAST == 0 {
            refresh(&key, &flow, news(ends, ports, &flow), tables);
            return Reason::PodFromStack;
        }
        let closing = flow.state & (STATE_RESET | STATE_CLIENT_FIN | STATE_SERVER_FIN) != 0;
        let ended = closing || silent(flow.state, flow.seen, ports.proto, tables.now());
        // A translated connection that looks like a redirected one of the same two pods and ports.
        if is_syn(ports) && !ended {
            return Reason::PodClash;
        }
    }
    let flow = opened(ends, 0, tables.now());
    // Without an entry the flow stays with the stack as well, but for UDP that a pod answers.
    let _unprotected = tables.put_pod_flow(&key, &flow);
    Reason::PodFromStack
}
