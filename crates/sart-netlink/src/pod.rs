//! The writes and reads that make a pod's link: a veth pair across two namespaces, addresses, neighbours and routes, sent in
//! as few datagrams as their order allows (linux/if_link.h, linux/neighbour.h, linux/veth.h).

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use ipnet::IpNet;
use sart_fib::{KernelRoute, RouteAction};

use crate::attr::{Attr, Request, attrs_after, find, push_attr, text, u16_at, u32_at};
use crate::blocking::BlockingHandle;
use crate::error::{ActionFailure, RequestError};
use crate::exchange::{Answer, Reply};
use crate::link::{Address, Link, addresses_request, decode_address, decode_link, links_request};
use crate::route::{AF_INET, AF_INET6, action_request, address, decode, dump_request, family, octets};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// No duplicate address detection: a /128 on a link of its own has no duplicate (RFC 4862, section 5.4 lets it be off).
const IFA_F_NODAD: u32 = 2;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
const NESTED: u16 = 0x8000;
const IFF_UP: u32 = 1;

/// A veth pair with one end in another namespace.
#[derive(Debug, Clone, Copy)]
pub struct Veth<'a> {
    /// Name of the end in the socket's namespace.
    pub host: &'a str,
    /// Its MAC.
    pub host_mac: [u8; 6],
    /// Its alias: who owns the pair.
    pub alias: &'a str,
    /// Name of the far end.
    pub pod: &'a str,
    /// Its MAC.
    pub pod_mac: [u8; 6],
    /// Namespace of the far end.
    pub netns: BorrowedFd<'a>,
    /// MTU of both ends in bytes.
    pub mtu: u32,
}

/// One write to a link that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Brings a link up.
    Up {
        /// The link.
        ifindex: u32,
    },
    /// An address, usable at once.
    Address {
        /// The link.
        ifindex: u32,
        /// With its prefix length.
        address: IpNet,
    },
    /// A neighbour that never has to be asked for.
    Neighbour {
        /// The link.
        ifindex: u32,
        /// Its address.
        address: IpAddr,
        /// Its MAC.
        mac: [u8; 6],
    },
    /// A route.
    Route(RouteAction),
}

/// A link with what a pair is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairLink {
    /// The link.
    pub link: Link,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Its alias; empty if it has none.
    pub alias: String,
    /// Index of the other end, in that end's namespace; 0 if there is none.
    pub peer: u32,
}

/// A permanent neighbour entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The link.
    pub ifindex: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC.
    pub mac: [u8; 6],
}

impl BlockingHandle {
    /// Makes a pair, its near end up, and returns the near end as the kernel has it.
    ///
    /// # Errors
    /// `EEXIST` when either name is taken; nothing is left then.
    pub fn create_veth(&mut self, veth: &Veth<'_>) -> Result<PairLink, RequestError> {
        let what = "make a veth pair";
        let alias = link_request(RTM_SETLINK, veth.host).attr(IFLA_IFALIAS, veth.alias.as_bytes());
        let requests = vec![create_request(veth), alias, link_request(RTM_GETLINK, veth.host)];
        let mut answers = self.exchange(requests)?.into_iter();
        let mut next = || -> Answer { answers.next().unwrap_or(Ok(Vec::new())) };
        let refused = |what| move |refusal| RequestError::Refused { what, refusal };
        next().map_err(refused(what))?;
        let named = next().map_err(refused("name the owner of a link"));
        let found = next().map_err(refused("read a new link"));
        let found = named.and(found).and_then(|replies| {
            let link = replies.first().and_then(|reply| decode_pair(&reply.body));
            link.ok_or(RequestError::Malformed("a new link"))
        });
        if found.is_err() {
            self.delete_link(veth.host)?;
        }
        found
    }

