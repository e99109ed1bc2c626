//! One scenario for every reason. A new reason does not compile without one, and one that is not hit is named.

use sart_ebpf_common::packet::{TCP_ACK, UDP};
use sart_ebpf_common::reason::Reason;

use crate::bench::{Bench, Hook};
use crate::frame::Packet;
use crate::golden::{CLIENT, ONE, TWO, VIP, tables};

/// Changes of the tables and frames, in their order.
enum Step {
    Pods(Vec<([u8; 4], &'static str)>),
    Frame(Hook, Vec<u8>),
}

fn pods(pods: &[([u8; 4], &'static str)]) -> Step {
    Step::Pods(pods.to_vec())
}

fn ingress(packet: &Packet) -> Step {
    Step::Frame(Hook::In, packet.frame())
}

fn egress(packet: &Packet) -> Step {
    Step::Frame(Hook::Out, packet.frame())
}

/// A datagram to the VIP with one byte replaced.
fn altered(at: usize, byte: u8) -> Step {
    let mut frame = Packet::udp(CLIENT, VIP).frame();
    frame[at] = byte;
    Step::Frame(Hook::In, frame)
}

fn steps(reason: Reason) -> Vec<Step> {
    let (syn, udp) = (Packet::syn(CLIENT, VIP), Packet::udp(CLIENT, VIP));
    let direct = Packet::syn(CLIENT, ONE);
    match reason {
        Reason::NotOurs => vec![ingress(&Packet::syn(CLIENT, ([203, 0, 113, 1], 80)))],
        Reason::NotIpv4 => vec![altered(12, 0x86)],
        Reason::OtherProtocol => vec![altered(23, 47)],
        Reason::Icmp => vec![altered(23, 1)],
        Reason::Short => vec![Step::Frame(Hook::In, udp.frame()[..40].to_vec())],
        Reason::BadHeader => vec![altered(14, 0x44)],
        Reason::Fragment => vec![altered(20, 0x20)],
        Reason::NewFlow | Reason::FlowTable | Reason::Rewrite => vec![ingress(&syn)],
        Reason::Established => vec![ingress(&udp), ingress(&udp)],
        Reason::Adopted => vec![ingress(&Packet::tcp(CLIENT, VIP).with_flags(TCP_ACK))],
        Reason::Reselected => vec![ingress(&udp), pods(&[(TWO.0, "b")]), ingress(&udp)],
        Reason::ClashAvoided => {
            let mut steps = vec![pods(&[(ONE.0, "a"), (TWO.0, "b")])];
            for client in (1000..1032).map(|port| (CLIENT.0, port)) {
                steps.extend([ingress(&Packet::syn(client, ONE)), ingress(&Packet::syn(client, VIP))]);
            }
            steps
        }
        Reason::Direct => vec![ingress(&direct)],
        Reason::Reply => vec![ingress(&udp), egress(&Packet::of(UDP, ONE, CLIENT))],
        Reason::NoFlow => vec![egress(&Packet::of(UDP, ONE, CLIENT))],
        Reason::DirectReply => vec![ingress(&direct), egress(&Packet::tcp(ONE, CLIENT))],
        Reason::NoBackend => vec![pods(&[]), ingress(&syn)],
        Reason::BackendGone => vec![ingress(&syn), pods(&[(TWO.0, "b")]), ingress(&Packet::tcp(CLIENT, VIP))],
        Reason::Clash => vec![ingress(&direct), ingress(&syn)],
        Reason::XdpVip => vec![Step::Frame(Hook::Xdp, syn.frame())],
        Reason::XdpOther => vec![Step::Frame(Hook::Xdp, direct.frame())],
        of_a_pod => crate::podgolden::steps(of_a_pod)
            .into_iter()
            .map(|(hook, frame)| Step::Frame(hook, frame))
            .collect(),
    }
}

/// The last step ends with this reason in the kernel's own counter.
fn is_hit(bench: &mut Bench, reason: Reason) -> bool {
    bench.apply(&tables(&[(ONE, "a")]));
    crate::podgolden::plug(bench);
    for step in steps(reason) {
        match step {
            Step::Pods(pods) => {
                let pods: Vec<_> = pods.into_iter().map(|(addr, uid)| ((addr, ONE.1), uid)).collect();
                bench.apply(&tables(&pods));
            }
            Step::Frame(hook, frame) => {
                bench.run(hook, &frame);
            }
        }
    }
    bench.reason(reason).packets > 0
}

#[test]
fn every_reason_is_hit() {
    let mut missed = Vec::new();
    for reason in Reason::ALL {
        let fault = match reason {
            Reason::FlowTable | Reason::PodTable => 1,
            Reason::Rewrite => 2,
            _ => 0,
        };
        let Some(mut bench) = Bench::with_fault(fault) else { return };
        if !is_hit(&mut bench, reason) {
            missed.push(reason.label());
        }
    }
    assert!(missed.is_empty(), "no test hits: {}", missed.join(", "));
}

#[test]
fn a_step_that_fails_drops_the_packet_and_is_counted_for_its_address() {
    for (fault, reason) in [(1, Reason::FlowTable), (2, Reason::Rewrite)] {
        let Some(mut bench) = Bench::with_fault(fault) else { return };
        bench.apply(&tables(&[(ONE, "a")]));
        crate::golden::refuse(&mut bench, &Packet::syn(CLIENT, VIP), reason);
        let stats = bench.stats(0);
        assert_eq!((stats.drops, stats.packets), (1, 0), "{}", reason.label());
    }
}
