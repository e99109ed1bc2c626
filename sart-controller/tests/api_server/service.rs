//! Services from creation to release, as a user sees them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::audit;
use crate::cluster::Cluster;

pub const POOLS: &str = "\
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: default-lb-pool}
spec: {cidr: 10.0.1.0/24, type: service, allocType: bit, blockSize: 24, autoAssign: true}
---
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: non-default-lb-pool}
spec: {cidr: 10.0.100.0/24, type: service, allocType: bit, blockSize: 24, autoAssign: false}
---
apiVersion: sart.terassyi.net/v1alpha2
kind: AddressPool
metadata: {name: lb-1}
spec: {cidr: 10.9.0.0/31, type: service}
";

/// A LoadBalancer Service with these annotations (a YAML map) and extra spec lines.
pub fn service(name: &str, annotations: &str, extra: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {annotations}}}\n\
         spec: {{type: LoadBalancer, selector: {{app: x}}, ports: [{{port: 80}}]{extra}}}\n---\n"
    )
}

pub fn addresses(cluster: &Cluster, name: &str) -> Vec<String> {
    let service = cluster.get("service", name);
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    ingress.iter().map(|i| i["ip"].as_str().unwrap().to_owned()).collect()
}

fn reason(cluster: &Cluster, name: &str) -> String {
    let service = cluster.get("service", name);
    let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ours = conditions.iter().find(|c| c["type"] == "sart.terassyi.net/Allocated");
    ours.and_then(|c| c["reason"].as_str()).unwrap_or_default().to_owned()
}

fn has(cluster: &Cluster, name: &str, wanted: &[&str]) {
    cluster.until(&format!("{name} has {wanted:?}"), |c| addresses(c, name) == wanted);
}

fn pools(cluster: &Cluster) {
    cluster.apply(POOLS).unwrap();
    cluster.until("each pool has its block", |c| c.list("addressblocks").len() == 3);
}

#[test]
fn services_get_upstreams_addresses_and_give_them_back() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.controller("a");
    pools(&cluster);
    cluster.apply(&service("app-svc-cluster", "{}", "")).unwrap();
    has(&cluster, "app-svc-cluster", &["10.0.1.0"]);
    cluster.apply(&service("app-svc-local", "{}", "")).unwrap();
    has(&cluster, "app-svc-local", &["10.0.1.1"]);
    let requested = "{sart.terassyi.net/addresspool: non-default-lb-pool, sart.terassyi.net/loadBalancerIPs: 10.0.100.20}";
    cluster.apply(&service("app-svc-cluster2", requested, "")).unwrap();
    has(&cluster, "app-svc-cluster2", &["10.0.100.20"]);
    let both = "{sart.terassyi.net/addresspool: 'non-default-lb-pool, default-lb-pool'}";
    cluster.apply(&service("both", both, "")).unwrap();
    has(&cluster, "both", &["10.0.100.0", "10.0.1.2"]);
    cluster.apply(&service("metal", "{metallb.io/loadBalancerIPs: 10.0.1.9}", "")).unwrap();
    has(&cluster, "metal", &["10.0.1.9"]);
    cluster.apply(&service("field", "{}", ", loadBalancerIP: 10.0.1.10")).unwrap();
    has(&cluster, "field", &["10.0.1.10"]);
    cluster.until("each address is advertised", |c| c.list("bgpadvertisements").len() == 7);
    assert_eq!(cluster.get("bgpadvertisement", "app-svc-cluster-10.0.1.0")["spec"]["cidr"], "10.0.1.0/32");
    measured_a_service_that_becomes_cluster_ip_loses_address_claim_and_advertisement(&cluster);
    a_pool_change_moves_the_service_and_a_recreated_one_gets_the_lowest_address(&cluster);
}

