//! What a neighbour's faults cost: the right NOTIFICATION, and nobody else anything.

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{KEEPALIVE, NOTIFICATION, OPEN, UPDATE, announce_body, message, open_body};
use sart_testkit::{Frr, RawPeer, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, near, neighbor, path, wait_prefixes};
use crate::needs;

const PEER_ASN: u32 = 65_002;

struct Scene {
    fabric: Fabric,
    sart: Sart,
    frr: Frr,
}

/// FRR is neighbour 0 and up; the raw peer will be neighbour 1.
fn scene(purpose: &str) -> Scene {
    let fabric = Fabric::new(purpose, 2);
    let frr = fabric.frr(0, &[]);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let waits = v1::NeighborConfig { passive: true, ..neighbor(1) };
    sart.apply(&config(&[neighbor(0), waits], &[path("10.99.0.0/24", &[])]));
    sart.wait_state(0, Established);
    // Whether it still has it is what is asked at the end.
    wait_prefixes(&frr, "ipv4", &["10.99.0.0/24"]);
    Scene { fabric, sart, frr }
}

impl Scene {
    fn established(&mut self) -> RawPeer {
        let mut peer = self.fabric.raw(1);
        peer.establish(&open_body(PEER_ASN, 90, [10, 77, 1, 2].into()), LIMIT).unwrap();
        peer
    }

    /// A neighbour configured anew has no pause to sit out.
    fn forget_the_pause(&mut self) {
        let request = v1::DeleteNeighborRequest { address: far(1) };
        self.sart.call(async |client| client.delete_neighbor(request).await);
        let waits = v1::NeighborConfig { passive: true, ..neighbor(1) };
        let request = v1::AddNeighborRequest { neighbor: Some(waits) };
        self.sart.call(async |client| client.add_neighbor(request).await);
    }

    fn others_are_unharmed(&mut self) {
        assert!(self.sart.process.is_running().unwrap(), "{}", self.sart.process.log());
        let other = self.sart.neighbor(0);
        assert_eq!((other.state(), other.flaps), (Established, 0), "{other:?}");
        assert_eq!(self.frr.state(&near(0)).unwrap(), "Established");
        assert_eq!(self.frr.prefixes("ipv4").unwrap(), ["10.99.0.0/24"]);
    }
}

