//! Sessions come up, survive what they should and end as the RFC says.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{KEEPALIVE, message, open_body};
use sart_testkit::{RawPeer, missing, missing_with_frr};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, get, near, neighbor, path, wait_prefixes};
use crate::needs;

#[test]
fn sessions_come_up_whoever_dials() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("up", 2);
    let dialled_by_frr = fabric.frr(0, &[]);
    let passive = format!("neighbor {} passive", near(1));
    let dialled_by_us = fabric.frr(1, &[&passive]);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let waits = v1::NeighborConfig { passive: true, ..neighbor(0) };
    sart.apply(&config(&[waits, neighbor(1)], &[]));
    for n in 0..2 {
        sart.wait_state(n, Established);
        let seen = sart.neighbor(n);
        assert_eq!(seen.router_id, far(n));
        assert_eq!((seen.negotiated_hold_time, seen.negotiated_keepalive_time), (9, 3));
        assert!(!seen.capabilities.is_empty());
    }
    // Our KEEPALIVE may still be on its way to FRR when its own has brought us up.
    for (n, frr) in [dialled_by_frr, dialled_by_us].iter().enumerate() {
        sart_testkit::wait_for("FRR's end of the session", LIMIT, || {
            let state = frr.state(&near(n))?;
            if state == "Established" { Ok(Some(())) } else { anyhow::bail!("{state}") }
        })
        .unwrap();
    }
}

#[test]
fn a_neighbor_that_restarts_is_back_within_seconds() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("again", 1);
    let passive = format!("neighbor {} passive", near(0));
    let frr = fabric.frr(0, &[&passive]);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[neighbor(0)], &[path("10.99.0.0/24", &[])]));
    sart.wait_state(0, Established);
    let left = Instant::now();
    drop(frr);
    let frr = fabric.frr(0, &[&passive]);
    // The pauses between dials double: the last one is no longer than the neighbour was away.
    let (away, start) = (left.elapsed(), Instant::now());
    sart.wait_state(0, Established);
    wait_prefixes(&frr, "ipv4", &["10.99.0.0/24"]);
    let back = start.elapsed();
    assert!(back < Duration::from_secs(10) + away, "back after {back:?}, away for {away:?}");
    assert_eq!(sart.neighbor(0).flaps, 1);
}

#[test]
fn applying_the_same_configuration_again_does_nothing() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("same", 1);
    let frr = fabric.frr(0, &[]);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let request = config(&[neighbor(0)], &[path("10.99.0.0/24", &[]), path("10.99.1.0/24", &[])]);
    let first = sart.apply(&request);
    assert_eq!((first.neighbors_added, first.paths_changed), (1, 2));
    sart.wait_state(0, Established);
    wait_prefixes(&frr, "ipv4", &["10.99.0.0/24", "10.99.1.0/24"]);
    let (updates, sent) = (frr.updates_received(&near(0)).unwrap(), sart.neighbor(0).sent.unwrap().update);
    for _ in 0..3 {
        assert_eq!(sart.apply(&request), v1::ApplyConfigResponse::default());
    }
    assert_eq!(sart.announce("10.99.0.0/24", &[]).changed, 0);
    // A keepalive later FRR has read everything that was sent before it.
    let keepalives = sart.neighbor(0).sent.unwrap().keepalive;
    sart_testkit::wait_for("a keepalive", LIMIT, || {
        Ok((sart.neighbor(0).sent.unwrap().keepalive > keepalives).then_some(()))
    })
    .unwrap();
    assert_eq!(frr.updates_received(&near(0)).unwrap(), updates);
    let seen = sart.neighbor(0);
    assert_eq!((seen.flaps, seen.sent.unwrap().update), (0, sent));
}

fn raw_session(purpose: &str, hold_time: u16) -> (Fabric, Sart, RawPeer) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let waits = v1::NeighborConfig { passive: true, ..neighbor(0) };
    sart.apply(&config(&[waits], &[]));
    let mut peer = fabric.raw(0);
    peer.establish(&open_body(65_001, hold_time, [10, 77, 0, 2].into()), LIMIT).unwrap();
    sart.wait_state(0, Established);
    (fabric, sart, peer)
}

#[test]
fn a_closed_connection_is_noticed_at_once() {
    needs!(missing());
    let (_fabric, mut sart, peer) = raw_session("fin", 90);
    peer.finish().unwrap();
    // The hold time is far from over by then.
    sart_testkit::wait_for("the end", LIMIT, || Ok((sart.neighbor(0).state() != Established).then_some(())))
        .unwrap();
    let seen = sart.neighbor(0);
    assert_eq!(seen.flaps, 1);
    assert!(seen.last_error.contains("closed"), "{}", seen.last_error);
}

#[test]
fn silence_for_the_hold_time_ends_the_session_with_4_0() {
    needs!(missing());
    let (_fabric, mut sart, mut peer) = raw_session("hold", 3);
    // Before it is sent: the hold time begins when the speaker has it, which may be before we go on.
    let start = Instant::now();
    peer.send(&message(KEEPALIVE, &[])).unwrap();
    assert_eq!(peer.expect_notification(LIMIT).unwrap(), (4, 0));
    let took = start.elapsed();
    assert!((Duration::from_millis(2_900)..Duration::from_secs(10)).contains(&took), "took {took:?}");
    assert!(sart.neighbor(0).last_error.contains("hold time"), "{}", sart.neighbor(0).last_error);
}

