//! What the API server recorded, which no process under test can embellish: who wrote what, and that no address had two
//! holders.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use sart_testkit::audit::{Event, Mark};
use sart_testkit::judge::{Verdict, blocks, services};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::service::service;

/// Successful writes of the controllers, oldest first, as (verb, resource with subresource, name, body of the answer).
pub fn writes(cluster: &Cluster) -> Vec<(String, String, String, Value)> {
    beginning(cluster).gather(|event| write(event).filter(|_| event.has_succeeded())).unwrap()
}

fn write(event: &Event) -> Option<(String, String, String, Value)> {
    if event.text("/userAgent").is_some_and(|agent| agent.starts_with("kube")) {
        return None;
    }
    let text = |pointer: &str| event.text(pointer).unwrap_or_default().to_owned();
    let sub = event.text("/objectRef/subresource").map(|sub| format!("/{sub}")).unwrap_or_default();
    let name = ["/objectRef/name", "/responseObject/metadata/name"].map(text);
    let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    let answer = event.at("/responseObject").cloned().unwrap_or_default();
    Some((text("/verb"), text("/objectRef/resource") + &sub, name, answer))
}

/// Number of writes by resource.
pub fn by_resource(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, resource, _, _) in writes(cluster) {
        *counts.entry(resource).or_default() += 1;
    }
    counts
}

fn beginning(cluster: &Cluster) -> Mark {
    Mark::beginning(Path::new(&cluster.audit_log()))
}

/// The pairs of Services that ever recorded one address at the same time.
pub fn double_owners(cluster: &Cluster) -> Vec<String> {
    services::verdict(beginning(cluster).open().unwrap()).unwrap().doubles
}

/// The pairs of blocks that ever shared an address at the same time, since [`Cluster::watch_blocks`].
pub fn overlapping_blocks(cluster: &Cluster) -> Vec<String> {
    let judge = |c: &Cluster| blocks::verdict(BufReader::new(File::open(c.blocks_watch()).unwrap()));
    // A write after all that is to be judged: who has been told of it has been told of everything before it.
    let any = cluster.kubectl_ok(&["get", "addressblocks", "-o", "jsonpath={.items[0].metadata.name}"]);
    let version = "jsonpath={.metadata.resourceVersion}";
    let end = cluster.kubectl_ok(&["annotate", "addressblock", &any, "end-of=test", "-o", version]);
    let end: u64 = end.parse().unwrap();
    cluster.until("the watch has told of every block", |c| judge(c).is_ok_and(|verdict| verdict.last >= end));
    let Verdict { doubles, .. } = judge(cluster).unwrap();
    doubles
}

#[test]
fn two_holders_at_once_are_found_in_what_the_api_server_records_and_one_after_the_other_are_not() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.watch_blocks();
    two_services(&cluster);
    two_blocks(&cluster);
}

fn two_services(cluster: &Cluster) {
    let give = |name: &str| {
        let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.1.0"}]}}}"#;
        cluster.kubectl_ok(&["patch", "service", name, "--subresource=status", "--type=merge", "-p", status]);
    };
    let names = ["a", "b", "c", "d"];
    cluster.apply(&names.map(|name| service(name, "{}", "")).concat()).unwrap();
    give("a");
    cluster.kubectl_ok(&["delete", "service", "a"]);
    give("b");
    // One request for a collection, as the deletion of a namespace makes it.
    cluster.kubectl_ok(&["label", "service", "b", "goes=first"]);
    cluster.kubectl_ok(&[
        "delete",
        "--raw",
        "/api/v1/namespaces/default/services?labelSelector=goes%3Dfirst",
    ]);
    assert!(cluster.get("service", "b").is_null());
    give("c");
    assert_eq!(double_owners(cluster), Vec::<String>::new());
    give("d");
    cluster.kubectl_ok(&["delete", "service", "c"]);
    one_ends_with(&double_owners(cluster), ": 10.0.1.0 given to default/d while default/c holds 10.0.1.0");
}

fn two_blocks(cluster: &Cluster) {
    let make = |name: &str, cidr: &str| {
        let block = format!(
            "apiVersion: sart.terassyi.net/v1alpha2\nkind: AddressBlock\nmetadata: {{name: {name}}}\n\
             spec: {{cidr: {cidr}, type: service, poolRef: p}}\n"
        );
        cluster.apply(&block).unwrap();
    };
    make("a", "10.1.0.0/29");
    cluster.kubectl_ok(&["delete", "addressblock", "a"]);
    make("b", "10.1.0.0/28");
    assert_eq!(overlapping_blocks(cluster), Vec::<String>::new());
    make("c", "10.1.0.8/32");
    cluster.kubectl_ok(&["delete", "addressblock", "b"]);
    one_ends_with(&overlapping_blocks(cluster), ": 10.1.0.8 given to c while b holds 10.1.0.0/28");
}

fn one_ends_with(found: &[String], end: &str) {
    assert!(found.len() == 1 && found[0].ends_with(end), "{found:?}");
}