    /// The link of that name.
    ///
    /// # Errors
    /// Anything but its absence.
    pub fn link_named(&mut self, name: &str) -> Result<Option<PairLink>, RequestError> {
        match self.transact("read a link", link_request(RTM_GETLINK, name)) {
            Ok(replies) => match replies.first() {
                Some(reply) => decode_pair(&reply.body).map(Some).ok_or(RequestError::Malformed("a link")),
                None => Err(RequestError::Malformed("a link")),
            },
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The link of that index.
    ///
    /// # Errors
    /// Anything but its absence, or a MAC that is none.
    pub fn link_at(&mut self, ifindex: u32) -> Result<Option<PairLink>, RequestError> {
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
        match self.transact("read a link", Request::new(RTM_GETLINK, 0, &header)) {
            Ok(replies) => Ok(replies.first().and_then(|reply| decode_pair(&reply.body))),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All links.
    ///
    /// # Errors
    /// The dump fails.
    pub fn pair_links(&mut self) -> Result<Vec<PairLink>, RequestError> {
        let replies = self.dump("dump links", &links_request())?;
        // A link whose MAC has another length is no pair of ours.
        Ok(replies.iter().filter_map(|reply| decode_pair(&reply.body)).collect())
    }

    /// Deletes a link, and its peer with it; false if there is none.
    ///
    /// # Errors
    /// Anything but its absence.
    pub fn delete_link(&mut self, name: &str) -> Result<bool, RequestError> {
        gone_is_fine(self.transact("delete a link", link_request(RTM_DELLINK, name)))
    }

    /// Deletes links in one go: the kernel waits once for all of them instead of once for each. They are marked with `group`,
    /// which must be nobody else's. Links that are gone are no error.
    ///
    /// # Errors
    /// The kernel refuses; some links may be gone then.
    pub fn delete_links(&mut self, names: &[&str], group: u32) -> Result<(), RequestError> {
        let mark = |name: &&str| link_request(RTM_SETLINK, name).attr_u32(IFLA_GROUP, group);
        for answer in self.exchange(names.iter().map(mark).collect())? {
            if let Err(refusal) = answer
                && refusal.errno != libc::ENODEV
            {
                return Err(RequestError::Refused { what: "mark a link", refusal });
            }
        }
        let delete = Request::new(RTM_DELLINK, 0, &[0; 16]).attr_u32(IFLA_GROUP, group);
        gone_is_fine(self.transact("delete links", delete)).map(drop)
    }

    /// Carries out writes in order, in one datagram, and returns what was refused.
    ///
    /// # Errors
    /// The socket fails; what became of the writes is not known then.
    pub fn write(&mut self, writes: &[Write]) -> Result<Vec<ActionFailure>, RequestError> {
        let answers = self.exchange(writes.iter().map(write_request).collect())?;
        let refused = answers
            .into_iter()
            .enumerate()
            .filter_map(|(index, answer)| answer.err().map(|refusal| ActionFailure { index, refusal }));
        Ok(refused.collect())
    }

    /// All addresses of both families.
    ///
    /// # Errors
    /// The dump fails.
    pub fn all_addresses(&mut self) -> Result<Vec<Address>, RequestError> {
        let replies = self.dump("dump addresses", &addresses_request())?;
        Ok(replies.iter().filter_map(|reply| decode_address(&reply.body)).collect())
    }

    /// All routes of both families.
    ///
    /// # Errors
    /// The dump fails.
    pub fn all_routes(&mut self) -> Result<Vec<KernelRoute>, RequestError> {
        let mut routes = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let replies = self.dump("dump routes", &dump_request(family))?;
            routes.extend(replies.iter().filter_map(|reply| decode(&reply.body)));
        }
        Ok(routes)
    }

    /// All permanent neighbours of both families.
    ///
    /// # Errors
    /// The dump fails.
    pub fn permanent_neighbours(&mut self) -> Result<Vec<Neighbour>, RequestError> {
        let replies = self.dump("dump neighbours", &Request::new(RTM_GETNEIGH, 0, &[0; 12]))?;
        Ok(replies.iter().filter_map(|reply| decode_neighbour(&reply.body)).collect())
    }

    /// Index of the link over which the kernel would send to `to`; none without a route.
    ///
    /// # Errors
    /// Anything but the absence of a route.
    pub fn link_towards(&mut self, to: IpAddr) -> Result<Option<u32>, RequestError> {
        let replies = match self.transact("look up a route", crate::route::lookup_request(to)) {
            Err(RequestError::Refused { .. }) => return Ok(None),
            replies => replies?,
        };
        let found = replies.first().and_then(|reply| crate::route::decode_lookup(&reply.body));
        Ok(found.map(|found| found.ifindex).filter(|ifindex| *ifindex != 0))
    }
}

fn gone_is_fine(result: Result<Vec<Reply>, RequestError>) -> Result<bool, RequestError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn link_request(kind: u16, name: &str) -> Request {
    Request::new(kind, 0, &[0; 16]).attr(IFLA_IFNAME, &terminated(name))
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// An `ifinfomsg` that brings a link up.
fn up(ifindex: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header[8..12].copy_from_slice(&IFF_UP.to_ne_bytes());
    header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    header
}

/// The peer's attributes stand behind an `ifinfomsg` of its own. The kernel configures the peer before it knows its other
/// half, and refuses to bring it up then (`veth_open`).
fn create_request(veth: &Veth<'_>) -> Request {
    let mtu = veth.mtu.to_ne_bytes();
    let mut peer = vec![0; 16];
    push_attr(&mut peer, IFLA_IFNAME, &terminated(veth.pod));
    push_attr(&mut peer, IFLA_ADDRESS, &veth.pod_mac);
    push_attr(&mut peer, IFLA_MTU, &mtu);
    push_attr(&mut peer, IFLA_NET_NS_FD, &veth.netns.as_raw_fd().to_ne_bytes());
    let mut data = Vec::new();
    push_attr(&mut data, VETH_INFO_PEER | NESTED, &peer);
    let mut info = Vec::new();
    push_attr(&mut info, IFLA_INFO_KIND, b"veth");
    push_attr(&mut info, IFLA_INFO_DATA | NESTED, &data);
    Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up(0))
        .attr(IFLA_IFNAME, &terminated(veth.host))
        .attr(IFLA_ADDRESS, &veth.host_mac)
        .attr(IFLA_MTU, &mtu)
        .nested(IFLA_LINKINFO, &info)
}

fn write_request(write: &Write) -> Request {
    match write {
        Write::Up { ifindex } => Request::new(RTM_SETLINK, 0, &up(*ifindex)),
        Write::Address { ifindex, address } => address_request(*ifindex, *address),
        Write::Neighbour { ifindex, address, mac } => neighbour_request(*ifindex, *address, *mac),
        Write::Route(action) => action_request(action),
    }
}

fn address_request(ifindex: u32, net: IpNet) -> Request {
    let mut header = [family(net.addr()), net.prefix_len(), 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    let value = octets(net.addr());
    let request = Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &header)
        .attr(IFA_LOCAL, &value)
        .attr(IFA_ADDRESS, &value);
    if net.addr().is_ipv6() { request.attr_u32(IFA_FLAGS, IFA_F_NODAD) } else { request }
}

fn neighbour_request(ifindex: u32, to: IpAddr, mac: [u8; 6]) -> Request {
    let mut header = [0; 12];
    header[0] = family(to);
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header[8..10].copy_from_slice(&NUD_PERMANENT.to_ne_bytes());
    Request::new(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header)
        .attr(NDA_DST, &octets(to))
        .attr(NDA_LLADDR, &mac)
}

fn decode_pair(body: &[u8]) -> Option<PairLink> {
    let link = decode_link(body)?;
    let value = |kind| attrs_after(body, 16).find(|attr| attr.kind == kind);
    let mac = value(IFLA_ADDRESS)?.value.try_into().ok()?;
    let alias = value(IFLA_IFALIAS).map(|attr| text(attr.value).to_owned()).unwrap_or_default();
    let peer = value(IFLA_LINK).as_ref().and_then(Attr::u32).unwrap_or(0);
    Some(PairLink { link, mac, alias, peer })
}

fn decode_neighbour(body: &[u8]) -> Option<Neighbour> {
    let attributes = body.get(12..)?;
    if u16_at(body, 8)? & NUD_PERMANENT == 0 {
        return None;
    }
    let address = address(find(attributes, NDA_DST)?)?;
    let mac = find(attributes, NDA_LLADDR)?.try_into().ok()?;
    Some(Neighbour { ifindex: u32_at(body, 4)?, address, mac })
}
