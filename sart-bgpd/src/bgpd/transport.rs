//! What a neighbour's configuration means to its sockets: key (RFC 2385), TTL and the least TTL to accept (RFC 5082). Sets
//! options and nothing else; must never log a key.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::sys::socket::SetSockOpt as _;
use nix::{setsockopt_impl, sockopt_impl};
use sart_bgp::config::{PASSWORD_LEN, Password, Transport};
use socket2::SockRef;

/// How connections with every neighbour are made; listeners watch it.
pub type Transports = Arc<BTreeMap<IpAddr, Transport>>;

/// `struct tcp_md5sig` of linux/tcp.h: an address in a `sockaddr_storage`, then the key. Every octet is a field, so that
/// nothing the kernel reads is uninitialised.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Md5Key {
    address: [u8; 128],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: u32,
    key: [u8; PASSWORD_LEN],
}

// The kernel refuses another size (EINVAL).
const _: () = assert!(size_of::<Md5Key>() == 216);

sockopt_impl!(
    /// The key for one far end; length 0 takes it away (tcp(7), TCP_MD5SIG).
    Md5, SetOnly, libc::IPPROTO_TCP, libc::TCP_MD5SIG, Md5Key
);
sockopt_impl!(
    /// The TTL to send with; -1 is the system's (ip(7), IP_TTL).
    Ttl, SetOnly, libc::IPPROTO_IP, libc::IP_TTL, libc::c_int
);
sockopt_impl!(
    /// The hop limit to send with; -1 is the system's (ipv6(7), IPV6_UNICAST_HOPS).
    Hops, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, libc::c_int
);
sockopt_impl!(
    /// Drops packets that came with a smaller TTL (ip(7), IP_MINTTL).
    LeastTtl, SetOnly, libc::IPPROTO_IP, libc::IP_MINTTL, libc::c_int
);
sockopt_impl!(
    /// Drops packets that came with a smaller hop limit (linux/in6.h, IPV6_MINHOPCOUNT).
    LeastHops, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, libc::c_int
);

impl Md5Key {
    /// A `sockaddr_in` or `sockaddr_in6`; the port does not count (tcp(7)).
    fn new(peer: IpAddr, password: Option<&Password>) -> Self {
        let mut address = [0; 128];
        let (family, offset, octets) = match peer {
            IpAddr::V4(v4) => (libc::AF_INET, 4, v4.octets().to_vec()),
            IpAddr::V6(v6) => (libc::AF_INET6, 8, v6.octets().to_vec()),
        };
        for (to, from) in address.iter_mut().zip((family as u16).to_ne_bytes()) {
            *to = from;
        }
        for (to, from) in address.iter_mut().skip(offset).zip(octets) {
            *to = from;
        }
        let given = password.map(Password::expose).unwrap_or_default();
        let mut key = [0; PASSWORD_LEN];
        for (to, from) in key.iter_mut().zip(given) {
            *to = *from;
        }
        let key_len = given.len().min(PASSWORD_LEN) as u16;
        Self { address, flags: 0, prefix_len: 0, key_len, interface: 0, key }
    }
}

/// Sets or takes away the key for one far end.
///
/// # Errors
/// The kernel's refusal; taking away a key that is not there is none.
pub fn set_password(socket: &impl AsFd, peer: IpAddr, password: Option<&Password>) -> io::Result<()> {
    match Md5.set(socket, &Md5Key::new(peer, password)) {
        Err(nix::errno::Errno::ENOENT) if password.is_none() => Ok(()),
        result => result.map_err(io::Error::from),
    }
}

/// Sets the TTL to send with, which is the system's without a value, and the least one to accept, which stays as it is
/// without one.
///
/// # Errors
/// The kernel's refusal.
pub fn set_ttl(socket: &impl AsFd, family_of: IpAddr, send: Option<u8>, least: Option<u8>) -> io::Result<()> {
    let send = send.map_or(-1, libc::c_int::from);
    match family_of {
        IpAddr::V4(_) => Ttl.set(socket, &send)?,
        IpAddr::V6(_) => Hops.set(socket, &send)?,
    }
    if let Some(least) = least.map(libc::c_int::from) {
        match family_of {
            IpAddr::V4(_) => LeastTtl.set(socket, &least)?,
            IpAddr::V6(_) => LeastHops.set(socket, &least)?,
        }
    }
    Ok(())
}

/// Whether something can be read at this moment.
#[must_use]
pub fn has_input(stream: &impl AsFd) -> bool {
    let mut octet = [MaybeUninit::uninit()];
    SockRef::from(stream).peek(&mut octet).is_ok()
}

