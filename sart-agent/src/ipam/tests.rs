//! The life of a block on its node, and what the CNI server gets from the book.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;
use sart_ipam::pod::PodPool;

use super::view::{BlockFact, PodFact, RequestFact, Synced};
use super::*;
use crate::cni::{AddressRequest, AttachmentKey, PodAddress, PodAddresses};
use crate::node::ObjectKey;

const COOL: Duration = Duration::from_secs(120);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn pool(name: &str, cidr: &str, block_len: u8, auto_assign: bool) -> PodPool {
    let (name, net) = (name.to_owned(), net(cidr));
    PodPool { name, net, block_len, auto_assign, accepted: true, disabled: false, avoid_buggy: false }
}

fn block(pool: &str, cidr: &str) -> BlockFact {
    BlockFact { uid: format!("uid-{cidr}"), pool: pool.to_owned(), net: net(cidr), going: false }
}

fn pod(uid: &str, pool: Option<&str>) -> PodFact {
    PodFact { uid: uid.to_owned(), pool: pool.map(str::to_owned), waiting: true, ..PodFact::default() }
}

fn all() -> Synced {
    Synced { pods: true, namespaces: true, pools: true, blocks: true, requests: true }
}

/// A book with the article's two pools, and pods `a` (default), `b` (annotated) in namespace `n`, `c` in an annotated one.
fn book() -> AddressBook {
    let book = AddressBook::new(COOL, None);
    book.take(|view| {
        view.synced = all();
        view.pools.insert("default".into(), pool("default", "10.1.0.0/24", 29, true));
        view.pools.insert("other".into(), pool("other", "10.10.0.0/29", 32, false));
        view.namespaces.insert("n".into(), None);
        view.namespaces.insert("m".into(), Some("other".into()));
        view.pods.insert(ObjectKey::new("n", "a"), pod("a", None));
        view.pods.insert(ObjectKey::new("n", "b"), pod("b", Some("other")));
        view.pods.insert(ObjectKey::new("m", "c"), pod("c", None));
    });
    book.adopted();
    book.announced(Some(BTreeSet::new()));
    book
}

fn key(container: &str) -> AttachmentKey {
    AttachmentKey { network: "sart-network".into(), container: container.into(), ifname: "eth0".into() }
}

fn ask(book: &AddressBook, namespace: &str, pod: &str) -> Result<Vec<PodAddress>, crate::cni::AddressError> {
    let request = AddressRequest {
        key: key(pod),
        namespace: Some(namespace.into()),
        pod: Some(pod.into()),
        uid: Some(pod.into()),
    };
    book.allocate(&request, Instant::now())
}

fn address(book: &AddressBook, namespace: &str, pod: &str) -> Option<String> {
    ask(book, namespace, pod).ok().map(|given| given[0].address.to_string())
}

/// The controller grants a block, and the route task reports its route.
fn grant(book: &AddressBook, name: &str, fact: BlockFact) {
    let net = fact.net;
    book.take(|view| drop(view.blocks.insert(name.into(), fact)));
    assert!(book.replan().routes.contains(&net));
    let standing = book.replan().routes;
    book.routes_stand(standing);
    assert!(book.replan().announce.contains_key(name));
}

#[test]
fn a_node_asks_for_what_its_pods_need_before_the_first_add() {
    let book = book();
    let desired = book.replan();
    let wants: BTreeMap<&str, u32> =
        desired.requests.iter().map(|(pool, want)| (pool.as_str(), want.blocks)).collect();
    assert_eq!(wants, BTreeMap::from([("default", 1), ("other", 2)]));
}

#[test]
fn nothing_is_given_or_announced_before_the_covering_route_stands() {
    let book = book();
    book.take(|view| drop(view.blocks.insert("default-0".into(), block("default", "10.1.0.0/29"))));
    let desired = book.replan();
    assert_eq!((desired.routes.len(), desired.announce.len()), (1, 0));
    assert_eq!(ask(&book, "n", "a").unwrap_err().reason(), "pending");
    book.routes_stand(desired.routes);
    assert_eq!(book.replan().announce.get("default-0"), Some(&net("10.1.0.0/29")));
    assert_eq!(address(&book, "n", "a").as_deref(), Some("10.1.0.0"));
}

#[test]
fn pods_and_namespaces_choose_their_pool_as_in_the_article() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    grant(&book, "other-0", block("other", "10.10.0.0/32"));
    grant(&book, "other-1", block("other", "10.10.0.1/32"));
    assert_eq!(address(&book, "n", "a").as_deref(), Some("10.1.0.0"));
    assert_eq!(address(&book, "n", "b").as_deref(), Some("10.10.0.0"));
    assert_eq!(address(&book, "m", "c").as_deref(), Some("10.10.0.1"));
    assert_eq!(book.held(&key("c"))[0].pool, "other");
}

