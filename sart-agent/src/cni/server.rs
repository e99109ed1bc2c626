//! Serves the plugin on a Unix socket: root only, one thread per question, each with an end. STATUS takes no lock that an ADD
//! holds.

mod connection;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use sart_cni::environment::Verb;
use sart_cni::failure::{Failure, code};
use sart_cni::wire::{Reply, Request};

use self::connection::Connection;
use super::addresses::PodAddresses;
use super::attachment::AttachmentKey;
use super::flows::OldFlows;
use super::journal::{Journal, JournalError};
use super::machine::{Fault, Machine};
use super::metrics::Metrics;
use super::network::{NetworkError, Remover};
use super::ports::PodPorts;
use super::startup::Summary;
use super::turns::Turns;

/// Questions answered at the same time; the next ones are told to try again.
const CROWD: usize = 512;
/// Removals that a plugin wrote down although we run are looked for this often, and before every ADD.
const DRAIN: Duration = Duration::from_secs(5);
/// Nobody waits longer, whatever the plugin says.
const LONGEST: Duration = Duration::from_secs(230);
/// A thread reads JSON and talks to the kernel.
const STACK: usize = 512 * 1024;

/// Where the server works.
#[derive(Clone)]
pub struct Settings {
    /// The socket.
    pub socket: PathBuf,
    /// Folder of journal and waiting removals.
    pub state: PathBuf,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// None but in tests.
    pub fault: Option<Fault>,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kernel cannot be read.
    #[error("cannot read the node's links and routes: {0}")]
    Kernel(#[from] NetworkError),
    /// The socket.
    #[error(transparent)]
    Bind(#[from] sart_rpc::BindError),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// The running server; it stops when dropped, and leaves every pod as it is.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    summary: Summary,
}

struct Shared {
    machine: Machine,
    settings: Settings,
    stopped: AtomicBool,
    crowd: AtomicUsize,
}

impl Server {
    /// Makes journal, kernel and ledger agree, carries out waiting removals, and only then listens. Its threads live in the
    /// caller's network namespace.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        settings: Settings,
        addresses: Arc<dyn PodAddresses>,
        ports: Arc<dyn PodPorts>,
    ) -> Result<Self, StartError> {
        let journal = Journal::open(&settings.state, SystemTime::now())?;
        let machine = Machine {
            addresses,
            ports,
            journal,
            turns: Turns::default(),
            remover: Remover::default(),
            flows: OldFlows::default(),
            fault: settings.fault.clone(),
        };
        let summary = machine.reconcile()?;
        let drained = machine.drain(&settings.state);
        tracing::info!(?summary, drained, socket = %settings.socket.display(), "serving the CNI plugin");
        let listener = sart_rpc::bind_socket(&settings.socket)?;
        let (stopped, crowd) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { machine, settings, stopped, crowd });
        let (own, keeper) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread("cni-accept", move || own.accept(&listener))?,
            thread("cni-keeper", move || keeper.keep())?,
        ];
        Ok(Self { shared, threads, summary })
    }

    /// What the start found.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What ADD and DEL work with, for the operator's view.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.shared.machine
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.machine.flows.close();
        // The accepting thread sees the flag with the next caller: us.
        drop(UnixStream::connect(&self.shared.settings.socket));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        drop(std::fs::remove_file(&self.shared.settings.socket));
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    builder.spawn(run).map_err(StartError::Thread)
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            match stream {
                Ok(stream) => self.take(stream),
                Err(error) => {
                    tracing::warn!(%error, "a caller of the CNI socket was lost");
                    // Out of descriptors, most likely: those in use come back when their threads end.
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn take(self: &Arc<Self>, stream: UnixStream) {
        if self.crowd.fetch_add(1, Ordering::SeqCst) >= CROWD {
            self.crowd.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!("refused a caller of the CNI socket: too many at once");
            return;
        }
        let own = Arc::clone(self);
        if let Err(error) = thread("cni", move || own.serve(stream)) {
            self.crowd.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "refused a caller of the CNI socket");
        }
    }

    fn serve(&self, stream: UnixStream) {
        match Connection::read(stream) {
            Ok((connection, request)) => self.answer(connection, request),
            Err(error) => tracing::warn!(%error, "a caller of the CNI socket made no sense"),
        }
        self.crowd.fetch_sub(1, Ordering::SeqCst);
    }

    fn answer(&self, mut connection: Connection, request: Request) {
        let (verb, key, began) = (request.verb, request.key.clone(), Instant::now());
        let (code, reply) = match self.dispatch(&mut connection, &request) {
            Ok(reply) => (0, reply),
            Err(failure) => {
                tracing::warn!(?verb, %key, %failure, "CNI");
                (failure.code, Reply::Failed(failure))
            }
        };
        self.settings.metrics.answered(verb, code, began.elapsed());
        let attached = matches!(reply, Reply::Attached(_));
        if let Err(error) = connection.reply(&reply) {
            tracing::warn!(?verb, %key, %error, "the plugin went away");
            // Nobody knows of this attachment; the runtime takes it for failed.
            if attached && let Err(failure) = self.machine.delete(&key, Instant::now() + LONGEST) {
                tracing::error!(%key, %failure, "an attachment that nobody knows of stays until DEL");
            }
        }
    }

    fn dispatch(&self, connection: &mut Connection, request: &Request) -> Result<Reply, Failure> {
        let deadline = Instant::now() + Duration::from_millis(request.patience_ms).min(LONGEST);
        match request.verb {
            Verb::Add => {
                let sandbox = connection.sandbox()?;
                self.machine.drain(&self.settings.state);
                self.machine.add(request, sandbox, deadline).map(Reply::Attached)
            }
            Verb::Del => self.machine.delete(&request.key, deadline).map(|()| Reply::Done),
            Verb::Check => self.machine.check(request, connection.sandbox()?).map(|()| Reply::Done),
            Verb::Gc => self.collect(request, deadline).map(|()| Reply::Done),
            Verb::Status => self.status().map(|()| Reply::Done),
        }
    }

    fn collect(&self, request: &Request, deadline: Instant) -> Result<(), Failure> {
        let valid: &[AttachmentKey] = request.valid.as_deref().unwrap_or_default();
        self.machine.collect(&request.key.network, valid, deadline)
    }

    fn status(&self) -> Result<(), Failure> {
        self.machine.ports.ready().map_err(|error| {
            Failure::detailed(code::LIMITED, "the dataplane is impaired", error.to_string())
        })?;
        self.machine.addresses.ready().map_err(|why| {
            Failure::detailed(code::NOT_AVAILABLE, "no address for another pod", why.to_string())
        })
    }

    fn keep(&self) {
        let mut said = false;
        while !self.stopped.load(Ordering::SeqCst) {
            self.machine.flows.wait(DRAIN);
            self.machine.drain(&self.settings.state);
            said = self.forget_flows(said);
        }
    }

    /// Whether a failure has been said: a kernel without connection tracking fails each time, and has nothing to forget.
    fn forget_flows(&self, said: bool) -> bool {
        match self.machine.flows.forget() {
            Ok(0) => said,
            Ok(flows) => {
                tracing::debug!(flows, "forgot the flows of pods that are gone");
                false
            }
            Err(error) if said => {
                tracing::debug!(%error, "the flows of pods that are gone stay tracked");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the flows of pods that are gone stay tracked for now; tried again");
                true
            }
        }
    }
}