/// The least TTL that all neighbours of a family accept, for a listener: 0 as long as one of them accepts any.
#[must_use]
pub fn least_of_all(transports: &Transports, v4: bool) -> u8 {
    let of_family = transports.iter().filter(|(peer, _)| peer.is_ipv4() == v4);
    of_family.map(|(_, transport)| transport.least_ttl().unwrap_or(0)).min().unwrap_or(0)
}

/// The TTL that a listener answers a SYN with; none is the system's. A neighbour with GTSM drops the answer unless its TTL
/// is 255 too (RFC 5082 section 3), and the listener cannot know yet whom it answers.
#[must_use]
pub fn answer_ttl(transports: &Transports, v4: bool) -> Option<u8> {
    let mut of_family = transports.iter().filter(|(peer, _)| peer.is_ipv4() == v4);
    of_family.find_map(|(_, transport)| transport.least_ttl()).map(|_| u8::MAX)
}

/// Makes the keys of a listener of one family those of `new`.
pub fn change_passwords(socket: &impl AsFd, v4: bool, old: &Transports, new: &Transports) {
    let of = |transports: &Transports, peer: &IpAddr| {
        transports.get(peer).and_then(|transport| transport.password.clone())
    };
    let peers = old.keys().chain(new.keys()).filter(|peer| peer.is_ipv4() == v4);
    for peer in peers.collect::<std::collections::BTreeSet<_>>() {
        let password = of(new, peer);
        if of(old, peer) == password {
            continue;
        }
        if let Err(error) = set_password(socket, *peer, password.as_ref()) {
            tracing::error!(%peer, %error, "cannot set the neighbor's TCP MD5 key: it cannot connect");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(hops: Option<u8>) -> Transport {
        Transport { ttl_security: hops, ..Transport::default() }
    }

    #[test]
    fn a_listener_asks_for_no_more_than_its_most_distant_neighbor_has() {
        let of = |all: &[(&str, Option<u8>)]| -> Transports {
            Arc::new(all.iter().map(|(peer, hops)| (peer.parse().unwrap(), with(*hops))).collect())
        };
        assert_eq!(least_of_all(&of(&[]), true), 0);
        assert_eq!(least_of_all(&of(&[("192.0.2.1", Some(1)), ("::1", None)]), true), 255);
        assert_eq!(least_of_all(&of(&[("192.0.2.1", Some(1)), ("192.0.2.2", Some(3))]), true), 253);
        assert_eq!(least_of_all(&of(&[("192.0.2.1", Some(1)), ("192.0.2.2", None)]), true), 0);
    }

    #[test]
    fn a_listener_answers_with_the_highest_ttl_if_a_neighbor_of_the_family_looks_at_it() {
        let two = [("192.0.2.1", None), ("2001:db8::1", Some(3))];
        let all = two.map(|(peer, hops): (&str, _)| (peer.parse().unwrap(), with(hops)));
        let all: Transports = Arc::new(all.into_iter().collect());
        assert_eq!((answer_ttl(&all, true), answer_ttl(&all, false)), (None, Some(255)));
    }

    #[test]
    fn an_accepted_socket_does_not_keep_the_ttl_of_its_listener() {
        for (bind, v4) in [("127.0.0.1:0", true), ("[::1]:0", false)] {
            let listener = std::net::TcpListener::bind(bind).unwrap();
            let at = listener.local_addr().unwrap();
            let ttl = |socket: SockRef<'_>| {
                if v4 { socket.ttl_v4().unwrap() } else { socket.unicast_hops_v6().unwrap() }
            };
            let system = ttl(SockRef::from(&listener));
            set_ttl(&listener, at.ip(), Some(255), None).unwrap();
            let _client = std::net::TcpStream::connect(at).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            assert_eq!(ttl(SockRef::from(&accepted)), 255);
            set_ttl(&accepted, at.ip(), None, None).unwrap();
            assert_eq!(ttl(SockRef::from(&accepted)), system);
        }
    }

    #[test]
    fn criterion_9_the_kernel_takes_a_key_of_either_family_and_loses_it_again() {
        for (bind, peer) in [("127.0.0.1:0", "192.0.2.1"), ("[::1]:0", "2001:db8::1")] {
            let socket = std::net::TcpListener::bind(bind).unwrap();
            let peer = peer.parse().unwrap();
            let password = Password::new("k".repeat(PASSWORD_LEN));
            set_password(&socket, peer, Some(&password)).unwrap();
            set_password(&socket, peer, None).unwrap();
            set_password(&socket, peer, None).unwrap();
        }
    }
}
