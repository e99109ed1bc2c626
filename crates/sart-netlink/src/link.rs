//! Interfaces and their addresses from rtnetlink bytes (linux/if_link.h, linux/if_addr.h).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::attr::{Request, attrs_after, find, text, u32_at};
use crate::route::address;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFINFOMSG_LEN: usize = 16;
const IFADDRMSG_LEN: usize = 8;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x1_0000;
const IFF_LOOPBACK: u32 = 8;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Driver kind (`veth`, `bridge`, …); empty for hardware and loopback.
    pub kind: String,
    /// Administratively up.
    pub up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Index of the bridge or bond it belongs to.
    pub master: Option<u32>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Interface index.
    pub ifindex: u32,
    /// The address with its prefix length, host bits kept.
    pub address: IpNet,
    /// `rtm_scope`: 0 global, 253 link, 254 host.
    pub scope: u8,
}

pub(crate) fn links_request() -> Request {
    Request::new(RTM_GETLINK, 0, &[0; IFINFOMSG_LEN])
}

pub(crate) fn addresses_request() -> Request {
    Request::new(RTM_GETADDR, 0, &[0; IFADDRMSG_LEN])
}

pub(crate) fn decode_link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let mut link = Link {
        index: u32_at(body, 4)?,
        name: String::new(),
        kind: String::new(),
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        mtu: 0,
        master: None,
    };
    for attr in attrs_after(body, IFINFOMSG_LEN) {
        match attr.kind {
            IFLA_IFNAME => link.name = text(attr.value).to_owned(),
            IFLA_MTU => link.mtu = attr.u32()?,
            IFLA_MASTER => link.master = attr.u32(),
            IFLA_LINKINFO => link.kind = find(attr.value, IFLA_INFO_KIND).map(text)?.to_owned(),
            _ => {}
        }
    }
    Some(link)
}

/// On point-to-point links `IFA_ADDRESS` is the far end, so `IFA_LOCAL` goes first.
pub(crate) fn decode_address(body: &[u8]) -> Option<Address> {
    let header = body.get(..IFADDRMSG_LEN)?;
    let attributes = body.get(IFADDRMSG_LEN..)?;
    let value = find(attributes, IFA_LOCAL).or_else(|| find(attributes, IFA_ADDRESS))?;
    let ip: IpAddr = address(value)?;
    Some(Address { ifindex: u32_at(body, 4)?, address: IpNet::new(ip, header[1]).ok()?, scope: header[3] })
}
