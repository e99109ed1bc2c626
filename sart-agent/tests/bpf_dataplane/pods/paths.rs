//! Which way packets take between pods: straight, or through the stack where it may translate them.

use super::*;

/// Rules as kube-proxy sets them up: a cluster address of pod B, and no packet whose state is unknown.
const RULES: &str = "
table ip sart_test {
  chain before { type nat hook prerouting priority dstnat; ip daddr 10.96.0.1 dnat to 10.1.0.3; }
  chain through { type filter hook forward priority filter; ct state invalid drop; }
}
table ip6 sart_test {
  chain before { type nat hook prerouting priority dstnat; ip6 daddr fd00:96::1 dnat to fd00:1::3; }
  chain through { type filter hook forward priority filter; ct state invalid drop; }
}";

pub(super) fn rules(node: &Node) {
    // This folder is the test's own.
    fs::write("/run/rules.nft", RULES).unwrap();
    node.on("nft -f /run/rules.nft");
}

fn cluster() -> [SocketAddr; 2] {
    [([10, 96, 0, 1], 8080).into(), (Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 1), 8080).into()]
}

fn direct() -> [SocketAddr; 2] {
    both(B).map(|address| (address, 8080).into())
}

#[test]
fn pods_of_a_node_talk_past_the_stack_in_both_families() {
    alone(|config| {
        let node = Node::up();
        rules(&node);
        echo(&node.pods[1]);
        let (dataplane, _path) = node.attach(&config);
        for (to, from) in direct().into_iter().zip(both(A)) {
            let before = packets(&dataplane, "pod_peer");
            inside(&node.pods[0].netns, move || {
                let mut stream = dial(to).unwrap();
                ping(&mut stream, &[7; 100_000]);
                assert!(echoes(&datagrams(from, to)));
            })
            .join()
            .unwrap();
            let straight = packets(&dataplane, "pod_peer") - before;
            assert!(straight > 10, "{straight} packets of {to}");
        }
        assert_eq!(packets(&dataplane, "pod_from_stack"), 0, "nothing went through netfilter");
        assert_eq!(packets(&dataplane, "pod_unfit"), 0);
    });
}

#[test]
fn a_translated_flow_keeps_to_the_stack_and_a_direct_one_beside_it_does_not() {
    alone(|config| {
        let node = Node::up();
        rules(&node);
        echo(&node.pods[1]);
        let (dataplane, _path) = node.attach(&config);
        for ((to, straight), from) in cluster().into_iter().zip(direct()).zip(both(A)) {
            let (stack, peer) = (packets(&dataplane, "pod_from_stack"), packets(&dataplane, "pod_peer"));
            inside(&node.pods[0].netns, move || {
                let mut stream = dial(to).unwrap();
                ping(&mut stream, b"by the cluster's address");
                assert!(echoes(&datagrams(from, to)), "the answer comes from the cluster's address");
                let mut other = dial(straight).unwrap();
                ping(&mut other, b"by its own");
                ping(&mut stream, b"and again");
            })
            .join()
            .unwrap();
            assert!(packets(&dataplane, "pod_from_stack") > stack + 4, "{to}");
            assert!(packets(&dataplane, "pod_peer") > peer + 4, "{straight}");
        }
        assert_eq!(packets(&dataplane, "pod_clash"), 0);
    });
}

#[test]
fn one_socket_may_ask_a_pod_by_both_its_addresses() {
    alone(|config| {
        let node = Node::up();
        rules(&node);
        echo(&node.pods[1]);
        let (_dataplane, _path) = node.attach(&config);
        inside(&node.pods[0].netns, || {
            let socket = UdpSocket::bind((A.0, 40_000)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            // The pod's own address first: its flow is redirected, then the stack takes it over.
            for to in [direct()[0], cluster()[0], direct()[0], cluster()[0]] {
                let answered = (0..20).any(|_| {
                    socket.send_to(b"hello", to).unwrap();
                    let mut buffer = [0; 16];
                    socket.recv_from(&mut buffer).is_ok_and(|(_, from)| from == to)
                });
                assert!(answered, "{to} answers as {to}");
            }
        })
        .join()
        .unwrap();
    });
}

#[test]
fn a_connection_older_than_the_programs_goes_on() {
    alone(|config| {
        let node = Node::up();
        rules(&node);
        echo(&node.pods[1]);
        let (old, netns) = (direct()[0], node.pods[0].netns.clone());
        let mut stream = inside(&netns, move || dial(old).unwrap()).join().unwrap();
        ping(&mut stream, b"before");
        let (dataplane, _path) = node.attach(&config);
        ping(&mut stream, &[3; 50_000]);
        assert!(packets(&dataplane, "pod_stack") > 0, "it stays with the stack");
    });
}

#[test]
fn a_closed_port_is_told_to_the_sender_of_a_datagram() {
    alone(|config| {
        let node = Node::up();
        rules(&node);
        let (dataplane, _path) = node.attach(&config);
        for (address, from) in both(B).into_iter().zip(both(A)) {
            let refused = inside(&node.pods[0].netns, move || {
                let socket = datagrams(from, (address, 9).into());
                (0..20).any(|_| {
                    let sent = socket.send(b"anyone?");
                    let heard = sent.and_then(|_| socket.recv(&mut [0; 16]));
                    heard.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
                })
            });
            assert!(refused.join().unwrap(), "{address}: the error about a redirected packet arrives");
        }
        assert!(packets(&dataplane, "pod_peer") >= 4);
    });
}
