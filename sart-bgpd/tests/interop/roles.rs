//! Roles and the attribute Only to Customer (RFC 9234) with FRR and BIRD: each side stops the other's leak.

use sart_rpc::v1::{self, Role, SessionState::Established};
use sart_testkit::update::{OTC, TRANSITIVE};
use sart_testkit::{
    Bird, Frr, Heard, Namespace, Open, Update, missing_with_bird, missing_with_frr, wait_for,
};

use crate::fixture::{Fabric, LIMIT, Sart, far, get, near, path};
use crate::needs;
use crate::scene::{address, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config};

/// The capability, and what a neighbour is in it (RFC 9234 section 4.1).
const ROLE: u8 = 9;
const PROVIDER: u8 = 0;
const CUSTOMER: u8 = 3;

/// The daemon's AS number, its own routes (FRR without zebra tells no IPv6 route of its own), and ours.
const THEIRS: u32 = 65_001;
const ROUTES: [&str; 2] = ["10.60.0.0/24", "2001:db8:60::/48"];
const OURS: &str = "10.99.0.0/24";

/// What starts a router on a link, with its role and whether it insists on ours.
type Start = fn(&Namespace, usize, (&str, bool)) -> Router;

/// A router that knows roles.
enum Router {
    Frr(Frr),
    Bird(Bird),
}

fn session(n: usize) -> Session {
    Session { own: far(n), peer: near(n), asn: 65_000 }
}

impl Router {
    /// FRR on link `n`, which has this role to us and may insist on hearing ours.
    fn frr(namespace: &Namespace, n: usize, (role, strict): (&str, bool)) -> Self {
        let mut config = frr_config(THEIRS, &far(n), &[session(n)]);
        let strict = if strict { " strict-mode" } else { "" };
        config.push_str(&format!(" neighbor {} local-role {role}{strict}\n", near(n)));
        config.push_str(&format!(
            " address-family ipv4 unicast\n  network {}\n exit-address-family\n",
            ROUTES[0]
        ));
        Self::Frr(Frr::start_alone(namespace, &config).unwrap())
    }

    fn routes(&self) -> &'static [&'static str] {
        match self {
            Self::Frr(_) => &ROUTES[..1],
            Self::Bird(_) => &ROUTES,
        }
    }

    fn bird(namespace: &Namespace, n: usize, (role, strict): (&str, bool)) -> Self {
        let strict = if strict { "require roles yes;" } else { "" };
        let roles = format!("protocol bgp s0 {{ local role {role}; {strict}");
        let mut config = bird_config(THEIRS, &far(n), &[session(n)]).replace("protocol bgp s0 {", &roles);
        config.push_str(&format!("protocol static {{ ipv4; route {} unreachable; }}\n", ROUTES[0]));
        config.push_str(&format!("protocol static {{ ipv6; route {} unreachable; }}\n", ROUTES[1]));
        Self::Bird(Bird::start(namespace, &config).unwrap())
    }

    /// The mark of a route of ours that it uses: none without the route, 0 without a mark.
    fn mark(&self, prefix: &str) -> Option<u64> {
        match self {
            Self::Frr(frr) => {
                let seen = frr.json(&format!("show bgp ipv4 unicast {prefix} json")).unwrap();
                let path = seen["paths"].get(0)?;
                Some(path["otc"].as_u64().unwrap_or(0))
            }
            Self::Bird(bird) => {
                let seen = bird.birdc("show route all").unwrap();
                let mut lines = seen.lines().skip_while(|line| !line.starts_with(&format!("{prefix} ")));
                lines.next()?;
                let own = lines.take_while(|line| line.starts_with([' ', '\t']));
                let mark = own.filter_map(|line| line.trim().strip_prefix("BGP.otc:")).next();
                Some(mark.map_or(0, |mark| mark.trim().parse().unwrap()))
            }
        }
    }

    fn wait_mark(&self, prefix: &str, mark: u64, log: impl Fn() -> String) {
        let seen = wait_for("the route", LIMIT, || match self.mark(prefix) {
            Some(seen) if seen == mark => Ok(Some(())),
            other => anyhow::bail!("{prefix} with {other:?}"),
        });
        seen.unwrap_or_else(|error| panic!("{error:#}\n{}", log()));
    }
}

/// Neighbour `n` to which we are `role`.
fn to(n: usize, asn: u32, role: Role) -> v1::NeighborConfig {
    let features = Some(v1::Features { role: role.into(), strict_role: true, ..Default::default() });
    v1::NeighborConfig { features, ..waiting(n, asn) }
}

fn saying(n: usize, asn: u32, role: u8) -> Open {
    open(n, asn).capability(ROLE, &[role])
}

fn mark_of(heard: &Heard, prefix: &str) -> Option<u32> {
    let otc = heard.routes[prefix].get(&OTC)?;
    assert_eq!(otc.flags, TRANSITIVE);
    Some(u32::from_be_bytes(otc.value.as_slice().try_into().unwrap()))
}

/// What a scrape says is kept from neighbour 2.
fn wait_kept(fabric: &Fabric, four: u64, six: u64) {
    let line = |family: &str, count: u64| {
        format!("sart_bgpd_peer_leaks_kept{{peer=\"{}\",family=\"{family}\"}} {count}\n", far(2))
    };
    let wanted = [line("ipv4-unicast", four), line("ipv6-unicast", six)];
    let shown = wait_for("the figures", LIMIT, || {
        let text = get(&fabric.sart, 8001, "/metrics");
        if wanted.iter().all(|line| text.contains(line)) { Ok(Some(())) } else { anyhow::bail!("{text}") }
    });
    shown.unwrap_or_else(|error| panic!("no {wanted:?}: {error:#}"));
}

