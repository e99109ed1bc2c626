//! The decisions about pods' addresses, case by case.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::*;

const COOL: Duration = Duration::from_secs(120);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn block(name: &str, pool: &str, net: &str) -> Block {
    let (name, pool, net) = (name.to_owned(), pool.to_owned(), net.parse().unwrap());
    Block { name, pool, net, state: BlockState::Open, avoid_buggy: false }
}

fn ledger(blocks: &[(&str, &str, &str)]) -> Ledger<&'static str> {
    let mut ledger = Ledger::new(COOL);
    blocks.iter().for_each(|(name, pool, net)| ledger.put_block(block(name, pool, net)));
    ledger
}

fn get(ledger: &mut Ledger<&'static str>, key: &'static str, pool: &str, now: u64) -> Option<String> {
    let given = ledger.allocate(&key, &[pool], at(now), Reuse::Cooled).ok()?;
    Some(given[0].address.to_string())
}

fn pool(name: &str, net: &str, auto_assign: bool) -> PodPool {
    let net: IpNet = net.parse().unwrap();
    let (name, block_len) = (name.to_owned(), net.max_prefix_len());
    PodPool { name, net, block_len, auto_assign, accepted: true, disabled: false, avoid_buggy: false }
}

fn chosen(
    pod: Option<&str>,
    namespace: Option<&str>,
    pools: &[PodPool],
) -> Result<Vec<String>, &'static str> {
    let chosen = choose(pod, namespace, pools).map_err(|error| error.reason())?;
    Ok(chosen.iter().map(|pool| pool.name.clone()).collect())
}

#[test]
fn the_pods_annotation_wins_over_the_namespaces_and_both_over_the_default_pools() {
    let pools =
        [pool("a", "10.1.0.0/24", true), pool("b", "10.2.0.0/24", false), pool("v6", "fd00::/64", true)];
    assert_eq!(chosen(None, None, &pools).unwrap(), ["a", "v6"]);
    assert_eq!(chosen(None, Some("b"), &pools).unwrap(), ["b"]);
    assert_eq!(chosen(Some("v6, b"), Some("a"), &pools).unwrap(), ["v6", "b"]);
    assert_eq!(chosen(Some(" "), Some("b"), &pools).unwrap(), ["b"]);
}

#[test]
fn a_pool_that_cannot_serve_is_refused_with_its_reason() {
    let mut pools = vec![pool("a", "10.1.0.0/24", false), pool("b", "10.2.0.0/24", false)];
    assert_eq!(chosen(None, None, &pools), Err("NoDefaultPool"));
    assert_eq!(chosen(Some("c"), None, &pools), Err("PoolNotFound"));
    assert_eq!(chosen(Some("a,b"), None, &pools), Err("SameFamily"));
    pools[0].accepted = false;
    pools[1].disabled = true;
    assert_eq!(chosen(Some("a"), None, &pools), Err("PoolNotUsable"));
    assert_eq!(chosen(Some("b"), None, &pools), Err("PoolNotUsable"));
}

#[test]
fn the_first_pod_of_a_block_gets_its_first_address_and_asking_again_gives_the_same() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/29")]);
    assert_eq!(get(&mut ledger, "x", "a", 0).as_deref(), Some("10.1.0.0"));
    assert_eq!(get(&mut ledger, "x", "a", 1).as_deref(), Some("10.1.0.0"));
    assert_eq!(get(&mut ledger, "y", "a", 1).as_deref(), Some("10.1.0.1"));
    let other = ledger.allocate(&"x", &["a", "b"], at(2), Reuse::Cooled).unwrap_err();
    assert_eq!(other.reason(), "HoldsOther");
}

#[test]
fn issue_7_2_an_address_never_comes_from_another_pools_block() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/32"), ("b-0", "b", "10.2.0.0/29")]);
    assert_eq!(get(&mut ledger, "x", "a", 0).as_deref(), Some("10.1.0.0"));
    assert_eq!(get(&mut ledger, "y", "a", 0), None);
    assert_eq!(ledger.allocate(&"y", &["c"], at(0), Reuse::Cooled).unwrap_err().reason(), "NoBlock");
}