#[test]
fn issue_7_2_a_pod_of_the_same_name_made_anew_gets_its_own_address() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    assert_eq!(address(&book, "n", "a").as_deref(), Some("10.1.0.0"));
    book.take(|view| drop(view.pods.insert(ObjectKey::new("n", "a"), pod("new", None))));
    let request = AddressRequest {
        key: key("x"),
        namespace: Some("n".into()),
        pod: Some("a".into()),
        uid: Some("new".into()),
    };
    let given = book.allocate(&request, Instant::now()).unwrap();
    assert_eq!(given[0].address.to_string(), "10.1.0.1");
    book.release(&key("a"), SystemTime::now());
    assert_eq!(book.held(&key("x")), given, "the old container's DEL frees only its own");
}

#[test]
fn a_pool_that_is_exhausted_is_named_and_reuses_a_warm_address_first() {
    let book = book();
    grant(&book, "other-0", block("other", "10.10.0.0/32"));
    assert_eq!(address(&book, "n", "b").as_deref(), Some("10.10.0.0"));
    book.take(|view| {
        let exhausted = Some("AddressPool other has no free block".to_owned());
        let request = RequestFact { pool: "other".into(), blocks: 2, exhausted, ..RequestFact::default() };
        view.requests.insert("other-node".into(), request);
    });
    let error = ask(&book, "m", "c").unwrap_err();
    assert_eq!(
        (error.reason(), error.to_string().as_str()),
        ("exhausted", "AddressPool other has no free block")
    );
    book.release(&key("b"), SystemTime::now());
    assert_eq!(address(&book, "m", "c").as_deref(), Some("10.10.0.0"));
}

/// N4: nobody listens where the API server should be.
#[test]
fn with_the_api_server_down_pods_get_pre_claimed_addresses_and_an_unknown_one_is_told_to_try_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = {
        let _entered = runtime.enter();
        kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap()
    };
    let book = AddressBook::new(COOL, Some((client, runtime.handle().clone())));
    book.take(|view| {
        view.synced = all();
        view.pools.insert("default".into(), pool("default", "10.1.0.0/24", 29, true));
        view.namespaces.insert("n".into(), None);
        view.pods.insert(ObjectKey::new("n", "a"), pod("a", None));
    });
    book.adopted();
    book.announced(Some(BTreeSet::new()));
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    let given = address(&book, "n", "a").unwrap();
    assert!(given.starts_with("10.1.0."), "{given}");
    // The cache does not know it and nobody can be asked: not gone, and not for ever.
    let unknown =
        AddressRequest { key: key("x"), namespace: Some("n".into()), pod: Some("x".into()), uid: None };
    let begun = Instant::now();
    let error = book.allocate(&unknown, begun + Duration::from_secs(4)).unwrap_err();
    assert_eq!(error.reason(), "pending");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // What leaves is let go all the same.
    book.release(&key("a"), SystemTime::now());
    assert_eq!(book.held(&key("a")), []);
}

#[test]
fn giving_a_block_back_is_closing_then_withdrawing_then_the_route_then_the_release() {
    let book = book();
    grant(&book, "other-0", block("other", "10.10.0.0/32"));
    book.take(|view| view.pods.clear());
    let own = net("10.10.0.0/32");
    // No pod needs it: it is closed at once, and the speaker still announces it.
    book.announced(Some(BTreeSet::from([own])));
    let closing = book.replan();
    assert!(closing.announce.is_empty() && closing.routes.contains(&own));
    assert!(closing.requests["other"].release.is_empty());
    book.announced(None);
    assert!(book.replan().routes.contains(&own), "a speaker that cannot be asked may still announce it");
    book.announced(Some(BTreeSet::new()));
    let withdrawn = book.replan();
    assert!(withdrawn.routes.is_empty() && withdrawn.requests["other"].release.is_empty());
    book.routes_stand(BTreeSet::new());
    let released = book.replan().requests["other"].clone();
    assert_eq!((released.blocks, released.release), (0, BTreeSet::from(["uid-10.10.0.0/32".to_owned()])));
    book.take(|view| drop(view.blocks.remove("other-0")));
    assert!(!book.replan().requests.contains_key("other"));
}

