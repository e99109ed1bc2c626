//! A neighbour is told no more routes than its export limit, as FRR and a raw peer count them.

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::open_body;
use sart_testkit::{Heard, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, get, near, neighbor, path, wait_prefixes};
use crate::needs;

fn wait_withheld(sart: &mut Sart, n: usize, wanted: (u64, u64)) {
    let seen = wait_for("the counts", LIMIT, || {
        let seen = sart.neighbor(n);
        let counts = (seen.prefixes_sent, seen.prefixes_withheld);
        if counts == wanted { Ok(Some(())) } else { anyhow::bail!("{counts:?} instead of {wanted:?}") }
    });
    seen.unwrap_or_else(|error| panic!("neighbor {n}: {error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_22_a_neighbor_that_would_end_the_session_is_never_told_more_than_its_limit() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("outlimit", 2);
    // One prefix more, and FRR sends Cease/1.
    let frr = fabric.frr(0, &[&format!("neighbor {} maximum-prefix 3", near(0))]);
    let mut sart = Sart::start(&fabric.sart, &["--http-port", "8001"]);
    let limited = v1::NeighborConfig { export_limit: 3, ..neighbor(0) };
    let waits = v1::NeighborConfig { export_limit: 2, passive: true, ..neighbor(1) };
    let paths: Vec<_> = (0..6).map(|n| path(&format!("10.99.{n}.0/24"), &[])).collect();
    sart.apply(&config(&[limited, waits], &paths));
    sart.wait_state(0, Established);
    let mut raw = fabric.raw(1);
    raw.establish(&open_body(65_002, 90, [10, 77, 1, 2].into()), LIMIT).unwrap();
    let mut heard = Heard::default();
    heard.until(&mut raw, "the End-of-RIB", LIMIT, |heard| heard.ends_of_rib == 1).unwrap();
    assert_eq!(heard.routes.keys().collect::<Vec<_>>(), ["10.99.0.0/24", "10.99.1.0/24"]);
    wait_prefixes(&frr, "ipv4", &["10.99.0.0/24", "10.99.1.0/24", "10.99.2.0/24"]);
    wait_withheld(&mut sart, 0, (3, 3));
    wait_withheld(&mut sart, 1, (2, 4));
    // What goes makes room, however often.
    for n in 0..3 {
        sart.withdraw(&format!("10.99.{n}.0/24"));
        let told: Vec<_> = (n + 1..n + 4).map(|n| format!("10.99.{n}.0/24")).collect();
        wait_prefixes(&frr, "ipv4", &told.iter().map(String::as_str).collect::<Vec<_>>());
    }
    heard
        .until(&mut raw, "the last two", LIMIT, |heard| {
            heard.routes.keys().eq(["10.99.3.0/24", "10.99.4.0/24"])
        })
        .unwrap();
    wait_withheld(&mut sart, 0, (3, 0));
    for n in 0..2 {
        let seen = sart.neighbor(n);
        assert_eq!((seen.state(), seen.flaps), (Established, 0), "{seen:?}");
    }
    let log = sart.process.log();
    assert_eq!(log.matches("are withheld: the export limit is 3").count(), 1, "{log}");
    let series = "sart_bgpd_peer_prefixes_withheld{peer=\"10.77.1.2\",family=\"ipv4-unicast\"} 1\n";
    wait_for("the metric", LIMIT, || Ok(get(&fabric.sart, 8001, "/metrics").contains(series).then_some(())))
        .unwrap();
}
