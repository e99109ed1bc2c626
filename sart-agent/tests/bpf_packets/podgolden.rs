//! Packets of pods whose fate is known from the rules alone, byte by byte.

use sart_ebpf_common::packet::{TCP, TCP_ACK, TCP_FIN, UDP};
use sart_ebpf_common::reason::Reason;

use crate::bench::{Bench, DROPPED, Hook, WENT_ON};
use crate::podframe::{Address, PodPacket, arp, sum};
use crate::podlink::{LINK, REDIRECTED, host_mac, key4, key6, pod_mac, row};
use crate::podrandom::v6;

/// The pod that packets come from, another one, and one that is not there.
const OWN: Address = Address::V4([10, 1, 0, 1]);
const PEER: Address = Address::V4([10, 1, 0, 2]);
const AWAY: Address = Address::V4([10, 2, 0, 9]);
const PEER_LINK: u32 = 2;

/// The own pod and its peer, complete.
pub fn plug(bench: &mut Bench) {
    for link in [LINK, PEER_LINK] {
        bench.put_pod(key4([10, 1, 0, link as u8]), row(link, 0));
        let Address::V6(address) = v6(link as u8) else { return };
        bench.put_pod(key6(address), row(link, 1));
    }
}

fn bench() -> Option<Bench> {
    let mut bench = Bench::new()?;
    plug(&mut bench);
    Some(bench)
}

/// Frames that end with this reason.
pub fn steps(reason: Reason) -> Vec<(Hook, Vec<u8>)> {
    let sent = |packet: PodPacket| vec![(Hook::PodIn, packet.frame())];
    let syn = PodPacket::syn(OWN, PEER);
    match reason {
        Reason::PodPeer | Reason::PodTable => sent(syn),
        Reason::PodAway => sent(PodPacket::syn(OWN, AWAY)),
        Reason::PodStack => sent(PodPacket { flags: TCP_ACK, ..syn }),
        Reason::PodUnfit => sent(PodPacket { hops: 1, ..syn }),
        Reason::PodLink => vec![(Hook::PodIn, arp([10, 1, 0, 1], [169, 254, 1, 1]))],
        Reason::PodOther => vec![(Hook::PodIn, [&[2; 12], &[0x88, 0xcc][..], &[0; 40]].concat())],
        Reason::PodSpoof4 => sent(PodPacket::syn(PEER, OWN)),
        Reason::PodSpoof6 => sent(PodPacket::syn(v6(PEER_LINK as u8), v6(9))),
        Reason::PodSpoofArp => vec![(Hook::PodIn, arp([10, 1, 0, 2], [169, 254, 1, 1]))],
        Reason::PodClash => vec![
            (Hook::PodIn, syn.frame()),
            (Hook::PodOut, PodPacket { ports: (8080, 40_000), ..PodPacket::syn(PEER, OWN) }.frame()),
        ],
        Reason::PodFromStack => vec![(Hook::PodOut, PodPacket::syn(PEER, OWN).frame())],
        Reason::PodIn => vec![(Hook::PodOut, PodPacket::syn(AWAY, OWN).frame())],
        of_an_uplink => panic!("{} is for uplinks", of_an_uplink.label()),
    }
}

/// Runs the frame; it ends with this reason and is not changed.
fn stays(bench: &mut Bench, (hook, frame): (Hook, &[u8]), reason: Reason) {
    let before = bench.reason(reason).packets;
    let ran = bench.run(hook, frame);
    let action = if reason.is_drop() { DROPPED } else { WENT_ON };
    assert_eq!((ran.action, ran.frame.as_slice()), (action, frame), "{}", reason.label());
    assert_eq!(bench.reason(reason).packets, before + 1, "{}", reason.label());
}

/// Runs the frame; it goes to the peer.
fn crosses(bench: &mut Bench, frame: &[u8]) -> Vec<u8> {
    let before = bench.reason(Reason::PodPeer).packets;
    let ran = bench.run(Hook::PodIn, frame);
    assert_eq!((ran.action, bench.reason(Reason::PodPeer).packets), (REDIRECTED, before + 1));
    assert_eq!(ran.frame[..12], [pod_mac(PEER_LINK), host_mac(PEER_LINK)].concat());
    ran.frame
}

#[test]
fn a_packet_to_a_pod_of_this_node_gets_its_macs_and_loses_one_hop() {
    let Some(mut bench) = bench() else { return };
    for proto in [TCP, UDP] {
        for hops in [2, 64, 255] {
            let packet = PodPacket { hops, ..PodPacket::of(proto, OWN, PEER) };
            let frame = crosses(&mut bench, &packet.frame());
            let wanted = PodPacket {
                hops: hops - 1,
                macs: (pod_mac(PEER_LINK), host_mac(PEER_LINK)),
                ..packet.clone()
            };
            assert_eq!(frame, wanted.frame(), "the header's checksum fits");
            let mut header = frame[14..34].to_vec();
            header[10..12].fill(0);
            assert_eq!(frame[24..26], sum(&header).to_be_bytes());
            let six = PodPacket { src: v6(1), dst: v6(2), ..packet };
            let frame = crosses(&mut bench, &six.frame());
            let wanted = PodPacket { src: v6(1), dst: v6(2), ..wanted };
            assert_eq!(frame, wanted.frame());
        }
    }
}

