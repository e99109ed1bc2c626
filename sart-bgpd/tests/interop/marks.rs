//! The marks around a repetition (RFC 7313), both ways: what a neighbour does not repeat goes only after its end mark, and
//! ours stand around every route we repeat.

use anyhow::Context as _;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{UPDATE, message};
use sart_testkit::{Bird, Frr, Heard, Open, RawPeer, missing, missing_with_bird, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, near, path};
use crate::needs;
use crate::scene::{Scene, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config};

/// ROUTE-REFRESH (RFC 2918).
const REFRESH: u8 = 5;
/// The capabilities of RFC 2918 and RFC 7313.
const CAN_REFRESH: u8 = 2;
const CAN_MARK: u8 = 70;
/// Subtypes (RFC 7313 section 3.2).
const BEGIN: u8 = 1;
const END: u8 = 2;

/// A ROUTE-REFRESH of IPv4 unicast.
fn refresh(subtype: u8) -> Vec<u8> {
    message(REFRESH, &[0, 1, subtype, 1])
}

fn marking(n: usize, asn: u32) -> Open {
    open(n, asn).capability(CAN_REFRESH, &[]).capability(CAN_MARK, &[])
}

/// The subtypes of the marks heard, in order, and U for each UPDATE between them.
fn outline(heard: &Heard) -> String {
    let letter = |message: &sart_testkit::raw_peer::Message| match (message.kind, message.body.get(2)) {
        (REFRESH, Some(&BEGIN)) => 'B',
        (REFRESH, Some(&END)) => 'E',
        (UPDATE, _) => 'U',
        _ => '?',
    };
    heard.messages.iter().map(letter).collect()
}

/// The scene with a sender that marks what it repeats, and three routes from it at the hearer.
fn marked(purpose: &str, routes: &[&str]) -> Scene {
    let mut scene = Scene::new(purpose, 65_001);
    scene.sender.send(&message(sart_testkit::raw_peer::NOTIFICATION, &[6, 4])).unwrap();
    let down = wait_for("the session's end", LIMIT, || {
        Ok((scene.sart.neighbor(0).state() != Established).then_some(()))
    });
    down.unwrap();
    scene.sender = establish(&scene.fabric, &scene.sart, 0, &marking(0, 65_001));
    scene.sart.wait_state(0, Established);
    let update = scene.announce(routes);
    scene.send(&update);
    scene.hear("the routes", routes[routes.len() - 1]);
    scene
}

#[test]
fn criterion_20_routes_that_a_neighbor_does_not_repeat_go_only_after_its_end_mark() {
    needs!(missing());
    let routes = ["10.50.0.0/24", "10.50.1.0/24", "10.50.2.0/24"];
    let mut scene = marked("c20marks", &routes);
    let flaps = scene.sart.neighbor(0).flaps;
    let repeated = scene.announce(&routes[1..2]).bytes();
    scene.sender.send(&[refresh(BEGIN), repeated].concat()).unwrap();
    // A route of its own after the begin: all of it has been dealt with, and nothing has gone.
    scene.sentinel("before the end mark");
    assert!(routes.iter().all(|route| scene.heard.routes.contains_key(*route)), "{:?}", scene.heard.routes);
    assert!(routes.iter().all(|route| scene.stored(route).is_some()));
    scene.sender.send(&refresh(END)).unwrap();
    let only_repeated =
        |heard: &Heard| routes.iter().all(|route| heard.routes.contains_key(*route) == (*route == routes[1]));
    scene.heard.until(&mut scene.hearer, "the stale routes' end", LIMIT, only_repeated).unwrap();
    assert!(scene.stored(routes[0]).is_none() && scene.stored(routes[1]).is_some());
    // Announced after the begin as well, so never stale.
    assert!(scene.stored("10.51.1.0/24").is_some());
    // An end without a begin finds nothing.
    scene.sender.send(&refresh(END)).unwrap();
    scene.sentinel("after a second end mark");
    assert!(scene.stored(routes[1]).is_some());
    assert_eq!(scene.sart.neighbor(0).flaps, flaps);
}

/// A speaker with so many routes and a raw neighbour 0 that knows marks.
fn told_raw(purpose: &str, routes: usize) -> (Fabric, Sart, RawPeer) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = transit(&[waiting(0, 65_001)]);
    request.paths = (0..routes).map(|n| path(&format!("10.99.{n}.0/24"), &[])).collect();
    sart.apply(&request);
    let peer = establish(&fabric, &sart, 0, &marking(0, 65_001));
    sart.wait_state(0, Established);
    (fabric, sart, peer)
}

