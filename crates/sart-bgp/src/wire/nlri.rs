//! Routes in the form of NLRI (RFC 4271 section 4.3, RFC 4760 section 5, RFC 7911 section 3): a checked view over the
//! bytes of a message, and the way back. Must never judge which prefixes are welcome, or allocate on reading.

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::reader::Reader;
use crate::family::Family;

/// How the routes of a family are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A length in bits up to the number given, then as many octets as it takes.
    Prefix(u8),
    /// A type, a length in octets, a value (RFC 7432 section 7): a type that nobody knows can be stepped over.
    Typed,
}

/// `None` for a family whose routes cannot be told apart here.
const fn layout(family: Family) -> Option<Layout> {
    match family {
        Family::IPV4_UNICAST => Some(Layout::Prefix(32)),
        Family::IPV6_UNICAST => Some(Layout::Prefix(128)),
        Family::EVPN => Some(Layout::Typed),
        _ => None,
    }
}

/// The routes of one family in one field of a message. Checked: each is whole, and no prefix is longer than its family
/// allows, so that the iterators cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nlri<'a> {
    family: Family,
    path_ids: bool,
    bytes: &'a [u8],
    count: usize,
}

/// An IPv4 prefix as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V4Route {
    /// Path identifier (RFC 7911); 0 if the family has none on this session.
    pub path_id: u32,
    /// The address as a number; bits behind the prefix are zero.
    pub bits: u32,
    /// Prefix length, at most 32.
    pub len: u8,
}

/// An IPv6 prefix as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V6Route {
    /// Path identifier (RFC 7911); 0 if the family has none on this session.
    pub path_id: u32,
    /// The address as a number; bits behind the prefix are zero.
    pub bits: u128,
    /// Prefix length, at most 128.
    pub len: u8,
}

/// A route of a family without prefixes, not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedRoute<'a> {
    /// Path identifier (RFC 7911); 0 if the family has none on this session.
    pub path_id: u32,
    /// Route type.
    pub kind: u8,
    /// What follows the length.
    pub value: &'a [u8],
}

impl<'a> Nlri<'a> {
    /// Checks a field to its end; `None` if a route is too long or cut off (RFC 7606 section 5.3), or if the family's
    /// routes cannot be told apart.
    #[must_use]
    pub fn check(family: Family, path_ids: bool, bytes: &'a [u8]) -> Option<Self> {
        let layout = layout(family)?;
        let mut reader = Reader::new(bytes);
        let mut count = 0;
        while !reader.is_empty() {
            if path_ids {
                reader.take(4)?;
            }
            let first = reader.u8()?;
            let len = match layout {
                Layout::Prefix(max) if first <= max => octets(first),
                Layout::Prefix(_) => return None,
                Layout::Typed => usize::from(reader.u8()?),
            };
            reader.take(len)?;
            count += 1;
        }
        Some(Self { family, path_ids, bytes, count })
    }

    /// A field without routes.
    #[must_use]
    pub const fn empty(family: Family) -> Self {
        Self { family, path_ids: false, bytes: &[], count: 0 }
    }

    /// The family of every route.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// How many routes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether each route carries a path identifier.
    #[must_use]
    pub const fn has_path_ids(&self) -> bool {
        self.path_ids
    }

    /// The prefixes with their path identifiers, of either unicast family; nothing for other families.
    pub fn prefixes(&self) -> impl Iterator<Item = (u32, IpNet)> + use<'a> {
        let v4 = self.v4().filter_map(|route| {
            Some((route.path_id, IpNet::V4(Ipv4Net::new(Ipv4Addr::from(route.bits), route.len).ok()?)))
        });
        let v6 = self.v6().filter_map(|route| {
            Some((route.path_id, IpNet::V6(Ipv6Net::new(Ipv6Addr::from(route.bits), route.len).ok()?)))
        });
        v4.chain(v6)
    }

    /// The IPv4 prefixes; nothing for other families.
    #[must_use]
    pub fn v4(&self) -> V4Routes<'a> {
        V4Routes(self.cursor(Family::IPV4_UNICAST))
    }

    /// The IPv6 prefixes; nothing for other families.
    #[must_use]
    pub fn v6(&self) -> V6Routes<'a> {
        V6Routes(self.cursor(Family::IPV6_UNICAST))
    }

    /// The EVPN routes; nothing for other families.
    #[must_use]
    pub fn evpn(&self) -> TypedRoutes<'a> {
        TypedRoutes(self.cursor(Family::EVPN))
    }

    const fn cursor(&self, family: Family) -> Cursor<'a> {
        let same = self.family.afi == family.afi && self.family.safi == family.safi;
        Cursor { reader: Reader::new(if same { self.bytes } else { &[] }), path_ids: self.path_ids }
    }
}

