//! What a scrape shows of a neighbor follows what the neighbor does, and goes with it.

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{UPDATE, announce_body, message, open_body};
use sart_testkit::{missing, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, get, neighbor, path};
use crate::needs;

#[test]
fn a_scrape_follows_a_neighbor_and_forgets_it_when_it_is_deleted() {
    needs!(missing());
    let fabric = Fabric::new("figures", 1);
    let mut sart = Sart::start(&fabric.sart, &["--http-port", "8001"]);
    let waits = v1::NeighborConfig { passive: true, ..neighbor(0) };
    sart.apply(&config(&[waits], &[path("10.99.0.0/24", &[])]));
    let mut peer = fabric.raw(0);
    peer.establish(&open_body(65_001, 90, [10, 77, 0, 2].into()), LIMIT).unwrap();
    let good = announce_body([10, 50, 0], 65_001, [10, 77, 0, 2].into());
    // ORIGIN 9 is none (RFC 7606 section 7.1): the route is taken as withdrawn.
    let mut faulty = announce_body([10, 51, 0], 65_001, [10, 77, 0, 2].into());
    let origin = faulty.windows(4).position(|octets| octets == [0x40, 1, 1, 0]).unwrap();
    faulty[origin + 3] = 9;
    peer.send(&[message(UPDATE, &good), message(UPDATE, &faulty)].concat()).unwrap();
    sart.wait_state(0, Established);
    let wait = |wanted: &[&str]| {
        wait_for("the figures", LIMIT, || {
            let text = get(&fabric.sart, 8001, "/metrics");
            match wanted.iter().find(|wanted| !text.contains(**wanted)) {
                None => Ok(Some(())),
                Some(wanted) => anyhow::bail!("no {wanted} in {text}"),
            }
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
    };
    wait(&[
        "sart_bgpd_peer_state{peer=\"10.77.0.2\"} 6\n",
        "sart_bgpd_peer_established_total{peer=\"10.77.0.2\"} 1\n",
        "sart_bgpd_peer_messages_total{peer=\"10.77.0.2\",direction=\"received\",type=\"Update\"} 2\n",
        "sart_bgpd_peer_prefixes_received{peer=\"10.77.0.2\",family=\"ipv4-unicast\"} 1\n",
        "sart_bgpd_peer_prefixes_accepted{peer=\"10.77.0.2\",family=\"ipv4-unicast\"} 1\n",
        "sart_bgpd_peer_prefixes_advertised{peer=\"10.77.0.2\",family=\"ipv4-unicast\"} 1\n",
        "action=\"TreatAsWithdraw\",reason=\"Value\"} 1\n",
        "sart_bgpd_table_prefixes{family=\"ipv4-unicast\"} 2\n",
    ]);
    let request = v1::DeleteNeighborRequest { address: far(0) };
    sart.call(async |client| client.delete_neighbor(request).await);
    wait(&["sart_bgpd_table_prefixes{family=\"ipv4-unicast\"} 1\n"]);
    assert!(!get(&fabric.sart, 8001, "/metrics").contains("10.77.0.2"));
}
