//! Pod pools from request to release, and that no two blocks ever share an address while controllers are killed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::audit;
use crate::cluster::Cluster;

const POOLS: &str = "\
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: default-pod-pool}
spec: {cidr: 10.1.0.0/24, type: pod, allocType: bit, blockSize: 29, autoAssign: true}
---
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: non-default-pod-pool}
spec: {cidr: 10.10.0.0/31, type: pod, allocType: bit, blockSize: 32, autoAssign: false}
---
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: pods6}
spec: {cidr: 'fd00:10::/112', type: pod, blockSize: 120, autoAssign: true}
---
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: non-default-pod-pool-1}
spec: {cidr: 10.20.0.0/24, type: service}
---
";

fn node(name: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{bgp: a}}}}\n---\n")
}

fn request(pool: &str, node: &str, blocks: usize, release: &[String]) -> String {
    format!(
        "apiVersion: sart.terassyi.net/v1alpha2\nkind: BlockRequest\nmetadata: {{name: {pool}-{node}}}\n\
         spec: {{pool: {pool}, node: {node}, blocks: {blocks}, release: [{}]}}\n---\n",
        release.join(", ")
    )
}

/// Name → prefix and node of every pod block.
fn blocks(cluster: &Cluster) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = cluster.list("addressblocks").into_iter().filter(|b| b["spec"]["type"] == "pod");
    let row =
        |b: Value| (text(&b["metadata"]["name"]), (text(&b["spec"]["cidr"]), text(&b["spec"]["nodeRef"])));
    pods.map(row).collect()
}