#[derive(Clone, Debug)]
struct Cursor<'a> {
    reader: Reader<'a>,
    path_ids: bool,
}

impl Cursor<'_> {
    fn path_id(&mut self) -> Option<u32> {
        if self.path_ids { self.reader.u32() } else { Some(0) }
    }

    /// A length in bits and the octets behind it, padded.
    fn prefix<const N: usize>(&mut self) -> Option<(u32, u8, [u8; N])> {
        let path_id = self.path_id()?;
        let len = self.reader.u8()?;
        let present = self.reader.take(octets(len))?;
        let mut bits = [0; N];
        bits.get_mut(..present.len())?.copy_from_slice(present);
        Some((path_id, len, bits))
    }
}

/// Iterates over IPv4 prefixes.
#[derive(Clone, Debug)]
pub struct V4Routes<'a>(Cursor<'a>);

impl Iterator for V4Routes<'_> {
    type Item = V4Route;

    fn next(&mut self) -> Option<V4Route> {
        let (path_id, len, octets) = self.0.prefix::<4>()?;
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        Some(V4Route { path_id, bits: u32::from_be_bytes(octets) & mask, len })
    }
}

/// Iterates over IPv6 prefixes.
#[derive(Clone, Debug)]
pub struct V6Routes<'a>(Cursor<'a>);

impl Iterator for V6Routes<'_> {
    type Item = V6Route;

    fn next(&mut self) -> Option<V6Route> {
        let (path_id, len, octets) = self.0.prefix::<16>()?;
        let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        Some(V6Route { path_id, bits: u128::from_be_bytes(octets) & mask, len })
    }
}

/// Iterates over routes with a type and a length.
#[derive(Clone, Debug)]
pub struct TypedRoutes<'a>(Cursor<'a>);

impl<'a> Iterator for TypedRoutes<'a> {
    type Item = TypedRoute<'a>;

    fn next(&mut self) -> Option<TypedRoute<'a>> {
        let path_id = self.0.path_id()?;
        let kind = self.0.reader.u8()?;
        Some(TypedRoute { path_id, kind, value: self.0.reader.block8()? })
    }
}

/// Octets that a prefix of that many bits takes.
const fn octets(len: u8) -> usize {
    (len as usize).div_ceil(8)
}

impl V4Route {
    /// Appends the route, with its path identifier if `path_ids`. The length must be at most 32.
    pub fn encode(&self, path_ids: bool, out: &mut Vec<u8>) {
        put_route(path_ids.then_some(self.path_id), self.len, &self.bits.to_be_bytes(), out);
    }
}

impl V6Route {
    /// Appends the route, with its path identifier if `path_ids`. The length must be at most 128.
    pub fn encode(&self, path_ids: bool, out: &mut Vec<u8>) {
        put_route(path_ids.then_some(self.path_id), self.len, &self.bits.to_be_bytes(), out);
    }
}

/// Appends a route; `bits` are all octets of its address.
fn put_route(path_id: Option<u32>, len: u8, bits: &[u8], out: &mut Vec<u8>) {
    if let Some(path_id) = path_id {
        out.extend_from_slice(&path_id.to_be_bytes());
    }
    out.push(len);
    out.extend_from_slice(bits.get(..octets(len)).unwrap_or(bits));
}

/// Appends one prefix, with that path identifier if there is one.
pub fn encode(prefix: &IpNet, path_id: Option<u32>, out: &mut Vec<u8>) {
    let path_ids = path_id.is_some();
    let path_id = path_id.unwrap_or(0);
    let len = prefix.prefix_len();
    match prefix {
        IpNet::V4(v4) => V4Route { path_id, bits: v4.network().to_bits(), len }.encode(path_ids, out),
        IpNet::V6(v6) => V6Route { path_id, bits: v6.network().to_bits(), len }.encode(path_ids, out),
    }
}

/// The most octets that one route of the family takes.
pub(crate) const fn longest(family: Family, path_ids: bool) -> usize {
    let route = match layout(family) {
        Some(Layout::Prefix(max)) => 1 + octets(max),
        _ => 2 + u8::MAX as usize,
    };
    route + if path_ids { 4 } else { 0 }
}
