//! The API server hangs, then it is dead. Pods that the node had heard of start, and start again, with addresses that the node
//! had claimed before; pods leave. With the agent dead as well a pod still leaves, and who asks for an address is told to try
//! again. Whatever becomes of the trial, the API server and the kubelet come back.

mod away;
mod judge;
mod objects;
mod plugin;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ipnet::Ipv4Net;

use self::away::{Away, daemon};
use self::judge::{agree, given, pre_claimed, to_try_again};
use self::objects::Pool;
use self::plugin::{Container, call, delete};
use self::worker::{Network, Worker};
use super::pods::residue::{Residue, waiting_removals};
use super::pods::{nothing_new, pod_objects};
use super::sart::rolled_out;
use crate::Lab;
use crate::lab::machine::Machine;
use crate::progress::say;
use crate::wait::{Patience, until};

const NAMESPACE: &str = "api-down";
/// Pods that run when the API server goes: the sandbox of the first ends meanwhile.
const EARLY: [&str; 3] = ["early0", "early1", "early2"];
/// Pods that the node hears of just before, and starts only meanwhile.
const LATE: [&str; 4] = ["late0", "late1", "late2", "late3"];
/// A pod on another node.
const PEER: &str = "peer";
/// Calls of the plugin at the same time.
const DIRECT: usize = 3;
const API_SERVER: &str = "kube-apiserver";
const KUBELET: &str = "kubelet";
const AGENT: &str = "daemonset/sartd-agent";
/// Generous: a loaded machine starts five pods in it.
const LIMIT: Patience = Patience::once(Duration::from_secs(90));
/// Longer than an ADD from a claimed block takes on a loaded machine, shorter than any wait for an API server.
const PROMPT: Duration = Duration::from_secs(10);
/// How long the plugin waits for what cannot come, in seconds. The agent asks the API server about a pod that it does not know
/// after 2 s, for at most 3 s.
const UNKNOWN: u64 = 6;
/// The same where the agent need not ask.
const SHORT: u64 = 2;

/// What the plugin says where no agent listens.
const NOBODY: &str = "the sart agent of this node does not answer";

/// Where it happens.
struct Site<'a> {
    lab: &'a Lab,
    control: Machine,
    worker: Worker<'a>,
    other: Worker<'a>,
    pool: Pool,
}

/// What held before the API server went.
struct Before {
    blocks: BTreeSet<Ipv4Net>,
    had: BTreeMap<Ipv4Addr, String>,
    /// Of a pod that the API server knows.
    arguments: String,
}

/// Who was given what.
type Given = Vec<(String, Ipv4Addr)>;

