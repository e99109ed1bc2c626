//! A speaker that leaves for good, as FRR, BIRD and a raw peer see it; and one that stays while its configuration changes.

use std::time::{Duration, Instant};

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::KEEPALIVE;
use sart_testkit::update::COMMUNITIES;
use sart_testkit::{Bird, Frr, Heard, missing_with_bird, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, near, path};
use crate::needs;
use crate::scene::{establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config};

const OURS: &str = "10.99.0.0/24";
const TEXT: &str = "rack 7 goes";
/// Between the request to use other routes and the end.
const WAIT: Duration = Duration::from_secs(15);
/// GRACEFUL_SHUTDOWN (RFC 8326 section 3).
const GRACEFUL_SHUTDOWN: [u8; 4] = [0xff, 0xff, 0, 0];

fn dialled(n: usize, asn: u32) -> v1::NeighborConfig {
    v1::NeighborConfig { passive: false, ..waiting(n, asn) }
}

fn session(n: usize) -> [Session; 1] {
    [Session { own: far(n), peer: near(n), asn: 65_000 }]
}

fn wait_text(what: &str, sart: &Sart, wanted: &[&str], show: impl Fn() -> anyhow::Result<String>) {
    let seen = wait_for(what, LIMIT, || {
        let text = show()?;
        let all = wanted.iter().all(|wanted| text.contains(wanted));
        if all { Ok(Some(())) } else { anyhow::bail!("{wanted:?} is not in {text}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_33_a_speaker_that_is_decommissioned_is_a_last_resort_and_then_says_why_it_goes() {
    needs!(missing_with_frr().or_else(missing_with_bird));
    let fabric = Fabric::new("c33", 3);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = transit(&[dialled(0, 65_001), dialled(1, 65_002), waiting(2, 65_003)]);
    request.paths = vec![path(OURS, &[])];
    sart.apply(&request);
    let frr = Frr::start_alone(&fabric.peers[0], &frr_config(65_001, &far(0), &session(0))).unwrap();
    let bird = Bird::start(&fabric.peers[1], &bird_config(65_002, &far(1), &session(1))).unwrap();
    let mut raw = establish(&fabric, &sart, 2, &open(2, 65_003));
    let mut heard = Heard::default();
    heard.until_route(&mut raw, OURS, LIMIT).unwrap();
    wait_text("FRR's route", &sart, &[OURS], || frr.vtysh(&format!("show bgp ipv4 unicast {OURS}")));
    wait_text("BIRD's route", &sart, &[OURS], || bird.birdc("show route all"));

    let wait_seconds = u32::try_from(WAIT.as_secs()).unwrap();
    let request = v1::DecommissionRequest { text: TEXT.to_owned(), wait_seconds };
    let begun = Instant::now();
    // The answer comes when all is over; who asked need not wait for it.
    let asked = sart.try_call(async |client| {
        let answer = tokio::time::timeout(Duration::from_secs(1), client.decommission(request)).await;
        answer.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("still leaving")))
    });
    assert_eq!(asked.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    let last_resort = |heard: &Heard| {
        let communities = heard.routes.get(OURS).and_then(|route| route.get(&COMMUNITIES));
        communities.is_some_and(|communities| communities.value == GRACEFUL_SHUTDOWN)
    };
    heard.until(&mut raw, "the last resort", LIMIT, last_resort).unwrap();
    let show = || frr.vtysh(&format!("show bgp ipv4 unicast {OURS}"));
    wait_text("FRR's last resort", &sart, &["graceful-shutdown"], show);
    wait_text("BIRD's last resort", &sart, &["(65535,0)"], || bird.birdc("show route all"));

    let told = wait_for("the last word", LIMIT * 2, || {
        let message = raw.receive(LIMIT)?;
        Ok((message.kind != KEEPALIVE).then_some(message))
    });
    assert!(begun.elapsed() >= WAIT, "{:?}", begun.elapsed());
    let body = told.unwrap().body;
    assert_eq!((&body[..3], &body[3..]), (&[6, 2, TEXT.len() as u8][..], TEXT.as_bytes()));
    let show = || frr.vtysh(&format!("show bgp neighbors {} json", near(0)));
    wait_text("FRR's reason", &sart, &["Administrative Shutdown", TEXT], show);
    wait_text("BIRD's reason", &sart, &["Administrative shutdown", TEXT], || {
        bird.birdc("show protocols all s0")
    });
}

#[test]
fn criterion_37_paths_groups_limits_and_other_neighbors_come_and_go_without_a_reset() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("c37", 2);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let stays = || dialled(0, 65_001);
    let mut request = transit(&[stays()]);
    sart.apply(&request);
    let frr = Frr::start_alone(&fabric.peers[0], &frr_config(65_001, &far(0), &session(0))).unwrap();
    sart.wait_state(0, Established);
    let limit = v1::PrefixLimit { max: 1000, warn_percent: 0, restart_seconds: 0 };
    let path_of = |groups: &[&str]| path(OURS, groups);
    // Neighbours, paths, and what FRR has to have then.
    let steps = [
        (vec![stays()], vec![path_of(&[])], true),
        (vec![stays(), dialled(1, 65_002)], vec![path_of(&[])], true),
        (vec![v1::NeighborConfig { groups: vec!["few".into()], ..stays() }], vec![path_of(&["many"])], false),
        (vec![v1::NeighborConfig { groups: vec!["many".into()], ..stays() }], vec![path_of(&["many"])], true),
        (vec![v1::NeighborConfig { prefix_limit: Some(limit), ..stays() }], vec![path_of(&[])], true),
        (vec![stays()], vec![], false),
    ];
    for (at, (neighbors, paths, has)) in steps.into_iter().enumerate() {
        (request.neighbors, request.paths) = (neighbors, paths);
        assert_eq!(sart.apply(&request).neighbors_reset, 0, "step {at}");
        assert_eq!(
            sart.apply(&request),
            v1::ApplyConfigResponse::default(),
            "step {at}: identical is no work"
        );
        let seen = wait_for("FRR's table", LIMIT, || {
            let seen = frr.prefixes("ipv4")?;
            if seen.contains(&OURS.to_owned()) == has { Ok(Some(())) } else { anyhow::bail!("{seen:?}") }
        });
        seen.unwrap_or_else(|error| panic!("step {at}: {error:#}\n{}", sart.process.log()));
    }
    let seen = frr.json(&format!("show bgp neighbors {} json", near(0))).unwrap();
    assert_eq!(seen[near(0)]["connectionsEstablished"], 1);
    assert_eq!((sart.neighbor(0).state(), sart.neighbor(0).flaps), (Established, 0));
}
