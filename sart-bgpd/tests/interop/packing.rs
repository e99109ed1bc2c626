//! Big loads, scaled down for every run of the tests: what leaves is packed as well as it can be, and sessions with the
//! shortest hold time survive the load and full listings. `cargo xtask bench bgp` does the same at full size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sart_rpc::v1;
use sart_testkit::flood::{Identity, Table};
use sart_testkit::load::{FIRST_ASN, Load, Shape, generate};
use sart_testkit::{Flood, missing, wait_for};

use crate::fixture::{Fabric, Sart, near};
use crate::needs;
use crate::scene::{address, transit, waiting};

const PREFIXES: u32 = 50_000;
/// For a whole load on a machine that does other things as well.
const LIMIT: Duration = Duration::from_secs(90);

fn load(n: usize, hops: std::ops::RangeInclusive<u32>) -> Load {
    let asn = FIRST_ASN + n as u32;
    generate(&Shape { prefixes: PREFIXES, asn, next_hop: address(n), hops, seed: n as u64 })
}

fn flood(fabric: &Fabric, n: usize, hold_time: u16) -> Flood {
    let identity = Identity { asn: FIRST_ASN + n as u32, router_id: address(n), hold_time };
    let to = format!("{}:179", near(n)).parse().unwrap();
    Flood::establish(&fabric.peers[n], to, identity, Table::new(PREFIXES, 1), LIMIT).unwrap()
}

fn scene(purpose: &str, peers: usize, hold_time: u16) -> (Fabric, Sart, Vec<Flood>) {
    let fabric = Fabric::new(purpose, peers);
    let mut sart = Sart::start(&fabric.sart, &["--level", "warn"]);
    let neighbors: Vec<_> = (0..peers)
        .map(|n| v1::NeighborConfig { hold_time: hold_time.into(), ..waiting(n, FIRST_ASN + n as u32) })
        .collect();
    sart.apply(&transit(&neighbors));
    let floods = (0..peers).map(|n| flood(&fabric, n, hold_time)).collect();
    (fabric, sart, floods)
}

fn wait_table(flood: &Flood, what: &str, wanted: impl Fn(&Table) -> bool) {
    let seen = wait_for(what, LIMIT, || {
        let table = flood.table();
        if wanted(&table) {
            Ok(Some(()))
        } else {
            anyhow::bail!("{} routes, {:?}", table.present, table.owned)
        }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn criterion_23_a_load_and_a_failover_take_at_most_a_twentieth_more_updates_than_the_fewest() {
    needs!(missing());
    let (_fabric, _sart, mut floods) = scene("c23", 3, 90);
    // The second sender comes first and loses everything to the first, whose paths are shorter throughout.
    floods[1].send(Arc::new(load(1, 5..=6).announce)).unwrap();
    wait_table(&floods[2], "the second sender's routes", |table| table.owned[1] == PREFIXES);
    let alone = floods[2].table().clone();
    let fewest = alone.sets() as u64;
    assert!(alone.updates * 20 <= fewest * 21, "{} UPDATEs, {fewest} suffice", alone.updates);
    floods[0].send(Arc::new(load(0, 2..=4).announce)).unwrap();
    wait_table(&floods[2], "the first sender's routes", |table| table.owned[0] == PREFIXES);
    let before = floods[2].table().clone();
    floods[0].close();
    wait_table(&floods[2], "the second sender's routes again", |table| table.owned[1] == PREFIXES);
    let after = floods[2].table().clone();
    let (moved, fewest) = after.changed_since(&before);
    assert_eq!(moved, PREFIXES);
    let updates = after.updates - before.updates;
    assert!(updates * 20 <= fewest as u64 * 21, "{updates} UPDATEs, {fewest} suffice");
    // A prefix that has another path is replaced, never withdrawn and announced again.
    assert_eq!((after.withdrawn, after.announced - before.announced), (0, u64::from(PREFIXES)));
}

#[test]
fn c4_hold_times_of_three_seconds_survive_a_load_and_full_listings() {
    needs!(missing());
    let (_fabric, mut sart, floods) = scene("c4", 2, 3);
    floods[0].send(Arc::new(load(0, 2..=6).announce)).unwrap();
    let mut rows = 0;
    let start = Instant::now();
    // Listings go on from the first route until all of them are in one.
    while rows < PREFIXES as usize {
        rows = sart.paths(v1::Table::Local, 0).len();
        assert!(start.elapsed() < LIMIT, "a listing of {rows} rows after {:?}", start.elapsed());
    }
    wait_table(&floods[1], "all routes", |table| table.present == PREFIXES);
    // Two hold times more, with listings all the time.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        assert_eq!(sart.paths(v1::Table::Local, 0).len(), PREFIXES as usize);
    }
    for (n, flood) in floods.iter().enumerate() {
        assert!(!flood.has_ended(), "{n}: {:?}", flood.table().notification);
        assert_eq!(sart.neighbor(n).flaps, 0);
        let silence = flood.table().longest_silence;
        assert!(silence < Duration::from_secs(3), "{n} heard nothing for {silence:?}");
    }
}