/// The longest of our own ADDs, what they gave, the kubelet's pods, and when those ran.
type Meanwhile = (Duration, Given, Vec<(&'static str, Network)>, Duration);

/// See the table of trials.
pub(super) fn down(lab: &Lab) -> Result<String> {
    let begun = Instant::now();
    let (before, objects) = (Residue::of(lab)?, pod_objects(lab)?);
    let (worker, other) = objects::workers(lab)?;
    let control = lab.topology.control_plane().context("the lab has no control plane")?;
    let site = Site {
        lab,
        control: lab.machine(&control.name)?,
        worker: Worker::of(lab, &worker)?,
        other: Worker::of(lab, &other)?,
        pool: Pool::of_this_run(),
    };
    let outcome = site.shown();
    let cleared = site.clear();
    let figure = outcome?;
    cleared?;
    until("links, rows and journal entries as before", Patience::stable(Duration::from_secs(60)), || {
        Residue::of(lab)?.exceeds_nothing_of_pods(&before)
    })?;
    // The pool's blocks rest for two minutes before they go.
    let now = pod_objects(lab)?.into_iter().filter(|name| !name.contains(&site.pool.name)).collect();
    nothing_new(&now, &objects)?;
    Ok(format!("{figure}; nothing left of the pods; {:.0} s in all", begun.elapsed().as_secs_f64()))
}

impl Site<'_> {
    fn shown(&self) -> Result<String> {
        objects::make(self.lab, &self.pool, (&self.worker.name, &self.other.name))?;
        let hung = self.hangs().context("while the API server hangs")?;
        say(&format!("  {hung}"));
        self.converges().context("after the API server hung")?;
        let dead = self.is_dead().context("while the API server is dead")?;
        say(&format!("  {dead}"));
        self.converges().context("after the API server was dead")?;
        Ok(format!("{hung}; {dead}; then API and agent agree"))
    }

    /// New pods of the kubelet, one that it starts again, and calls of the plugin, all while the API server does not answer.
    fn hangs(&self) -> Result<String> {
        let kubelet = Away::still(&self.lab.layout, daemon(&self.worker.machine, KUBELET)?)?;
        let bound: Vec<(&str, &str)> = LATE.iter().map(|name| (*name, self.worker.name.as_str())).collect();
        objects::bind(self.lab, &bound)?;
        let before = self.before()?;
        let begun = Instant::now();
        let server = Away::still(&self.lab.layout, daemon(&self.control, API_SERVER)?)?;
        self.nobody_answers()?;
        for pod in LATE {
            ensure!(self.worker.sandboxes(pod)?.is_empty(), "{pod} was started before");
        }
        let ended = self.worker.kill_sandbox(EARLY[0])?;
        kubelet.over()?;
        let (slowest, mut given, pods, took) = self.meanwhile(&before, &ended, begun)?;
        let named = |(name, network): &(&str, Network)| ((*name).to_owned(), network.address);
        given.extend(pods.iter().map(named));
        pre_claimed(&given, &before.blocks, &before.had)?;
        let asked = self.reach_each_other(&pods)?;
        let left = self.leave(&given)?;
        let listed = self.worker.attachments()?;
        ensure!(listed.iter().all(|row| row.container != ended), "the ended sandbox {ended} is attached");
        server.is_away()?;
        server.over()?;
        self.answers_again()?;
        Ok(format!(
            "API server hung for {:.0} s: {} pods of the kubelet up after {:.1} s, one of them for the second time, {DIRECT} \
             ADDs at once within {} ms, all from {} blocks of before; {asked}; DEL within {} ms; unknown pod: code 11",
            begun.elapsed().as_secs_f64(),
            pods.len(),
            took.as_secs_f64(),
            slowest.as_millis(),
            before.blocks.len(),
            left.as_millis(),
        ))
    }

    /// Waits until the node has claimed what its waiting pods need, and the other node knows the way there.
    fn before(&self) -> Result<Before> {
        let blocks = until("a second block, claimed for pods that wait", LIMIT, || {
            let blocks = objects::blocks(self.lab, &self.pool, &self.worker.name)?;
            ensure!(blocks.len() > 1, "{blocks:?}");
            self.worker.routes_to(&blocks)?;
            self.other.routes_to(&blocks)?;
            Ok(blocks)
        })?;
        self.known(blocks)
    }

    fn known(&self, blocks: BTreeSet<Ipv4Net>) -> Result<Before> {
        let arguments = objects::arguments(self.lab, EARLY[1])?;
        Ok(Before { blocks, had: objects::holders(self.lab)?, arguments })
    }

    fn nobody_answers(&self) -> Result<()> {
        let asked = self.lab.kubectl()?.run(&["get", "--raw", "/readyz", "--request-timeout=1s"]);
        ensure!(asked.is_err(), "the API server answers");
        Ok(())
    }

    fn answers_again(&self) -> Result<()> {
        let kubectl = self.lab.kubectl()?;
        until("the API server answers", LIMIT, || {
            kubectl.run(&["get", "--raw", "/readyz", "--request-timeout=5s"]).map(drop)
        })
    }

    fn container(number: usize, pod: &str) -> Container {
        Container { id: format!("api-down-{number}"), pod: pod.to_owned() }
    }

    /// The kubelet's pods and our own calls at the same time, and beside them one for a pod of which nobody ever heard.
    fn meanwhile(&self, before: &Before, ended: &str, begun: Instant) -> Result<Meanwhile> {
        let machine = &self.worker.machine;
        let nobody = objects::named("nobody", "00000000-0000-0000-0000-000000000000");
        let unknown = Self::container(DIRECT, &nobody);
        unknown.prepare(machine)?;
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| call(machine, "ADD", &unknown, Some(UNKNOWN)));
            let direct = self.add_at_once(before);
            let pods = self.started(ended);
            let took = begun.elapsed();
            let ((given, slowest), pods) = (direct?, pods?);
            let asked = asked.join().unwrap_or_else(|_| bail!("a call panicked"))?;
            to_try_again(&asked).context("a pod of which nobody ever heard")?;
            Ok((slowest, given, pods, took))
        })
    }

    /// Several ADDs at the same time for a pod of which the API server had told.
    fn add_at_once(&self, before: &Before) -> Result<(Given, Duration)> {
        let machine = &self.worker.machine;
        let containers: Vec<_> =
            (0..DIRECT).map(|number| Self::container(number, &before.arguments)).collect();
        containers.iter().try_for_each(|container| container.prepare(machine))?;
        let said = std::thread::scope(|scope| {
            let call = |of| scope.spawn(move || call(machine, "ADD", of, None));
            let threads: Vec<_> = containers.iter().map(call).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|one| one.unwrap_or_else(|_| bail!("a call panicked"))).collect::<Result<Vec<_>>>()
        })?;
        let mut addresses = Given::new();
        for (container, said) in containers.iter().zip(&said) {
            let address = given(said)?;
            ensure!(said.took < PROMPT, "ADD of {} took {:?}", container.id, said.took);
            let held = Network::of(self.worker.inside(container.netns()))?.address;
            ensure!(held == address, "{} was told {address} and has {held}", container.id);
            addresses.push((container.id.clone(), address));
        }
        Ok((addresses, said.iter().map(|said| said.took).max().unwrap_or_default()))
    }

    /// Waits until the kubelet has started the late pods, and the early one in another sandbox than before.
    fn started(&self, ended: &str) -> Result<Vec<(&'static str, Network)>> {
        let source = self.other.pod(PEER)?;
        let names = [EARLY[0]].into_iter().chain(LATE);
        names
            .map(|name| {
                let network = until(&format!("{name} runs and answers"), LIMIT, || {
                    let sandboxes = self.worker.sandboxes(name)?;
                    ensure!(sandboxes.len() == 1 && sandboxes[0] != ended, "its sandboxes are {sandboxes:?}");
                    let network = self.worker.pod(name)?;
                    source.inside.get(SocketAddr::new(network.address.into(), 8080))?;
                    Ok(network)
                })?;
                Ok((name, network))
            })
            .collect()
    }

    /// Ping between new networks of the node, from them to the other node and the early pods, and HTTP from the other node.
    fn reach_each_other(&self, pods: &[(&str, Network)]) -> Result<String> {
        let peer = self.other.pod(PEER)?;
        let early = self.worker.pod(EARLY[1])?;
        let direct = (0..DIRECT).map(|number| self.worker.inside(Self::container(number, "").netns()));
        let started = pods.iter().map(|(_, network)| network.inside.clone());
        let (mut pings, mut answers) = (0, 0);
        for from in direct.chain(started) {
            for to in [peer.address, early.address] {
                from.ping(to.into())?;
                pings += 1;
            }
        }
        for (name, network) in pods {
            let reached = peer.inside.reaches_as(peer.address.into(), network.address.into());
            reached.with_context(|| format!("{PEER} to {name}"))?;
            answers += 1;
        }
        Ok(format!("{pings} pings and {answers} HTTP answers on the node and between nodes"))
    }

    /// DEL of every direct attachment; nothing of it is left on the node.
    fn leave(&self, given: &[(String, Ipv4Addr)]) -> Result<Duration> {
        let mut slowest = Duration::ZERO;
        for number in 0..DIRECT {
            let container = Self::container(number, "");
            slowest = slowest.max(delete(&self.worker.machine, &container)?);
            let address = given.iter().find(|(name, _)| *name == container.id).map(|(_, address)| *address);
            self.is_gone(&container, address.context("it had no address")?)?;
        }
        Ok(slowest)
    }

    fn is_gone(&self, container: &Container, address: Ipv4Addr) -> Result<()> {
        self.worker.holds_nothing_of(&container.id, address)?;
        let listed = self.worker.attachments()?;
        ensure!(listed.iter().all(|row| row.container != container.id), "{} is attached", container.id);
        ensure!(!self.worker.has_link(container.netns())?, "{} has its link", container.id);
        Ok(())
    }

    /// An ADD while the API server is dead, then the agent dies too: DEL ends well and waits, ADD is told to try again.
    fn is_dead(&self) -> Result<String> {
        let machine = &self.worker.machine;
        let before = self.known(objects::blocks(self.lab, &self.pool, &self.worker.name)?)?;
        let (kept, refused) =
            (Self::container(DIRECT + 1, &before.arguments), Self::container(DIRECT + 2, &before.arguments));
        kept.prepare(machine)?;
        refused.prepare(machine)?;
        let begun = Instant::now();
        let server = Away::dead(&self.control, API_SERVER)?;
        self.nobody_answers()?;
        let said = call(machine, "ADD", &kept, None)?;
        let address = given(&said)?;
        ensure!(said.took < PROMPT, "ADD took {:?}", said.took);
        pre_claimed(&[(kept.id.clone(), address)], &before.blocks, &before.had)?;
        let kubelet = Away::still(&self.lab.layout, daemon(machine, KUBELET)?)?;
        self.worker.kill_agent()?;
        let (add, del) = self.without_agent(&refused, &kept)?;
        kubelet.is_away()?;
        kubelet.over()?;
        self.drained(&kept, address).context("the agent came back")?;
        let late = call(machine, "ADD", &refused, Some(SHORT))?;
        to_try_again(&late).context("an agent that started without an API server")?;
        server.is_away()?;
        server.over()?;
        self.answers_again()?;
        let away = begun.elapsed();
        let again = until("the agent gives addresses again", LIMIT, || {
            given(&call(machine, "ADD", &refused, Some(UNKNOWN))?)
        })?;
        delete(machine, &refused)?;
        self.is_gone(&refused, again)?;
        Ok(format!(
            "API server dead for {:.0} s: ADD within {} ms; agent dead too: ADD code 11 after {} ms, DEL 0 after {} ms and \
             carried out by the next agent before the API server was back",
            away.as_secs_f64(),
            said.took.as_millis(),
            add.as_millis(),
            del.as_millis(),
        ))
    }

    /// How long ADD and DEL took without an agent.
    fn without_agent(&self, refused: &Container, kept: &Container) -> Result<(Duration, Duration)> {
        let machine = &self.worker.machine;
        let add = call(machine, "ADD", refused, None)?;
        to_try_again(&add).context("without an agent")?;
        ensure!(add.document["msg"] == NOBODY, "ADD without an agent said {}", add.document);
        ensure!(add.took < PROMPT, "ADD without an agent took {:?}", add.took);
        ensure!(!self.worker.has_link(refused.netns())?, "a refused ADD left a link");
        let waiting = waiting_removals(&self.worker.machine)?;
        let del = delete(machine, kept)?;
        let now = waiting_removals(&self.worker.machine)?;
        ensure!(now == waiting + 1, "{now} removals wait after a DEL, {waiting} before");
        Ok((add.took, del))
    }

    /// The agent runs again and has carried out what waited.
    fn drained(&self, kept: &Container, address: Ipv4Addr) -> Result<()> {
        until("waiting removals are carried out", LIMIT, || {
            let waiting = waiting_removals(&self.worker.machine)?;
            ensure!(waiting == 0, "{waiting} wait");
            self.is_gone(kept, address)
        })
    }

    /// API server and agent agree about the node's pods and blocks, and everything is as Ready as before.
    fn converges(&self) -> Result<()> {
        let patience = Patience::stable(Duration::from_secs(90));
        self.lab.await_ready()?;
        rolled_out(self.lab, AGENT)?;
        until("every pod Ready, API and agent agree", patience, || {
            objects::all_ready(self.lab)?;
            let pods = objects::pods(self.lab, Some(&self.worker.name))?;
            agree(&pods, &self.worker.attachments()?)?;
            let blocks = objects::blocks(self.lab, &self.pool, &self.worker.name)?;
            let ours = pods.iter().filter(|(name, _)| name.starts_with(&format!("{NAMESPACE}/")));
            for (name, addresses) in ours {
                let holds_one =
                    |block: &Ipv4Net| addresses.iter().any(|one| ipnet::IpNet::V4(*block).contains(one));
                ensure!(blocks.iter().any(holds_one), "{addresses:?} of {name} are of none of {blocks:?}");
            }
            self.worker.check()
        })
    }

    /// Removes what the trial made, however far it came. Who watches the API server comes back to it only after a back-off, the
    /// longer the more often it has been away: the pods may stay for a while.
    fn clear(&self) -> Result<()> {
        self.answers_again()?;
        for number in 0..DIRECT + 3 {
            let container = Self::container(number, "");
            until("DEL of what was called for", LIMIT, || delete(&self.worker.machine, &container))?;
            container.remove(&self.worker.machine)?;
        }
        let kubectl = self.lab.kubectl()?;
        let words = ["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=300s"];
        let namespace = kubectl.run(&words);
        kubectl.run(&["delete", "addresspool", &self.pool.name, "--ignore-not-found", "--timeout=60s"])?;
        namespace?;
        self.lab.await_ready()
    }
}
