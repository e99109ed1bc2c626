//! Packets whose fate is known from the rules alone, byte by byte, on tables that the planner wrote.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use sart_dataplane::desired::{DesiredTables, DesiredVip, Endpoint, Protocol, ServiceRef, VipId, identity};
use sart_ebpf_common::packet::{TCP, TCP_ACK, TCP_FIN, TCP_RST, UDP};
use sart_ebpf_common::reason::Reason;

use crate::bench::{Bench, DROPPED, Hook, WENT_ON, XDP_PASSED};
use crate::frame::{Packet, Socket, assert_sums, destination, source};

pub const CLIENT: Socket = ([192, 0, 2, 7], 40_000);
pub const VIP: Socket = ([198, 51, 100, 1], 80);
pub const ONE: Socket = ([10, 244, 0, 9], 8080);
pub const TWO: Socket = ([10, 244, 0, 10], 8080);

/// The VIP for both protocols with these pods, each with its UID.
pub fn tables(pods: &[(Socket, &str)]) -> DesiredTables {
    let endpoint = |(socket, uid): &(Socket, &str)| Endpoint {
        addr: Ipv4Addr::from(socket.0),
        port: socket.1,
        identity: identity(uid),
        draining: false,
    };
    let vip = |protocol| DesiredVip {
        id: VipId { addr: Ipv4Addr::from(VIP.0), port: VIP.1, protocol },
        service: ServiceRef { namespace: "default".into(), name: "app".into() },
        endpoints: pods.iter().map(endpoint).collect(),
    };
    DesiredTables { vips: vec![vip(Protocol::Tcp), vip(Protocol::Udp)] }
}

pub fn bench(pods: &[(Socket, &str)]) -> Option<Bench> {
    let mut bench = Bench::new()?;
    bench.apply(&tables(pods));
    Some(bench)
}

/// Sends a packet of the client in; where it goes on to, with right checksums.
pub fn send(bench: &mut Bench, packet: &Packet, reason: Reason) -> Socket {
    let frame = passed(bench, Hook::In, packet, reason);
    assert_sums(&frame);
    assert_eq!(source(&frame), packet.src, "the client's own address stays");
    destination(&frame)
}

/// Sends a packet of a pod out; whom it seems to come from, with right checksums.
pub fn answer(bench: &mut Bench, packet: &Packet, reason: Reason) -> Socket {
    let frame = passed(bench, Hook::Out, packet, reason);
    assert_sums(&frame);
    assert_eq!(destination(&frame), packet.dst);
    source(&frame)
}

fn passed(bench: &mut Bench, hook: Hook, packet: &Packet, reason: Reason) -> Vec<u8> {
    let before = bench.reason(reason).packets;
    let ran = bench.run(hook, &packet.frame());
    assert_eq!((ran.action, bench.reason(reason).packets), (WENT_ON, before + 1), "{}", reason.label());
    ran.frame
}

/// The packet is dropped, with this reason and with nothing changed in it.
pub fn refuse(bench: &mut Bench, packet: &Packet, reason: Reason) {
    let before = bench.reason(reason).packets;
    let ran = bench.run(Hook::In, &packet.frame());
    assert_eq!((ran.action, bench.reason(reason).packets), (DROPPED, before + 1), "{}", reason.label());
    assert_eq!(ran.frame, packet.frame());
}

/// The frame goes on as it came, counted under this reason.
pub fn untouched(bench: &mut Bench, hook: Hook, frame: &[u8], reason: Reason) {
    let before = bench.reason(reason).packets;
    let ran = bench.run(hook, frame);
    let action = if hook == Hook::Xdp { XDP_PASSED } else { WENT_ON };
    assert_eq!((ran.action, ran.frame.as_slice()), (action, frame), "{}", reason.label());
    assert_eq!(bench.reason(reason).packets, before + 1, "{}", reason.label());
}