#[test]
fn both_families_are_given_or_none() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/32"), ("s-0", "s", "fd00::/127")]);
    let given = ledger.allocate(&"x", &["a", "s"], at(0), Reuse::Cooled).unwrap();
    assert_eq!(given.iter().map(|g| g.address).collect::<Vec<_>>(), [ip("10.1.0.0"), ip("fd00::")]);
    assert_eq!(ledger.allocate(&"y", &["s", "a"], at(0), Reuse::Cooled).unwrap_err().reason(), "BlocksFull");
    assert_eq!(get(&mut ledger, "z", "s", 0).as_deref(), Some("fd00::1"), "nothing was kept for y");
}

#[test]
fn issue_7_2_a_freed_address_cools_down_before_it_is_given_again() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/31")]);
    get(&mut ledger, "x", "a", 0);
    assert_eq!(ledger.release(&"x", at(10)), [ip("10.1.0.0")]);
    assert!(ledger.release(&"x", at(11)).is_empty(), "a second release does nothing");
    assert_eq!(get(&mut ledger, "y", "a", 11).as_deref(), Some("10.1.0.1"));
    assert_eq!(get(&mut ledger, "z", "a", 129), None);
    assert_eq!(get(&mut ledger, "z", "a", 130).as_deref(), Some("10.1.0.0"));
}

#[test]
fn under_pressure_the_longest_cooling_address_is_given() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/31")]);
    get(&mut ledger, "x", "a", 0);
    get(&mut ledger, "y", "a", 0);
    ledger.release(&"y", at(5));
    ledger.release(&"x", at(9));
    assert_eq!(get(&mut ledger, "z", "a", 10), None);
    let given = ledger.allocate(&"z", &["a"], at(10), Reuse::UnderPressure).unwrap();
    assert_eq!(given[0].address, ip("10.1.0.1"));
}

#[test]
fn nothing_comes_from_a_block_that_waits_for_its_route_or_leaves() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/29")]);
    for state in [BlockState::Waiting, BlockState::Leaving] {
        assert!(ledger.set_block_state("a-0", state));
        assert_eq!(get(&mut ledger, "x", "a", 0), None);
    }
    assert!(ledger.set_block_state("a-0", BlockState::Open));
    assert!(get(&mut ledger, "x", "a", 0).is_some());
}

#[test]
fn measured_a_rebuilt_ledger_knows_every_holder_whatever_came_first() {
    let mut ledger = Ledger::new(COOL);
    ledger.adopt(&"x", &[ip("10.1.0.0")]).unwrap();
    ledger.put_block(block("a-0", "a", "10.1.0.0/31"));
    ledger.adopt(&"x", &[ip("10.1.0.0")]).unwrap();
    assert_eq!(ledger.adopt(&"y", &[ip("10.1.0.1"), ip("10.1.0.0")]).unwrap_err().address, ip("10.1.0.0"));
    assert_eq!(
        get(&mut ledger, "y", "a", 0).as_deref(),
        Some("10.1.0.1"),
        "nothing of the refused one stayed"
    );
    assert_eq!(ledger.release(&"x", at(0)), [ip("10.1.0.0")]);
}

#[test]
fn a_block_taken_away_names_who_still_sits_in_it_and_they_keep_their_address() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/29")]);
    get(&mut ledger, "x", "a", 0);
    assert_eq!(ledger.remove_block("a-0"), [(ip("10.1.0.0"), "x")]);
    assert_eq!(ledger.holder(ip("10.1.0.0")), Some(&"x"));
    assert_eq!(ledger.release(&"x", at(0)), [ip("10.1.0.0")]);
}

fn want(pool: &str, max_len: u8, block_len: u8, pending: usize, standing: bool) -> Want {
    Want { pool: pool.to_owned(), max_len, block_len, pending, standing, closed: false }
}

#[test]
fn a_default_pool_keeps_one_block_ready_and_no_pod_takes_it_back() {
    let mut ledger = ledger(&[]);
    let standing = want("a", 32, 29, 0, true);
    assert_eq!(need(&ledger, &standing, at(0)), Need { blocks: 1, release: vec![] });
    ledger.put_block(block("a-0", "a", "10.1.0.0/29"));
    assert_eq!(need(&ledger, &standing, at(0)), Need { blocks: 1, release: vec![] });
}