/// A header with these fields and no body.
fn header(marker: u8, length: u16, kind: u8) -> Vec<u8> {
    let mut bytes = vec![marker; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes
}

fn open_with(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = open_body(PEER_ASN, 90, [10, 77, 1, 2].into());
    change(&mut body);
    message(OPEN, &body)
}

#[test]
fn a_malformed_message_gets_its_notification_before_the_session_is_up() {
    needs!(missing_with_frr());
    let mut scene = scene("early");
    // RFC 4271 sections 6.1 and 6.2, RFC 6608 for 5/1.
    let cases = [
        ("marker", header(0, 19, OPEN), (1, 1)),
        ("length 18", header(0xff, 18, OPEN), (1, 2)),
        ("length 65535", header(0xff, 65_535, OPEN), (1, 2)),
        ("KEEPALIVE of 20 octets", [header(0xff, 20, KEEPALIVE), vec![0]].concat(), (1, 2)),
        ("OPEN of 28 octets", [header(0xff, 28, OPEN), vec![0; 9]].concat(), (1, 2)),
        ("type 9", header(0xff, 19, 9), (1, 3)),
        ("version 3", open_with(|body| body[0] = 3), (2, 1)),
        ("wrong AS", message(OPEN, &open_body(65_009, 90, [10, 77, 1, 2].into())), (2, 2)),
        ("router id 0", message(OPEN, &open_body(PEER_ASN, 90, [0; 4].into())), (2, 3)),
        ("hold time 2", message(OPEN, &open_body(PEER_ASN, 2, [10, 77, 1, 2].into())), (2, 6)),
        ("unknown parameter", open_with(|body| body[10] = 77), (2, 4)),
        ("KEEPALIVE in OpenSent", message(KEEPALIVE, &[]), (5, 1)),
    ];
    for (what, bytes, notification) in cases {
        scene.forget_the_pause();
        let mut peer = scene.fabric.raw(1);
        peer.send(&bytes).unwrap();
        peer.expect(OPEN, LIMIT).unwrap();
        let seen = peer.expect_notification(LIMIT);
        let seen = seen.unwrap_or_else(|error| panic!("{what}: {error:#}\n{}", scene.sart.process.log()));
        assert_eq!(seen, notification, "{what}");
    }
    scene.others_are_unharmed();
}

#[test]
fn a_malformed_message_gets_its_notification_when_the_session_is_up() {
    needs!(missing_with_frr());
    let mut scene = scene("late");
    // Where the NLRI cannot be found the session has to go (RFC 7606 section 3 j), as with a second OPEN (RFC 6608).
    let cases = [
        ("attributes beyond the message", message(UPDATE, &[0, 0, 0xff, 0xff]), (3, 1)),
        ("withdrawn routes beyond the message", message(UPDATE, &[0xff, 0xff, 0, 0]), (3, 1)),
        ("a second OPEN", open_with(|_| ()), (5, 3)),
        ("type 0", header(0xff, 19, 0), (1, 3)),
        ("NOTIFICATION of 20 octets", [header(0xff, 20, NOTIFICATION), vec![6]].concat(), (1, 2)),
    ];
    for (what, bytes, notification) in cases {
        scene.forget_the_pause();
        let mut peer = scene.established();
        peer.send(&bytes).unwrap();
        let seen = peer.expect_notification(LIMIT);
        let seen = seen.unwrap_or_else(|error| panic!("{what}: {error:#}\n{}", scene.sart.process.log()));
        assert_eq!(seen, notification, "{what}");
    }
    scene.others_are_unharmed();
}

fn received(scene: &mut Scene) -> Vec<String> {
    scene.sart.paths(v1::Table::AdjIn, 1).into_iter().map(|path| path.prefix).collect()
}

fn wait_received(scene: &mut Scene, wanted: &[&str]) {
    let seen = wait_for("the received routes", LIMIT, || {
        let seen = received(scene);
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, got {seen:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", scene.sart.process.log()));
}

/// An announcement with one more attribute, given with its header.
fn announce_with(prefix: [u8; 3], attribute: &[u8]) -> Vec<u8> {
    let mut body = announce_body(prefix, PEER_ASN, [10, 77, 1, 2].into());
    let length = u16::from_be_bytes([body[2], body[3]]);
    let at = 4 + usize::from(length);
    body.splice(at..at, attribute.iter().copied());
    let length = length + u16::try_from(attribute.len()).unwrap();
    body[2..4].copy_from_slice(&length.to_be_bytes());
    message(UPDATE, &body)
}

#[test]
fn issue_7_1_4_updates_survive_any_segmentation_and_many_communities() {
    needs!(missing_with_frr());
    let mut scene = scene("pieces");
    let mut peer = scene.established();
    for byte in message(UPDATE, &announce_body([10, 50, 0], PEER_ASN, [10, 77, 1, 2].into())) {
        peer.send(&[byte]).unwrap();
    }
    let two = announce_with([10, 50, 1], &[0xc0, 8, 8, 0xfd, 0xe8, 0, 1, 0xfd, 0xe8, 0, 2]);
    let large = announce_with([10, 50, 2], &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    let extended =
        announce_with([10, 50, 3], &[0xc0, 16, 16, 0, 2, 0, 1, 0, 0, 0, 1, 0, 2, 0, 1, 0, 0, 0, 2]);
    peer.send(&[two, large, extended].concat()).unwrap();
    wait_received(&mut scene, &["10.50.0.0/24", "10.50.1.0/24", "10.50.2.0/24", "10.50.3.0/24"]);
    let seen = scene.sart.paths(v1::Table::AdjIn, 1);
    assert_eq!(seen[1].communities, [65_000 << 16 | 1, 65_000 << 16 | 2]);
    assert_eq!(scene.sart.neighbor(1).flaps, 0);
    scene.others_are_unharmed();
}

#[test]
fn issue_7_1_3_announcing_again_replaces_and_withdrawing_leaves_nothing() {
    needs!(missing_with_frr());
    let mut scene = scene("implicit");
    let mut peer = scene.established();
    for _ in 0..3 {
        let body = announce_body([10, 50, 0], PEER_ASN, [10, 77, 1, 2].into());
        peer.send(&message(UPDATE, &body)).unwrap();
    }
    wait_received(&mut scene, &["10.50.0.0/24"]);
    let rows = scene.sart.paths(v1::Table::Local, 0);
    assert_eq!(rows.iter().filter(|row| row.prefix == "10.50.0.0/24").count(), 1);
    peer.send(&message(UPDATE, &[0, 4, 24, 10, 50, 0, 0, 0])).unwrap();
    wait_received(&mut scene, &[]);
    let rows = scene.sart.paths(v1::Table::Local, 0);
    assert!(rows.iter().all(|row| row.prefix != "10.50.0.0/24"));
}

#[test]
fn a_faulty_attribute_withdraws_its_prefix_and_the_session_stays() {
    needs!(missing_with_frr());
    let mut scene = scene("treat");
    let mut peer = scene.established();
    let body = announce_body([10, 50, 0], PEER_ASN, [10, 77, 1, 2].into());
    peer.send(&message(UPDATE, &body)).unwrap();
    wait_received(&mut scene, &["10.50.0.0/24"]);
    // COMMUNITIES of five octets (RFC 7606 section 7.8), then a sentinel.
    let faulty = announce_with([10, 50, 0], &[0xc0, 8, 5, 0, 0, 0, 0, 0]);
    let sentinel = announce_body([10, 51, 0], PEER_ASN, [10, 77, 1, 2].into());
    peer.send(&[faulty, message(UPDATE, &sentinel)].concat()).unwrap();
    wait_received(&mut scene, &["10.51.0.0/24"]);
    assert_eq!(scene.sart.neighbor(1).flaps, 0);
    scene.others_are_unharmed();
}

#[test]
fn a_flood_of_faults_costs_neither_the_log_nor_the_other_session() {
    needs!(missing_with_frr());
    let mut scene = scene("flood");
    let mut peer = scene.established();
    let faulty = announce_with([10, 50, 0], &[0xc0, 8, 5, 0, 0, 0, 0, 0]);
    for _ in 0..20 {
        peer.send(&faulty.repeat(500)).unwrap();
    }
    let sentinel = announce_body([10, 51, 0], PEER_ASN, [10, 77, 1, 2].into());
    peer.send(&message(UPDATE, &sentinel)).unwrap();
    wait_received(&mut scene, &["10.51.0.0/24"]);
    let lines = scene.sart.process.log().matches("UPDATE with faults").count();
    assert!((1..=20).contains(&lines), "{lines} lines for 10,000 faults");
    scene.others_are_unharmed();
}
