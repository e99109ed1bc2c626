//! The leading controller is killed while Services come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sart_testkit::judge::services;
use serde_json::{Value, json};

use super::sart::{SYSTEM, ingress, kill_everywhere, rolled_out};
use crate::Lab;
use crate::audit::Mark;
use crate::exec;
use crate::wait::{Patience, until};

const CONTROLLER: &str = "deployment/sart-controller";
const NAMESPACE: &str = "trial-leader";
const SERVICES: usize = 200;
/// Services of one request: several requests, so that kills fall between and into them.
const BATCH: usize = 20;
/// A batch after which the leader is killed.
const KILLS: [usize; 3] = [2, 5, 8];

/// Creates 200 Services and deletes every second one meanwhile, killing the leader three times.
pub(super) fn kill(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    kubectl.run(&["-n", SYSTEM, "scale", CONTROLLER, "--replicas=2"])?;
    rolled_out(lab, CONTROLLER)?;
    kubectl.run(&["create", "namespace", NAMESPACE])?;
    let outcome = churn(lab);
    kubectl.run(&["delete", "namespace", NAMESPACE, "--timeout=120s"])?;
    let leaders = outcome?;
    none_leaks(lab)?;
    let double = services::verdict(Mark::beginning(&lab.layout.file("audit.log")).open()?)?.doubles;
    ensure!(double.is_empty(), "addresses with two owners: {}", double.join("; "));
    kubectl.run(&["-n", SYSTEM, "scale", CONTROLLER, "--replicas=1"])?;
    Ok(format!("{SERVICES} Services, leaders killed: {}; no double owner, no leak", leaders.join(", ")))
}

fn churn(lab: &Lab) -> Result<Vec<String>> {
    let mut killed = Vec::new();
    for batch in 0..SERVICES / BATCH {
        let first = batch * BATCH;
        create(lab, first..first + BATCH)?;
        if KILLS.contains(&batch) {
            killed.push(kill_leader(lab)?);
        }
        delete(lab, (first..first + BATCH).filter(|number| number % 2 == 1))?;
    }
    let survivors = SERVICES / 2;
    until("every Service has an address of its own", Patience::stable(Duration::from_secs(90)), || {
        let held = addresses(lab)?;
        let distinct: BTreeSet<Ipv4Addr> = held.values().copied().collect();
        ensure!(held.len() == survivors, "{} of {survivors} have one", held.len());
        ensure!(distinct.len() == held.len(), "{} addresses for {} Services", distinct.len(), held.len());
        Ok(())
    })?;
    Ok(killed)
}

fn create(lab: &Lab, numbers: impl Iterator<Item = usize>) -> Result<()> {
    let service = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{number}"), "namespace": NAMESPACE},
               "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}]}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": numbers.map(service).collect::<Vec<_>>()});
    exec::feed(&mut lab.kubectl()?.command(&["create", "-f", "-"]), &list.to_string()).map(drop)
}

fn delete(lab: &Lab, numbers: impl Iterator<Item = usize>) -> Result<()> {
    let names: Vec<String> = numbers.map(|number| format!("s{number}")).collect();
    let mut words = vec!["-n", NAMESPACE, "delete", "service", "--wait=false"];
    words.extend(names.iter().map(String::as_str));
    lab.kubectl()?.run(&words).map(drop)
}

/// Kills the leader once one lives: after an earlier kill the lease may still name the dead one.
fn kill_leader(lab: &Lab) -> Result<String> {
    until("a living leader", Patience::once(Duration::from_secs(60)), || kill_holder(lab))
}

/// Kills the process of the pod that holds the lease; its identity.
fn kill_holder(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let lease = kubectl.json(&["-n", SYSTEM, "get", "lease", "sart-controller"])?;
    let holder =
        lease.pointer("/spec/holderIdentity").and_then(Value::as_str).context("nobody leads")?.to_owned();
    let pods = kubectl.json(&["-n", SYSTEM, "get", "pods", "-l", "app=sart-controller"])?;
    let items = pods.get("items").and_then(Value::as_array).context("no controller pods")?;
    let of_holder = |pod: &&Value| {
        pod.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|n| holder.contains(n))
    };
    let pod = items.iter().find(of_holder).with_context(|| format!("no pod is {holder}"))?;
    let node =
        pod.pointer("/spec/nodeName").and_then(Value::as_str).context("the leader has no node")?.to_owned();
    let killed = kill_everywhere(lab, &[node], "sart-controller")?;
    ensure!(killed > 0, "the leader {holder} was not running");
    Ok(holder)
}

fn addresses(lab: &Lab) -> Result<BTreeMap<String, Ipv4Addr>> {
    let services = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "services"])?;
    let items = services.get("items").and_then(Value::as_array).context("no Services")?;
    let held =
        |service: &Value| Some((service.pointer("/metadata/name")?.as_str()?.to_owned(), ingress(service)?));
    Ok(items.iter().filter_map(held).collect())
}

/// Every claim that is left belongs to a Service that exists.
fn none_leaks(lab: &Lab) -> Result<()> {
    let kubectl = lab.kubectl()?;
    until("no claim of a deleted Service is left", Patience::stable(Duration::from_secs(60)), || {
        let claims = kubectl.json(&["get", "addressclaims"])?;
        let items = claims.get("items").and_then(Value::as_array).context("no claims")?;
        let of_trial = items
            .iter()
            .filter(|claim| claim.pointer("/spec/owner/namespace") == Some(&json!(NAMESPACE)))
            .count();
        ensure!(of_trial == 0, "{of_trial} claims are left");
        Ok(())
    })
}