#[test]
fn sigterm_says_administrative_shutdown_and_leaves_no_socket() {
    needs!(missing());
    let (_fabric, mut sart, mut peer) = raw_session("term", 90);
    sart.process.signal(Signal::SIGTERM).unwrap();
    assert_eq!(peer.expect_notification(LIMIT).unwrap(), (6, 2));
    drop(peer);
    let status = sart.process.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}\n{}", sart.process.log());
    assert!(!sart.socket().exists());
}

#[test]
fn criterion_3_a_second_connection_leaves_the_established_session_alone() {
    needs!(missing());
    let (fabric, mut sart, mut peer) = raw_session("second", 90);
    let mut second = fabric.raw(0);
    // RFC 4271 section 6.8: the new connection loses against an Established one.
    second
        .send(&message(sart_testkit::raw_peer::OPEN, &open_body(65_001, 90, [10, 77, 0, 2].into())))
        .unwrap();
    assert_eq!(second.expect_notification(LIMIT).unwrap(), (6, 7));
    peer.send(&message(KEEPALIVE, &[])).unwrap();
    let seen = sart.neighbor(0);
    assert_eq!((seen.state(), seen.flaps), (Established, 0));
}

#[test]
fn a_taken_port_is_waited_for_instead_of_dying() {
    needs!(missing());
    let fabric = Fabric::new("port", 1);
    let mut first = Sart::start(&fabric.sart, &[]);
    first.apply(&config(&[neighbor(0)], &[]));
    let mut second = Sart::start(&fabric.sart, &["--http-port", "8001"]);
    second.apply(&config(&[v1::NeighborConfig { passive: true, ..neighbor(0) }], &[]));
    sart_testkit::wait_for("the complaint", LIMIT, || {
        Ok(second.process.log().contains("cannot listen").then_some(()))
    })
    .unwrap();
    let ready = || get(&fabric.sart, 8001, "/readyz");
    assert!(
        ready().starts_with("HTTP/1.1 503") && ready().contains("cannot listen on 0.0.0.0:179"),
        "{}",
        ready()
    );
    drop(first);
    let mut peer = fabric.raw(0);
    peer.establish(&open_body(65_001, 90, [10, 77, 0, 2].into()), LIMIT).unwrap();
    second.wait_state(0, Established);
    assert!(ready().starts_with("HTTP/1.1 200"), "{}", ready());
    assert!(get(&fabric.sart, 8001, "/metrics").contains("sart_bgpd_established 1"));
}

#[test]
fn issue_7_3_a_host_without_ipv6_is_served_over_ipv4() {
    needs!(missing());
    let fabric = Fabric::new("no6", 1);
    fabric.sart.run(&["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"]).unwrap();
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[v1::NeighborConfig { passive: true, ..neighbor(0) }], &[]));
    let mut peer = fabric.raw(0);
    peer.establish(&open_body(65_001, 90, [10, 77, 0, 2].into()), LIMIT).unwrap();
    sart.wait_state(0, Established);
}

#[test]
fn a_watcher_sees_every_neighbor_then_every_change() {
    needs!(missing());
    use v1::neighbor_event::Event;
    let fabric = Fabric::new("watch", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[v1::NeighborConfig { passive: true, ..neighbor(0) }], &[]));
    let mut events = sart.call(async |client| client.watch_neighbors(v1::WatchNeighborsRequest {}).await);
    let mut next =
        |sart: &Sart| sart.block_on(async { events.message().await.unwrap().unwrap().event.unwrap() });
    assert!(matches!(next(&sart), Event::Neighbor(seen) if seen.state() == v1::SessionState::Active));
    assert_eq!(next(&sart), Event::Synced(true));
    let mut peer = fabric.raw(0);
    peer.establish(&open_body(65_001, 90, [10, 77, 0, 2].into()), LIMIT).unwrap();
    let mut states = Vec::new();
    while states.last() != Some(&Established) {
        match next(&sart) {
            Event::Neighbor(seen) => states.push(seen.state()),
            other => panic!("{other:?}"),
        }
    }
    let wanted = [v1::SessionState::OpenSent, v1::SessionState::OpenConfirm, Established];
    states.dedup();
    assert_eq!(states, wanted);
    let request = v1::DeleteNeighborRequest { address: far(0) };
    sart.call(async |client| client.delete_neighbor(request).await);
    while next(&sart) != Event::DeletedAddress(far(0)) {}
    assert_eq!(peer.expect_notification(LIMIT).unwrap(), (6, 3));
}

#[test]
fn a_killed_speaker_starts_again_on_its_socket_and_clients_find_it() {
    needs!(missing());
    let fabric = Fabric::new("kill", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[neighbor(0)], &[]));
    sart.process.signal(Signal::SIGKILL).unwrap();
    sart.process.wait(LIMIT).unwrap();
    assert!(sart.socket().exists(), "a killed process cannot tidy up");
    sart.restart(&fabric.sart);
    // The channel from before the kill finds the new process, which says that it has no configuration.
    let global = sart_testkit::wait_for("the new process", LIMIT, || {
        Ok(sart.try_call(async |client| client.get_global(v1::GetGlobalRequest {}).await).ok())
    });
    assert_eq!(global.unwrap().asn, 0);
}
