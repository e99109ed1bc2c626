//! Pods that come and go in waves while agents and controller are killed: every address has one holder at every instant, and
//! nothing is left when they are gone.

mod holders;
pub(super) mod residue;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sart_testkit::judge::{self, Verdict};
use serde_json::Value;

use self::holders::{Looks, watch};
use self::residue::Residue;
use super::sart::{agents_run, kill_everywhere, make_namespace, nodes};
use crate::audit::Mark;
use crate::lab::topology::{SPINES, ipv6};
use crate::progress::say;
use crate::wait::{Patience, until};
use crate::{Lab, exec};

const NAMESPACE: &str = "churn";
/// A pool of its own: what the trial asks for is gone with its pods, and the sample's pool is too small for 200 addresses
/// that rest for two minutes each.
const POOL: &str = "churn-pod-pool";
const POOL_NET: &str = "10.20.0.0/22";
/// Pods in all, and at a time.
const PODS: usize = 200;
const WAVE: usize = 60;
/// Rounds of kills, in the first waves.
const KILLS: usize = 3;
/// All of them have run within this time.
const LIMIT: Duration = Duration::from_secs(360);
/// Addresses rest for two minutes before their block goes.
pub(super) const REST: Duration = Duration::from_secs(240);
/// The API server closes a connection that has not been used for 90 s (`IdleTimeout` of its secure serving).
const IDLE: Duration = Duration::from_secs(120);

/// What came of the waves.
struct Waves {
    /// Processes killed.
    killed: usize,
    /// Until the last pod ran.
    took: Duration,
}

/// See the table of trials.
pub(super) fn churn(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let (before, objects) = (Residue::of(lab)?, pod_objects(lab)?);
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &pool())?;
    kubectl.run(&["wait", "--for=condition=Accepted", "addresspool", POOL, "--timeout=60s"])?;
    make_namespace(lab, &namespace(), NAMESPACE)?;
    let outcome = watched(lab);
    kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=true", "--timeout=180s"])?;
    let (waves, looks) = outcome?;
    let ran = format!(
        "{PODS} pods ran within {:.0} s, {} processes killed, {} looks at the kernels ({}) without a double",
        waves.took.as_secs_f64(),
        waves.killed,
        looks.count,
        looks.pauses()
    );
    say(&format!("  {ran}; what is left is looked for"));
    let left = nothing_is_left(lab, &before, &objects);
    kubectl.run(&["delete", "addresspool", POOL, "--timeout=60s"])?;
    let left = left?;
    let internals = lab.topology.nodes.iter();
    let internals =
        internals.flat_map(|node| [node.internal().into(), ipv6::internal(node).into()]).collect();
    let log = Mark::beginning(&lab.layout.file("audit.log")).open()?;
    let Verdict { records, doubles, .. } = judge::pods::verdict(log, &internals)?;
    ensure!(doubles.is_empty(), "addresses with two holders: {}", doubles.join("; "));
    Ok(format!("{ran}; {records} addresses in the audit log without a double; left: {left}"))
}

/// The waves, with somebody who looks at the kernels all the time.
fn watched(lab: &Lab) -> Result<(Waves, Looks)> {
    let done = AtomicBool::new(false);
    let (waves, looks) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(lab, &done));
        let waves = waves(lab);
        done.store(true, Ordering::SeqCst);
        (waves, watching.join())
    });
    let Ok(looks) = looks else { bail!("the watcher of addresses panicked") };
    let (looks, waves) = (looks?, waves?);
    ensure!(waves.took < LIMIT, "{PODS} pods ran only after {:?}", waves.took);
    Ok((waves, looks))
}

/// Runs wave after wave. In the first three, agents and controller are killed once: while pods start, while they go, while
/// they start.
fn waves(lab: &Lab) -> Result<Waves> {
    let kubectl = lab.kubectl()?;
    let started = Instant::now();
    let mut outcome = Waves { killed: 0, took: Duration::ZERO };
    for (round, first) in (0..PODS).step_by(WAVE).enumerate() {
        let count = WAVE.min(PODS - first);
        let pods: String = (first..first + count).map(pod).collect();
        exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &pods)?;
        if round < KILLS && round % 2 == 0 {
            outcome.killed += kill(lab)?;
        }
        until("the wave runs", Patience::once(LIMIT), || running(lab, count))?;
        outcome.took = started.elapsed();
        kubectl.run(&["-n", NAMESPACE, "delete", "pods", "--all", "--wait=false"])?;
        if round < KILLS && round % 2 == 1 {
            outcome.killed += kill(lab)?;
        }
        until("the wave is gone", Patience::once(Duration::from_secs(180)), || {
            let pods = kubectl.run(&["-n", NAMESPACE, "get", "pods", "-o", "name"])?;
            ensure!(pods.is_empty(), "{} pods are left", pods.lines().count());
            Ok(())
        })?;
    }
    Ok(outcome)
}

