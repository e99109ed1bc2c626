use sart_ebpf_common::layout::{PORT_READY, be32};

use super::*;

const A: u8 = 1;
const B: u8 = 2;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const SYN_ACK: u8 = 18;

fn mac(link: u8) -> ([u8; 6], [u8; 6]) {
    ([0x0a, 0, 0, 0, 0, link], [2, 0, 0, 0, 0, link])
}

/// Pods A and B on links 1 and 2.
fn model() -> PodModel {
    let row = |link| {
        let (host_mac, pod_mac) = mac(link);
        PodRow { ifindex: link.into(), mtu: 1500, flags: PORT_READY, slot: 0, pad: 0, host_mac, pod_mac }
    };
    let key = |last| PodKey::v4(be32([10, 1, 0, last]));
    PodModel { pods: [(key(A), row(A)), (key(B), row(B))].into(), ..PodModel::default() }
}

/// From a pod's port to another's, as it leaves the first one's link.
fn frame((from, sport): (u8, u16), (to, dport): (u8, u16), (proto, flags): (u8, u8)) -> Vec<u8> {
    let (host, pod) = mac(from);
    let mut frame = [host, pod].concat();
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, proto, 0, 0, 10, 1, 0, from, 10, 1, 0, to]);
    frame.extend([sport.to_be_bytes(), dport.to_be_bytes()].concat());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}

fn sent(model: &mut PodModel, frame: &[u8]) -> (Reason, Option<u32>) {
    let outcome = model.pod_in(frame, frame[11].into());
    (outcome.reason, outcome.redirect)
}

#[test]
fn measured_a_foreign_source_is_dropped_even_if_another_pod_has_it() {
    let mut model = model();
    for source in [B, 77] {
        let mut forged = frame((A, 1), (B, 80), (TCP, SYN));
        forged[29] = source;
        assert_eq!(sent(&mut model, &forged), (Reason::PodSpoof4, None), "10.1.0.{source}");
    }
    assert!(model.flows.is_empty());
}

#[test]
fn measured_replies_of_what_the_stack_translated_go_back_through_it() {
    for (proto, answer) in [(TCP, SYN_ACK), (UDP, 0)] {
        let mut model = model();
        // A asked a cluster address; the stack made B of it.
        let asked = frame((A, 40_000), (B, 80), (proto, SYN));
        assert_eq!(model.pod_out(&asked, B.into()).reason, Reason::PodFromStack);
        let reply = frame((B, 80), (A, 40_000), (proto, answer));
        assert_eq!(sent(&mut model, &reply), (Reason::PodStack, None), "protocol {proto}");
    }
}

#[test]
fn measured_a_translated_connection_does_not_break_the_redirected_one_of_the_same_ports() {
    let mut model = model();
    let direct = frame((A, 40_000), (B, 80), (TCP, SYN));
    assert_eq!(sent(&mut model, &direct), (Reason::PodPeer, Some(B.into())));
    assert_eq!(model.pod_out(&direct, B.into()).reason, Reason::PodClash);
    let reply = frame((B, 80), (A, 40_000), (TCP, SYN_ACK));
    assert_eq!(sent(&mut model, &reply), (Reason::PodPeer, Some(A.into())), "its replies go straight on");
}

#[test]
fn both_directions_of_a_flow_take_the_same_way_whoever_opens_it() {
    for (client, server) in [(A, B), (B, A)] {
        let mut model = model();
        let open = frame((client, 40_000), (server, 80), (TCP, SYN));
        assert_eq!(sent(&mut model, &open), (Reason::PodPeer, Some(server.into())));
        let reply = frame((server, 80), (client, 40_000), (TCP, SYN_ACK));
        assert_eq!(sent(&mut model, &reply), (Reason::PodPeer, Some(client.into())));
        assert_eq!(model.flows.len(), 1);
    }
}

#[test]
fn a_connection_nobody_saw_open_stays_with_the_stack() {
    let mut model = model();
    let middle = frame((A, 40_000), (B, 80), (TCP, 16));
    assert_eq!(sent(&mut model, &middle), (Reason::PodStack, None));
    assert!(model.flows.is_empty());
}

#[test]
fn a_datagram_flow_of_the_stack_is_redirected_once_translation_has_forgotten_it() {
    let mut model = model();
    let datagram = frame((A, 40_000), (B, 53), (UDP, 0));
    let _remembered = model.pod_out(&datagram, B.into());
    for (now, reason) in [(180, Reason::PodStack), (361, Reason::PodPeer)] {
        model.now = now;
        assert_eq!(sent(&mut model, &datagram).0, reason, "at {now}");
    }
}