#[test]
fn a_connection_goes_to_the_pod_and_back_with_right_checksums() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    assert_eq!(send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow), ONE);
    assert_eq!(answer(&mut bench, &Packet::tcp(ONE, CLIENT), Reason::Reply), VIP);
    assert_eq!(send(&mut bench, &Packet::tcp(CLIENT, VIP), Reason::Established), ONE);
    let stats = bench.stats(0);
    assert_eq!((stats.packets, stats.flows, stats.replies, stats.drops), (2, 1, 1, 0));
}

#[test]
fn a_datagram_goes_to_the_pod_and_back_with_right_checksums_or_none() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    assert_eq!(send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::NewFlow), ONE);
    assert_eq!(answer(&mut bench, &Packet::udp(ONE, CLIENT), Reason::Reply), VIP);
    let bare = Packet { checksum: false, ..Packet::udp(CLIENT, VIP) };
    let ran = bench.run(Hook::In, &bare.frame());
    assert_eq!(destination(&ran.frame), ONE);
    assert_eq!(ran.frame[40..42], [0, 0], "RFC 768: no checksum stays no checksum");
}

#[test]
fn payloads_and_options_of_every_length_keep_their_bytes() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    for words in 0..=10 {
        for proto in [TCP, UDP] {
            let payload: Vec<u8> = (0..words as u8 * 7).collect();
            let packet = Packet { options: vec![1; words * 4], payload, ..Packet::of(proto, CLIENT, VIP) };
            let ran = bench.run(Hook::In, &packet.frame());
            assert_eq!(ran.action, WENT_ON);
            assert_sums(&ran.frame);
            let wanted = Packet { dst: ONE, ..packet };
            assert_eq!(ran.frame, wanted.frame(), "{words} words of options");
        }
    }
}

#[test]
fn two_pods_share_the_flows_and_keep_them() {
    let Some(mut bench) = bench(&[(ONE, "a"), (TWO, "b")]) else { return };
    for proto in [TCP, UDP] {
        let mut flows: BTreeMap<Socket, Vec<Socket>> = BTreeMap::new();
        for port in 1000..1200 {
            let client = (CLIENT.0, port);
            flows
                .entry(send(&mut bench, &Packet::of(proto, client, VIP), Reason::NewFlow))
                .or_default()
                .push(client);
        }
        assert_eq!(flows.keys().copied().collect::<Vec<_>>(), [ONE, TWO]);
        for (pod, clients) in flows {
            assert!(clients.len() > 50, "{} of 200 flows to {pod:?}", clients.len());
            for client in clients {
                let next = Packet::of(proto, client, VIP);
                assert_eq!(send(&mut bench, &next, Reason::Established), pod);
                assert_eq!(answer(&mut bench, &Packet::of(proto, pod, client), Reason::Reply), VIP);
            }
        }
    }
}

#[test]
fn no_packet_reaches_a_replaced_pod_or_its_successor_on_an_old_connection() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
    send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::NewFlow);
    // Another pod, then a third one on the address of the first: each time an index may be used again.
    for (pod, uid) in [(TWO, "b"), (ONE, "c"), (TWO, "d")] {
        bench.apply(&tables(&[(pod, uid)]));
        refuse(&mut bench, &Packet::tcp(CLIENT, VIP), Reason::BackendGone);
        assert_eq!(send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::Reselected), pod);
        assert_eq!(send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::Reselected), pod);
    }
}

#[test]
fn a_draining_pod_keeps_its_flows_and_gets_no_new_one() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
    let mut draining = tables(&[(ONE, "a"), (TWO, "b")]);
    for vip in &mut draining.vips {
        vip.endpoints[0].draining = true;
    }
    bench.apply(&draining);
    assert_eq!(send(&mut bench, &Packet::tcp(CLIENT, VIP), Reason::Established), ONE);
    for port in 1000..1100 {
        assert_eq!(send(&mut bench, &Packet::syn((CLIENT.0, port), VIP), Reason::NewFlow), TWO);
    }
}

