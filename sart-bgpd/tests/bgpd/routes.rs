//! What is announced to whom, and what is learned from whom.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::wait::wait_for_eq_stable;
use sart_testkit::{missing, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, global, near, neighbor, path, wait_prefixes};
use crate::needs;

#[test]
fn a_path_given_before_the_session_is_up_arrives_and_a_withdrawal_leaves() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("path", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let given =
        v1::LocalPath { med: Some(42), communities: vec![65_000 << 16 | 7], ..path("10.0.1.0/32", &[]) };
    sart.apply(&config(&[neighbor(0)], &[given]));
    let frr = fabric.frr(0, &[]);
    wait_prefixes(&frr, "ipv4", &["10.0.1.0/32"]);
    // FRR has it before zebra has told it that the next hop can be reached.
    let shown = wait_for("a valid path", LIMIT, || {
        let shown = frr.json("show bgp ipv4 unicast 10.0.1.0/32 json")?;
        Ok(shown["paths"][0]["valid"].as_bool().unwrap_or(false).then_some(shown))
    })
    .unwrap();
    let shown = &shown["paths"][0];
    assert_eq!(shown["aspath"]["string"], "65000");
    assert_eq!(shown["nexthops"][0]["ip"], near(0));
    assert_eq!((&shown["origin"], &shown["metric"]), (&"IGP".into(), &42.into()));
    assert_eq!(shown["community"]["string"], "65000:7");

    assert_eq!(sart.announce("10.0.1.1/32", &[]).changed, 1);
    wait_prefixes(&frr, "ipv4", &["10.0.1.0/32", "10.0.1.1/32"]);
    assert_eq!(sart.withdraw("10.0.1.0/32").changed, 1);
    wait_prefixes(&frr, "ipv4", &["10.0.1.1/32"]);
    assert_eq!(sart.withdraw("10.0.1.0/32").unknown, 1);
    assert_eq!(sart.neighbor(0).prefixes_sent, 1);
}

/// Sends these changes as one stream and takes in what comes back.
fn stream(sart: &mut Sart, changes: Vec<v1::UpdatePathsRequest>) -> Vec<Result<(u32, u32), tonic::Status>> {
    let mut client = sart.client.clone();
    sart.block_on(async move {
        let answers = client.stream_paths(futures::stream::iter(changes)).await.unwrap().into_inner();
        answers.map_ok(|answer| (answer.changed, answer.unknown)).collect().await
    })
}

#[test]
fn a_stream_of_changes_is_answered_in_its_order_and_a_refused_one_ends_it() {
    needs!(missing());
    let fabric = Fabric::new("stream", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[neighbor(0)], &[]));
    let change = |upserts: &[&str], withdrawals: &[&str]| v1::UpdatePathsRequest {
        upserts: upserts.iter().map(|prefix| path(prefix, &[])).collect(),
        withdrawals: withdrawals.iter().map(ToString::to_string).collect(),
    };
    let good = [
        change(&["10.0.1.0/32", "10.0.1.1/32"], &[]),
        change(&["10.0.1.2/32"], &["10.0.1.0/32", "10.0.1.9/32"]),
        change(&["10.0.1.2/32"], &[]),
    ];
    let answers = stream(&mut sart, good.to_vec());
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [(2, 0), (2, 1), (0, 0)]);
    let held = |sart: &mut Sart| -> Vec<String> {
        sart.paths(v1::Table::Local, 0).into_iter().map(|path| path.prefix).collect()
    };
    assert_eq!(held(&mut sart), ["10.0.1.1/32", "10.0.1.2/32"], "the end of a stream withdraws nothing");

    let bad = [
        change(&["10.0.1.3/32"], &[]),
        change(&["10.0.1.4/32"], &["10.0.1/32"]),
        change(&["10.0.1.5/32"], &[]),
    ];
    let answers = stream(&mut sart, bad.to_vec());
    assert_eq!(answers.len(), 2);
    assert_eq!(*answers[0].as_ref().unwrap(), (1, 0));
    let refusal = answers[1].as_ref().unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::InvalidArgument);
    assert!(
        refusal.message().contains("withdrawals") && refusal.message().contains("10.0.1/32"),
        "{refusal}"
    );
    assert_eq!(held(&mut sart), ["10.0.1.1/32", "10.0.1.2/32", "10.0.1.3/32"]);
}

#[test]
fn ipv6_paths_travel_over_an_ipv6_session() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("six", 1);
    let frr = sart_testkit::frr::config(65_001, "10.77.0.2", &[("fd77:0::1", 65_000)], &[]);
    let frr = sart_testkit::Frr::start(&fabric.peers[0], &frr).unwrap();
    let mut sart = Sart::start(&fabric.sart, &[]);
    let six = v1::NeighborConfig { address: "fd77:0::2".into(), ..neighbor(0) };
    sart.apply(&config(&[six], &[path("fd99::1/128", &[]), path("10.99.0.0/24", &[])]));
    wait_prefixes(&frr, "ipv6", &["fd99::1/128"]);
    assert!(frr.prefixes("ipv4").unwrap().is_empty());
}

/// Both spines announce the same and something of their own.
fn two_spines(fabric: &Fabric) -> [sart_testkit::Frr; 2] {
    let spine = |n: usize| {
        let own = format!(
            "address-family ipv4 unicast\n  network 192.168.{n}.0/24\n  network 192.168.100.0/24\n exit-address-family"
        );
        fabric.frr(n, &[&own])
    };
    [spine(0), spine(1)]
}

