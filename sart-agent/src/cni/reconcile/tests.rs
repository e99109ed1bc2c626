//! Every crash that journal and kernel can show.

use std::time::SystemTime;

use sart_fib::KernelRoute;
use sart_netlink::Link;
use sart_netlink::pod::Neighbour;

use super::*;
use crate::cni::journal::Record;

fn key(container: &str) -> AttachmentKey {
    AttachmentKey { network: "net".into(), container: container.into(), ifname: "eth0".into() }
}

pub fn made(container: &str, address: &str, ifindex: u32) -> Attachment {
    let key = key(container);
    Attachment {
        pod: String::new(),
        netns: String::new(),
        addresses: vec![PodAddress { address: address.parse().unwrap(), pool: "p".into() }],
        host_mac: attachment::host_mac(&key),
        pod_mac: attachment::mac(&key, 1),
        mtu: 1500,
        ifindex,
        pod_ifindex: 2,
        shaped: false,
        key,
    }
}

pub fn ledger(records: &[Record]) -> Ledger {
    let mut ledger = Ledger::default();
    records.iter().cloned().for_each(|record| ledger.take(record));
    ledger
}

fn link(of: &Attachment) -> PairLink {
    let link = Link {
        index: of.ifindex,
        name: of.link(),
        kind: "veth".into(),
        up: true,
        carrier: true,
        loopback: false,
        mtu: of.mtu,
        master: None,
    };
    PairLink { link, mac: of.host_mac, alias: attachment::alias(&of.key), peer: of.pod_ifindex }
}

pub fn observed(whole: &[&Attachment]) -> Observed {
    let routes = whole.iter().flat_map(|of| of.ips().map(|ip| attachment::route(ip, of.ifindex)));
    let neighbours = whole
        .iter()
        .flat_map(|of| of.ips().map(|address| Neighbour { ifindex: of.ifindex, address, mac: of.pod_mac }));
    Observed {
        links: whole.iter().map(|of| link(of)).collect(),
        routes: routes.map(KernelRoute::up).collect(),
        neighbours: neighbours.collect(),
    }
}

#[test]
fn what_stands_on_both_sides_is_adopted_as_it_is() {
    let a = made("a", "10.0.0.1", 7);
    let plan = plan(&ledger(&[Record::Begun(a.clone()), Record::Made(a.clone())]), &observed(&[&a]));
    assert_eq!(plan, [Repair::Adopt(a, false)]);
}

#[test]
fn a_lost_route_is_written_again_and_a_new_index_is_learnt() {
    let a = made("a", "10.0.0.1", 7);
    let mut seen = observed(&[&a]);
    seen.routes.clear();
    let old = Attachment { ifindex: 5, ..a.clone() };
    assert_eq!(plan(&ledger(&[Record::Made(old)]), &seen), [Repair::Adopt(a, true)]);
}

#[test]
fn an_add_that_nobody_was_told_of_is_undone() {
    let a = made("a", "10.0.0.1", 7);
    let released = Repair::Release(a.key.clone(), a.addresses.clone());
    let plan_of = |seen: &Observed| plan(&ledger(&[Record::Begun(a.clone())]), seen);
    let route = attachment::route(a.ips().next().unwrap(), 7);
    let whole = [Repair::Unlink(a.link()), Repair::Unroute(route), released.clone()];
    assert_eq!(plan_of(&observed(&[&a])), whole);
    assert_eq!(plan_of(&Observed::default()), [released]);
}

#[test]
fn a_pod_that_went_with_a_reboot_is_released() {
    let a = made("a", "10.0.0.1", 7);
    let plan = plan(&ledger(&[Record::Made(a.clone())]), &Observed::default());
    assert_eq!(plan, [Repair::Release(a.key, a.addresses)]);
}

#[test]
fn a_del_cut_short_is_finished() {
    let a = made("a", "10.0.0.1", 7);
    let gone = Gone::new(a.key.clone(), a.addresses.clone(), SystemTime::UNIX_EPOCH);
    let records = [Record::Made(a.clone()), Record::Gone(gone.clone())];
    let plan = plan(&ledger(&records), &observed(&[&a]));
    let route = attachment::route(a.ips().next().unwrap(), 7);
    assert_eq!(plan, [Repair::Unlink(a.link()), Repair::Unroute(route), Repair::Cool(gone)]);
}

#[test]
fn without_a_journal_the_kernel_tells_what_stands() {
    let a = made("a", "10.0.0.1", 7);
    let plan = plan(&Ledger::default(), &observed(&[&a]));
    let pooled = vec![PodAddress { address: "10.0.0.1".parse().unwrap(), pool: String::new() }];
    assert_eq!(plan, [Repair::Recover(Attachment { addresses: pooled, ..a })]);
}

#[test]
fn a_link_that_tells_too_little_goes_and_a_foreign_one_is_never_named() {
    let a = made("a", "10.0.0.1", 7);
    let mut seen = observed(&[&a]);
    seen.routes.clear();
    assert_eq!(plan(&Ledger::default(), &seen), [Repair::Unlink(a.link())]);
    // `observe` hands over links with our alias only; one of our name with another alias is not among them.
    let taken = ledger(&[Record::Made(a.clone())]);
    let mut foreign = link(&a);
    foreign.alias = "somebody".into();
    let seen = Observed { links: vec![foreign], ..Observed::default() };
    assert!(!plan(&taken, &seen).contains(&Repair::Unlink(a.link())));
}
