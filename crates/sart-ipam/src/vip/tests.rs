//! The table of what a Service asks for and what it gets.

use super::*;
use std::collections::BTreeMap;

pub(super) struct Book(pub(super) BTreeMap<IpAddr, String>);

impl Ledger for Book {
    fn holder(&self, address: IpAddr) -> Option<String> {
        self.0.get(&address).cloned()
    }

    fn taken(&self, net: IpNet) -> Box<dyn Iterator<Item = IpAddr> + '_> {
        Box::new(self.0.keys().copied().filter(move |a| net.contains(a)))
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|t| ip(t)).collect()
}

pub(super) fn pool(name: &str, net: &str, auto: bool) -> VipPool {
    let net = net.parse().unwrap();
    VipPool { name: name.to_owned(), net, auto_assign: auto, avoid_buggy: false, closed: None }
}

fn pools() -> Vec<VipPool> {
    vec![
        pool("default", "10.0.1.0/24", true),
        pool("other", "10.0.100.0/24", false),
        pool("tiny", "10.9.0.0/31", false),
    ]
}

fn ask(pools: &[&str], addresses: &[&str], held: &[&str]) -> Request {
    Request {
        pools: pools.iter().map(ToString::to_string).collect(),
        addresses: ips(addresses),
        families: vec![Family::V4],
        require_dual: false,
        held: ips(held),
    }
}

fn book(taken: &[&str]) -> Book {
    Book(taken.iter().map(|a| (ip(a), "Service x/y".to_owned())).collect())
}

fn get(request: &Request, taken: &[&str]) -> Result<Vec<IpAddr>, &'static str> {
    allocate(request, &pools(), &book(taken)).map_err(|refusal| refusal.reason())
}

#[test]
fn a_service_that_names_nothing_gets_the_lowest_free_address_of_the_default_pool() {
    assert_eq!(get(&ask(&[], &[], &[]), &[]), Ok(ips(&["10.0.1.0"])));
    assert_eq!(get(&ask(&[], &[], &[]), &["10.0.1.0"]), Ok(ips(&["10.0.1.1"])));
}

#[test]
fn a_named_pool_and_a_named_address_are_honoured() {
    assert_eq!(get(&ask(&["other"], &[], &[]), &[]), Ok(ips(&["10.0.100.0"])));
    assert_eq!(get(&ask(&["other"], &["10.0.100.20"], &[]), &[]), Ok(ips(&["10.0.100.20"])));
    assert_eq!(get(&ask(&[], &["10.0.100.20"], &[]), &[]), Ok(ips(&["10.0.100.20"])));
}

#[test]
fn several_pools_give_one_address_each_in_the_order_they_are_named() {
    assert_eq!(get(&ask(&["other", "default"], &[], &[]), &[]), Ok(ips(&["10.0.100.0", "10.0.1.0"])));
    let mixed = ask(&["default", "other"], &["10.0.100.20"], &[]);
    assert_eq!(get(&mixed, &[]), Ok(ips(&["10.0.1.0", "10.0.100.20"])));
}

#[test]
fn what_a_service_holds_it_keeps_while_it_satisfies_the_request() {
    assert_eq!(get(&ask(&[], &[], &["10.0.1.7"]), &[]), Ok(ips(&["10.0.1.7"])));
    assert_eq!(get(&ask(&["other"], &[], &["10.0.1.7"]), &[]), Ok(ips(&["10.0.100.0"])));
    assert_eq!(get(&ask(&[], &["10.0.1.9"], &["10.0.1.7"]), &[]), Ok(ips(&["10.0.1.9"])));
}

#[test]
fn each_bad_request_has_its_own_reason() {
    let cases: [(Request, &[&str], &str); 6] = [
        (ask(&["nosuch"], &[], &[]), &[], "PoolNotFound"),
        (ask(&["other"], &["10.0.1.5"], &[]), &[], "AddressOutsidePool"),
        (ask(&[], &["192.0.2.1"], &[]), &[], "AddressOutsidePool"),
        (ask(&["other"], &["10.0.100.20"], &[]), &["10.0.100.20"], "AddressTaken"),
        (ask(&["tiny"], &[], &[]), &["10.9.0.0", "10.9.0.1"], "PoolExhausted"),
        (Request { families: vec![Family::V6], ..ask(&["other"], &[], &[]) }, &[], "FamilyMismatch"),
    ];
    for (request, taken, reason) in cases {
        assert_eq!(get(&request, taken), Err(reason), "{request:?}");
    }
    let none = allocate(&ask(&[], &[], &[]), &[], &book(&[])).unwrap_err();
    assert_eq!(none.reason(), "NoDefaultPool");
}

#[test]
fn a_closed_pool_keeps_its_users_and_takes_no_new_ones() {
    let mut closed = pools();
    closed[0].closed = Some(Closed::Disabled);
    let kept = allocate(&ask(&[], &[], &["10.0.1.7"]), &closed, &book(&[]));
    assert_eq!(kept, Ok(ips(&["10.0.1.7"])));
    let refused = allocate(&ask(&[], &[], &[]), &closed, &book(&[])).unwrap_err();
    assert_eq!(refused.reason(), "PoolNotUsable");
}

#[test]
fn dual_stack_takes_one_address_of_each_family_and_says_when_it_cannot() {
    let both = [pool("a", "10.0.0.0/24", true), pool("b", "fd00::/120", true)];
    let request =
        Request { families: vec![Family::V6, Family::V4], require_dual: true, ..Request::default() };
    assert_eq!(allocate(&request, &both, &book(&[])), Ok(ips(&["fd00::", "10.0.0.0"])));
    let one = allocate(&request, &both[..1], &book(&[])).unwrap_err();
    assert_eq!(one.reason(), "NotDualStack");
}

#[test]
fn issue_7_1_9_a_request_that_fails_in_its_second_pool_takes_nothing_from_the_first() {
    let taken = ["10.9.0.0", "10.9.0.1"];
    assert_eq!(get(&ask(&["default", "tiny"], &[], &[]), &taken), Err("PoolExhausted"));
    assert_eq!(get(&ask(&[], &[], &[]), &taken), Ok(ips(&["10.0.1.0"])));
}

#[test]
fn issue_7_1_10_an_address_another_service_records_is_kept_by_no_one_else() {
    assert_eq!(get(&ask(&[], &[], &["10.0.1.0"]), &["10.0.1.0"]), Ok(ips(&["10.0.1.1"])));
}

#[test]
fn measured_a_wrong_address_is_refused_and_never_becomes_another() {
    let outside = ask(&["other"], &["10.0.1.5"], &[]);
    assert_eq!(get(&outside, &[]), Err("AddressOutsidePool"));
    assert_eq!(get(&ask(&["other"], &["10.0.100.20"], &[]), &["10.0.100.20"]), Err("AddressTaken"));
    assert_eq!(get(&ask(&[], &["10.0.1.9"], &["10.0.1.7"]), &["10.0.1.9"]), Err("AddressTaken"));
}

#[test]
fn issue_7_2_several_addresses_stand_in_the_order_they_were_asked_for() {
    let named = ask(&["tiny", "other", "default"], &[], &[]);
    let wanted = ips(&["10.9.0.0", "10.0.100.0", "10.0.1.0"]);
    assert_eq!(get(&named, &[]), Ok(wanted.clone()));
    let held = Request { held: ips(&["10.0.1.0", "10.0.100.0", "10.9.0.0"]), ..named };
    assert_eq!(get(&held, &[]), Ok(wanted), "what it holds does not change the order");
}
