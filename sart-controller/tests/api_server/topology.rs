//! ClusterBGPs become NodeBGPs and BGPPeers; edits, relabelling and deletion reach them.

use serde_json::Value;

use crate::cluster::Cluster;

const TEMPLATE: &str = "\
apiVersion: sart.terassyi.net/v1alpha2
kind: BGPPeerTemplate
metadata: {name: spine0}
spec: {asn: 65001, addr: 9.9.9.9, holdTime: 30, groups: [to-spine0]}
---
";

fn node(name: &str, asn: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{sart.terassyi.net/asn: '{asn}', bgp: a}}}}\n---\n"
    )
}

fn cluster_bgp(template: &str) -> String {
    format!(
        "apiVersion: sart.terassyi.net/v1alpha2\nkind: ClusterBGP\nmetadata: {{name: a}}\nspec:\n  \
         nodeSelector: {{bgp: a}}\n  asnSelector: {{from: label}}\n  routerIdSelector: {{from: internalAddress}}\n  \
         speaker: {{path: '127.0.0.1:5000'}}\n  peers:\n  - peerTemplateRef: {template}\n    \
         nodeBGPSelector: {{bgp: a}}\n  - peerConfig: {{asn: 65002, addr: 7.7.7.7, keepaliveTime: 5}}\n"
    )
}

fn condition(object: &Value, kind: &str) -> String {
    let list = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = list.iter().find(|c| c["type"] == kind);
    found
        .map(|c| format!("{}/{}", c["status"].as_str().unwrap(), c["reason"].as_str().unwrap()))
        .unwrap_or_default()
}

fn names(cluster: &Cluster, kind: &str) -> Vec<String> {
    cluster.list(kind).iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cluster_bgp_stamps_nodes_and_peers_and_its_edits_reach_them() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.controller("a");
    for (at, name) in ["node1", "node2"].into_iter().enumerate() {
        cluster.apply(&node(name, 65010 + 10 * u32::try_from(at).unwrap())).unwrap();
        let status = format!(
            r#"{{"status":{{"addresses":[{{"type":"InternalIP","address":"172.18.0.{}"}}]}}}}"#,
            at + 2
        );
        cluster.kubectl_ok(&["patch", "node", name, "--subresource=status", "--type=merge", "-p", &status]);
    }
    cluster.apply(&cluster_bgp("spine0")).unwrap();
    cluster.until("the missing template is named", |c| {
        condition(&c.get("clusterbgp", "a"), "Accepted") == "False/TemplateNotFound"
    });
    cluster.apply(TEMPLATE).unwrap();
    cluster.until("four peers", |c| names(c, "bgppeers").len() == 4);
    cluster.until("the ClusterBGP is ready", |c| {
        let a = c.get("clusterbgp", "a");
        condition(&a, "Accepted") == "True/Accepted" && condition(&a, "Ready") == "True/Applied"
    });
    assert_eq!(cluster.get("clusterbgp", "a")["status"]["nodes"], serde_json::json!(["node1", "node2"]));
    assert_eq!(cluster.get("nodebgp", "node2")["spec"]["asn"], 65020);
    assert_eq!(cluster.get("nodebgp", "node1")["spec"]["routerId"], "172.18.0.2");
    assert_eq!(names(&cluster, "bgppeers")[2], "spine0-node1-65001-9.9.9.9");
    let inline = cluster.get("bgppeer", "node1-65002-7.7.7.7");
    assert_eq!(inline["spec"]["keepaliveTime"], 5, "every inline field counts");
    edits_propagate(&cluster);
    another_asn_is_refused(&cluster);
    a_peer_made_by_hand_is_left_alone_and_found(&cluster);
    a_prefix_that_no_node_announces_any_more_says_so(&cluster);
    unmatched_nodes_lose_everything(&cluster);
}

