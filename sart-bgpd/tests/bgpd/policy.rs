//! Policies of a running speaker: what RFC 8212 keeps back, what a chain changes, and what a reload leaves alone.

use std::net::Ipv4Addr;
use std::path::Path;

use nix::sys::signal::Signal;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{KEEPALIVE, UPDATE, open_body};
use sart_testkit::{Frr, Namespace, RawPeer, missing, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, global, near, neighbor, path, wait_prefixes, write};
use crate::needs;

const ACCEPT: i32 = v1::PolicyDefault::Accept as i32;

fn chain(policies: &[&str]) -> Option<v1::PolicyChain> {
    let policies = policies.iter().map(|name| (*name).to_owned()).collect();
    Some(v1::PolicyChain { policies, default: ACCEPT })
}

fn wait_local(sart: &mut Sart, wanted: &[&str]) {
    let seen = wait_for("the table", LIMIT, || {
        let paths = sart.paths(v1::Table::Local, 0);
        let seen: Vec<&str> = paths.iter().map(|path| path.prefix.as_str()).collect();
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, there is {seen:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

/// FRR announces 10.1.0.0/24 and 10.2.0.0/24.
fn announcing(fabric: &Fabric) -> Frr {
    fabric.frr(0, &["network 10.1.0.0/24", "network 10.2.0.0/24"])
}

fn connections(frr: &Frr) -> u64 {
    let answer = frr.json(&format!("show bgp neighbors {} json", near(0))).unwrap();
    answer[near(0)]["connectionsEstablished"].as_u64().unwrap()
}

#[test]
fn criterion_17_an_ebgp_peer_without_policy_gives_and_gets_nothing_and_one_is_added_without_a_reset() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("p8212", 1);
    let frr = announcing(&fabric);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = config(&[neighbor(0)], &[path("10.9.0.0/24", &[])]);
    let strict =
        v1::Global { ebgp_requires_policy: true, transit: v1::TransitPolicy::Full.into(), ..global() };
    request.global = Some(strict);
    sart.apply(&request);
    sart.wait_state(0, Established);
    wait_for("both routes", LIMIT, || Ok((sart.neighbor(0).prefixes_received == 2).then_some(()))).unwrap();
    let seen = sart.neighbor(0);
    assert_eq!((seen.prefixes_accepted, seen.prefixes_sent), (0, 0));
    assert_eq!(seen.import_refused, [("no_policy".to_owned(), 2)].into());
    wait_local(&mut sart, &["10.9.0.0/24"]);
    wait_prefixes(&frr, "ipv4", &["10.1.0.0/24", "10.2.0.0/24"]);
    let rows = sart.paths(v1::Table::AdjIn, 0);
    assert!(rows.iter().all(|row| row.refused == "no_policy"), "{rows:?}");

    let request = v1::SetNeighborPolicyRequest { address: far(0), import: chain(&[]), export: chain(&[]) };
    let answer = sart.call(async |client| client.set_neighbor_policy(request).await);
    assert_eq!(answer.neighbors[0].import.as_ref().unwrap().end, "accept");
    wait_local(&mut sart, &["10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24"]);
    wait_prefixes(&frr, "ipv4", &["10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24"]);
    let seen = sart.neighbor(0);
    assert_eq!((seen.flaps, seen.prefixes_accepted, seen.prefixes_sent), (0, 2, 1));
    assert_eq!(connections(&frr), 1);
}

const POLICIES: &str = "\
defined_sets:
  prefix_sets:
    - {name: one, prefixes: [{prefix: 10.1.0.0/16, ge: 24}]}
  community_sets:
    - {name: inner, members: ['65000:*']}
policies:
  - name: in
    statements:
      - match: {prefix_set: {set: one}}
        set: {local_pref: 333, communities: {add: ['65000:1', '64999:1']}}
        then: accept
  - name: out
    statements:
      - set: {med: 77, prepend: {count: 2}, communities: {add: ['65000:5', '64998:5'], remove: ['65000:*']}}
      - set: {large_communities: {add: [65000:1:2]}}
        then: accept
";

fn file(path: &Path, neighbor: &str, policies: &str) {
    let text = format!(
        "asn: 65000\nrouter_id: 10.77.255.1\nneighbors:\n  - {{asn: 65001, address: {}, {neighbor}}}\n\
         paths: [{{prefixes: [10.9.0.0/24]}}]\n{policies}",
        far(0)
    );
    write(path, &text);
}

fn reload(sart: &mut Sart) -> Result<v1::ApplyConfigResponse, tonic::Status> {
    sart.try_call(async |client| client.reload(v1::ReloadRequest {}).await)
}

#[test]
fn chains_of_the_file_change_routes_and_a_reload_judges_stored_routes_again() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("pfile", 1);
    let frr = announcing(&fabric);
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("bgp.yaml");
    file(&name, "import: {policies: [in]}, export: {policies: [out]}", POLICIES);
    let mut sart = Sart::start_in(folder, &fabric.sart, &["-f", &name.display().to_string()]);
    wait_local(&mut sart, &["10.1.0.0/24", "10.9.0.0/24"]);
    let learned = sart.paths(v1::Table::Local, 0).remove(0);
    assert_eq!(learned.local_pref, Some(333));
    assert_eq!(learned.communities, [65_000 << 16 | 1, 64_999 << 16 | 1]);
    wait_prefixes(&frr, "ipv4", &["10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24"]);
    let told = &frr.json("show bgp ipv4 unicast 10.9.0.0/24 json").unwrap()["paths"][0];
    assert_eq!(told["metric"], 77, "{told}");
    assert_eq!(told["aspath"]["string"], "65000 65000 65000");
    assert_eq!(told["community"]["string"], "64998:5 65000:5", "removed first, then added");
    assert_eq!(told["largeCommunity"]["string"], "65000:1:2");

    assert_eq!(reload(&mut sart).unwrap(), v1::ApplyConfigResponse::default(), "nothing had changed");
    file(&name, "import: {policies: [in], default: accept}, export: {default: reject}", POLICIES);
    assert_eq!(reload(&mut sart).unwrap(), v1::ApplyConfigResponse::default(), "policies restart nobody");
    wait_local(&mut sart, &["10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24"]);
    wait_prefixes(&frr, "ipv4", &["10.1.0.0/24", "10.2.0.0/24"]);
    assert_eq!(connections(&frr), 1);

    file(&name, "import: {policies: [nowhere]}", POLICIES);
    let status = reload(&mut sart).unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let wanted = format!("{}:4: neighbors[{}].import.policies: `nowhere` is not", name.display(), far(0));
    assert!(status.message().starts_with(&wanted), "{status}");
    wait_local(&mut sart, &["10.1.0.0/24", "10.2.0.0/24", "10.9.0.0/24"]);
    assert_eq!((sart.neighbor(0).state(), sart.neighbor(0).flaps), (Established, 0));
}

#[test]
fn a_refused_policy_names_its_field_and_changes_nothing() {
    needs!(missing());
    let fabric = Fabric::new("prefuse", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&config(&[neighbor(0)], &[]));
    let policy = |name: &str, set: &str| {
        let set = Some(v1::SetMatch { set: set.to_owned(), how: 0 });
        let conditions = Some(v1::PolicyConditions { prefix_set: set, ..Default::default() });
        let statement = v1::PolicyStatement { conditions, ..Default::default() };
        v1::Policy { name: name.to_owned(), statements: vec![statement] }
    };
    let with = |policies| {
        let sets = vec![v1::PrefixSet { name: "s".into(), prefixes: Vec::new() }];
        v1::SetPolicyRequest {
            policy: Some(v1::PolicyConfig { prefix_sets: sets, policies, ..Default::default() }),
        }
    };
    let good = sart.call(async |client| client.set_policy(with(vec![policy("p", "s")])).await);
    assert_eq!(good.configured.as_ref().unwrap().policies.len(), 1);
    for (request, wanted) in [
        (with(vec![policy("q", "t")]), "policies[q].statements[0].match.prefix_set"),
        (with(vec![policy("q", "s"), policy("q", "s")]), "policies[].name"),
    ] {
        let status = sart.try_call(async |client| client.set_policy(request).await).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
        assert!(status.message().starts_with(wanted), "{status}");
    }
    let chains = v1::SetNeighborPolicyRequest { address: far(0), import: chain(&["r"]), export: None };
    let status = sart.try_call(async |client| client.set_neighbor_policy(chains).await).unwrap_err();
    assert!(status.message().starts_with(&format!("neighbors[{}].import.policies", far(0))), "{status}");
    assert_eq!(sart.call(async |client| client.get_policy(v1::GetPolicyRequest {}).await), good);
    let status = reload(&mut sart).unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
}

/// Neighbours of one link: 10.77.0.2 and up, all in AS 65001.
const NEIGHBORS: u8 = 50;

fn many(path: &Path, neighbors: u8) {
    let lines: String =
        (0..neighbors).map(|n| format!("  - {{asn: 65001, address: 10.77.0.{}}}\n", n + 2)).collect();
    let paths = "paths: [{prefixes: [10.9.0.0/24]}]\ntransit: local_only\nimport_ranges: [10.1.0.0/16]\n";
    write(path, &format!("asn: 65000\nrouter_id: 10.77.255.1\n{paths}neighbors:\n{lines}"));
}

/// Takes one connection up to Established and reads all it is told at first.
fn take(listener: &std::net::TcpListener, number: u8) -> RawPeer {
    let mut peer = RawPeer::accept(listener, LIMIT).unwrap();
    peer.establish(&open_body(65_001, 90, Ipv4Addr::new(10, 0, 0, number)), LIMIT).unwrap();
    let told = peer.expect(UPDATE, LIMIT).unwrap();
    assert!(told.body.ends_with(&[24, 10, 9, 0]), "{:?}", told.body);
    let end = peer.expect(UPDATE, LIMIT).unwrap();
    assert_eq!(end.body, [0; 4], "End-of-RIB");
    peer
}

fn add_addresses(namespace: &Namespace) {
    for last in 3..=NEIGHBORS + 2 {
        namespace.run(&["ip", "address", "add", &format!("10.77.0.{last}/24"), "dev", "eth0"]).unwrap();
    }
}

fn all(sart: &mut Sart) -> Vec<v1::Neighbor> {
    sart.call(async |client| client.list_neighbors(v1::ListNeighborsRequest::default()).await).neighbors
}

#[test]
fn criterion_37_one_more_neighbor_among_fifty_resets_nobody_and_sends_the_others_nothing() {
    needs!(missing());
    let fabric = Fabric::new("p37", 1);
    add_addresses(&fabric.peers[0]);
    let listener = RawPeer::listen(&fabric.peers[0], "0.0.0.0:179".parse().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("bgp.yaml");
    many(&name, NEIGHBORS);
    let mut sart = Sart::start_in(folder, &fabric.sart, &["-f", &name.display().to_string()]);
    let mut peers: Vec<RawPeer> = (1..=NEIGHBORS).map(|number| take(&listener, number)).collect();
    let before = all(&mut sart);
    assert!(before.iter().all(|neighbor| neighbor.state() == Established));

    assert_eq!(reload(&mut sart).unwrap(), v1::ApplyConfigResponse::default(), "identical is no work");
    many(&name, NEIGHBORS + 1);
    sart.process.signal(Signal::SIGHUP).unwrap();
    let mut added = take(&listener, NEIGHBORS + 1);
    let log = sart.process.log();
    assert!(log.contains("neighbors_added: 1, neighbors_removed: 0, neighbors_reset: 0"), "{log}");
    let after = all(&mut sart);
    assert_eq!(after.len(), usize::from(NEIGHBORS) + 1);
    for old in &before {
        let config = old.config.as_ref().unwrap();
        let now = after.iter().find(|now| now.config.as_ref().unwrap().address == config.address).unwrap();
        assert_eq!((now.state(), now.flaps), (Established, 0), "{config:?}");
        assert_eq!(now.sent.unwrap().update, old.sent.unwrap().update, "{config:?}");
    }

    // The next thing anybody hears besides KEEPALIVEs is what is announced now.
    sart.announce("10.9.1.0/24", &[]);
    for peer in peers.iter_mut().chain([&mut added]) {
        let message = wait_for("an UPDATE", LIMIT, || {
            let message = peer.receive(LIMIT)?;
            Ok((message.kind != KEEPALIVE).then_some(message))
        });
        let message = message.unwrap();
        assert!(message.kind == UPDATE && message.body.ends_with(&[24, 10, 9, 1]), "{message:?}");
    }
}
