//! The task that owns the speaker: feeds it events and carries out what it answers. Must never wait for a socket, a watcher
//! or a file.

mod carry_out;
mod handle;
mod track;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sart_bgp::family::Family;
use sart_bgp::session::{ConnId, ConnectionEnd};
use sart_bgp::speaker::{BestPath, HopChanges, LocalAddresses, NeighborView, Speaker, SpeakerInput};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::connection::Connection;
use super::dial::SocketOptions;
use super::leave::Farewell;
use super::listen::Listeners;
use super::metrics::Metrics;
use super::watch::Watchers;

pub use self::handle::{Handle, Stopped};
pub use self::track::{Busy, HopAnswer, KnownHop};

/// Events that may wait for the owner; each connection has at most one buffer of at most 256 KiB among them.
const EVENT_QUEUE: usize = 256;
/// API calls that may wait for the owner.
const CALL_QUEUE: usize = 64;
/// While events keep coming, routes are told this often: longer means fewer and fuller messages.
const FLUSH_TIME: Duration = Duration::from_millis(20);
/// Figures of neighbors are this old at most.
const PUBLISH_TIME: Duration = Duration::from_secs(1);
/// How long closing connections may flush when the daemon stops.
const STOP_TIME: Duration = Duration::from_secs(3);

/// What sockets report.
#[derive(Debug)]
pub enum Event {
    /// A listener accepted a connection.
    Accepted {
        /// The connection.
        stream: TcpStream,
        /// Its far end.
        peer: SocketAddr,
        /// Our addresses on its link.
        local: LocalAddresses,
    },
    /// A dial ended.
    Dialled {
        /// The neighbour.
        peer: IpAddr,
        /// Which dial, so that one that was replaced is told from the current one.
        number: u64,
        /// The connection, or why there is none.
        result: std::io::Result<(TcpStream, LocalAddresses)>,
    },
    /// Bytes came in; the buffer goes back to the connection, which reads no more until then.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes left for the far end.
    Sent {
        /// The connection.
        conn: ConnId,
        /// How many since the last report.
        octets: usize,
    },
    /// The far end closed, or the socket failed.
    Closed {
        /// The connection.
        conn: ConnId,
        /// How.
        end: ConnectionEnd,
    },
}

/// The way of sockets to the owner.
pub type EventSender = mpsc::Sender<Event>;
type Call = Box<dyn FnOnce(&mut Owner) + Send>;

/// What a watcher of best paths reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BestPathEvent {
    /// The multipath set of a prefix.
    Path(BestPath),
    /// The initial set is complete.
    Settled,
}

/// What a watcher of neighbours reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeighborEvent {
    /// A neighbour as it is now.
    Changed(Box<NeighborView>),
    /// A neighbour is configured no more.
    Deleted(IpAddr),
    /// Every known neighbour has been sent.
    Synced,
}

/// Speaker, sockets and watchers.
pub struct Owner {
    speaker: Speaker,
    started: Instant,
    connections: HashMap<ConnId, Connection>,
    dials: HashMap<IpAddr, (u64, AbortHandle)>,
    next_number: u64,
    listeners: Option<Listeners>,
    events: EventSender,
    tasks: JoinSet<()>,
    options: SocketOptions,
    /// Since when something may wait to be told.
    unflushed: Option<Instant>,
    /// When to show figures that have changed.
    publish_at: Option<Instant>,
    best_paths: Watchers<BestPathEvent, Vec<Family>>,
    /// Somebody watches best paths, so that the speaker works them out.
    feeding: bool,
    neighbors: Watchers<NeighborEvent, ()>,
    /// The one next hop tracker, by number.
    tracker: Option<u64>,
    hop_changes: Watchers<HopChanges, ()>,
    /// Why a next hop cannot be reached, as its tracker said last; for people.
    hop_reasons: HashMap<IpAddr, String>,
    metrics: Metrics,
    /// When each neighbour's faulty UPDATEs were last logged, and how many were not since.
    fault_logged: HashMap<IpAddr, (Instant, u64)>,
}

/// The queues an owner reads; [`Owner::run`] takes them.
pub struct Inbox {
    events: mpsc::Receiver<Event>,
    calls: mpsc::Receiver<Call>,
}

impl Owner {
    /// An owner of a speaker without configuration.
    #[must_use]
    pub fn new(speaker: Speaker, options: SocketOptions, metrics: Metrics) -> (Self, Handle, Inbox) {
        let (events, event_queue) = mpsc::channel(EVENT_QUEUE);
        let (calls, call_queue) = mpsc::channel(CALL_QUEUE);
        let handle = Handle { calls, metrics: metrics.clone() };
        let mut owner = Self {
            speaker,
            started: Instant::now(),
            connections: HashMap::new(),
            dials: HashMap::new(),
            next_number: 0,
            listeners: None,
            events,
            tasks: JoinSet::new(),
            options,
            unflushed: None,
            publish_at: None,
            best_paths: Watchers::new(),
            feeding: false,
            neighbors: Watchers::new(),
            tracker: None,
            hop_changes: Watchers::new(),
            hop_reasons: HashMap::new(),
            metrics,
            fault_logged: HashMap::new(),
        };
        owner.speaker.set_fed(false);
        (owner, handle, Inbox { events: event_queue, calls: call_queue })
    }