#[test]
fn a_flow_whose_replies_could_not_be_told_apart_takes_another_pod_or_none() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    assert_eq!(send(&mut bench, &Packet::syn(CLIENT, ONE), Reason::Direct), ONE);
    refuse(&mut bench, &Packet::syn(CLIENT, VIP), Reason::Clash);
    bench.apply(&tables(&[(ONE, "a"), (TWO, "b")]));
    let mut avoided = 0;
    for port in 1000..1064 {
        let client = (CLIENT.0, port);
        send(&mut bench, &Packet::syn(client, ONE), Reason::Direct);
        let before = bench.reason(Reason::ClashAvoided).packets;
        let ran = bench.run(Hook::In, &Packet::syn(client, VIP).frame());
        if ran.action == WENT_ON {
            assert_eq!(destination(&ran.frame), TWO);
            assert_eq!(answer(&mut bench, &Packet::tcp(TWO, client), Reason::Reply), VIP);
        }
        avoided += bench.reason(Reason::ClashAvoided).packets - before;
        assert_eq!(answer(&mut bench, &Packet::tcp(ONE, client), Reason::DirectReply), ONE);
    }
    assert!(avoided > 10, "{avoided} of 64 flows whose first choice was taken");
}

#[test]
fn a_direct_connection_on_the_tuple_of_a_translated_one_is_refused() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::NewFlow);
    refuse(&mut bench, &Packet::udp(CLIENT, ONE), Reason::Clash);
    assert_eq!(answer(&mut bench, &Packet::udp(ONE, CLIENT), Reason::Reply), VIP);
}

#[test]
fn a_new_connection_on_the_ports_of_a_closed_one_is_a_new_flow() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    for flags in [TCP_FIN | TCP_ACK, TCP_RST] {
        send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
        send(&mut bench, &Packet::tcp(CLIENT, VIP), Reason::Established);
        send(&mut bench, &Packet::tcp(CLIENT, VIP).with_flags(flags), Reason::Established);
    }
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
    answer(&mut bench, &Packet::tcp(ONE, CLIENT).with_flags(TCP_RST), Reason::Reply);
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
}

#[test]
fn what_is_not_for_a_virtual_address_goes_on_untouched() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    for proto in [TCP, UDP] {
        let other_port = Packet::of(proto, CLIENT, (VIP.0, 81)).frame();
        untouched(&mut bench, Hook::In, &other_port, Reason::NotOurs);
        let other = Packet::of(proto, CLIENT, ([203, 0, 113, 1], 80)).frame();
        untouched(&mut bench, Hook::In, &other, Reason::NotOurs);
        untouched(&mut bench, Hook::Out, &other, Reason::NoFlow);
        untouched(&mut bench, Hook::Xdp, &other, Reason::XdpOther);
        untouched(&mut bench, Hook::Xdp, &Packet::of(proto, CLIENT, VIP).frame(), Reason::XdpVip);
    }
    assert!(bench.flows().is_empty());
}

#[test]
fn every_fragment_goes_on_untouched() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    // More fragments; the second of two; the last one (RFC 791, section 3.1). "Don't fragment" is no fragment.
    for bits in [[0x20, 0], [0x20, 1], [0, 1], [0x1f, 0xff], [0x60, 0]] {
        let mut frame = Packet::udp(CLIENT, VIP).frame();
        frame[20..22].copy_from_slice(&bits);
        untouched(&mut bench, Hook::In, &frame, Reason::Fragment);
    }
    assert_eq!(send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::NewFlow), ONE);
}

#[test]
fn a_frame_cut_anywhere_in_its_headers_goes_on_untouched() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    for (proto, headers) in [(TCP, 54), (UDP, 42)] {
        let frame = Packet::of(proto, CLIENT, VIP).frame();
        for length in 14..headers {
            untouched(&mut bench, Hook::Xdp, &frame[..length], Reason::XdpOther);
        }
        // The kernel runs a classifier on no IPv4 frame that ends before its IPv4 header does.
        for length in 34..headers {
            untouched(&mut bench, Hook::In, &frame[..length], Reason::Short);
        }
        let ran = bench.run(Hook::In, &frame[..headers]);
        assert_eq!(destination(&ran.frame), ONE);
    }
}
