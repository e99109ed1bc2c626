//! A pod that says it is another one.

use super::*;

#[test]
fn a_source_that_is_not_the_pods_own_is_dropped_and_counted_in_both_families() {
    alone(|config| {
        let node = Node::up();
        let (dataplane, _path) = node.attach(&config);
        let foreign: [IpAddr; 4] = [
            Ipv4Addr::new(10, 1, 0, 77).into(),
            Ipv4Addr::new(169, 254, 1, 1).into(),
            Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x77).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ];
        let listeners: Vec<UdpSocket> = inside(&node.pods[1].netns, || {
            both(B).map(|address| UdpSocket::bind((address, 8080)).unwrap()).into()
        })
        .join()
        .unwrap();
        for address in foreign {
            let (reason, to, listener) = match address {
                IpAddr::V4(_) => ("pod_spoof_ipv4", IpAddr::from(B.0), &listeners[0]),
                IpAddr::V6(_) => ("pod_spoof_ipv6", IpAddr::from(B.1), &listeners[1]),
            };
            let before = packets(&dataplane, reason);
            let netns = &node.pods[0].netns;
            let (length, nodad) = if address.is_ipv4() { (32, "") } else { (128, "nodad") };
            run(&format!("ip -n {netns} addr add {address}/{length} dev eth0 {nodad}"));
            let send = move |from: IpAddr, word: &[u8]| {
                let socket = UdpSocket::bind((from, 0)).unwrap();
                socket.send_to(word, (to, 8080)).unwrap();
            };
            inside(netns, move || {
                send(address, b"foreign");
                send(if address.is_ipv4() { A.0.into() } else { A.1.into() }, b"own");
            })
            .join()
            .unwrap();
            listener.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(heard(listener), b"own", "the foreign one, sent before, did not arrive");
            assert_eq!(packets(&dataplane, reason), before + 1, "{address}");
        }
    });
}