fn reason(cluster: &Cluster, name: &str) -> String {
    let request = cluster.get("blockrequest", name);
    request["status"]["conditions"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

fn uid(cluster: &Cluster, block: &str) -> String {
    cluster.get("addressblock", block)["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn start() -> Option<Cluster> {
    let mut cluster = Cluster::start()?;
    cluster.watch_blocks();
    cluster.apply(&(POOLS.to_owned() + &node("n1") + &node("n2") + &node("n3"))).unwrap();
    Some(cluster)
}

#[test]
fn nodes_get_the_articles_blocks_and_give_them_back() {
    let Some(mut cluster) = start() else { return };
    cluster.controller("a");
    for node in ["n1", "n2", "n3"] {
        cluster.apply(&request("default-pod-pool", node, 1, &[])).unwrap();
        cluster.until("the node is served", |c| reason(c, &format!("default-pod-pool-{node}")) == "Served");
    }
    let row = |cidr: &str, node: &str| (cidr.to_owned(), node.to_owned());
    let expected = [("10.1.0.0/29", "n1"), ("10.1.0.8/29", "n2"), ("10.1.0.16/29", "n3")];
    for (slot, (cidr, node)) in expected.into_iter().enumerate() {
        let name = format!("default-pod-pool-{slot}");
        assert_eq!(blocks(&cluster)[&name], row(cidr, node));
        cluster.until("the block is advertised", |c| {
            c.list("bgpadvertisements").iter().any(|a| {
                a["metadata"]["name"] == name.as_str()
                    && a["metadata"]["namespace"] == "kube-system"
                    && a["spec"]["cidr"] == cidr
                    && a["spec"]["type"] == "pod"
            })
        });
    }
    let labelled = cluster.kubectl_ok(&[
        "get",
        "addressblock",
        "-l",
        "addressblock.sart.terassyi.net/node=n2",
        "-oname",
    ]);
    assert_eq!(labelled.trim(), "addressblock.sart.terassyi.net/default-pod-pool-1");
    a_pool_of_host_blocks_is_exhausted_and_serves_again(&cluster);
    a_dual_stack_pool_has_blocks_too(&cluster);
    a_node_imports_what_the_pods_of_others_need(&cluster);
    the_block_of_a_lost_node_is_reused_only_when_every_ready_node_sees_no_route_to_it(&cluster);
    assert_eq!(audit::overlapping_blocks(&cluster), Vec::<String>::new());
}

/// `non-default-pod-pool-1` is the name of a service pool's block, so the second slot cannot be taken.
fn a_pool_of_host_blocks_is_exhausted_and_serves_again(cluster: &Cluster) {
    let pool = "non-default-pod-pool";
    cluster.apply(&request(pool, "n1", 1, &[])).unwrap();
    cluster.until("n1 is served", |c| reason(c, "non-default-pod-pool-n1") == "Served");
    assert_eq!(blocks(cluster)["non-default-pod-pool-0"].0, "10.10.0.0/32");
    cluster.apply(&request(pool, "n2", 1, &[])).unwrap();
    cluster.until("n2 is told why not", |c| reason(c, "non-default-pod-pool-n2") == "PoolExhausted");
    let uid = uid(cluster, "non-default-pod-pool-0");
    cluster.apply(&request(pool, "n1", 0, &[uid])).unwrap();
    cluster.until("n2 gets what n1 gave back", |c| {
        blocks(c).get("non-default-pod-pool-0").is_some_and(|(_, node)| node == "n2")
    });
    cluster.until("n2 is served", |c| reason(c, "non-default-pod-pool-n2") == "Served");
    assert!(!blocks(cluster).contains_key("non-default-pod-pool-1"));
}

fn a_dual_stack_pool_has_blocks_too(cluster: &Cluster) {
    cluster.apply(&request("pods6", "n1", 2, &[])).unwrap();
    cluster.until("n1 is served", |c| reason(c, "pods6-n1") == "Served");
    assert_eq!(blocks(cluster)["pods6-1"].0, "fd00:10::100/120");
    cluster.until("it is advertised", |c| {
        c.list("bgpadvertisements")
            .iter()
            .any(|a| a["spec"]["cidr"] == "fd00:10::100/120" && a["spec"]["protocol"] == "ipv6")
    });
}

fn a_node_imports_what_the_pods_of_others_need(cluster: &Cluster) {
    let bgp = "apiVersion: sart.terassyi.net/v1alpha2\nkind: ClusterBGP\nmetadata: {name: c}\nspec:\n  nodeSelector: {bgp: a}\n  \
        asnSelector: {from: asn, asn: 65000}\n  routerIdSelector: {from: routerId, routerId: 9.9.9.9}\n  \
        speaker: {path: '127.0.0.1:5000'}\n";
    cluster.apply(bgp).unwrap();
    cluster.until("import ranges are the pod pools", |c| {
        let ranges = c.get("nodebgp", "n1")["spec"]["importRanges"].clone();
        ranges == serde_json::json!(["10.1.0.0/24", "10.10.0.0/31", "fd00:10::/112"])
    });
}

fn the_block_of_a_lost_node_is_reused_only_when_every_ready_node_sees_no_route_to_it(cluster: &Cluster) {
    let pool = "apiVersion: sart.terassyi.net/v1alpha2\nkind: AddressPool\nmetadata: {name: one}\nspec: {cidr: 10.3.0.0/29, type: pod}\n";
    cluster.apply(pool).unwrap();
    cluster.apply(&request("one", "n1", 1, &[])).unwrap();
    cluster.until("n1 is served", |c| reason(c, "one-n1") == "Served");
    cluster.until("n3 speaks BGP", |c| !c.get("nodebgp", "n3").is_null());
    status(cluster, "node", "n3", r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#);
    cluster.kubectl_ok(&["delete", "blockrequest", "one-n1"]);
    cluster.kubectl_ok(&["delete", "node", "n1"]);
    cluster.apply(&request("one", "n2", 1, &[])).unwrap();
    let lost = |c: &Cluster| c.get("addressblock", "one-0")["status"]["conditions"][0]["message"].clone();
    cluster.until("n3 is waited for", |c| lost(c).as_str().is_some_and(|m| m.ends_with("have not said: n3")));
    let sees = |route: bool| {
        format!(r#"{{"status":{{"backoff":0,"lostBlocks":[{{"prefix":"10.3.0.0/29","route":{route}}}]}}}}"#)
    };
    status(cluster, "nodebgp", "n3", &sees(true));
    // Twice the quarantine, and n3 still sees a route.
    let held = std::time::Instant::now();
    cluster.until("the quarantine is long over", |_| held.elapsed() > std::time::Duration::from_secs(4));
    assert_eq!(blocks(cluster)["one-0"].1, "n1");
    assert_eq!(reason(cluster, "one-n2"), "PoolExhausted");
    status(cluster, "nodebgp", "n3", &sees(false));
    cluster.until("n2 gets the block", |c| blocks(c).get("one-0").is_some_and(|(_, node)| node == "n2"));
}

fn status(cluster: &Cluster, kind: &str, name: &str, patch: &str) {
    cluster.kubectl_ok(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", patch]);
}

const NODES: usize = 16;

#[test]
fn killing_controllers_while_nodes_ask_and_give_back_never_makes_two_blocks_share_an_address() {
    let Some(mut cluster) = start() else { return };
    let nodes: Vec<String> = (0..NODES).map(|n| format!("w{n}")).collect();
    cluster.apply(&nodes.iter().map(|n| node(n)).collect::<String>()).unwrap();
    let mut running = [cluster.controller("c0"), cluster.controller("c1")];
    for round in 0..3 {
        let held = blocks(&cluster);
        let ask = |(at, node): (usize, &String)| {
            // A third of the nodes gives everything back in each round.
            let gives = round > 0 && at % 3 == round % 3;
            let mine =
                held.iter().filter(|(_, (_, owner))| owner == node).map(|(name, _)| uid(&cluster, name));
            let release: Vec<String> = if gives { mine.collect() } else { Vec::new() };
            request("default-pod-pool", node, if gives { 0 } else { 1 + at % 2 }, &release)
        };
        let batch: String = nodes.iter().enumerate().map(ask).collect();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| cluster.apply(&batch));
            cluster.until("the round has begun", |c| blocks(c) != held);
            cluster.shoot(running[round % 2]);
            asking.join().unwrap().unwrap();
        });
        running[round % 2] = cluster.controller(&format!("c{}", round + 2));
        cluster.until("every request is answered", answered);
    }
    assert_eq!(audit::overlapping_blocks(&cluster), Vec::<String>::new());
    println!("writes {:?}", audit::by_resource(&cluster));
}

/// Every node has the blocks it asked for, each with its advertisement, and none more.
fn answered(cluster: &Cluster) -> bool {
    let held = blocks(cluster);
    let requests = cluster.list("blockrequests");
    let served = |r: &Value| {
        let node = r["spec"]["node"].as_str().unwrap();
        let has = held.values().filter(|(_, owner)| owner == node).count() as u64;
        has == r["spec"]["blocks"].as_u64().unwrap() && r["status"]["blocks"].as_u64() == Some(has)
    };
    requests.iter().all(served) && cluster.list("bgpadvertisements").len() == held.len()
}
