//! The keys and values of the kernel maps, byte for byte, and the maps themselves. Padding is explicit, because the
//! verifier refuses keys with bytes nobody wrote; sizes are checked at compile time.
//!
//! Addresses and ports are kept as the packet has them: the bytes in network order, read as a native integer
//! ([`be32`], [`be16`]).

use bytemuck::{Pod, Zeroable};

/// An address as the packet has it.
#[must_use]
pub const fn be32(octets: [u8; 4]) -> u32 {
    u32::from_ne_bytes(octets)
}

/// A port as the packet has it.
#[must_use]
pub const fn be16(host: u16) -> u16 {
    host.to_be()
}

/// Key of [`VIPS`]: what a packet is addressed to.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct VipKey {
    /// Destination address, network order.
    pub addr: u32,
    /// Destination port, network order.
    pub port: u16,
    /// IPv4 protocol number.
    pub proto: u8,
    /// Reserved, 0.
    pub scope: u8,
}

/// The row is a virtual address (otherwise: an endpoint that clients may also reach directly).
pub const VIP_SERVICE: u32 = 1;

/// Value of [`VIPS`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Vip {
    /// Rises with every change of the row or of its ring; read back as the serving proof.
    pub generation: u64,
    /// First slot of the row's ring, a multiple of [`SLOTS_PER_WORD`].
    pub ring_base: u32,
    /// Slots of the ring minus one (the ring's size is a power of two).
    pub ring_mask: u32,
    /// Index into [`VIP_STATS`].
    pub stat: u32,
    /// Endpoints that take new flows; with 0 the packet is dropped.
    pub backends: u32,
    /// [`VIP_SERVICE`].
    pub flags: u32,
    /// Zero.
    pub pad: u32,
}

/// The endpoint exists: its flows are translated.
pub const BACKEND_LIVE: u16 = 1;
/// The endpoint gets no new flow.
pub const BACKEND_DRAINING: u16 = 2;

/// Value of [`BACKENDS`]. A row that is not live keeps its generation, so that the next user of the index gets
/// another one and no flow of the old endpoint reaches the new one.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Backend {
    /// Which pod it is (a hash of its UID).
    pub identity: u64,
    /// Its address, network order.
    pub addr: u32,
    /// Counts the endpoints this index has had.
    pub generation: u32,
    /// Its port, network order.
    pub port: u16,
    /// [`BACKEND_LIVE`], [`BACKEND_DRAINING`].
    pub flags: u16,
    /// Zero.
    pub pad: u32,
}

/// The entry is looked up by packets of the client, on their way in.
pub const DIR_FORWARD: u8 = 0;
/// The entry is looked up by replies, on their way out.
pub const DIR_REVERSE: u8 = 1;

/// Key of [`FLOWS`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct FlowKey {
    /// Source address, network order.
    pub src: u32,
    /// Destination address, network order.
    pub dst: u32,
    /// Source port, network order.
    pub sport: u16,
    /// Destination port, network order.
    pub dport: u16,
    /// IPv4 protocol number.
    pub proto: u8,
    /// [`DIR_FORWARD`] or [`DIR_REVERSE`].
    pub dir: u8,
    /// Reserved, 0.
    pub zone: u16,
}

/// The flow goes to the endpoint's own address: nothing is translated.
pub const FLOW_DIRECT: u8 = 1;

/// The client sent FIN.
pub const STATE_CLIENT_FIN: u8 = 1;
/// The endpoint sent FIN.
pub const STATE_SERVER_FIN: u8 = 2;
/// Either side sent RST.
pub const STATE_RESET: u8 = 4;
/// The endpoint answered.
pub const STATE_REPLIED: u8 = 8;