#[test]
fn measured_nothing_of_one_spine_reaches_the_other_unless_transit_is_wanted() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("transit", 2);
    let spines = two_spines(&fabric);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[neighbor(0), neighbor(1)], &[path("10.0.1.0/32", &[])]));
    for (n, spine) in spines.iter().enumerate() {
        let own = format!("192.168.{n}.0/24");
        let wanted = vec!["10.0.1.0/32".to_owned(), own, "192.168.100.0/24".to_owned()];
        let times = (LIMIT, Duration::from_secs(3));
        wait_for_eq_stable("the spine's table", &wanted, times, || spine.prefixes("ipv4")).unwrap();
    }
    let local: Vec<_> = sart.paths(v1::Table::Local, 0).into_iter().map(|path| path.prefix).collect();
    assert!(local.contains(&"192.168.0.0/24".to_owned()), "{local:?}");
    for n in 0..2 {
        let out: Vec<_> = sart.paths(v1::Table::AdjOut, n).into_iter().map(|path| path.prefix).collect();
        assert_eq!(out, ["10.0.1.0/32"], "to {n}");
    }
    // The same lab does carry them once transit is asked for.
    let full = v1::Global { transit: v1::TransitPolicy::Full.into(), ..global() };
    sart.call(async |client| client.set_global(v1::SetGlobalRequest { global: Some(full) }).await);
    let all = ["10.0.1.0/32", "192.168.0.0/24", "192.168.1.0/24", "192.168.100.0/24"];
    wait_prefixes(&spines[1], "ipv4", &all);
    assert_eq!((sart.neighbor(0).flaps, sart.neighbor(1).flaps), (0, 0));
}

#[test]
fn a_path_with_a_group_reaches_only_neighbors_of_that_group() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("group", 2);
    let spines = [fabric.frr(0, &[]), fabric.frr(1, &[])];
    let mut sart = Sart::start(&fabric.sart, &[]);
    let paths =
        [path("10.0.1.0/32", &["to-0"]), path("10.0.1.1/32", &["to-1", "other"]), path("10.0.1.2/32", &[])];
    sart.apply(&config(&[neighbor(0), neighbor(1)], &paths));
    for (spine, own) in spines.iter().zip(["10.0.1.0/32", "10.0.1.1/32"]) {
        wait_prefixes(spine, "ipv4", &[own, "10.0.1.2/32"]);
    }
    // Withdrawing it from one group while another keeps another path harms nobody else; moving it does just that.
    sart.announce("10.0.1.0/32", &["to-1"]);
    wait_prefixes(&spines[0], "ipv4", &["10.0.1.2/32"]);
    wait_prefixes(&spines[1], "ipv4", &["10.0.1.0/32", "10.0.1.1/32", "10.0.1.2/32"]);
}

fn next_hops(event: &v1::BestPathEvent, prefix: &str) -> Option<Vec<String>> {
    match &event.event {
        Some(v1::best_path_event::Event::Path(path)) if path.prefix == prefix => {
            Some(path.next_hops.iter().map(|hop| hop.address.clone()).collect())
        }
        _ => None,
    }
}

#[test]
fn equal_paths_of_two_spines_form_a_multipath_set_that_shrinks_with_them() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("ecmp", 2);
    let [first, second] = two_spines(&fabric);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = config(&[neighbor(0), neighbor(1)], &[]);
    request.global = Some(v1::Global { multipath: Some(true), ..global() });
    sart.apply(&request);
    sart.wait_state(0, Established);
    sart.wait_state(1, Established);
    let both = vec![far(0), far(1)];
    sart.best_paths(|event| next_hops(event, "192.168.100.0/24").as_ref() == Some(&both));
    let seen =
        sart.best_paths(|event| matches!(event.event, Some(v1::best_path_event::Event::EndOfRib(true))));
    assert!(seen.iter().any(|event| next_hops(event, "192.168.100.0/24").as_ref() == Some(&both)));
    let rows = sart.paths(v1::Table::Local, 0);
    let rows: Vec<_> = rows.iter().filter(|row| row.prefix == "192.168.100.0/24").collect();
    assert_eq!(rows.iter().filter(|row| row.multipath).count(), 2);
    assert_eq!(rows.iter().filter(|row| row.best).count(), 1);
    drop(second);
    let one = vec![far(0)];
    sart.best_paths(|event| next_hops(event, "192.168.100.0/24").as_ref() == Some(&one));
    drop(first);
    wait_for("an empty table", LIMIT, || Ok(sart.paths(v1::Table::Local, 0).is_empty().then_some(())))
        .unwrap();
}

#[test]
fn only_the_ranges_of_the_configuration_are_imported_and_refusals_are_counted() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("import", 2);
    let _spines = two_spines(&fabric);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = config(&[neighbor(0), neighbor(1)], &[]);
    request.global = Some(v1::Global {
        import_all: false,
        import_ranges: vec!["192.168.0.0/16".into()],
        protected_prefixes: vec!["192.168.100.7/32".into()],
        ..global()
    });
    sart.apply(&request);
    wait_for("the routes", LIMIT, || {
        Ok((sart.neighbor(0).prefixes_received == 2 && sart.neighbor(1).prefixes_received == 2).then_some(()))
    })
    .unwrap();
    let mut local: Vec<_> = sart.paths(v1::Table::Local, 0).into_iter().map(|path| path.prefix).collect();
    local.sort();
    // 192.168.100.0/24 covers the protected address.
    assert_eq!(local, ["192.168.0.0/24", "192.168.1.0/24"]);
    let seen = sart.neighbor(0);
    assert_eq!((seen.prefixes_accepted, seen.import_refused.values().sum::<u64>()), (1, 1), "{seen:?}");
}
