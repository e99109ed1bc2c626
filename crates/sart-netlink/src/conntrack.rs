//! Connection tracking (linux/netfilter/nfnetlink_conntrack.h): deletes the entries that a caller does not want any more.
//! Decides nothing, keeps no entry in memory but those it is about to delete.

use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::attr::{Request, attrs, attrs_after, find};
use crate::blocking::BlockingHandle;
use crate::error::{OpenError, RequestError};

/// `NFNL_SUBSYS_CTNETLINK` in the upper octet, `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE` in the lower.
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
/// Deletions sent in one datagram: their answers fit a receive buffer of the default size.
const AT_ONCE: usize = 64;

/// A tracked flow, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// IP protocol number.
    pub protocol: u8,
    /// Source and destination of the packets that opened it, then of those that answer: four addresses at most, three
    /// or four different ones if it is translated.
    pub addresses: Vec<IpAddr>,
}

/// A blocking socket to the table of tracked connections of one network namespace.
#[derive(Debug)]
pub struct ConntrackHandle(BlockingHandle);

impl ConntrackHandle {
    /// Opens a socket in the current thread's network namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Self, OpenError> {
        BlockingHandle::open_protocol(NETLINK_NETFILTER).map(Self)
    }

    /// Deletes every entry that is `unwanted`, and returns how many that were. The table is read once; an entry that goes
    /// away by itself meanwhile is no error.
    ///
    /// # Errors
    /// The table cannot be read (`EINVAL` or `EOPNOTSUPP` where the kernel has none), or a deletion is refused.
    pub fn delete(&mut self, unwanted: impl Fn(&Tracked) -> bool) -> Result<usize, RequestError> {
        let mut doomed = Vec::new();
        // `AF_UNSPEC`: both families.
        self.0.dump_each("read the tracked connections", &Request::new(GET, 0, &[0; HEADER]), |body| {
            if decode(body).is_some_and(|tracked| unwanted(&tracked)) {
                doomed.extend(delete_request(body));
            }
        })?;
        let mut deleted = 0;
        for some in doomed.chunks(AT_ONCE) {
            for answer in self.0.exchange(some.to_vec())? {
                match answer {
                    Ok(_) => deleted += 1,
                    Err(refusal) if refusal.errno == libc::ENOENT => {}
                    Err(refusal) => {
                        return Err(RequestError::Refused { what: "delete a tracked connection", refusal });
                    }
                }
            }
        }
        Ok(deleted)
    }
}

/// Names the entry by its tuple, zone and id, as they came: another one of the same tuple stays.
fn delete_request(body: &[u8]) -> Option<Request> {
    let mut request = Request::new(DELETE, 0, body.get(..HEADER)?);
    for attr in attrs_after(body, HEADER) {
        match attr.kind {
            CTA_TUPLE_ORIG => request = request.nested(CTA_TUPLE_ORIG, attr.value),
            CTA_ID | CTA_ZONE => request = request.attr(attr.kind, attr.value),
            _ => {}
        }
    }
    Some(request)
}

fn decode(body: &[u8]) -> Option<Tracked> {
    let rest = body.get(HEADER..)?;
    let (original, reply) = (find(rest, CTA_TUPLE_ORIG)?, find(rest, CTA_TUPLE_REPLY)?);
    let protocol = *find(find(original, CTA_TUPLE_PROTO)?, CTA_PROTO_NUM)?.first()?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for tuple in [original, reply] {
        // Source and destination have types of their own in each family, and nothing else is in here.
        addresses
            .extend(attrs(find(tuple, CTA_TUPLE_IP)?).filter_map(|attr| crate::route::address(attr.value)));
    }
    Some(Tracked { protocol, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::{NESTED, push_attr};

    fn tuple(protocol: u8, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let (mut ip, mut proto, mut tuple) = (Vec::new(), Vec::new(), Vec::new());
        push_attr(&mut ip, 1, &from);
        push_attr(&mut ip, 2, &to);
        push_attr(&mut proto, CTA_PROTO_NUM, &[protocol]);
        push_attr(&mut tuple, CTA_TUPLE_IP | NESTED, &ip);
        push_attr(&mut tuple, CTA_TUPLE_PROTO | NESTED, &proto);
        tuple
    }

    fn entry() -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0];
        push_attr(&mut body, CTA_TUPLE_ORIG | NESTED, &tuple(17, [192, 0, 2, 9], [192, 0, 2, 1]));
        push_attr(&mut body, CTA_TUPLE_REPLY | NESTED, &tuple(17, [10, 1, 0, 1], [192, 0, 2, 9]));
        push_attr(&mut body, CTA_ID, &7_u32.to_be_bytes());
        body
    }

    #[test]
    fn a_translated_entry_shows_the_addresses_of_both_its_directions() {
        let tracked = decode(&entry()).unwrap();
        let addresses = [[192, 0, 2, 9], [192, 0, 2, 1], [10, 1, 0, 1], [192, 0, 2, 9]].map(IpAddr::from);
        assert_eq!(tracked, Tracked { protocol: 17, addresses: addresses.to_vec() });
    }

    #[test]
    fn an_entry_cut_short_anywhere_is_passed_over_or_read_but_never_a_panic() {
        let whole = entry();
        for length in 0..whole.len() {
            let _read = decode(&whole[..length]);
            let _named = delete_request(&whole[..length]);
        }
        assert_eq!(decode(&whole[..3]), None);
    }

    #[test]
    fn a_deletion_names_tuple_and_id_and_nothing_else() {
        let bytes = delete_request(&entry()).unwrap().finish(1);
        let kinds: Vec<u16> =
            attrs_after(&bytes, crate::attr::HEADER_LEN + HEADER).map(|attr| attr.kind).collect();
        assert_eq!(kinds, [CTA_TUPLE_ORIG, CTA_ID]);
    }
}
