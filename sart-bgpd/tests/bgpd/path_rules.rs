//! Rules about AS paths from the file to the table, and that a reload of them resets no session.

use nix::sys::signal::Signal;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::update::{AS_PATH, Update, WELL_KNOWN, segment, sequence};
use sart_testkit::{missing, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, write};
use crate::needs;

/// What of the neighbour's is used, and why the rest is not.
fn judged(sart: &mut Sart) -> Vec<(String, String)> {
    let mut judged: Vec<_> =
        sart.paths(v1::Table::AdjIn, 0).into_iter().map(|path| (path.prefix, path.refused)).collect();
    judged.sort();
    judged
}

fn wait_judged(sart: &mut Sart, wanted: [&str; 3]) {
    let prefixes = ["10.50.0.0/24", "10.51.0.0/24", "10.52.0.0/24"];
    let wanted: Vec<_> =
        prefixes.iter().zip(wanted).map(|(prefix, why)| ((*prefix).to_owned(), why.to_owned())).collect();
    let seen = wait_for("the judgement", LIMIT, || {
        let seen = judged(sart);
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, have {seen:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_16_path_rules_of_the_file_refuse_and_a_reload_judges_again_without_a_reset() {
    needs!(missing());
    let fabric = Fabric::new("rules", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.yaml");
    let text = |sets: bool, first: bool| {
        format!(
            "asn: 65000\nrouter_id: 10.77.255.1\nreject_as_sets: {sets}\nneighbors:\n- asn: 65001\n  address: {}\n  \
             passive: true\n  enforce_first_as: {first}\n",
            far(0)
        )
    };
    write(&file, &text(true, true));
    let name = file.display().to_string();
    let mut sart = Sart::start_in(folder, &fabric.sart, &["-f", &name]);
    let mut peer = fabric.raw(0);
    peer.establish(&sart_testkit::raw_peer::open_body(65_001, 90, [10, 77, 0, 2].into()), LIMIT).unwrap();
    let next_hop = [10, 77, 0, 2].into();
    let set = [sequence(&[65_001]), segment(1, &[7, 8])].concat();
    for update in [
        Update::announce(&["10.50.0.0/24"], &[65_001], next_hop),
        Update::announce(&["10.51.0.0/24"], &[65_009, 65_001], next_hop),
        Update::announce(&["10.52.0.0/24"], &[65_001], next_hop).with(WELL_KNOWN, AS_PATH, &set),
    ] {
        peer.send(&update.bytes()).unwrap();
    }
    wait_judged(&mut sart, ["", "first_as", "as_set"]);
    for ((sets, first), wanted) in [
        ((false, true), ["", "first_as", ""]),
        ((false, false), ["", "", ""]),
        ((true, false), ["", "", "as_set"]),
    ] {
        write(&file, &text(sets, first));
        sart.process.signal(Signal::SIGHUP).unwrap();
        wait_judged(&mut sart, wanted);
    }
    let seen = sart.neighbor(0);
    assert_eq!((seen.state(), seen.flaps), (Established, 0));
    assert!(!seen.config.unwrap().enforce_first_as);
}
