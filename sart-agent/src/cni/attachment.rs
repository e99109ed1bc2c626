//! One attachment: its key, what was chosen for it, and the names that follow from the key alone, so that they are the same
//! after every crash.

use std::net::IpAddr;

use ipnet::IpNet;
pub use sart_cni::AttachmentKey;
use sart_fib::route::{Leg, PROTOCOL_POD, Route, RouteKey, TABLE_MAIN};
use serde::{Deserialize, Serialize};

use super::addresses::PodAddress;
use super::ports::PodPort;

/// Aliases begin with it; nothing without it is ever touched.
pub const ALIAS: &str = "sart:";
/// `IFALIASZ` is 256 with the end.
const LONGEST_ALIAS: usize = 250;
/// Metric of the routes to pods; 1024 is what IPv6 would make of 0.
const METRIC: u32 = 1024;
/// The IPv4 gateway of every pod (RFC 3927: link-local, never routed). No link holds it: the neighbour entry is static.
pub const GATEWAY_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 1, 1));
/// The IPv6 gateway of every pod.
pub const GATEWAY_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// What an attachment consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its key.
    pub key: AttachmentKey,
    /// The pod as `namespace/name`, for people; empty if the runtime did not say.
    #[serde(default)]
    pub pod: String,
    /// `CNI_NETNS` at the time.
    #[serde(default)]
    pub netns: String,
    /// Its addresses.
    pub addresses: Vec<PodAddress>,
    /// MAC of the host's end.
    pub host_mac: [u8; 6],
    /// MAC of the pod's end.
    pub pod_mac: [u8; 6],
    /// MTU of both ends.
    pub mtu: u32,
    /// Index of the host's end; 0 until it is made.
    #[serde(default)]
    pub ifindex: u32,
    /// Index of the pod's end in its namespace; 0 until it is made.
    #[serde(default)]
    pub pod_ifindex: u32,
    /// A later plugin shapes the link.
    #[serde(default)]
    pub shaped: bool,
}

/// Name of the host's end: 15 characters are all the kernel has room for.
#[must_use]
pub fn link_name(key: &AttachmentKey) -> String {
    format!("sart{:011x}", key.digest() & 0xfff_ffff_ffff)
}

/// A locally administered unicast MAC (IEEE 802, the two low bits of the first octet) that follows from the key.
#[must_use]
pub fn mac(key: &AttachmentKey, end: u8) -> [u8; 6] {
    let [a, b, c, d, e, ..] = key.digest().to_be_bytes();
    [0x02 | (end << 4), a, b, c, d, e]
}

/// MAC of the host's end.
#[must_use]
pub fn host_mac(key: &AttachmentKey) -> [u8; 6] {
    mac(key, 0xe)
}

/// The alias of the host's end.
#[must_use]
pub fn alias(key: &AttachmentKey) -> String {
    let alias = format!("{ALIAS}{key}");
    if alias.len() <= LONGEST_ALIAS { alias } else { format!("{ALIAS}#{:016x}", key.digest()) }
}

/// The key in an alias of ours; none when it was too long to be written there.
#[must_use]
pub fn key_of(alias: &str) -> Option<AttachmentKey> {
    let mut parts = alias.strip_prefix(ALIAS)?.split('/').map(str::to_owned);
    let (network, container, ifname) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(AttachmentKey { network, container, ifname })
}

/// An address as the pod has it: alone.
#[must_use]
pub fn host_prefix(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// The route to an address over a link.
#[must_use]
pub fn route(address: IpAddr, ifindex: u32) -> Route {
    let key = RouteKey { table: TABLE_MAIN, prefix: host_prefix(address), metric: METRIC };
    Route::unicast(key, PROTOCOL_POD, vec![Leg { gateway: None, ifindex, weight: 1, onlink: false }])
}

/// The gateway of an address's family.
#[must_use]
pub const fn gateway(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { GATEWAY_V4 } else { GATEWAY_V6 }
}

/// `02:…`, as everybody writes it.
#[must_use]
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Reads six octets in hexadecimal with colons.
#[must_use]
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    // Multicast is no station's address.
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}

impl Attachment {
    /// Name of the host's end.
    #[must_use]
    pub fn link(&self) -> String {
        link_name(&self.key)
    }

    /// For the dataplane.
    #[must_use]
    pub fn port(&self) -> PodPort {
        PodPort {
            ifindex: self.ifindex,
            link: self.link(),
            host_mac: self.host_mac,
            pod_ifindex: self.pod_ifindex,
            pod_mac: self.pod_mac,
            addresses: self.ips().collect(),
            shaped: self.shaped,
        }
    }

    /// The bare addresses.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|taken| taken.address)
    }
}
