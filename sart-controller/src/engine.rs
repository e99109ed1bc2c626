//! The one task that owns the world: takes changes, plans keys that are due, sends their writes off, takes the answers.
//!
//! It never waits for the API server: writes run in tasks of their own, one batch per key at a time.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::names;
use tokio::sync::{mpsc, watch as signal};

use crate::config::Mode;
use crate::health::Health;
use crate::key::Key;
use crate::meta;
use crate::schedule::Schedule;
use crate::world::{Update, World};
use crate::write::{Action, WriteError, Writer};
use crate::{advertisement, block, cluster_bgp, node_bgp, pool, service};

/// Longest pause of the loop; the health check sees that it turns.
const IDLE: Duration = Duration::from_secs(10);

/// The answers to one plan's writes.
struct Done {
    key: Key,
    changes: Vec<Update>,
    errors: Vec<WriteError>,
}

/// Which half of the cluster's addresses this controller looks after.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Virtual addresses, pods or both.
    pub mode: Mode,
    /// How long a block of a lost node stays unused.
    pub quarantine: Duration,
}

impl Scope {
    fn plans(self, key: &Key) -> bool {
        match key {
            Key::Blocks(_) => self.mode != Mode::Lb,
            Key::Service(_) => self.mode != Mode::Cni,
            Key::Pools | Key::Node(_) | Key::Cluster(_) | Key::Advertisement(_) => true,
        }
    }
}

/// What the engine listens to.
pub struct Inputs {
    /// Changes of the world.
    pub changes: mpsc::Receiver<Update>,
    /// Whether we lead.
    pub leading: signal::Receiver<bool>,
    /// Changes when the process ends.
    pub stop: signal::Receiver<bool>,
}

/// The engine and its state.
pub struct Engine {
    scope: Scope,
    world: World,
    schedule: Schedule,
    writer: Writer,
    health: Arc<Health>,
    done: mpsc::Sender<Done>,
    start: Instant,
    was_leading: bool,
}