#[test]
fn criterion_20_our_marks_stand_around_every_route_we_repeat_and_never_before_the_end_of_rib() {
    needs!(missing());
    let (_fabric, mut sart, mut peer) = told_raw("c20ours", 3);
    let mut heard = Heard::default();
    // Asked for at once, in the middle of the first load as likely as not.
    peer.send(&refresh(0)).unwrap();
    heard.until(&mut peer, "the repetition", LIMIT, |heard| outline(heard).ends_with('E')).unwrap();
    let begin = heard.messages.iter().position(|message| message.kind == REFRESH).unwrap();
    let mut first = Heard::default();
    heard.messages[..begin].iter().cloned().for_each(|message| first.take(message).unwrap());
    assert_eq!((first.routes.len(), first.ends_of_rib), (3, 2), "{}", outline(&heard));
    let mut again = Heard::default();
    peer.send(&refresh(0)).unwrap();
    again.until(&mut peer, "the end mark", LIMIT, |again| outline(again).ends_with('E')).unwrap();
    assert_eq!((again.routes.len(), outline(&again).as_str()), (3, "BUE"));
    assert!(again.messages.iter().filter(|m| m.kind == REFRESH).all(|m| m.body[..2] == [0, 1]));
    assert_eq!(sart.neighbor(0).flaps, 0);
}

/// FRR or BIRD with two routes of its own beside the speaker.
fn repeating(purpose: &str) -> (Fabric, Sart, Session) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&transit(&[v1::NeighborConfig { passive: false, ..waiting(0, 65_001) }]));
    (fabric, sart, Session { own: far(0), peer: near(0), asn: 65_000 })
}

const THEIRS: [&str; 2] = ["10.60.0.0/24", "10.60.1.0/24"];

fn wait_theirs(sart: &mut Sart, what: &str) {
    let seen = wait_for(what, LIMIT, || {
        let seen = sart.neighbor(0).prefixes_accepted;
        if seen == 2 { Ok(Some(())) } else { anyhow::bail!("{seen} prefixes") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

/// The neighbour repeats its routes when we ask, each family between two marks of its own, and none of them goes.
fn repeats(sart: &mut Sart) {
    sart.wait_state(0, Established);
    wait_theirs(sart, "the neighbor's routes");
    let before = sart.neighbor(0).received.unwrap_or_default();
    let request = v1::RefreshNeighborRequest { address: far(0) };
    sart.call(async |client| client.refresh_neighbor(request).await);
    let marks = wait_for("both marks of both families", LIMIT, || {
        let now = sart.neighbor(0).received.unwrap_or_default();
        let marks = now.route_refresh - before.route_refresh;
        if marks == 4 && now.update > before.update { Ok(Some(())) } else { anyhow::bail!("{now:?}") }
    });
    marks.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
    wait_theirs(sart, "the routes still");
    assert_eq!(sart.paths(v1::Table::Local, 0).len(), THEIRS.len());
    assert_eq!(sart.neighbor(0).flaps, 0);
    assert!(!sart.process.log().contains("EarlyRefresh"), "{}", sart.process.log());
}

#[test]
fn criterion_20_what_bird_repeats_between_its_marks_stays() {
    needs!(missing_with_bird());
    let (fabric, mut sart, session) = repeating("c20mbird");
    let mut config = bird_config(65_001, &far(0), &[session]);
    config.push_str("protocol static { ipv4;");
    THEIRS.iter().for_each(|route| config.push_str(&format!(" route {route} unreachable;")));
    let _bird = Bird::start(&fabric.peers[0], &format!("{config} }}\n")).unwrap();
    repeats(&mut sart);
}

#[test]
fn criterion_20_what_frr_repeats_between_its_marks_stays_and_it_reads_ours() {
    needs!(missing_with_frr());
    let (fabric, mut sart, session) = repeating("c20mfrr");
    let mut config = frr_config(65_001, &far(0), &[session]);
    config.push_str(" address-family ipv4 unicast\n");
    THEIRS.iter().for_each(|route| config.push_str(&format!("  network {route}\n")));
    let frr = Frr::start_alone(&fabric.peers[0], &config).unwrap();
    repeats(&mut sart);
    let marks = || {
        let seen = frr.json(&format!("show bgp neighbors {} json", near(0)))?;
        seen[near(0)]["messageStats"]["routeRefreshRecv"].as_u64().context("no statistics")
    };
    let before = marks().unwrap();
    sart.announce("10.99.0.0/24", &[]);
    frr.vtysh("clear bgp ipv4 unicast * soft in").unwrap();
    let heard = wait_for("our marks", LIMIT, || Ok((marks()? == before + 2).then_some(())));
    heard.unwrap_or_else(|error| panic!("{error:#}\n{}", frr.logs()));
    assert!(frr.prefixes("ipv4").unwrap().contains(&"10.99.0.0/24".to_owned()));
    assert_eq!(sart.neighbor(0).flaps, 0);
}
