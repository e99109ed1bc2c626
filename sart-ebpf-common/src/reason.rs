//! What became of a packet. The numbers are the indices of the counters and part of the ABI: they are never
//! reused, and new ones are only added at the end.

/// The verdict's reason; every packet a program sees is counted under exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Reason {
    /// Passed: TCP or UDP to an address that is not ours.
    NotOurs = 0,
    /// Passed: not IPv4.
    NotIpv4 = 1,
    /// Passed: IPv4, but neither TCP nor UDP nor ICMP.
    OtherProtocol = 2,
    /// Passed: ICMP; errors about translated flows are not translated yet.
    Icmp = 3,
    /// Passed: shorter than its headers say.
    Short = 4,
    /// Passed: a header length below 20 (RFC 791, section 3.1) or another version.
    BadHeader = 5,
    /// Passed: a fragment; the stack reassembles what is meant for it.
    Fragment = 6,
    /// Translated: a new flow was given to an endpoint.
    NewFlow = 7,
    /// Translated: a known flow.
    Established = 8,
    /// Translated: TCP of a flow nobody knows (evicted, or older than the programs) was given to an endpoint.
    Adopted = 9,
    /// Translated: the flow's endpoint is gone, another one took it over (UDP, or TCP with SYN).
    Reselected = 10,
    /// Translated: another endpoint than the ring's first choice, because the reply could not be told from another flow.
    ClashAvoided = 11,
    /// Passed: sent straight to an endpoint's own address, and remembered.
    Direct = 12,
    /// Translated back: a reply.
    Reply = 13,
    /// Passed on the way out: no flow of ours.
    NoFlow = 14,
    /// Passed on the way out: a reply of a flow sent straight to an endpoint.
    DirectReply = 15,
    /// Dropped: no endpoint takes new flows.
    NoBackend = 16,
    /// Dropped: TCP whose endpoint is gone.
    BackendGone = 17,
    /// Dropped: no endpoint whose reply could be told from another flow of this client and port.
    Clash = 18,
    /// Dropped: the flow table took no entry.
    FlowTable = 19,
    /// Dropped: the packet could not be rewritten.
    Rewrite = 20,
    /// XDP, passed: to a virtual address.
    XdpVip = 21,
    /// XDP, passed: anything else.
    XdpOther = 22,
    /// Redirected: from a pod straight to another pod of this node.
    PodPeer = 23,
    /// Passed: from a pod to an address that is no pod of this node.
    PodAway = 24,
    /// Passed: between pods of this node, in a flow that the stack carries (translated, or older than its entry).
    PodStack = 25,
    /// Passed: between pods of this node, in a form that only the stack handles (fragment, options, other protocol, last hop, port not ready).
    PodUnfit = 26,
    /// Passed: a new flow between pods of this node that the flow table did not take.
    PodTable = 27,
    /// Passed: ARP of the pod's own address, or IPv6 that stays on the link.
    PodLink = 28,
    /// Passed: from a pod, neither IP nor ARP.
    PodOther = 29,
    /// Dropped: from a pod, with an IPv4 source that is not its own.
    PodSpoof4 = 30,
    /// Dropped: from a pod, with an IPv6 source that is not its own.
    PodSpoof6 = 31,
    /// Dropped: ARP of a pod that speaks for an address that is not its own.
    PodSpoofArp = 32,
    /// Dropped: a connection to a pod whose replies could not be told from those of a redirected one.
    PodClash = 33,
    /// Passed towards a pod: from a pod of this node by way of the stack, and remembered.
    PodFromStack = 34,
    /// Passed towards a pod: from anywhere else.
    PodIn = 35,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 36] = [
        Self::NotOurs,
        Self::NotIpv4,
        Self::OtherProtocol,
        Self::Icmp,
        Self::Short,
        Self::BadHeader,
        Self::Fragment,
        Self::NewFlow,
        Self::Established,
        Self::Adopted,
        Self::Reselected,
        Self::ClashAvoided,
        Self::Direct,
        Self::Reply,
        Self::NoFlow,
        Self::DirectReply,
        Self::NoBackend,
        Self::BackendGone,
        Self::Clash,
        Self::FlowTable,
        Self::Rewrite,
        Self::XdpVip,
        Self::XdpOther,
        Self::PodPeer,
        Self::PodAway,
        Self::PodStack,
        Self::PodUnfit,
        Self::PodTable,
        Self::PodLink,
        Self::PodOther,
        Self::PodSpoof4,
        Self::PodSpoof6,
        Self::PodSpoofArp,
        Self::PodClash,
        Self::PodFromStack,
        Self::PodIn,
    ];

    /// Its counter.
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The label of metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::NotIpv4 => "not_ipv4",
            Self::OtherProtocol => "other_protocol",
            Self::Icmp => "icmp",
            Self::Short => "short",
            Self::BadHeader => "bad_header",
            Self::Fragment => "fragment",
            Self::NewFlow => "new_flow",
            Self::Established => "established",
            Self::Adopted => "adopted",
            Self::Reselected => "reselected",
            Self::ClashAvoided => "clash_avoided",
            Self::Direct => "direct",
            Self::Reply => "reply",
            Self::NoFlow => "no_flow",
            Self::DirectReply => "direct_reply",
            Self::NoBackend => "no_backend",
            Self::BackendGone => "backend_gone",
            Self::Clash => "clash",
            Self::FlowTable => "flow_table",
            Self::Rewrite => "rewrite",
            Self::XdpVip => "xdp_vip",
            Self::XdpOther => "xdp_other",
            Self::PodPeer => "pod_peer",
            Self::PodAway => "pod_away",
            Self::PodStack => "pod_stack",
            Self::PodUnfit => "pod_unfit",
            Self::PodTable => "pod_table",
            Self::PodLink => "pod_link",
            Self::PodOther => "pod_other",
            Self::PodSpoof4 => "pod_spoof_ipv4",
            Self::PodSpoof6 => "pod_spoof_ipv6",
            Self::PodSpoofArp => "pod_spoof_arp",
            Self::PodClash => "pod_clash",
            Self::PodFromStack => "pod_from_stack",
            Self::PodIn => "pod_in",
        }
    }

    /// Whether a flow was given to an endpoint.
    #[must_use]
    pub const fn opens(self) -> bool {
        matches!(self, Self::NewFlow | Self::Adopted | Self::Reselected | Self::ClashAvoided)
    }

    /// Whether the packet is dropped.
    #[must_use]
    pub const fn is_drop(self) -> bool {
        matches!(self, Self::NoBackend | Self::BackendGone | Self::Clash | Self::FlowTable | Self::Rewrite)
            || matches!(self, Self::PodSpoof4 | Self::PodSpoof6 | Self::PodSpoofArp | Self::PodClash)
    }
}
