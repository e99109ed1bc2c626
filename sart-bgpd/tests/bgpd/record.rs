//! What a daemon was fed makes another speaker do the same to the octet.

use std::path::Path;

use nix::sys::signal::Signal;
use sart_bgp::speaker::{PathFilter, Table};
use sart_bgpd::bgpd::record::replay;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{KEEPALIVE, OPEN, UPDATE, announce_body, message, open_body};
use sart_testkit::{RawPeer, missing, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, neighbor, path};
use crate::needs;

const PEER_ASN: u32 = 65_001;
const KEY: &str = "a key that is nobody's business";

/// Every message until the speaker closes, as hexadecimal digits.
fn all_received(peer: RawPeer) -> String {
    use std::io::Read as _;
    let mut stream = peer.into_stream();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn prefixes(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut prefixes: Vec<_> = rows.collect();
    prefixes.sort();
    prefixes
}

/// The Loc-RIB of a second speaker after all that is in the file by now. Of a copy: a line whose second half was written
/// between two reads would be no line.
fn replayed_table(file: &Path) -> Vec<String> {
    let copy = file.with_extension("copy");
    std::fs::copy(file, &copy).unwrap();
    let replayed = replay(&copy, &mut std::io::sink()).unwrap();
    let rows = replayed.speaker().paths(Table::LocRib, PathFilter::default(), replayed.now()).unwrap();
    prefixes(rows.into_iter().map(|row| row.prefix.to_string()))
}

#[test]
fn a_recorded_daemon_is_replayed_with_the_same_octets_and_the_same_table() {
    needs!(missing());
    let fabric = Fabric::new("record", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.jsonl");
    let mut sart = Sart::start(&fabric.sart, &["--record", file.to_str().unwrap()]);
    let waits = v1::NeighborConfig { passive: true, ..neighbor(0) };
    let keyed = v1::NeighborConfig {
        address: "10.77.0.9".into(),
        name: "keyed".into(),
        passive: true,
        transport: Some(v1::Transport { password: KEY.into(), ..Default::default() }),
        ..neighbor(0)
    };
    sart.apply(&config(&[waits, keyed], &[path("10.99.0.0/24", &[])]));
    let mut peer = fabric.raw(0);
    peer.send(&message(OPEN, &open_body(PEER_ASN, 90, [10, 77, 0, 2].into()))).unwrap();
    peer.send(&message(KEEPALIVE, &[])).unwrap();
    for third in 0..50 {
        let body = announce_body([10, 50, third], PEER_ASN, [10, 77, 0, 2].into());
        peer.send(&message(UPDATE, &body)).unwrap();
    }
    sart.wait_state(0, Established);
    wait_for("50 routes", LIMIT, || Ok((sart.neighbor(0).prefixes_received == 50).then_some(()))).unwrap();
    sart.announce("10.98.0.0/24", &[]);
    sart.withdraw("10.99.0.0/24");
    let table = prefixes(sart.paths(v1::Table::Local, 0).into_iter().map(|row| row.prefix));
    assert_eq!(table.len(), 51);
    wait_for("the recording to hold as much", LIMIT, || Ok((replayed_table(&file) == table).then_some(())))
        .unwrap();
    sart.process.signal(Signal::SIGTERM).unwrap();
    let seen = all_received(peer);
    assert!(sart.process.wait(LIMIT).unwrap().success(), "{}", sart.process.log());

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"apply\"") && !text.contains(KEY), "the configuration without its key");
    let mut printed = Vec::new();
    let replayed = replay(&file, &mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let sent: String = printed
        .lines()
        .filter_map(|line| line.split_once(" send ")?.1.split_once(' '))
        .map(|(_, octets)| octets)
        .collect();
    assert_eq!(sent, seen, "what the neighbor read is what the second speaker sends");
    assert_eq!(replayed.end().map(|end| end.reason()), Some("stopped"));
    assert!(replayed.compared().1 > 3, "{:?}", replayed.compared());
}

#[test]
fn the_replay_command_prints_the_outputs_and_says_that_they_are_equal() {
    needs!(missing());
    let fabric = Fabric::new("replay", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.jsonl");
    let mut sart = Sart::start(&fabric.sart, &["--record", file.to_str().unwrap()]);
    sart.apply(&config(&[neighbor(0)], &[]));
    sart.process.signal(Signal::SIGTERM).unwrap();
    assert!(sart.process.wait(LIMIT).unwrap().success(), "{}", sart.process.log());
    let run = |file: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sart-bgpd"));
        command.arg("--replay").arg(file).output().unwrap()
    };
    let good = run(&file);
    let (out, err) = (String::from_utf8_lossy(&good.stdout), String::from_utf8_lossy(&good.stderr));
    assert!(good.status.success() && out.contains("changed 10.77.0.2"), "{out}{err}");
    assert!(err.contains("the recording ends: stopped"), "{err}");
    let changed = std::fs::read_to_string(&file).unwrap().replace("10.77.0.2", "10.77.0.3");
    std::fs::write(&file, changed).unwrap();
    let bad = run(&file);
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("differs"));
}
