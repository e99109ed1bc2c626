//! Routes that are judged, asked for or counted again: soft reset, route refresh (RFC 2918, RFC 7313) and prefix limits.

use std::time::{Duration, Instant};

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::message;
use sart_testkit::update::COMMUNITIES;
use sart_testkit::{Bird, Frr, Heard, Update, missing, missing_with_bird, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, global, near, path};
use crate::needs;
use crate::scene::{Scene, address, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config};

/// ROUTE-REFRESH (RFC 2918).
const REFRESH: u8 = 5;
/// Its capability.
const CAN_REFRESH: u8 = 2;

fn prefixes(sart: &mut Sart, table: v1::Table, n: usize) -> Vec<String> {
    let mut prefixes: Vec<_> = sart.paths(table, n).into_iter().map(|path| path.prefix).collect();
    prefixes.sort();
    prefixes
}

fn wait_prefixes(sart: &mut Sart, table: v1::Table, wanted: &[&str]) {
    let seen = wait_for("the table", LIMIT, || {
        let seen = prefixes(sart, table, 0);
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, have {seen:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_20_a_changed_import_rule_judges_stored_routes_again_without_asking_for_them() {
    needs!(missing());
    let mut scene = Scene::new("c20soft", 65_001);
    let update = scene.announce(&["10.50.0.0/24", "10.60.0.0/24"]);
    scene.send(&update);
    scene.hear("the routes", "10.60.0.0/24");
    for (ranges, left) in
        [(vec!["10.60.0.0/16".to_owned()], 1), (vec![], 0), (vec!["10.0.0.0/8".to_owned()], 2)]
    {
        let set = v1::Global {
            import_all: false,
            import_ranges: ranges,
            transit: v1::TransitPolicy::Full.into(),
            ..global()
        };
        scene.sart.call(async |client| client.set_global(v1::SetGlobalRequest { global: Some(set) }).await);
        let all = ["10.60.0.0/24", "10.50.0.0/24"];
        let mut wanted = all[..left].to_vec();
        wanted.sort_unstable();
        wait_prefixes(&mut scene.sart, v1::Table::Local, &wanted);
        let settled = |heard: &Heard| {
            all.iter().all(|prefix| heard.routes.contains_key(*prefix) == wanted.contains(prefix))
        };
        scene.heard.until(&mut scene.hearer, "the new choice", LIMIT, settled).unwrap();
    }
    let sender = scene.sart.neighbor(0);
    assert_eq!((sender.flaps, sender.sent.unwrap().route_refresh), (0, 0));
}

/// FRR or BIRD asks for our routes again: they come, and nothing else happens.
fn asks_again(sart: &mut Sart, ask: impl FnOnce(), shows: impl Fn() -> anyhow::Result<bool>) {
    sart.wait_state(0, Established);
    let there = || Ok(shows()?.then_some(()));
    wait_for("our route", LIMIT, there).unwrap();
    let before = sart.neighbor(0).sent.unwrap().update;
    ask();
    let again = wait_for("the routes again", LIMIT, || {
        let seen = sart.neighbor(0);
        let asked = seen.received.unwrap_or_default().route_refresh;
        let sent = seen.sent.unwrap_or_default().update;
        if asked > 0 && sent > before { Ok(Some(())) } else { anyhow::bail!("{seen:?}") }
    });
    again.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
    wait_for("our route still", LIMIT, there).unwrap();
    assert_eq!(sart.neighbor(0).flaps, 0);
}

fn asked_by(purpose: &str) -> (Fabric, Sart, Session) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = transit(&[v1::NeighborConfig { passive: false, ..waiting(0, 65_001) }]);
    request.paths = vec![path("10.99.0.0/24", &[])];
    sart.apply(&request);
    (fabric, sart, Session { own: far(0), peer: near(0), asn: 65_000 })
}

#[test]
fn criterion_20_frr_gets_every_route_again_when_it_asks() {
    needs!(missing_with_frr());
    let (fabric, mut sart, session) = asked_by("c20frr");
    let frr = Frr::start_alone(&fabric.peers[0], &frr_config(65_001, &far(0), &[session])).unwrap();
    let ask = || drop(frr.vtysh("clear bgp ipv4 unicast * soft in").unwrap());
    asks_again(&mut sart, ask, || Ok(frr.prefixes("ipv4")?.contains(&"10.99.0.0/24".to_owned())));
}

#[test]
fn criterion_20_bird_gets_every_route_again_when_it_asks() {
    needs!(missing_with_bird());
    let (fabric, mut sart, session) = asked_by("c20bird");
    let bird = Bird::start(&fabric.peers[0], &bird_config(65_001, &far(0), &[session])).unwrap();
    let ask = || drop(bird.birdc("reload in s0").unwrap());
    asks_again(&mut sart, ask, || Ok(bird.birdc("show route for 10.99.0.0/24")?.contains("[s0 ")));
}

#[test]
fn criterion_20_a_refresh_is_answered_with_every_route_once() {
    needs!(missing());
    let fabric = Fabric::new("c20raw", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&transit(&[waiting(0, 65_001)]));
    let mut peer = establish(&fabric, &sart, 0, &open(0, 65_001).capability(CAN_REFRESH, &[]));
    sart.wait_state(0, Established);
    sart.announce("10.99.0.0/24", &[]);
    sart.announce("10.99.1.0/24", &[]);
    let mut heard = Heard::default();
    heard.until(&mut peer, "both", LIMIT, |heard| heard.routes.len() == 2).unwrap();
    let mut again = Heard::default();
    peer.send(&message(REFRESH, &[0, 1, 0, 1])).unwrap();
    again.until(&mut peer, "both again", LIMIT, |heard| heard.routes.len() == 2).unwrap();
    // Without the capability of the enhanced form no mark may be sent.
    assert!(again.messages.iter().all(|message| message.kind != REFRESH), "{:?}", again.messages);
    // Families that nobody agreed on are not answered (RFC 2918 section 4).
    peer.send(&message(REFRESH, &[0, 25, 0, 70])).unwrap();
    sart.announce("10.99.2.0/24", &[]);
    again.until_route(&mut peer, "10.99.2.0/24", LIMIT).unwrap();
    assert_eq!(sart.neighbor(0).flaps, 0);
}

const MAX: u32 = 10;
const RESTART: u32 = 3;

fn numbered(range: std::ops::Range<u32>) -> Update {
    let prefixes: Vec<String> = range.map(|n| format!("10.50.{n}.0/24")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    Update::announce(&prefixes, &[65_001], address(0).into())
}

fn wait_received(sart: &mut Sart, count: u64) {
    wait_for("the routes", LIMIT, || Ok((sart.neighbor(0).prefixes_received == count).then_some(())))
        .unwrap();
}

#[test]
fn criterion_22_a_limit_warns_then_ends_the_session_and_lets_it_back_after_the_pause() {
    needs!(missing());
    let fabric = Fabric::new("c22", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let limit = v1::PrefixLimit { max: MAX, warn_percent: 0, restart_seconds: RESTART };
    sart.apply(&transit(&[v1::NeighborConfig { prefix_limit: Some(limit), ..waiting(0, 65_001) }]));
    let mut peer = establish(&fabric, &sart, 0, &open(0, 65_001));
    let warned = |sart: &Sart| sart.process.log().matches("the limit is 10").count();
    peer.send(&numbered(0..7).bytes()).unwrap();
    wait_received(&mut sart, 7);
    // Twenty more in a malformed UPDATE are taken as withdrawn: they do not count.
    let malformed = numbered(100..120).attribute(0xc0, COMMUNITIES, &[1]);
    peer.send(&[malformed.bytes(), numbered(7..8).bytes()].concat()).unwrap();
    wait_received(&mut sart, 8);
    wait_for("the warning", LIMIT, || Ok((warned(&sart) == 1).then_some(()))).unwrap();
    peer.send(&numbered(8..10).bytes()).unwrap();
    wait_received(&mut sart, u64::from(MAX));
    assert_eq!((sart.neighbor(0).state(), warned(&sart)), (Established, 1));
    // Before it is sent: the pause begins when the speaker has it, which may be before we go on.
    let begun = Instant::now();
    peer.send(&numbered(10..11).bytes()).unwrap();
    assert_eq!(peer.expect_notification(LIMIT).unwrap(), (6, 1));
    // Until the pause is over no session comes up; then one does.
    let back = wait_for("the session after the pause", LIMIT, || {
        let mut peer = fabric.raw(0);
        peer.establish(&open(0, 65_001).body(), Duration::from_secs(10))?;
        Ok(Some(peer))
    });
    let _peer = back.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(u64::from(RESTART)), "back after {took:?}");
    sart.wait_state(0, Established);
}
