//! The table of tracked connections of a namespace.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use sart_netlink::ConntrackHandle;

use crate::netns::Netns;

const KEPT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const GONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// To each address: far more than one answer of a dump, or one datagram of deletions, has room for.
const FLOWS: u16 = 5000;

#[test]
fn all_entries_that_name_an_address_go_at_once_and_no_others() {
    let Some(netns) = Netns::new("conntrack") else { return };
    // A chain that asks for the state of a packet is what makes a namespace track connections.
    netns.run("nft", "add table inet t");
    netns.run("nft", "add chain inet t c { type filter hook output priority 0 ; }");
    netns.run("nft", "add rule inet t c ct state invalid drop");
    // No entry ends by itself before it is counted, however long that takes.
    netns.run("sysctl", "-q -w net.netfilter.nf_conntrack_udp_timeout=600");
    netns.block_on(async {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for port in 1..=FLOWS {
            for to in [KEPT, GONE] {
                // An answer to an earlier one, that nobody listens there, may come instead.
                let sent = (0..100).any(|_| socket.send_to(b"x", (to, port)).is_ok());
                assert!(sent, "to {to}:{port}");
            }
        }
        let mut table = ConntrackHandle::open().unwrap();
        let names = |address: Ipv4Addr| {
            move |tracked: &sart_netlink::Tracked| {
                tracked.protocol == 17 && tracked.addresses.contains(&IpAddr::from(address))
            }
        };
        let begun = std::time::Instant::now();
        assert_eq!(table.delete(names(Ipv4Addr::new(192, 0, 2, 1))).unwrap(), 0);
        println!("read {} entries in {:?}", 2 * FLOWS, begun.elapsed());
        // All of them come from the address that is kept, and only these go to the other one.
        assert_eq!(table.delete(names(GONE)).unwrap(), usize::from(FLOWS));
        assert_eq!(table.delete(names(GONE)).unwrap(), 0);
        assert_eq!(table.delete(names(KEPT)).unwrap(), usize::from(FLOWS));
    });
}