fn measured_a_service_that_becomes_cluster_ip_loses_address_claim_and_advertisement(cluster: &Cluster) {
    cluster.kubectl_ok(&["patch", "service", "app-svc-cluster", "-p", r#"{"spec":{"type":"ClusterIP"}}"#]);
    cluster.until("claim and advertisement are gone", |c| {
        c.get("addressclaim", "v4-10-0-1-0").is_null()
            && c.get("bgpadvertisement", "app-svc-cluster-10.0.1.0").is_null()
    });
    assert!(reason(cluster, "app-svc-cluster").is_empty(), "its condition goes as well");
    cluster.apply(&service("next", "{}", "")).unwrap();
    has(cluster, "next", &["10.0.1.0"]);
    cluster.kubectl_ok(&["delete", "service", "app-svc-cluster"]);
    has(cluster, "next", &["10.0.1.0"]);
    assert!(!cluster.get("bgpadvertisement", "next-10.0.1.0").is_null());
}

fn a_pool_change_moves_the_service_and_a_recreated_one_gets_the_lowest_address(cluster: &Cluster) {
    cluster.kubectl_ok(&["annotate", "service", "next", "sart.terassyi.net/addresspool=non-default-lb-pool"]);
    has(cluster, "next", &["10.0.100.1"]);
    cluster.until("the old address is free", |c| c.get("addressclaim", "v4-10-0-1-0").is_null());
    cluster.kubectl_ok(&["delete", "service", "next"]);
    cluster.apply(&service("next", "{}", "")).unwrap();
    has(cluster, "next", &["10.0.1.0"]);
    cluster.until("what it held is free", |c| c.get("addressclaim", "v4-10-0-100-1").is_null());
}

#[test]
fn each_bad_request_has_its_reason_and_harms_nothing_else() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.controller("a");
    pools(&cluster);
    let pool = "sart.terassyi.net/addresspool";
    let ips = "sart.terassyi.net/loadBalancerIPs";
    cluster.apply(&service("good", "{}", "")).unwrap();
    has(&cluster, "good", &["10.0.1.0"]);
    for (name, annotations, extra, wanted) in [
        ("unknown", format!("{{{pool}: nosuch}}"), "", "PoolNotFound"),
        ("outside", format!("{{{pool}: lb-1, {ips}: 10.0.1.5}}"), "", "AddressOutsidePool"),
        ("nowhere", format!("{{{ips}: 192.0.2.1}}"), "", "AddressOutsidePool"),
        ("taken", format!("{{{ips}: 10.0.1.0}}"), "", "AddressTaken"),
        ("garbage", format!("{{{ips}: ten}}"), "", "InvalidAddress"),
        ("torn", format!("{{{ips}: 10.0.1.7}}"), ", loadBalancerIP: 10.0.1.8", "ConflictingRequest"),
        ("v6", format!("{{{pool}: lb-1}}"), ", ipFamilies: [IPv6]", "FamilyMismatch"),
    ] {
        cluster.apply(&service(name, &annotations, extra)).unwrap();
        cluster.until(&format!("{name} says {wanted}"), |c| reason(c, name) == wanted);
        assert!(addresses(&cluster, name).is_empty());
    }
    cluster.until("each refusal is an Event too", |c| our_events(c) == 7);
    cluster.apply(&service("foreign", "{}", ", loadBalancerClass: example.com/other")).unwrap();
    cluster.apply(&service("after", "{}", ", loadBalancerClass: sart.terassyi.net/lb")).unwrap();
    has(&cluster, "after", &["10.0.1.1"]);
    has(&cluster, "good", &["10.0.1.0"]);
    assert!(addresses(&cluster, "foreign").is_empty() && reason(&cluster, "foreign").is_empty());
    overlapping_pools_are_refused_by_condition(&cluster);
    an_exhausted_pool_serves_who_waits_when_an_address_is_freed(&cluster);
}

/// Events of the controller; the API server reports of its own.
fn our_events(cluster: &Cluster) -> usize {
    let events = cluster.list("events.events.k8s.io");
    events.iter().filter(|event| event["reportingController"] == "sart-controller").count()
}

fn overlapping_pools_are_refused_by_condition(cluster: &Cluster) {
    let pool = "apiVersion: sart.terassyi.net/v1alpha2\nkind: AddressPool\nmetadata: {name: late}\n\
                spec: {cidr: 10.0.0.0/16, type: service, autoAssign: true}\n";
    cluster.apply(pool).unwrap();
    cluster.until("the overlap is refused", |c| {
        let pool = c.get("addresspool", "late");
        pool["status"]["conditions"][0]["reason"] == "Overlap"
    });
    assert!(cluster.get("addressblock", "late").is_null());
}

fn an_exhausted_pool_serves_who_waits_when_an_address_is_freed(cluster: &Cluster) {
    let tiny = "{sart.terassyi.net/addresspool: lb-1}";
    for name in ["t0", "t1"] {
        cluster.apply(&service(name, tiny, "")).unwrap();
        cluster.until("served", |c| addresses(c, name).len() == 1);
    }
    cluster.apply(&service("t2", tiny, "")).unwrap();
    cluster.until("t2 waits", |c| reason(c, "t2") == "PoolExhausted");
    let freed = addresses(cluster, "t0");
    cluster.kubectl_ok(&["delete", "service", "t0"]);
    let start = Instant::now();
    cluster.until("t2 is served", |c| addresses(c, "t2") == freed);
    assert!(start.elapsed() < Duration::from_secs(20), "event-driven, not by a retry: {:?}", start.elapsed());
}

#[test]
fn a_service_costs_three_writes_and_a_restart_none() {
    let Some(mut cluster) = Cluster::start() else { return };
    let first = cluster.controller("a");
    pools(&cluster);
    let before = audit::by_resource(&cluster);
    let many: String = (0..50).map(|n| service(&format!("s{n}"), "{}", "")).collect();
    cluster.apply(&many).unwrap();
    let all = |c: &Cluster| c.list("bgpadvertisements").len() == 50 && c.list("addressclaims").len() == 50;
    cluster.until("all advertised", all);
    let spent = |after: &BTreeMap<String, usize>, resource: &str| {
        after.get(resource).unwrap_or(&0) - before.get(resource).unwrap_or(&0)
    };
    let parts_of = |after: &BTreeMap<String, usize>| {
        ["services/status", "addressclaims", "bgpadvertisements"].map(|resource| spent(after, resource))
    };
    // The audit log has a write after those who watch have it.
    let logged = |c: &Cluster| parts_of(&audit::by_resource(c)).iter().all(|count| *count >= 50);
    cluster.until("the audit log has it all", logged);
    let after = audit::by_resource(&cluster);
    let parts = parts_of(&after);
    println!("writes for 50 Services: status {}, claims {}, advertisements {}", parts[0], parts[1], parts[2]);
    assert_eq!(parts, [50, 50, 50]);
    let others: Vec<&String> = after
        .keys()
        .filter(|r| spent(&after, r) > 0 && !r.starts_with("services/") && !r.contains("claims"))
        .collect();
    assert_eq!(others, ["bgpadvertisements"], "{before:?} {after:?}");
    cluster.kill(first);
    let total = audit::writes(&cluster).len();
    cluster.controller("b");
    cluster.apply(&service("sentinel", "{}", "")).unwrap();
    has(&cluster, "sentinel", &["10.0.1.50"]);
    cluster.until("sentinel advertised", |c| c.list("bgpadvertisements").len() == 51);
    cluster.until("the audit log has it", |c| audit::writes(c).len() >= total + 3);
    assert_eq!(audit::writes(&cluster).len() - total, 3, "only the sentinel was written after the restart");
}

#[test]
fn issue_7_1_10_a_fresh_controller_adopts_recorded_addresses_before_it_serves_anyone() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.apply(POOLS).unwrap();
    cluster.apply(&service("a-pending", "{}", "")).unwrap();
    cluster.apply(&service("z-old", "{}", "")).unwrap();
    let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.1.0"}]}}}"#;
    cluster.kubectl_ok(&["patch", "service", "z-old", "--subresource=status", "--type=merge", "-p", status]);
    cluster.controller("a");
    has(&cluster, "a-pending", &["10.0.1.1"]);
    has(&cluster, "z-old", &["10.0.1.0"]);
    cluster.until("both are claimed", |c| c.list("addressclaims").len() == 2);
    assert_eq!(cluster.get("addressclaim", "v4-10-0-1-0")["spec"]["owner"]["name"], "z-old");
}