/// Runs until `stop` changes.
pub async fn run(scope: Scope, writer: Writer, health: Arc<Health>, inputs: Inputs) {
    let Inputs { mut changes, mut leading, mut stop } = inputs;
    let (done, mut answers) = mpsc::channel(256);
    let mut engine = Engine {
        scope,
        world: World { quarantine: scope.quarantine, ..World::default() },
        schedule: Schedule::default(),
        writer,
        health,
        done,
        start: Instant::now(),
        was_leading: false,
    };
    loop {
        engine.turn(*leading.borrow_and_update());
        let pause = engine.pause();
        tokio::select! {
            Some(change) = changes.recv() => {
                engine.take(change);
                while let Ok(change) = changes.try_recv() {
                    engine.take(change);
                }
            }
            Some(answer) = answers.recv() => engine.finish(answer),
            _ = leading.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
    }
}

impl Engine {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn pause(&self) -> Duration {
        let next = self.schedule.next().map_or(IDLE, |at| at.saturating_sub(self.now()));
        if self.was_leading { next.min(IDLE) } else { IDLE }
    }

    fn take(&mut self, change: Update) {
        let now = self.now();
        for key in change(&mut self.world) {
            self.schedule.touch(key, now);
        }
    }

    /// Plans what is due, if we lead and know everything.
    fn turn(&mut self, leading: bool) {
        let ready = self.world.is_ready();
        self.health.turn(ready, leading);
        if !(leading && ready) {
            self.was_leading = false;
            return;
        }
        let now = self.now();
        if !self.was_leading {
            self.was_leading = true;
            tracing::info!("leading");
            for key in self.world.keys() {
                self.schedule.touch(key, now);
            }
        }
        let mut due = self.schedule.ready(now);
        due.sort_by_cached_key(|key| self.rank(key));
        for key in due {
            self.plan(key);
        }
    }

    /// Pools first, then topology, then Services by age: who waits longer is served first.
    fn rank(&self, key: &Key) -> (u8, i64, Key) {
        let (class, age) = match key {
            Key::Pools => (0, 0),
            Key::Blocks(_) => (1, 0),
            Key::Node(_) => (2, 0),
            Key::Cluster(_) => (3, 0),
            Key::Service(name) => (4, self.world.services.get(name).map_or(0, |s| meta::created(&**s))),
            Key::Advertisement(_) => (5, 0),
        };
        (class, age, key.clone())
    }

    fn plan(&mut self, key: Key) {
        if !self.scope.plans(&key) {
            return;
        }
        let (now, since_start) = (Time(Timestamp::now()), self.now());
        let plan = match &key {
            Key::Blocks(pool) => {
                block::watch::note_lost(&mut self.world, pool, since_start);
                block::plan(&block::observe(&self.world, pool, since_start), &now)
            }
            Key::Pools => pool::plan(&pool::observe(&self.world), &now),
            Key::Node(name) => node_bgp::plan(&node_bgp::observe(&self.world, name)),
            Key::Cluster(name) => cluster_bgp::plan(&cluster_bgp::observe(&self.world, name), &now),
            Key::Service(name) => service::plan(&service::observe(&self.world, name), &now),
            Key::Advertisement(name) => advertisement::plan(&advertisement::observe(&self.world, name), &now),
        };
        if let Key::Service(name) = &key {
            if plan.waits {
                self.world.waiting.insert(name.clone());
            } else {
                self.world.waiting.remove(name);
            }
            self.reserve(name, &plan.actions);
        }
        if let Some(again) = plan.again {
            self.schedule.later(key.clone(), since_start + again);
        }
        if plan.actions.is_empty() {
            self.schedule.forget_failures(&key);
            return;
        }
        self.write(key, plan.actions);
    }

    /// An address whose claim is on its way is no one else's, whatever the answer will be.
    fn reserve(&mut self, name: &crate::key::Name, actions: &[Action]) {
        for action in actions {
            if let Action::Claim(body) = action
                && let Some(address) = body["metadata"]["name"].as_str().and_then(names::claimed_address)
            {
                self.world.reserved.insert(address, name.clone());
            }
        }
    }

    fn write(&mut self, key: Key, actions: Vec<Action>) {
        for action in &actions {
            let verb = verb(action);
            self.health
                .count(format!("sart_controller_writes_total{{key=\"{}\",verb=\"{verb}\"}}", key.label()));
        }
        self.schedule.begin(key.clone());
        let (writer, done) = (self.writer.clone(), self.done.clone());
        tokio::spawn(async move {
            let answers =
                futures::future::join_all(actions.into_iter().map(|action| writer.run(action))).await;
            let mut answer = Done { key, changes: Vec::new(), errors: Vec::new() };
            for result in answers {
                match result {
                    Ok(change) => answer.changes.extend(change),
                    Err(error) => answer.errors.push(error),
                }
            }
            // The engine is gone only when the process ends.
            let _ = done.send(answer).await;
        });
    }

    fn finish(&mut self, answer: Done) {
        for change in answer.changes {
            self.take(change);
        }
        if let Key::Service(name) = &answer.key {
            self.world.reserved.retain(|_, holder| holder != name);
        }
        for error in &answer.errors {
            let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(key = ?answer.key, reason = error.reason(), %error, source, "write failed");
            let (label, reason) = (answer.key.label(), error.reason());
            self.health
                .count(format!("sart_controller_write_errors_total{{key=\"{label}\",reason=\"{reason}\"}}"));
        }
        let now = self.now();
        let jitter = f64::from(Timestamp::now().subsec_nanosecond().rem_euclid(1000)) / 1000.0;
        self.schedule.end(answer.key, answer.errors.is_empty(), now, jitter);
    }
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Apply(..) => "apply",
        Action::ApplyStatus(..) => "apply_status",
        Action::Claim(_) | Action::Create(..) => "create",
        Action::Release { .. } | Action::Reclaim { .. } | Action::Delete(..) => "delete",
        Action::Warn(_) => "event",
    }
}
