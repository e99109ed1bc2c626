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

const PREFIXES: u32 = 30_000;
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

fn wait_table(sart: &Sart, flood: &Flood, what: &str, wanted: impl Fn(&Table) -> bool) {
    let seen = wait_for(what, LIMIT, || {
        let table = flood.table();
        if wanted(&table) {
            Ok(Some(()))
        } else {
            anyhow::bail!("{} routes, {:?}", table.present, table.owned)
        }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_23_a_load_and_a_failover_take_at_most_a_twentieth_more_updates_than_the_fewest() {
    needs!(missing());
    let (_fabric, sart, mut floods) = scene("c23", 3, 90);
    // The second sender comes first and loses everything to the first, whose paths are shorter throughout.
    floods[1].send(Arc::new(load(1, 5..=6).announce)).unwrap();
    wait_table(&sart, &floods[2], "the second sender's routes", |table| table.owned[1] == PREFIXES);
    let alone = floods[2].table().clone();
    let fewest = alone.sets() as u64;
    assert!(alone.updates * 20 <= fewest * 21, "{} UPDATEs, {fewest} suffice", alone.updates);
    floods[0].send(Arc::new(load(0, 2..=4).announce)).unwrap();
    wait_table(&sart, &floods[2], "the first sender's routes", |table| table.owned[0] == PREFIXES);
    let before = floods[2].table().clone();
    floods[0].close();
    wait_table(&sart, &floods[2], "the second sender's routes again", |table| table.owned[1] == PREFIXES);
    let after = floods[2].table().clone();
    let (moved, fewest) = after.changed_since(&before);
    assert_eq!(moved, PREFIXES);
    let updates = after.updates - before.updates;
    assert!(updates * 20 <= fewest as u64 * 21, "{updates} UPDATEs, {fewest} suffice");
    // A prefix that has another path is replaced, never withdrawn and announced again.
    assert_eq!((after.withdrawn, after.announced - before.announced), (0, u64::from(PREFIXES)));
}

/// The routes, then listings of all of them for two hold times; says what was lost.
fn load_under_listings(purpose: &str) -> anyhow::Result<()> {
    let (_fabric, mut sart, floods) = scene(purpose, 2, 3);
    floods[0].send(Arc::new(load(0, 2..=6).announce))?;
    let (start, mut quiet) = (Instant::now(), None);
    while quiet.is_none_or(|since: Instant| since.elapsed() < Duration::from_secs(6)) {
        let rows = sart.paths(v1::Table::Local, 0).len();
        let told = floods[1].table().present;
        for (n, flood) in floods.iter().enumerate() {
            let notification = flood.table().notification;
            anyhow::ensure!(
                !flood.has_ended(),
                "session {n} ended: {notification:?}\n{}",
                sart.process.log()
            );
        }
        anyhow::ensure!(quiet.is_none() || rows == PREFIXES as usize, "a listing of {rows} rows");
        anyhow::ensure!(start.elapsed() < LIMIT, "{rows} rows listed, {told} routes told after {LIMIT:?}");
        if rows == PREFIXES as usize && told == PREFIXES {
            quiet = quiet.or_else(|| Some(Instant::now()));
        }
    }
    for (n, flood) in floods.iter().enumerate() {
        let silence = flood.table().longest_silence;
        anyhow::ensure!(sart.neighbor(n).flaps == 0, "session {n} was lost");
        anyhow::ensure!(silence < Duration::from_secs(3), "peer {n} heard nothing for {silence:?}");
    }
    Ok(())
}

#[test]
fn c4_hold_times_of_three_seconds_survive_a_load_and_full_listings() {
    needs!(missing());
    load_under_listings("c4").unwrap();
}