#[test]
fn measured_after_a_restart_nothing_is_given_back_before_the_journal_is_known() {
    let book = AddressBook::new(COOL, None);
    book.take(|view| {
        view.synced = all();
        view.pools.insert("other".into(), pool("other", "10.10.0.0/29", 32, false));
        view.blocks.insert("other-0".into(), block("other", "10.10.0.0/32"));
    });
    book.announced(Some(BTreeSet::new()));
    let desired = book.replan();
    assert!(desired.requests.is_empty() && desired.routes.len() == 1);
    let held = PodAddress { address: "10.10.0.0".parse().unwrap(), pool: "other".into() };
    book.adopt(&key("x"), std::slice::from_ref(&held)).unwrap();
    book.adopted();
    book.routes_stand(desired.routes);
    assert_eq!(book.replan().requests["other"].release, BTreeSet::new());
    assert_eq!(book.held(&key("x")), [held]);
    assert!(book.adopt(&key("y"), &book.held(&key("x"))).is_err());
}

#[test]
fn a_release_that_an_earlier_process_began_is_finished_and_not_undone() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    book.take(|view| {
        let release = BTreeSet::from(["uid-10.1.0.0/29".to_owned()]);
        let request = RequestFact { pool: "default".into(), blocks: 0, release, exhausted: None };
        view.requests.insert("default-node".into(), request);
    });
    let desired = book.replan();
    assert!(desired.announce.is_empty(), "the controller may delete it at any moment");
    assert_eq!(ask(&book, "n", "a").unwrap_err().reason(), "pending");
}

#[test]
fn an_address_released_by_an_earlier_process_goes_on_cooling() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/31"));
    let first = PodAddress { address: "10.1.0.0".parse().unwrap(), pool: "default".into() };
    book.cool(&first, SystemTime::now() - Duration::from_secs(10));
    assert_eq!(address(&book, "n", "a").as_deref(), Some("10.1.0.1"));
    let long_ago = PodAddress { address: "10.1.0.2".parse().unwrap(), pool: "default".into() };
    book.cool(&long_ago, SystemTime::now() - Duration::from_secs(500));
    let ahead = SystemTime::now() + Duration::from_secs(86_400);
    book.cool(&first, ahead);
    assert_eq!(book.pool_states()[0].counts.cooling, 1);
}

#[test]
fn each_hindrance_has_its_reason() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    assert_eq!(ask(&book, "n", "nosuch").unwrap_err().reason(), "pending");
    book.take(|view| drop(view.pods.insert(ObjectKey::new("n", "d"), pod("d", Some("nosuch")))));
    assert_eq!(ask(&book, "n", "d").unwrap_err().reason(), "no_pool");
    book.take(|view| drop(view.pods.insert(ObjectKey::new("new", "e"), pod("e", None))));
    assert!(ask(&book, "new", "e").unwrap_err().to_string().contains("namespace new"));
    assert!(book.ready().is_ok());
    book.take(|view| view.synced.namespaces = false);
    assert!(book.ready().unwrap_err().to_string().contains("namespaces"));
    assert_eq!(ask(&book, "n", "a").unwrap_err().reason(), "pending");
}

#[test]
fn a_waiting_add_is_served_as_soon_as_the_block_arrives() {
    let book = Arc::new(book());
    let waiting = Arc::clone(&book);
    let caller = std::thread::spawn(move || {
        let request =
            AddressRequest { key: key("a"), namespace: Some("n".into()), pod: Some("a".into()), uid: None };
        waiting.allocate(&request, Instant::now() + Duration::from_secs(30))
    });
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    assert_eq!(caller.join().unwrap().unwrap()[0].address.to_string(), "10.1.0.0");
}

#[test]
fn a_hundred_adds_at_once_get_a_hundred_addresses() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/25"));
    let mut given: Vec<String> = std::thread::scope(|scope| {
        let ask = |n: usize| {
            let request = AddressRequest { key: key(&n.to_string()), namespace: None, pod: None, uid: None };
            book.allocate(&request, Instant::now() + Duration::from_secs(30)).unwrap()[0].address.to_string()
        };
        let callers: Vec<_> = (0..100).map(|n| scope.spawn(move || ask(n))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 100);
}

#[test]
fn a_block_taken_away_is_neither_routed_nor_announced_any_more() {
    let book = book();
    grant(&book, "default-0", block("default", "10.1.0.0/29"));
    assert!(address(&book, "n", "a").is_some());
    book.take(|view| drop(view.blocks.remove("default-0")));
    let desired = book.replan();
    assert!(desired.routes.is_empty() && desired.announce.is_empty());
    assert_eq!(book.held(&key("a")).len(), 1, "the pod keeps what it has until it is deleted");
}