/// The daemon is our provider, neighbour 1 our customer, neighbour 2 another provider.
fn between_providers(purpose: &str, start: Start) {
    let fabric = Fabric::new(purpose, 3);
    let mut sart = Sart::start(&fabric.sart, &["--http-port", "8001"]);
    let up = v1::NeighborConfig { passive: false, ..to(0, THEIRS, Role::Customer) };
    let mut request = transit(&[up, to(1, 65_002, Role::Provider), to(2, 65_003, Role::Customer)]);
    request.paths = vec![path(OURS, &[])];
    sart.apply(&request);
    let router = start(&fabric.peers[0], 0, ("provider", true));
    sart.wait_state(0, Established);
    let mut customer = establish(&fabric, &sart, 1, &saying(1, 65_002, CUSTOMER));
    let mut provider = establish(&fabric, &sart, 2, &saying(2, 65_003, PROVIDER));
    let mut heard = Heard::default();
    let theirs = router.routes();
    let complete = |heard: &Heard| heard.routes.len() == theirs.len() + 1;
    heard.until(&mut customer, "everything", LIMIT, complete).unwrap();
    assert!(theirs.iter().all(|prefix| mark_of(&heard, prefix) == Some(THEIRS)), "{:?}", heard.routes);
    assert_eq!(mark_of(&heard, OURS), Some(65_000));
    wait_kept(&fabric, 1, theirs.len() as u64 - 1);
    // The customer leaks one route of another provider, and announces one of its own.
    let update = |prefix: &str| Update::announce(&[prefix], &[65_002], address(1).into());
    let leak = update("10.61.0.0/24").attribute(TRANSITIVE, OTC, &65_009_u32.to_be_bytes());
    customer.send(&[leak.bytes(), update("10.62.0.0/24").bytes()].concat()).unwrap();
    let mut upstream = Heard::default();
    upstream.until_route(&mut provider, "10.62.0.0/24", LIMIT).unwrap();
    upstream.until_route(&mut provider, OURS, LIMIT).unwrap();
    assert_eq!(upstream.routes.keys().collect::<Vec<_>>(), ["10.62.0.0/24", OURS]);
    assert_eq!([OURS, "10.62.0.0/24"].map(|prefix| mark_of(&upstream, prefix)), [None, None]);
    assert_eq!(sart.neighbor(1).import_refused.get("route_leak"), Some(&1));
    router.wait_mark("10.62.0.0/24", 0, || sart.process.log());
    assert_eq!(router.mark("10.61.0.0/24"), None);
    assert_eq!([0, 1, 2].map(|n| sart.neighbor(n).flaps), [0; 3]);
}

#[test]
fn routes_of_frr_as_our_provider_go_to_our_customers_only() {
    needs!(missing_with_frr());
    between_providers("rolefrr", Router::frr);
}

#[test]
fn routes_of_bird_as_our_provider_go_to_our_customers_only() {
    needs!(missing_with_bird());
    between_providers("rolebird", Router::bird);
}

/// The daemon is our customer and reads our mark.
fn below(purpose: &str, start: Start) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let down = v1::NeighborConfig { passive: false, ..to(0, THEIRS, Role::Provider) };
    let mut request = transit(&[down]);
    request.paths = vec![path(OURS, &[])];
    sart.apply(&request);
    let router = start(&fabric.peers[0], 0, ("customer", true));
    sart.wait_state(0, Established);
    router.wait_mark(OURS, 65_000, || sart.process.log());
}

#[test]
fn our_mark_is_read_by_frr_and_by_bird_as_our_customers() {
    needs!(missing_with_frr().or_else(missing_with_bird));
    below("rolebfrr", Router::frr);
    below("rolebbird", Router::bird);
}

/// Neighbour 0 sends a leak; we have no role towards anybody, so only the daemon, our provider, can stop it.
fn above(purpose: &str, start: Start) {
    let fabric = Fabric::new(purpose, 2);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let up = v1::NeighborConfig { passive: false, ..waiting(1, THEIRS) };
    sart.apply(&transit(&[waiting(0, 65_002), up]));
    let router = start(&fabric.peers[1], 1, ("provider", false));
    sart.wait_state(1, Established);
    let mut source = establish(&fabric, &sart, 0, &open(0, 65_002));
    let update = |prefix: &str| Update::announce(&[prefix], &[65_002], address(0).into());
    let leak = update("10.61.0.0/24").attribute(TRANSITIVE, OTC, &65_009_u32.to_be_bytes());
    source.send(&[leak.bytes(), update("10.62.0.0/24").bytes()].concat()).unwrap();
    router.wait_mark("10.62.0.0/24", 0, || sart.process.log());
    assert_eq!(router.mark("10.61.0.0/24"), None);
}

#[test]
fn a_leak_that_we_may_not_judge_is_refused_by_frr_and_by_bird_as_our_providers() {
    needs!(missing_with_frr().or_else(missing_with_bird));
    above("roleafrr", Router::frr);
    above("roleabird", Router::bird);
}
