//! Routes that have been here before: absent, counted by reason, and told to nobody.

use sart_rpc::v1;
use sart_testkit::Update;
use sart_testkit::missing;
use sart_testkit::update::{CLUSTER_LIST, NON_TRANSITIVE, ORIGINATOR_ID};

use crate::fixture::near;
use crate::needs;
use crate::scene::{OWN, Scene, address};

/// The speaker's router id, which is its cluster as well.
const US: [u8; 4] = [10, 77, 255, 1];

/// Sends these routes; the first is sound and the others are refused for these reasons.
fn refused(scene: &mut Scene, updates: &[(&str, Update)]) {
    for (_, update) in updates {
        scene.send(update);
    }
    scene.sentinel("after the loops");
    let counted = scene.sart.neighbor(0).import_refused;
    for (at, (why, _)) in updates.iter().enumerate() {
        let prefix = format!("10.50.{at}.0/24");
        assert_eq!(scene.stored(&prefix).map(|path| path.refused).as_deref(), Some(*why), "{prefix}");
        assert_eq!(scene.heard.routes.contains_key(&prefix), why.is_empty(), "{prefix}");
        if !why.is_empty() {
            assert_eq!(counted.get(*why), Some(&1), "{counted:?}");
        }
    }
    let local: Vec<_> = scene.sart.paths(v1::Table::Local, 0).into_iter().map(|path| path.prefix).collect();
    assert!(local.contains(&"10.50.0.0/24".to_owned()) && local.len() == 2, "{local:?}");
}

#[test]
fn criterion_16_a_path_with_our_as_or_with_our_address_as_its_next_hop_is_refused() {
    needs!(missing());
    let mut scene = Scene::new("c16out", 65_001);
    let with = |at: usize, path: &[u32], next_hop: std::net::IpAddr| {
        Update::announce(&[&format!("10.50.{at}.0/24")], path, next_hop)
    };
    let hop = address(0).into();
    let updates = [
        ("", with(0, &[65_001, 64_999], hop)),
        ("own_as", with(1, &[65_001, OWN, 64_999], hop)),
        ("own_next_hop", with(2, &[65_001], near(0).parse().unwrap())),
    ];
    refused(&mut scene, &updates);
}

#[test]
fn criterion_16_a_route_that_we_reflected_before_is_refused() {
    needs!(missing());
    let mut scene = Scene::new("c16in", OWN);
    let plain: Vec<_> = (0..3).map(|at| scene.announce(&[&format!("10.50.{at}.0/24")])).collect();
    let [sound, ours, passed] = plain.try_into().unwrap();
    let clusters = [&[10, 0, 0, 8], &US[..]].concat();
    let other = |update: Update| {
        update.attribute(NON_TRANSITIVE, ORIGINATOR_ID, &[10, 0, 0, 7]).attribute(
            NON_TRANSITIVE,
            CLUSTER_LIST,
            &[10, 0, 0, 8],
        )
    };
    let updates = [
        ("", other(sound)),
        ("own_originator", ours.attribute(NON_TRANSITIVE, ORIGINATOR_ID, &US)),
        ("own_cluster", passed.attribute(NON_TRANSITIVE, CLUSTER_LIST, &clusters)),
    ];
    refused(&mut scene, &updates);
}