/// Kills once every agent runs.
fn kill(lab: &Lab) -> Result<usize> {
    agents_run(lab)?;
    let names = nodes(lab);
    Ok(kill_everywhere(lab, &names, "sart-agent")? + kill_everywhere(lab, &names, "sart-controller")?)
}

/// Every pod of the wave runs, each with an address of its own, on all workers.
fn running(lab: &Lab, count: usize) -> Result<()> {
    let pods = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "pods"])?;
    let items = pods["items"].as_array().cloned().unwrap_or_default();
    let ready: Vec<&Value> = items.iter().filter(|pod| pod["status"]["phase"] == "Running").collect();
    ensure!(ready.len() == count, "{} of {count} pods run", ready.len());
    let distinct = |path: &str| {
        ready.iter().filter_map(|pod| pod.pointer(path)?.as_str()).collect::<BTreeSet<&str>>().len()
    };
    ensure!(distinct("/status/podIP") == count, "{} addresses for {count} pods", distinct("/status/podIP"));
    let workers = lab.topology.nodes.len() - 1;
    ensure!(distinct("/spec/nodeName") >= workers, "pods are on {} nodes only", distinct("/spec/nodeName"));
    Ok(())
}

/// Waits until nodes, API and spines hold what they held before; what that is, in words.
fn nothing_is_left(lab: &Lab, before: &Residue, objects: &BTreeSet<String>) -> Result<String> {
    until(
        "links, pins, rows and journal entries as before",
        Patience::stable(Duration::from_secs(60)),
        || Residue::of(lab)?.exceeds_nothing_of_pods(before),
    )?;
    until("blocks, requests and advertisements as before", Patience::once(REST), || {
        nothing_new(&pod_objects(lab)?, objects)
    })?;
    until("routes, rules, descriptors as before", Patience::stable(IDLE), || {
        let now = Residue::of(lab)?;
        now.exceeds_nothing(before)?;
        no_route_at_the_spines(lab)?;
        Ok(now.told())
    })
}

fn no_route_at_the_spines(lab: &Lab) -> Result<()> {
    let pool: ipnet::Ipv4Net = POOL_NET.parse()?;
    for spine in SPINES {
        let table = lab.ask(spine.name, "show bgp ipv4 unicast json")?;
        let routes = table["routes"].as_object().with_context(|| format!("{} has no table", spine.name))?;
        let inside = |net: &&String| net.parse().is_ok_and(|net: ipnet::Ipv4Net| pool.contains(&net));
        let left: Vec<&String> = routes.keys().filter(inside).collect();
        ensure!(left.is_empty(), "{} still has {left:?}", spine.name);
    }
    Ok(())
}

/// Blocks of an earlier trial may rest when one begins, and be given back meanwhile.
pub(super) fn nothing_new(now: &BTreeSet<String>, before: &BTreeSet<String>) -> Result<()> {
    let left: Vec<&String> = now.difference(before).collect();
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

/// Names of what pods cost in the API.
pub(super) fn pod_objects(lab: &Lab) -> Result<BTreeSet<String>> {
    let kinds = "addressblocks,blockrequests,bgpadvertisements";
    let list = lab.kubectl()?.run(&["get", kinds, "-A", "-o", "name"])?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn pool() -> String {
    format!(
        "apiVersion: sart.terassyi.net/v1alpha2\nkind: AddressPool\nmetadata: {{name: {POOL}}}\n\
         spec: {{cidr: {POOL_NET}, type: pod, allocType: bit, blockSize: 29, autoAssign: false}}\n"
    )
}

fn namespace() -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  \
         annotations: {{sart.terassyi.net/addresspool: {POOL}}}\n"
    )
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