/// Value of [`FLOWS`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Flow {
    /// What replaces the destination (forward) or the source (reverse) address, network order.
    pub nat_addr: u32,
    /// What replaces the destination (forward) or the source (reverse) port, network order.
    pub nat_port: u16,
    /// Index into [`BACKENDS`].
    pub backend: u16,
    /// Generation of the endpoint the flow was given to.
    pub generation: u32,
    /// Index into [`VIP_STATS`].
    pub stat: u32,
    /// Time of the last refresh, in ticks ([`crate::verdict::TICK_SHIFT`]).
    pub seen: u32,
    /// `STATE_*` bits.
    pub state: u8,
    /// [`FLOW_DIRECT`].
    pub flags: u8,
    /// Zero.
    pub pad: [u8; 10],
}

/// Key of [`PODS`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct PodKey {
    /// The address in network order; IPv4 has the first word only.
    pub addr: [u32; 4],
    /// 4 or 6: an IPv4 address and the IPv6 address that maps it are not the same.
    pub family: u32,
}

impl PodKey {
    /// The key of an IPv4 address, which is in network order.
    #[must_use]
    #[inline(always)]
    pub const fn v4(addr: u32) -> Self {
        Self { addr: [addr, 0, 0, 0], family: 4 }
    }

    /// The key of an IPv6 address.
    #[must_use]
    #[inline(always)]
    pub const fn v6(addr: [u32; 4]) -> Self {
        Self { addr, family: 6 }
    }
}

/// Programs and rows of the port are complete: packets may be redirected from and to it. A link that is shaped never gets so
/// far: what is redirected passes by its queueing disciplines.
pub const PORT_READY: u16 = 1;

/// Value of [`PODS`]: where the pod with an address is attached.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct PodRow {
    /// Index of the host's end of its link.
    pub ifindex: u32,
    /// What its link carries, in bytes without the link layer's header.
    pub mtu: u32,
    /// [`PORT_READY`].
    pub flags: u16,
    /// Which of the pod's addresses it is.
    pub slot: u8,
    /// Zero.
    pub pad: u8,
    /// MAC of the host's end.
    pub host_mac: [u8; 6],
    /// MAC of the pod's end.
    pub pod_mac: [u8; 6],
}

/// Key of [`POD_FLOWS`], the same for both directions: `low` is the port with the smaller index. An index is not given
/// again while the node runs, so a flow never outlives its pods.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct PodFlowKey {
    /// Index of one pod's link.
    pub low: u32,
    /// Index of the other pod's link.
    pub high: u32,
    /// Its transport port, network order.
    pub low_port: u16,
    /// Its transport port, network order.
    pub high_port: u16,
    /// Protocol number.
    pub proto: u8,
    /// Which of its pod's addresses.
    pub low_slot: u8,
    /// Which of its pod's addresses.
    pub high_slot: u8,
    /// Zero.
    pub pad: u8,
}

/// The programs carry the flow from pod to pod; otherwise the stack does, which may translate it.
pub const POD_FLOW_FAST: u8 = 1;
/// The end `high` sent the first packet.
pub const POD_FLOW_FROM_HIGH: u8 = 2;

/// Value of [`POD_FLOWS`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct PodFlow {
    /// Time of the last refresh, in ticks ([`crate::verdict::TICK_SHIFT`]).
    pub seen: u32,
    /// `STATE_*` bits; the client is the end that sent the first packet.
    pub state: u8,
    /// [`POD_FLOW_FAST`], [`POD_FLOW_FROM_HIGH`].
    pub flags: u8,
    /// Zero.
    pub pad: u16,
}

/// Value of [`REASONS`], one per CPU.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, with the link layer's header.
    pub bytes: u64,
}

/// Value of [`VIP_STATS`], one per CPU.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct VipStats {
    /// Packets sent on to an endpoint.
    pub packets: u64,
    /// Bytes of them, with the link layer's header.
    pub bytes: u64,
    /// Flows given to an endpoint.
    pub flows: u64,
    /// Packets dropped.
    pub drops: u64,
    /// Replies translated back.
    pub replies: u64,
    /// Packets the XDP program saw.
    pub xdp_packets: u64,
}

/// Value of [`CONFIG`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Settings {
    /// Highest generation ever given to a row, so that a restarted agent never repeats one.
    pub generation: u64,
    /// [`crate::ABI`].
    pub abi: u32,
    /// Zero.
    pub pad: u32,
}