    /// Where sockets report to.
    #[must_use]
    pub fn events(&self) -> EventSender {
        self.events.clone()
    }

    /// Lets neighbours in by these listeners, on the port that the configuration names.
    pub fn listen_by(&mut self, listeners: Listeners) {
        self.listeners = Some(listeners);
    }

    /// Runs until `stop`, then ends every session as it says.
    pub async fn run(mut self, mut inbox: Inbox, stop: impl Future<Output = Farewell> + Send) {
        tokio::pin!(stop);
        let farewell = loop {
            let timer = self.speaker.next_deadline().map(|at| self.started + at);
            let deadline = timer.into_iter().chain(self.publish_at).min();
            tokio::select! {
                biased;
                farewell = &mut stop => break farewell,
                () = sleep_until(deadline) => {
                    self.tick();
                    self.flush();
                }
                Some(call) = inbox.calls.recv() => {
                    self.flush();
                    call(&mut self);
                    self.figures_changed();
                }
                Some(event) = inbox.events.recv() => self.event(event),
                // Finished connection and dial tasks are forgotten as they end.
                Some(_) = self.tasks.join_next() => {}
                // Nothing else waits, not even in a socket: readers run before this task is asked again.
                () = tokio::task::yield_now(), if self.unflushed.is_some() => self.flush(),
            }
            if self.unflushed.is_some_and(|since| since.elapsed() >= FLUSH_TIME) {
                self.flush();
            }
            self.carry_out();
            if self.publish_at.is_some_and(|at| at <= Instant::now()) {
                self.publish_at = None;
                self.metrics.publish(&self.speaker);
            }
        };
        self.goodbye(&farewell).await;
    }

    async fn goodbye(mut self, farewell: &Farewell) {
        // Whoever connects from now on is for the next process.
        self.listeners = None;
        let now = self.now();
        match farewell {
            Farewell::Shutdown(text) => self.speaker.shutdown(text, now),
            Farewell::Restart => self.speaker.leave_for_restart(now),
        }
        self.carry_out();
        self.connections.clear();
        for (_, dial) in self.dials.drain().map(|(_, dial)| dial) {
            dial.abort();
        }
        let flushed = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME, flushed).await.is_err() {
            tracing::warn!("some neighbors did not take their last message");
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn input(&mut self, input: SpeakerInput<'_>) {
        let now = self.now();
        self.speaker.take_in(input, now);
        self.unflushed.get_or_insert_with(Instant::now);
        self.figures_changed();
    }

    /// Woken by a timer of the speaker, or to show figures.
    fn tick(&mut self) {
        if self.speaker.next_deadline().is_some_and(|at| at <= self.now()) {
            self.input(SpeakerInput::Tick);
        }
    }

    fn figures_changed(&mut self) {
        self.publish_at.get_or_insert_with(|| Instant::now() + PUBLISH_TIME);
    }

    /// Tells neighbours and watchers what has come together.
    fn flush(&mut self) {
        if self.unflushed.take().is_some() {
            let now = self.now();
            self.speaker.flush(now);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Accepted { stream, peer, local } => {
                let conn = self.connect(stream, peer.ip().to_canonical());
                self.input(SpeakerInput::Accepted { conn, peer, local });
            }
            Event::Dialled { peer, number, result } => self.dialled(peer, number, result),
            Event::Received { conn, bytes } if self.connections.contains_key(&conn) => {
                self.input(SpeakerInput::Received { conn, bytes: &bytes });
                if let Some(connection) = self.connections.get(&conn) {
                    connection.give_back(bytes);
                }
            }
            Event::Sent { conn, octets } => self.input(SpeakerInput::Sent { conn, octets }),
            Event::Closed { conn, end } if self.connections.remove(&conn).is_some() => {
                self.input(SpeakerInput::Closed { conn, end });
            }
            // Of connections that the speaker has closed.
            Event::Received { .. } | Event::Closed { .. } => {}
        }
    }

    fn connect(&mut self, stream: TcpStream, peer: IpAddr) -> ConnId {
        let conn = ConnId(self.number());
        let connection = Connection::start(
            conn,
            (stream, self.speaker.send_hold(peer)),
            self.events.clone(),
            &self.metrics,
            &mut self.tasks,
        );
        self.connections.insert(conn, connection);
        conn
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn dialled(&mut self, peer: IpAddr, number: u64, result: std::io::Result<(TcpStream, LocalAddresses)>) {
        if self.dials.get(&peer).is_none_or(|(current, _)| *current != number) {
            return;
        }
        self.dials.remove(&peer);
        match result {
            Ok((stream, local)) => {
                let conn = self.connect(stream, peer);
                self.input(SpeakerInput::Dialled { conn, peer, local });
            }
            Err(error) => self.input(SpeakerInput::DialFailed { peer, error: &error.to_string() }),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
