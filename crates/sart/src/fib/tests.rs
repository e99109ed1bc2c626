use super::*;

fn channel() -> v1::Channel {
    let from = v1::ChannelEndpoint {
        protocol: "bgp".into(),
        endpoint: "/run/sart/bgpd.sock".into(),
        tables: vec![],
    };
    let to = v1::ChannelEndpoint { protocol: "kernel".into(), endpoint: String::new(), tables: vec![254] };
    v1::Channel {
        name: "bgp-to-kernel".into(),
        ip_version: "ipv4".into(),
        subscribers: vec![from],
        publishers: vec![to],
        desired_routes: 2,
        installed_routes: 1,
        unresolved_routes: 1,
        refused_routes: 0,
        synced: true,
    }
}

fn routes() -> Vec<v1::FibRoute> {
    let hop = v1::FibNextHop {
        gateway: "10.9.0.1".into(),
        resolved_gateway: "10.0.0.2".into(),
        interface: "eth0".into(),
        weight: 1,
    };
    let installed = v1::FibRoute {
        prefix: "10.1.0.0/24".into(),
        table: 254,
        source: "bgp".into(),
        distance: 20,
        protocol: 186,
        metric: 20,
        next_hops: vec![hop],
        state: "installed".into(),
        reason: String::new(),
    };
    let hop = v1::FibNextHop { gateway: "10.99.0.1".into(), weight: 1, ..Default::default() };
    let unresolved = v1::FibRoute {
        prefix: "10.2.0.0/24".into(),
        next_hops: vec![hop],
        state: "unresolved".into(),
        reason: "no route to 10.99.0.1".into(),
        ..installed.clone()
    };
    vec![installed, unresolved]
}

#[test]
fn channels_in_both_formats() {
    insta::assert_snapshot!(plain::channels(&[channel()]));
    insta::assert_snapshot!(to_json(&json::Channels::from([channel()].as_slice())).unwrap());
}

#[test]
fn routes_in_both_formats() {
    insta::assert_snapshot!(plain::routes(&routes()));
    insta::assert_snapshot!(to_json(&json::Routes::from(routes().as_slice())).unwrap());
}
