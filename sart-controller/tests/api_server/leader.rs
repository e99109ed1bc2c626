//! Two controllers, the leader killed again and again while Services come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::audit;
use crate::cluster::Cluster;
use crate::service::{POOLS, service};

const SERVICES: usize = 200;

/// What the lease says, or null.
fn lease(cluster: &Cluster) -> Value {
    let output = cluster.kubectl(&["-n", "kube-system", "get", "lease", "sart-controller", "-o", "json"]);
    let lease: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    lease["spec"].clone()
}

fn leader(cluster: &Cluster) -> String {
    lease(cluster)["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Since the leader was killed until the present one took over, by that one's clock, which is ours: kubectl's own time, of
/// which a busy machine takes much, is not part of it.
fn takeover(cluster: &Cluster, killed: Timestamp) -> Duration {
    let acquired: Timestamp = lease(cluster)["acquireTime"].as_str().unwrap().parse().unwrap();
    // Before the kill if it had lost the lease by itself just then.
    Duration::try_from(acquired.duration_since(killed)).unwrap_or_default()
}

#[test]
fn killing_the_leader_gives_no_address_two_owners_and_leaks_none() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster.apply(POOLS).unwrap();
    let mut running =
        vec![("c0".to_owned(), cluster.controller("c0")), ("c1".to_owned(), cluster.controller("c1"))];
    cluster.until("someone leads", |c| !leader(c).is_empty());
    let mut slowest = Duration::ZERO;
    for round in 0..4 {
        let from = round * SERVICES / 4;
        let batch: String =
            (from..from + SERVICES / 4).map(|n| service(&format!("s{n}"), "{}", "")).collect();
        let holder = leader(&cluster);
        let at = running.iter().position(|(name, _)| holder.starts_with(&format!("{name}_"))).unwrap();
        let leading = running.remove(at).1;
        let killed = std::thread::scope(|scope| {
            let creation = scope.spawn(|| cluster.apply(&batch));
            cluster
                .until("the batch is half way", |c| c.list("addressclaims").len() > 5 + round * SERVICES / 8);
            let killed = Timestamp::now();
            cluster.shoot(leading);
            creation.join().unwrap().unwrap();
            killed
        });
        if round > 0 {
            let gone: Vec<String> = (from - SERVICES / 4..from).step_by(2).map(|n| format!("s{n}")).collect();
            let mut args = vec!["delete", "service", "--wait=false"];
            args.extend(gone.iter().map(String::as_str));
            cluster.kubectl_ok(&args);
        }
        cluster.until("the standby leads", |c| {
            let now = leader(c);
            !now.is_empty() && now != holder
        });
        slowest = slowest.max(takeover(&cluster, killed));
        let name = format!("c{}", round + 2);
        let index = cluster.controller(&name);
        running.push((name, index));
    }
    settle(&cluster);
    println!("slowest takeover {slowest:?}, writes {:?}", audit::by_resource(&cluster));
    assert_eq!(audit::double_owners(&cluster), Vec::<String>::new());
    assert!(slowest < Duration::from_secs(6), "takeover took {slowest:?}");
}

/// Every Service has one address, and claims and advertisements are exactly those of the Services.
fn settle(cluster: &Cluster) {
    cluster.until("addresses, claims and advertisements agree", |c| {
        let services = c.list("services");
        let ours = services.iter().filter(|s| s["spec"]["type"] == "LoadBalancer");
        let held: Vec<String> = ours
            .clone()
            .filter_map(|s| s["status"]["loadBalancer"]["ingress"][0]["ip"].as_str())
            .map(str::to_owned)
            .collect();
        let distinct: BTreeSet<String> = held.iter().cloned().collect();
        let claims: BTreeSet<String> = c
            .list("addressclaims")
            .iter()
            .map(|claim| claim["spec"]["address"].as_str().unwrap().to_owned())
            .collect();
        let adverts = c.list("bgpadvertisements").len();
        held.len() == ours.count()
            && distinct.len() == held.len()
            && claims == distinct
            && adverts == held.len()
    });
}
