//! Both families over one session of each family, with each of the others; and capabilities that need the long form.

use std::time::{Duration, Instant};

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::{
    Bird, Frr, Gobgp, Heard, Open, missing, missing_with_bird, missing_with_frr, missing_with_gobgp, wait_for,
};

use crate::fixture::{Fabric, LIMIT, Sart, far, near, neighbor};
use crate::needs;
use crate::scene::{HOLD, address, establish, open, transit, waiting};

/// The speaker's and the neighbour's IPv6 addresses on link `n`, in canonical form.
fn v6(n: usize) -> (String, String) {
    let of = |last: u16| std::net::Ipv6Addr::new(0xfd77, n as u16, 0, 0, 0, 0, 0, last).to_string();
    (of(1), of(2))
}

/// What neighbour `n` originates.
fn theirs(n: usize) -> [String; 2] {
    [format!("10.5{n}.0.0/24"), format!("2001:db8:5{n}::/48")]
}

const OURS: [&str; 2] = ["10.99.0.0/24", "2001:db8:99::/48"];

/// A session of each family with neighbour `n`, each for both families.
fn pair(n: usize) -> [v1::NeighborConfig; 2] {
    let families = vec![v1::AddressFamily::Ipv4Unicast.into(), v1::AddressFamily::Ipv6Unicast.into()];
    let four = v1::NeighborConfig { families, groups: vec![], ..neighbor(n) };
    let six = v1::NeighborConfig { name: format!("peer{n}-v6"), address: v6(n).1, ..four.clone() };
    [four, six]
}

fn frr(fabric: &Fabric, n: usize) -> Frr {
    let [four, six] = theirs(n);
    let asn = 65_001 + n as u32;
    let ipv4 = format!(
        "address-family ipv4 unicast\n  network {four}\n  neighbor {} activate\n exit-address-family",
        v6(n).0
    );
    let ipv6 = format!(
        "address-family ipv6 unicast\n  network {six}\n  neighbor {} activate\n exit-address-family",
        near(n)
    );
    let neighbors = [(near(n), 65_000), (v6(n).0, 65_000)];
    let neighbors: Vec<_> = neighbors.iter().map(|(address, asn)| (address.as_str(), *asn)).collect();
    let config = sart_testkit::frr::config(asn, &far(n), &neighbors, &[&ipv4, &ipv6]);
    Frr::start(&fabric.peers[n], &config).unwrap()
}

fn bird_config(n: usize) -> String {
    let [four, six] = theirs(n);
    let channels = "ipv4 { import all; export all; }; ipv6 { import all; export all; };";
    let mut text = format!(
        "router id {id};\nprotocol device {{}}\nprotocol static {{ ipv4; route {four} unreachable; }}\n\
         protocol static {{ ipv6; route {six} unreachable; }}\n",
        id = far(n)
    );
    for (name, own, peer) in [("four", far(n), near(n)), ("six", v6(n).1, v6(n).0)] {
        text.push_str(&format!(
            "protocol bgp {name} {{ local {own} as {asn}; neighbor {peer} as 65000; connect delay time 1; {channels} }}\n",
            asn = 65_001 + n
        ));
    }
    text
}

fn gobgp_config(n: usize) -> String {
    let mut text = format!("[global.config]\n as = {}\n router-id = \"{}\"\n", 65_001 + n, far(n));
    for peer in [near(n), v6(n).0] {
        text.push_str(&format!(
            "[[neighbors]]\n [neighbors.config]\n  neighbor-address = \"{peer}\"\n  peer-as = 65000\n \
             [neighbors.timers.config]\n  connect-retry = 5\n"
        ));
        for family in ["ipv4-unicast", "ipv6-unicast"] {
            text.push_str(&format!(
                " [[neighbors.afi-safis]]\n  [neighbors.afi-safis.config]\n   afi-safi-name = \"{family}\"\n"
            ));
        }
    }
    text
}

/// Waits until the speaker has the neighbour's own prefixes `wanted` from the session with `address`.
fn received(sart: &mut Sart, address: &str, wanted: &[String]) {
    let seen = wait_for("the neighbour's routes", LIMIT, || {
        let rows = sart.rows(v1::Table::AdjIn, address);
        let seen: Vec<_> = rows.into_iter().map(|path| path.prefix).collect();
        if wanted.iter().all(|prefix| seen.contains(prefix)) {
            Ok(Some(()))
        } else {
            anyhow::bail!("{seen:?}")
        }
    });
    seen.unwrap_or_else(|error| panic!("{address}: {error:#}\n{}", sart.process.log()));
}

/// Both sessions with neighbour `n` are up for both families and bring its routes.
fn both_sessions(sart: &mut Sart, n: usize) {
    for address in [far(n), v6(n).1] {
        let seen = sart.established(&address, LIMIT * 2);
        let families = ["ipv4-unicast", "ipv6-unicast"];
        let has = |family: &str| seen.capabilities.iter().any(|capability| capability.contains(family));
        assert!(families.into_iter().all(has), "{:?}", seen.capabilities);
        received(sart, &address, &theirs(n));
    }
}

fn scene(purpose: &str) -> (Fabric, Sart) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut request = transit(&pair(0));
    request.paths = OURS.iter().map(|prefix| crate::fixture::path(prefix, &[])).collect();
    sart.apply(&request);
    (fabric, sart)
}