#[test]
fn a_reply_of_what_the_stack_brought_goes_back_through_the_stack() {
    let Some(mut bench) = bench() else { return };
    for proto in [TCP, UDP] {
        // Another pod reached the own one by a cluster address: the stack translated its packet and brings it.
        let brought = PodPacket { ports: (40_000, 8080), ..PodPacket::of(proto, PEER, OWN) };
        stays(&mut bench, (Hook::PodOut, &brought.frame()), Reason::PodFromStack);
        let reply = PodPacket { ports: (8080, 40_000), flags: TCP_ACK, ..PodPacket::of(proto, OWN, PEER) };
        stays(&mut bench, (Hook::PodIn, &reply.frame()), Reason::PodStack);
        // The first fragment says as much as a whole packet.
        let brought = PodPacket { fragment: Some((true, 0)), ports: (40_001, 8080), ..brought };
        stays(&mut bench, (Hook::PodOut, &brought.frame()), Reason::PodFromStack);
        let reply = PodPacket { ports: (8080, 40_001), ..reply };
        stays(&mut bench, (Hook::PodIn, &reply.frame()), Reason::PodStack);
    }
}

#[test]
fn what_only_the_stack_can_judge_stays_with_it() {
    let Some(mut bench) = bench() else { return };
    let syn = PodPacket::syn(OWN, PEER);
    let unfit = [
        PodPacket { hops: 1, ..syn.clone() },
        PodPacket { hops: 0, ..syn.clone() },
        PodPacket { options: 1, ..syn.clone() },
        PodPacket { fragment: Some((true, 0)), ..syn.clone() },
        PodPacket { fragment: Some((false, 4)), ..syn.clone() },
        PodPacket { macs: ([0xff; 6], pod_mac(LINK)), ..syn.clone() },
        PodPacket { proto: 132, ..syn.clone() },
        PodPacket::syn(OWN, OWN),
    ];
    for packet in unfit {
        stays(&mut bench, (Hook::PodIn, &packet.frame()), Reason::PodUnfit);
    }
    bench.put_pod(key4([10, 1, 0, 2]), sart_ebpf_common::layout::PodRow { mtu: 1400, ..row(PEER_LINK, 0) });
    stays(&mut bench, (Hook::PodIn, &syn.frame()), Reason::PodUnfit);
    bench.put_pod(key4([10, 1, 0, 2]), sart_ebpf_common::layout::PodRow { flags: 0, ..row(PEER_LINK, 0) });
    stays(&mut bench, (Hook::PodIn, &syn.frame()), Reason::PodUnfit);
    assert!(bench.pod_flows().is_empty());
}

#[test]
fn an_error_takes_the_way_of_the_flow_it_is_about() {
    let Some(mut bench) = bench() else { return };
    for (src, dst, kind) in [(OWN, PEER, 3), (v6(1), v6(2), 1)] {
        for proto in [TCP, UDP] {
            let packet = PodPacket::of(proto, src, dst);
            stays(&mut bench, (Hook::PodIn, &packet.error(kind)), Reason::PodStack);
            crosses(&mut bench, &packet.frame());
            crosses(&mut bench, &packet.error(kind));
            // About another packet than the other pod could have sent.
            let mut other = packet.error(kind);
            let inner_source = if kind == 3 { 14 + 20 + 8 + 12 } else { 14 + 40 + 8 + 8 };
            other[inner_source] ^= 1;
            stays(&mut bench, (Hook::PodIn, &other), Reason::PodUnfit);
        }
    }
}

#[test]
fn an_address_of_one_family_is_not_the_other_familys() {
    let Some(mut bench) = bench() else { return };
    let mapped = |last| Address::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, last]);
    let words = |last| Address::V6([10, 1, 0, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for packet in [PodPacket::syn(mapped(1), mapped(2)), PodPacket::syn(words(1), words(2))] {
        stays(&mut bench, (Hook::PodIn, &packet.frame()), Reason::PodSpoof6);
    }
}

#[test]
fn link_local_sources_reach_the_link_and_nothing_else() {
    let Some(mut bench) = bench() else { return };
    let local = |last| Address::V6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    let (none, all) =
        (Address::V6([0; 16]), Address::V6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    for (src, dst) in [(local(1), local(2)), (local(1), all), (none, all)] {
        let packet = PodPacket::of(58, src, dst);
        stays(&mut bench, (Hook::PodIn, &packet.frame()), Reason::PodLink);
    }
    for (src, dst) in [(local(1), v6(2)), (none, v6(2)), (none, local(2))] {
        let packet = PodPacket::of(UDP, src, dst);
        stays(&mut bench, (Hook::PodIn, &packet.frame()), Reason::PodSpoof6);
    }
}

#[test]
fn a_translated_connection_that_looks_like_a_redirected_one_is_refused_until_that_has_ended() {
    let Some(mut bench) = bench() else { return };
    let direct = PodPacket::syn(OWN, PEER);
    crosses(&mut bench, &direct.frame());
    let twin = PodPacket { ports: (8080, 40_000), ..PodPacket::syn(PEER, OWN) };
    stays(&mut bench, (Hook::PodOut, &twin.frame()), Reason::PodClash);
    crosses(&mut bench, &PodPacket { flags: TCP_FIN | TCP_ACK, ..direct }.frame());
    stays(&mut bench, (Hook::PodOut, &twin.frame()), Reason::PodFromStack);
}