fn edits_propagate(cluster: &Cluster) {
    cluster.apply(&TEMPLATE.replace("30", "9")).unwrap();
    cluster.until("the template's edit arrives", |c| {
        c.get("bgppeer", "spine0-node1-65001-9.9.9.9")["spec"]["holdTime"] == 9
    });
    cluster.kubectl_ok(&["label", "node", "node1", "sart.terassyi.net/asn=65011", "rack=r1", "--overwrite"]);
    cluster.until("the node's labels arrive", |c| {
        let n = c.get("nodebgp", "node1");
        n["spec"]["asn"] == 65011 && n["metadata"]["labels"]["rack"] == "r1"
    });
    cluster.kubectl_ok(&["label", "node", "node1", "rack-"]);
    cluster.until("a removed label leaves", |c| {
        c.get("nodebgp", "node1")["metadata"]["labels"]["rack"].is_null()
    });
}

fn another_asn_is_refused(cluster: &Cluster) {
    let other = cluster_bgp("spine0")
        .replace("{name: a}", "{name: b}")
        .replace("asnSelector: {from: label}", "asnSelector: {from: asn, asn: 65099}");
    cluster.apply(&other).unwrap();
    cluster.until("the conflict is named", |c| {
        condition(&c.get("clusterbgp", "b"), "Accepted") == "False/AsnConflict"
    });
    assert_eq!(condition(&cluster.get("clusterbgp", "a"), "Accepted"), "True/Accepted");
    assert_eq!(cluster.get("nodebgp", "node1")["spec"]["asn"], 65011, "the older one decides");
    cluster.kubectl_ok(&["delete", "clusterbgp", "b"]);
}

fn a_peer_made_by_hand_is_left_alone_and_found(cluster: &Cluster) {
    let peer = "apiVersion: sart.terassyi.net/v1alpha2\nkind: BGPPeer\nmetadata: {name: by-hand}\n\
                spec: {asn: 65009, addr: 8.8.8.8, nodeBGPRef: node1, speaker: {path: '127.0.0.1:5000'}}\n";
    cluster.apply(peer).unwrap();
    cluster.until("its agent can find it", |c| {
        c.get("bgppeer", "by-hand")["metadata"]["labels"]["bgppeer.sart.terassyi.net/node"] == "node1"
    });
    assert_eq!(cluster.get("bgppeer", "by-hand")["spec"]["asn"], 65009);
}

fn a_prefix_that_no_node_announces_any_more_says_so(cluster: &Cluster) {
    let advertisement = "apiVersion: sart.terassyi.net/v1alpha2\nkind: BGPAdvertisement\n\
                         metadata: {name: prefix, namespace: default}\n\
                         spec: {cidr: 10.9.9.9/32, type: service, protocol: ipv4}\n";
    cluster.apply(advertisement).unwrap();
    let report = |entries: &str| {
        let status = format!(r#"{{"status":{{"advertisements":{entries}}}}}"#);
        cluster.kubectl_ok(&[
            "patch",
            "nodebgp",
            "node1",
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ]);
    };
    let says = |words: &'static str, carried: bool| {
        cluster.until(words, |c| {
            let shown = c.get("bgpadvertisement", "prefix");
            condition(&shown, "Advertised") == words && shown["status"]["peers"].is_object() == carried
        });
    };
    for _ in 0..2 {
        report(r#"[{"prefix":"10.9.9.9/32","proof":"Bpf","peers":["node1-65002-7.7.7.7"]}]"#);
        says("True/Advertised", true);
        report("[]");
        says("False/NoSession", false);
    }
    cluster.kubectl_ok(&["delete", "bgpadvertisement", "prefix"]);
}

fn unmatched_nodes_lose_everything(cluster: &Cluster) {
    cluster.kubectl_ok(&["label", "node", "node2", "bgp=b", "--overwrite"]);
    cluster.until("node2 speaks no more", |c| {
        names(c, "nodebgps") == ["node1"] && names(c, "bgppeers").len() == 3
    });
    cluster.kubectl_ok(&["delete", "clusterbgp", "a"]);
    cluster.until("only the hand-made peer is left", |c| {
        names(c, "nodebgps").is_empty() && names(c, "bgppeers") == ["by-hand"]
    });
}
