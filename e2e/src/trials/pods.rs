//! Pods that come and go in waves while agents and controller are killed: every address has one holder at every instant, and
//! nothing is left when they are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::sart::{kill_everywhere, nodes};
use crate::lab::topology::PodNetwork;
use crate::wait::{Patience, until};
use crate::{Lab, exec};

const NAMESPACE: &str = "churn";
/// Pods in all, and at a time.
const PODS: usize = 200;
const WAVE: usize = 60;
/// All of them have run within this time.
const LIMIT: Duration = Duration::from_secs(360);
/// Routes to pods carry this protocol id.
const POD_ROUTES: &str = "188";
/// Addresses rest for two minutes before their block goes.
const REST: Duration = Duration::from_secs(240);

/// What a node holds because of pods.
type Residue = BTreeMap<String, (usize, usize, usize)>;

/// See the table of trials.
pub(super) fn churn(lab: &Lab) -> Result<String> {
    if lab.topology.pods != PodNetwork::Sart {
        bail!("this lab gives pods their network itself; make one with `lab up --dual`");
    }
    let kubectl = lab.kubectl()?;
    let (before, blocks) = (residue(lab)?, blocks(lab)?);
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &namespace())?;
    let done = AtomicBool::new(false);
    let started = Instant::now();
    let (waves, looks) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(lab, &done));
        let waves = waves(lab);
        done.store(true, Ordering::SeqCst);
        (waves, watching.join())
    });
    let took = started.elapsed();
    let kills = waves?;
    let Ok(looks) = looks else { bail!("the watcher of addresses panicked") };
    let looks = looks?;
    ensure!(took < LIMIT, "{PODS} pods took {took:?}");
    kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=true", "--timeout=120s"])?;
    until("links, routes and rules as before", Patience::stable(Duration::from_secs(60)), || {
        let now = residue(lab)?;
        ensure!(now == before, "links, routes, rules per node are {now:?}, were {before:?}");
        Ok(())
    })?;
    until("blocks as before", Patience::once(REST), || {
        let now = self::blocks(lab)?;
        ensure!(now.is_subset(&blocks), "blocks left: {:?}", now.difference(&blocks).collect::<Vec<_>>());
        Ok(())
    })?;
    Ok(format!(
        "{PODS} pods in {:.0} s, {kills} processes killed, {looks} looks at the kernels without a double",
        took.as_secs_f64()
    ))
}

/// Runs wave after wave; in each, agents and controller are killed once while pods start.
fn waves(lab: &Lab) -> Result<usize> {
    let kubectl = lab.kubectl()?;
    let (names, mut kills, mut made) = (nodes(lab), 0, 0);
    while made < PODS {
        let count = WAVE.min(PODS - made);
        let pods: String = (made..made + count).map(pod).collect();
        exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &pods)?;
        if made < 3 * WAVE {
            kills += kill_everywhere(lab, &names, "sart-agent")?
                + kill_everywhere(lab, &names, "sart-controller")?;
        }
        until("the wave runs", Patience::once(LIMIT), || running(lab, count))?;
        kubectl.run(&["-n", NAMESPACE, "delete", "pods", "--all", "--wait=true", "--timeout=120s"])?;
        made += count;
    }
    Ok(kills)
}

/// Every pod of the wave runs, each with an address of its own.
fn running(lab: &Lab, count: usize) -> Result<()> {
    let pods = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "pods"])?;
    let items = pods["items"].as_array().cloned().unwrap_or_default();
    let ready: Vec<&Value> = items.iter().filter(|pod| pod["status"]["phase"] == "Running").collect();
    ensure!(ready.len() == count, "{} of {count} pods run", ready.len());
    let addresses: BTreeSet<&str> = ready.iter().filter_map(|pod| pod["status"]["podIP"].as_str()).collect();
    ensure!(addresses.len() == count, "{} addresses for {count} pods", addresses.len());
    Ok(())
}

/// Dumps the routes to pods on every node ten times a second; the number of dumps. No address may be on two nodes.
fn watch(lab: &Lab, done: &AtomicBool) -> Result<usize> {
    let mut looks = 0;
    while !done.load(Ordering::SeqCst) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for node in nodes(lab) {
            for address in pod_routes(lab, &node)? {
                if let Some(other) = seen.insert(address.clone(), node.clone()) {
                    bail!("{address} is on {other} and on {node}");
                }
            }
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(looks)
}

fn pod_routes(lab: &Lab, node: &str) -> Result<Vec<String>> {
    let args = ["-4", "route", "show", "table", "main", "proto", POD_ROUTES];
    let text = exec::stdout(lab.machine(node)?.command("ip").args(args))?;
    Ok(text.lines().filter_map(|line| line.split_ascii_whitespace().next().map(str::to_owned)).collect())
}

/// Links, routes to pods and rules of every node.
fn residue(lab: &Lab) -> Result<Residue> {
    let count = |node: &str, args: &[&str]| {
        anyhow::Ok(exec::stdout(lab.machine(node)?.command("ip").args(args))?.lines().count())
    };
    let of = |node: String| {
        let links = count(&node, &["-o", "link"])?;
        let counts = (links, pod_routes(lab, &node)?.len(), count(&node, &["rule"])?);
        anyhow::Ok((node, counts))
    };
    nodes(lab).into_iter().map(of).collect()
}

fn blocks(lab: &Lab) -> Result<BTreeSet<String>> {
    let list = lab.kubectl()?.run(&["get", "addressblock", "-o", "name"])?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn namespace() -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n")
}

fn pod(number: usize) -> String {
    let mut text = String::new();
    let image = concat!("sart.terassyi.net/test-server:", env!("CARGO_PKG_VERSION"));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: {NAMESPACE}}}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  containers: [{{name: app, image: '{image}', imagePullPolicy: IfNotPresent}}]\n---\n"
    );
    text
}