/// Ring slots (backend indices) in one element of [`RING`]: an array rounds its elements up to 8 bytes.
pub const SLOTS_PER_WORD: u32 = 4;

/// Kinds of maps we use, with the kernel's numbers (`enum bpf_map_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`.
    Hash = 1,
    /// `BPF_MAP_TYPE_ARRAY`.
    Array = 2,
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`.
    PerCpuArray = 6,
    /// `BPF_MAP_TYPE_LRU_HASH`.
    LruHash = 9,
}

/// Layout of one map; what is pinned must equal it before it is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object and in the pin folder, at most 15 characters.
    pub name: &'static str,
    /// Its type.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key: u32,
    /// Bytes of a value.
    pub value: u32,
    /// Entries.
    pub max_entries: u32,
    /// `BPF_F_*` flags.
    pub flags: u32,
}

/// `BPF_F_MMAPABLE` (5.5).
pub const F_MMAPABLE: u32 = 1 << 10;

const fn spec<K, V>(name: &'static str, kind: MapKind, max_entries: u32, flags: u32) -> MapSpec {
    assert!(name.len() <= 15);
    MapSpec { name, kind, key: size_of::<K>() as u32, value: size_of::<V>() as u32, max_entries, flags }
}

/// Virtual addresses, and endpoints that may also be reached directly.
pub const VIPS: MapSpec = spec::<VipKey, Vip>("VIPS4", MapKind::Hash, 32_768, 0);
/// Endpoints by index.
pub const BACKENDS: MapSpec = spec::<u32, Backend>("BACKENDS", MapKind::Array, 65_536, 0);
/// Ring slots, four to a word.
pub const RING: MapSpec = spec::<u32, u64>("RING", MapKind::Array, 262_144, F_MMAPABLE);
/// Flows, two entries each.
pub const FLOWS: MapSpec = spec::<FlowKey, Flow>("FLOWS4", MapKind::LruHash, 131_072, 0);
/// Packets by [`crate::reason::Reason`].
pub const REASONS: MapSpec = spec::<u32, Count>("REASONS", MapKind::PerCpuArray, 64, 0);
/// Packets by virtual address.
pub const VIP_STATS: MapSpec = spec::<u32, VipStats>("VIP_STATS", MapKind::PerCpuArray, 8_192, 0);
/// Settings that outlive an agent.
pub const CONFIG: MapSpec = spec::<u32, Settings>("CONFIG", MapKind::Array, 1, 0);

/// Pods of this node by address.
pub const PODS: MapSpec = spec::<PodKey, PodRow>("PODS", MapKind::Hash, 4_096, 0);
/// Flows between pods of this node, one entry each.
pub const POD_FLOWS: MapSpec = spec::<PodFlowKey, PodFlow>("POD_FLOWS", MapKind::LruHash, 65_536, 0);

/// All maps.
pub const MAPS: [MapSpec; 9] = [VIPS, BACKENDS, RING, FLOWS, REASONS, VIP_STATS, CONFIG, PODS, POD_FLOWS];

const _: () = {
    assert!(size_of::<VipKey>() == 8 && align_of::<VipKey>() == 4);
    assert!(size_of::<Vip>() == 32 && align_of::<Vip>() == 8);
    assert!(size_of::<Backend>() == 24 && align_of::<Backend>() == 8);
    assert!(size_of::<FlowKey>() == 16 && align_of::<FlowKey>() == 4);
    assert!(size_of::<Flow>() == 32 && align_of::<Flow>() == 4);
    assert!(size_of::<PodKey>() == 20 && size_of::<PodRow>() == 24 && align_of::<PodRow>() == 4);
    assert!(size_of::<PodFlowKey>() == 16 && size_of::<PodFlow>() == 8 && align_of::<PodFlow>() == 4);
    assert!(size_of::<Count>() == 16 && size_of::<VipStats>() == 48 && size_of::<Settings>() == 16);
};