#[test]
fn a_block_is_asked_for_at_the_low_water_mark_and_given_back_well_above_it() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/29")]);
    let standing = want("a", 32, 29, 0, true);
    let keys = ["1", "2", "3", "4", "5", "6", "7"];
    for (count, key) in keys.into_iter().enumerate() {
        assert_eq!(need(&ledger, &standing, at(0)).blocks, 1, "{count} pods");
        get(&mut ledger, key, "a", 0);
    }
    assert_eq!(need(&ledger, &standing, at(0)).blocks, 2, "one free address is below the mark of two");
    ledger.put_block(block("a-1", "a", "10.1.0.8/29"));
    for key in ["7", "6", "5"] {
        ledger.release(&key, at(0));
        assert_eq!(need(&ledger, &standing, at(120)).release.len(), usize::from(key == "5"), "{key}");
    }
    assert_eq!(need(&ledger, &standing, at(120)), Need { blocks: 1, release: vec!["a-1".to_owned()] });
}

#[test]
fn blocks_of_one_address_are_claimed_per_pod_and_go_when_they_have_cooled() {
    let mut ledger = ledger(&[]);
    assert_eq!(need(&ledger, &want("b", 32, 32, 0, false), at(0)).blocks, 0);
    assert_eq!(need(&ledger, &want("b", 32, 32, 2, false), at(0)).blocks, 2);
    ledger.put_block(block("b-0", "b", "10.2.0.0/32"));
    ledger.put_block(block("b-1", "b", "10.2.0.1/32"));
    get(&mut ledger, "x", "b", 0);
    get(&mut ledger, "y", "b", 0);
    assert_eq!(need(&ledger, &want("b", 32, 32, 0, false), at(0)), Need { blocks: 2, release: vec![] });
    ledger.release(&"x", at(0));
    assert_eq!(need(&ledger, &want("b", 32, 32, 0, false), at(119)).release.len(), 0);
    let cooled = need(&ledger, &want("b", 32, 32, 0, false), at(120));
    assert_eq!(cooled, Need { blocks: 1, release: vec!["b-0".to_owned()] });
}

#[test]
fn issue_7_1_6_a_block_with_its_127th_and_255th_address_in_use_is_not_given_back() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/24")]);
    ledger.adopt(&"x", &[ip("10.1.0.127")]).unwrap();
    ledger.adopt(&"y", &[ip("10.1.0.255")]).unwrap();
    assert_eq!(ledger.in_use(ledger.block("a-0").unwrap(), at(0)), (2, 0));
    let closed = Want { closed: true, ..want("a", 32, 24, 0, false) };
    assert_eq!(need(&ledger, &closed, at(0)), Need { blocks: 1, release: vec![] });
}

#[test]
fn a_disabled_pool_drains_as_its_pods_leave() {
    let mut ledger = ledger(&[("a-0", "a", "10.1.0.0/29"), ("a-1", "a", "10.1.0.8/29")]);
    get(&mut ledger, "x", "a", 0);
    let closed = Want { closed: true, ..want("a", 32, 29, 3, true) };
    assert_eq!(need(&ledger, &closed, at(0)), Need { blocks: 1, release: vec!["a-1".to_owned()] });
    ledger.release(&"x", at(0));
    assert_eq!(need(&ledger, &closed, at(120)).blocks, 0);
}

#[test]
fn avoided_addresses_are_neither_given_nor_counted() {
    let mut ledger = Ledger::new(COOL);
    ledger.put_block(Block { avoid_buggy: true, ..block("a-0", "a", "10.1.0.0/30") });
    assert_eq!(ledger.free_count("a", at(0)), 3);
    assert_eq!(get(&mut ledger, "x", "a", 0).as_deref(), Some("10.1.0.1"));
    assert_eq!(crate::free::size("10.1.0.0/23".parse().unwrap(), true), 508);
    assert_eq!(crate::free::size("10.1.0.255/32".parse().unwrap(), true), 0);
    assert_eq!(crate::free::size("::/0".parse().unwrap(), true), u128::MAX);
}
