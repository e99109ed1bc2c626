//! What the API server accepts and refuses, and in which words.

use crate::cluster::Cluster;

fn object(kind: &str, spec: &str) -> String {
    format!("apiVersion: sart.terassyi.net/v1alpha2\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
}

/// Kind, spec, and the words the refusal must hold.
const BAD: [(&str, &str, &str); 17] = [
    ("AddressPool", "{cidr: 10.0.1.0, type: service}", "cidr must be a prefix such as 10.0.1.0/24"),
    ("AddressPool", "{cidr: 10.0.1.7/24, type: service}", "cidr must not have host bits set"),
    ("AddressPool", "{cidr: 10.0.1.0/24, type: vip}", "Unsupported value: \"vip\""),
    (
        "AddressPool",
        "{cidr: 10.0.0.0/24, type: pod, blockSize: 20}",
        "blockSize must not be shorter than the prefix length",
    ),
    ("AddressPool", "{cidr: 10.0.0.0/24, type: pod, blockSize: 64}", "blockSize must be at most 32 for IPv4"),
    ("AddressBlock", "{cidr: 10.0.0.0/29, type: pod, poolRef: p}", "a block of type pod needs nodeRef"),
    ("AddressClaim", "{address: 10.0.0.1}", "the name of an IPv4 AddressClaim is v4-"),
    ("AddressClaim", "{address: 'fd00::1'}", "the name of an IPv6 AddressClaim is v6-"),
    ("BGPPeer", "{asn: 0, addr: 9.9.9.9, nodeBGPRef: n1, speaker: {path: a}}", "spec.asn"),
    ("BGPPeer", "{asn: 1, addr: nine, nodeBGPRef: n1, speaker: {path: a}}", "addr must be an IP address"),
    (
        "BGPPeer",
        "{asn: 1, addr: 9.9.9.9, nodeBGPRef: n1, speaker: {path: a}, holdTime: 2}",
        "holdTime must be 0 or at least 3",
    ),
    ("BGPPeerTemplate", "{asn: 4294967296}", "spec.asn"),
    (
        "ClusterBGP",
        "{asnSelector: {from: asn}, routerIdSelector: {from: internalAddress}, speaker: {path: a}}",
        "asnSelector.from is asn: set asnSelector.asn",
    ),
    (
        "ClusterBGP",
        "{asnSelector: {from: label}, routerIdSelector: {from: routerId, routerId: 'fd00::1'}, speaker: {path: a}}",
        "routerId must be an IPv4 address",
    ),
    (
        "ClusterBGP",
        "{asnSelector: {from: label}, routerIdSelector: {from: internalAddress}, speaker: {path: a}, peers: [{peerConfig: {asn: 1}}]}",
        "needs peerConfig.asn and peerConfig.addr",
    ),
    (
        "ClusterBGP",
        "{asnSelector: {from: label}, routerIdSelector: {from: internalAddress}, speaker: {path: a}, importRanges: [all]}",
        "every entry of importRanges must be a CIDR",
    ),
    (
        "BGPAdvertisement",
        "{cidr: 10.0.1.0/32, type: service, protocol: ipv6}",
        "protocol must be the address family of cidr",
    ),
];

#[test]
fn every_bad_object_is_refused_with_its_own_sentence_and_good_ones_are_taken() {
    let Some(cluster) = Cluster::start() else { return };
    for (kind, spec, words) in BAD {
        let refusal = cluster.apply(&object(kind, spec)).expect_err(&format!("{kind} {spec} was accepted"));
        assert!(refusal.contains(words), "{kind} {spec}: {refusal}");
    }
    let claim = "apiVersion: sart.terassyi.net/v1alpha2\nkind: AddressClaim\nmetadata: {name: NAME}\nspec: {address: 'ADDR'}\n";
    for (name, address) in
        [("v4-10-0-0-1", "10.0.0.1"), ("v6-fd00-0000-0000-0000-0000-0000-0000-0001", "fd00::1")]
    {
        cluster.apply(&claim.replace("NAME", name).replace("ADDR", address)).unwrap();
    }
    let wrong =
        claim.replace("NAME", "v6-fd00-0000-0000-0000-0000-0000-0000-0002").replace("ADDR", "fd00::1");
    assert!(cluster.apply(&wrong).is_err(), "one address must have one name only");
    measured_the_cidr_of_a_pool_and_the_ends_of_a_session_never_change(&cluster);
}

fn measured_the_cidr_of_a_pool_and_the_ends_of_a_session_never_change(cluster: &Cluster) {
    let pool = "{cidr: 10.0.1.0/24, type: service, allocType: bit, blockSize: 24, autoAssign: true}";
    cluster.apply(&object("AddressPool", pool)).unwrap();
    let refusal = cluster.apply(&object("AddressPool", &pool.replace("10.0.1", "10.0.2"))).unwrap_err();
    assert!(refusal.contains("cidr is immutable"), "{refusal}");
    let peer = "{asn: 65000, addr: 9.9.9.9, nodeBGPRef: n1, speaker: {path: '127.0.0.1:5000'}}";
    cluster.apply(&object("BGPPeer", peer)).unwrap();
    for (old, new, words) in [
        ("65000", "65001", "asn is immutable"),
        ("9.9.9.9", "7.7.7.7", "addr is immutable"),
        ("nodeBGPRef: n1", "nodeBGPRef: m1", "nodeBGPRef is immutable"),
    ] {
        let refusal = cluster.apply(&object("BGPPeer", &peer.replace(old, new))).unwrap_err();
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(cluster.get("bgppeer", "x")["spec"]["speaker"]["timeout"], 10, "schema default");
}
