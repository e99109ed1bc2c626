//! Upstream's defects, seen from the packets.

use sart_dataplane::desired::{DesiredTables, ServiceRef};
use sart_ebpf_common::reason::Reason;

use crate::bench::Hook;
use crate::frame::Packet;
use crate::golden::{CLIENT, ONE, TWO, VIP, bench, refuse, send, tables, untouched};

#[test]
fn issue_7_1_2_packets_to_a_withdrawn_address_go_on_untouched() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
    bench.apply(&DesiredTables::default());
    assert!(bench.vips().is_empty());
    for packet in [Packet::tcp(CLIENT, VIP), Packet::syn(CLIENT, VIP), Packet::udp(CLIENT, VIP)] {
        untouched(&mut bench, Hook::In, &packet.frame(), Reason::NotOurs);
    }
}

#[test]
fn issue_7_1_11_a_freed_address_given_to_another_service_keeps_no_flow_of_the_first() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow);
    send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::NewFlow);
    let mut next = tables(&[(TWO, "b")]);
    for vip in &mut next.vips {
        vip.service = ServiceRef { namespace: "default".into(), name: "other".into() };
    }
    bench.apply(&DesiredTables::default());
    bench.apply(&next);
    refuse(&mut bench, &Packet::tcp(CLIENT, VIP), Reason::BackendGone);
    assert_eq!(send(&mut bench, &Packet::udp(CLIENT, VIP), Reason::Reselected), TWO);
}

#[test]
fn measured_deleting_the_first_of_two_services_on_an_address_leaves_the_second() {
    let Some(mut bench) = bench(&[(ONE, "a")]) else { return };
    let mut second = tables(&[(TWO, "b")]);
    for vip in &mut second.vips {
        vip.service = ServiceRef { namespace: "default".into(), name: "second".into() };
    }
    let mut both = tables(&[(ONE, "a")]);
    both.vips.extend(second.vips.iter().cloned());
    bench.apply(&both);
    assert_eq!(send(&mut bench, &Packet::syn(CLIENT, VIP), Reason::NewFlow), ONE);
    bench.apply(&second);
    assert_eq!(send(&mut bench, &Packet::syn((CLIENT.0, 2), VIP), Reason::NewFlow), TWO);
}
