//! What is asked, what is answered, and never twice the same.

use super::*;
use crate::resolve::ResolveOptions;
use crate::route::{KernelRoute, Leg, PROTOCOL_FIBD, Route, RouteKey, TABLE_MAIN};

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn route(prefix: &str, metric: u32, protocol: u8) -> KernelRoute {
    let key = RouteKey { table: TABLE_MAIN, prefix: prefix.parse().unwrap(), metric };
    let leg = Leg { gateway: Some(ip("10.0.0.1")), ifindex: 3, weight: 1, onlink: false };
    KernelRoute::up(Route::unicast(key, protocol, vec![leg]))
}

fn distances(tracked: &Tracked, kernel: &[KernelRoute]) -> Distances {
    tracked.distances(&Resolver::new(kernel, &ResolveOptions::default()))
}

fn nothing(address: &str) -> Result<u32, Unresolved> {
    Err(Unresolved::NoRoute(ip(address)))
}

#[test]
fn criterion_19_an_answer_follows_the_kernel_and_is_told_once() {
    let (mut tracked, mut told) = (Tracked::default(), Told::default());
    tracked.want(&[ip("9.9.9.9"), ip("8.8.8.8")], &[]);
    told.asked(&[ip("9.9.9.9"), ip("8.8.8.8")], &[]);
    let near = [route("9.9.9.0/24", 5, 4)];
    let first = distances(&tracked, &near);
    assert_eq!(told.plan(&first), [(ip("8.8.8.8"), nothing("8.8.8.8")), (ip("9.9.9.9"), Ok(5))]);
    assert_eq!(told.plan(&first), []);
    let farther = distances(&tracked, &[route("9.9.9.0/24", 6, 4)]);
    assert_eq!(told.plan(&farther), [(ip("9.9.9.9"), Ok(6))]);
    assert_eq!(told.plan(&distances(&tracked, &[])), [(ip("9.9.9.9"), nothing("9.9.9.9"))]);
    let blocked = [(ip("9.9.9.9"), Err(Unresolved::OnlyDefault(ip("9.9.9.9"))))].into();
    assert_eq!(told.plan(&blocked).len(), 1, "another reason is news as well");
    tracked.want(&[], &[ip("9.9.9.9")]);
    assert_eq!(told.plan(&distances(&tracked, &near)), [], "not known is not unreachable");
    told.asked(&[], &[ip("9.9.9.9")]);
    tracked.want(&[ip("9.9.9.9")], &[]);
    told.asked(&[ip("9.9.9.9")], &[]);
    assert_eq!(
        told.plan(&distances(&tracked, &[])),
        [(ip("9.9.9.9"), nothing("9.9.9.9"))],
        "asked again, answered again"
    );
}

#[test]
fn criterion_19_a_route_never_vouches_for_its_own_next_hop() {
    let mut tracked = Tracked::default();
    tracked.want(&[ip("9.9.9.9")], &[]);
    for prefix in ["9.9.9.9/32", "9.9.0.0/16"] {
        let answer = distances(&tracked, &[route(prefix, 20, PROTOCOL_FIBD)]);
        assert_eq!(answer[&ip("9.9.9.9")], nothing("9.9.9.9"), "{prefix}");
    }
}