#[test]
fn criterion_1_both_families_over_a_session_of_each_family_with_frr() {
    needs!(missing_with_frr());
    let (fabric, mut sart) = scene("c1frr");
    let frr = frr(&fabric, 0);
    both_sessions(&mut sart, 0);
    for (family, prefix) in ["ipv4", "ipv6"].into_iter().zip(OURS) {
        let paths = wait_for("both paths", LIMIT, || {
            let route = frr.json(&format!("show bgp {family} unicast {prefix} json"))?;
            let count = route["paths"].as_array().map_or(0, Vec::len);
            if count == 2 { Ok(Some(())) } else { anyhow::bail!("{route}") }
        });
        paths.unwrap_or_else(|error| panic!("{error:#}"));
    }
    for address in [near(0), v6(0).0] {
        let seen = frr.json(&format!("show bgp neighbors {address} json")).unwrap();
        let eor = &seen[&address]["gracefulRestartInfo"]["endOfRibRecv"];
        assert_eq!((&eor["ipv4Unicast"], &eor["ipv6Unicast"]), (&true.into(), &true.into()), "{eor}");
    }
}

#[test]
fn criterion_1_both_families_over_a_session_of_each_family_with_bird() {
    needs!(missing_with_bird());
    let (fabric, mut sart) = scene("c1bird");
    let bird = Bird::start(&fabric.peers[0], &bird_config(0)).unwrap();
    both_sessions(&mut sart, 0);
    for prefix in OURS {
        let both = wait_for("both paths", LIMIT, || {
            let text = bird.birdc(&format!("show route for {prefix} all"))?;
            if text.contains("[four ") && text.contains("[six ") {
                Ok(Some(()))
            } else {
                anyhow::bail!("{text}")
            }
        });
        both.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[test]
fn criterion_1_both_families_over_a_session_of_each_family_with_gobgp() {
    needs!(missing_with_gobgp());
    let (fabric, mut sart) = scene("c1go");
    let gobgp = Gobgp::start(&fabric.peers[0], &gobgp_config(0)).unwrap();
    let [four, six] = theirs(0);
    gobgp.run(&format!("global rib add {four} nexthop {}", far(0))).unwrap();
    gobgp.run(&format!("global rib add {six} nexthop {} -a ipv6", v6(0).1)).unwrap();
    both_sessions(&mut sart, 0);
    for (family, prefix) in ["ipv4", "ipv6"].into_iter().zip(OURS) {
        let both = wait_for("both paths", LIMIT, || {
            let table = gobgp.json(&format!("global rib -a {family}"))?;
            let count = table[prefix].as_array().map_or(0, Vec::len);
            if count == 2 { Ok(Some(())) } else { anyhow::bail!("{table}") }
        });
        both.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[test]
fn criterion_1_the_end_of_rib_of_both_families_comes_within_a_second() {
    needs!(missing());
    let fabric = Fabric::new("c1eor", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let mut quickest = Duration::MAX;
    // A busy machine may take its time; three tries are enough for one that is just busy.
    for _ in 0..3 {
        sart.apply(&transit(&[waiting(0, 65_001)]));
        let mut peer = establish(&fabric, &sart, 0, &open(0, 65_001));
        let (start, mut heard) = (Instant::now(), Heard::default());
        heard.until(&mut peer, "two markers", LIMIT, |heard| heard.ends_of_rib == 2).unwrap();
        quickest = quickest.min(start.elapsed());
        if quickest < Duration::from_secs(1) {
            return;
        }
        sart.apply(&transit(&[]));
    }
    panic!("the quickest took {quickest:?}");
}

#[test]
fn criterion_7_unknown_capabilities_and_the_long_form_are_accepted() {
    needs!(missing());
    let fabric = Fabric::new("c7raw", 2);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&transit(&[waiting(0, 65_001), waiting(1, 65_002)]));
    // 239 is for experiments (RFC 8810); 300 octets of it need RFC 9072.
    let short = open(0, 65_001).capability(239, &[1, 2, 3]);
    let long = (0..30).fold(open(1, 65_002), |open: Open, n| open.capability(239, &[n; 8]));
    assert!(long.body().len() > 300);
    let _peers = [establish(&fabric, &sart, 0, &short), establish(&fabric, &sart, 1, &long)];
    for n in 0..2 {
        sart.wait_state(n, Established);
        assert_eq!(sart.neighbor(n).router_id, address(n).to_string());
        assert_eq!(sart.neighbor(n).negotiated_hold_time, u32::from(HOLD.min(240)));
    }
}

#[test]
fn criterion_7_the_long_form_of_frr_is_accepted() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("c7frr", 1);
    let line = format!("neighbor {} extended-optional-parameters", near(0));
    let _frr = fabric.frr(0, &[&line]);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&transit(&[neighbor(0)]));
    // A KEEPALIVE in OpenSent is the answer to an OPEN that was accepted. FRR 8.4 with this switch reads our short form as
    // if it were a long one and refuses it with 2/0, so no session can follow.
    let answered = wait_for("an answer to the OPEN of FRR", LIMIT, || {
        let seen = sart.neighbor(0);
        let (sent, received) = (seen.sent.unwrap_or_default(), seen.received.unwrap_or_default());
        let accepted = received.open > 0 && sent.keepalive > 0;
        if accepted { Ok(Some(sent)) } else { anyhow::bail!("{seen:?}") }
    });
    let sent = answered.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
    assert_eq!(sent.notification, 0, "{}", sart.process.log());
}
