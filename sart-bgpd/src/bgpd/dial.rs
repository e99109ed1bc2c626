//! Opens connections to neighbours, and knows our addresses on a link. Must never retry by itself: the speaker decides when.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use sart_bgp::config::Transport;
use sart_bgp::speaker::LocalAddresses;
use tokio::net::{TcpSocket, TcpStream};

use super::transport::{set_password, set_ttl};

/// A neighbour on the link answers in milliseconds; one that does not will be dialled again.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How sockets to neighbours are set up.
#[derive(Clone, Debug, Default)]
pub struct SocketOptions {
    /// Address to dial from, by family of the neighbour.
    pub sources: Vec<IpAddr>,
    /// TTL or hop limit; the system's default if none.
    pub ttl: Option<u8>,
}

/// Connects to `peer`.
///
/// # Errors
/// The operating system's refusal, or a time-out.
pub async fn dial(
    peer: SocketAddr,
    transport: &Transport,
    options: &SocketOptions,
) -> io::Result<(TcpStream, LocalAddresses)> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let same_family = |source: &&IpAddr| source.is_ipv4() == peer.is_ipv4();
    if let Some(source) = transport.local_address.or(options.sources.iter().find(same_family).copied()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    // Before connecting, so that the SYN carries key and TTL too, and its answer is judged by them.
    if let Some(password) = &transport.password {
        set_password(&socket, peer.ip(), Some(password))?;
    }
    set_ttl(&socket, peer.ip(), transport.send_ttl().or(options.ttl), transport.least_ttl())?;
    let stream = tokio::time::timeout(CONNECT_TIME, socket.connect(peer))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"))??;
    let local = prepare(&stream, transport, options)?;
    Ok((stream, local))
}

/// Sets up a connected socket, ours or theirs, and names our addresses on its link.
///
/// # Errors
/// The operating system's refusal; most likely the far end is gone already.
pub fn prepare(
    stream: &TcpStream,
    transport: &Transport,
    options: &SocketOptions,
) -> io::Result<LocalAddresses> {
    // Messages are complete when written; Nagle's algorithm would only delay withdrawals.
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?.ip().to_canonical();
    set_ttl(stream, local, transport.send_ttl().or(options.ttl), transport.least_ttl())?;
    Ok(local_addresses(local))
}

/// `local` and, of the other family, the first routable address of the interface that has it.
fn local_addresses(local: IpAddr) -> LocalAddresses {
    let found = LocalAddresses::of(local);
    match interface_addresses(local) {
        Ok(others) => LocalAddresses {
            v4: found.v4.or_else(|| others.iter().find_map(routable_v4)),
            v6: found.v6.or_else(|| others.iter().find_map(routable_v6)),
        },
        Err(error) => {
            tracing::warn!(%local, %error, "cannot list addresses: only one family gets a next hop");
            found
        }
    }
}

fn routable_v4(address: &IpAddr) -> Option<std::net::Ipv4Addr> {
    match address {
        IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local() => Some(*v4),
        _ => None,
    }
}

fn routable_v6(address: &IpAddr) -> Option<std::net::Ipv6Addr> {
    match address {
        IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local() => Some(*v6),
        _ => None,
    }
}

fn interface_addresses(local: IpAddr) -> nix::Result<Vec<IpAddr>> {
    let all: Vec<(String, IpAddr)> = getifaddrs()?
        .filter_map(|entry| {
            let address = entry.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?;
            Some((entry.interface_name, ip))
        })
        .collect();
    let name = all.iter().find(|(_, ip)| *ip == local).map(|(name, _)| name.clone());
    Ok(all.into_iter().filter(|(of, _)| Some(of) == name.as_ref()).map(|(_, ip)| ip).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[tokio::test]
    async fn a_refused_dial_says_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = SocketOptions { sources: vec!["127.0.0.1".parse().unwrap()], ttl: Some(1) };
        let (stream, local) = dial(address, &Transport::default(), &options).await.unwrap();
        assert_eq!(local.v4, Some(std::net::Ipv4Addr::LOCALHOST));
        assert_eq!(SockRef::from(&stream).ttl_v4().unwrap(), 1);
        drop(listener);
        assert_eq!(
            dial(address, &Transport::default(), &options).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn loopback_and_link_local_addresses_are_no_next_hops() {
        for address in ["127.0.0.1", "169.254.0.1", "::1", "fe80::1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((routable_v4(&address), routable_v6(&address)), (None, None), "{address}");
        }
    }
}
