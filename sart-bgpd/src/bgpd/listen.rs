//! Accepts connections from neighbours. Must never refuse one by itself: the speaker knows who is a neighbour.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sart_bgp::speaker::LocalAddresses;
use sart_telemetry::Readiness;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::dial::{SocketOptions, prepare};
use super::metrics::Metrics;
use super::owner::{Event, EventSender};
use super::transport::{Transports, answer_ttl, change_passwords, has_input, least_of_all, set_ttl};

/// Connections that may wait in the kernel; a rack of neighbours that all restart at once.
const BACKLOG: i32 = 256;
/// How long a neighbour with GTSM may take to prove its distance by its OPEN.
const GTSM_PROOF: Duration = Duration::from_secs(10);
/// How often a port that is taken is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The listening sockets, one for each address, all on one port.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<IpAddr>,
    options: SocketOptions,
    events: EventSender,
    failing: Failing,
    port: Option<u16>,
    transports: watch::Sender<Transports>,
    metrics: Metrics,
    tasks: Vec<JoinHandle<()>>,
}

/// The addresses that cannot be listened on, and why; all of them have to work.
#[derive(Clone, Debug)]
struct Failing {
    addresses: Arc<Mutex<BTreeMap<SocketAddr, String>>>,
    readiness: Readiness,
}

impl Failing {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<SocketAddr, String>)) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut addresses);
        if addresses.is_empty() {
            self.readiness.ready();
        } else {
            let faults: Vec<String> =
                addresses.iter().map(|(at, error)| format!("cannot listen on {at}: {error}")).collect();
            self.readiness.not_ready(faults.join("; "));
        }
    }
}

impl Listeners {
    /// Listens nowhere until [`Listeners::ensure`] names a port.
    #[must_use]
    pub fn new(
        addresses: Vec<IpAddr>,
        options: SocketOptions,
        events: EventSender,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Self {
        let failing = Failing { addresses: Arc::default(), readiness };
        failing.change(BTreeMap::clear);
        let transports = watch::Sender::new(Transports::default());
        Self { addresses, options, events, failing, port: None, transports, metrics, tasks: Vec::new() }
    }

    /// Makes keys and TTLs those of the neighbours.
    pub fn transports(&self, wanted: impl Fn() -> Transports) {
        self.transports.send_if_modified(|current| {
            let wanted = wanted();
            let changed = **current != *wanted;
            *current = wanted;
            changed
        });
    }

    /// Listens on `port` from now on; on none without one. Nothing happens if it already does.
    pub fn ensure(&mut self, port: Option<u16>) {
        if self.port == port {
            return;
        }
        self.stop();
        self.port = port;
        let Some(port) = port else { return };
        self.tasks = self
            .addresses
            .iter()
            .map(|address| {
                let door = Door {
                    at: SocketAddr::new(*address, port),
                    options: self.options.clone(),
                    events: self.events.clone(),
                    transports: self.transports.subscribe(),
                    metrics: self.metrics.clone(),
                };
                tokio::spawn(listen(door, self.failing.clone()))
            })
            .collect();
    }

    fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.failing.change(BTreeMap::clear);
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One listening address and what it needs to let a connection in.
struct Door {
    at: SocketAddr,
    options: SocketOptions,
    events: EventSender,
    transports: watch::Receiver<Transports>,
    metrics: Metrics,
}

/// Binds and accepts for ever; ends only where the machine has no such family or address.
async fn listen(door: Door, failing: Failing) {
    let at = door.at;
    let mut complained = false;
    let listener = loop {
        match bind(at) {
            Ok(listener) => break listener,
            Err(error) if is_absent(&error) => {
                tracing::info!(%at, %error, "not listening: this machine has no such address family or address");
                return;
            }
            Err(error) => {
                failing.change(|faults| drop(faults.insert(at, error.to_string())));
                if !complained {
                    tracing::error!(%at, %error, "cannot listen; trying again every second");
                    complained = true;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    failing.change(|faults| drop(faults.remove(&at)));
    tracing::info!(%at, "listening for neighbors");
    door.accept_all(&listener).await;
}

impl Door {
    async fn accept_all(mut self, listener: &TcpListener) {
        let mut applied = Transports::default();
        loop {
            self.follow(listener, &mut applied);
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                changed = self.transports.changed() => match changed {
                    Ok(()) => continue,
                    // The listeners are gone.
                    Err(_) => return,
                },
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(at = %self.at, %error, "accepting a connection failed");
                    // Out of descriptors, most likely: accept would fail again at once.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            if !self.let_in(stream, peer, &applied).await {
                return;
            }
        }
    }

    /// Makes the socket's keys and TTLs those of the neighbours.
    fn follow(&mut self, listener: &TcpListener, applied: &mut Transports) {
        let wanted = Arc::clone(&self.transports.borrow_and_update());
        let v4 = self.at.is_ipv4();
        change_passwords(listener, v4, applied, &wanted);
        let (send, least) = (answer_ttl(&wanted, v4), least_of_all(&wanted, v4));
        if let Err(error) = set_ttl(listener, self.at.ip(), send, Some(least)) {
            tracing::error!(at = %self.at, %error, "cannot set the TTLs of the listener");
        }
        *applied = wanted;
    }

    /// Whether somebody still wants connections.
    async fn let_in(&self, stream: TcpStream, peer: SocketAddr, transports: &Transports) -> bool {
        let transport = transports.get(&peer.ip().to_canonical()).cloned().unwrap_or_default();
        let local = match prepare(&stream, &transport, &self.options) {
            Ok(local) => local,
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection was gone before it was used");
                return true;
            }
        };
        let Some(least) = transport.least_ttl() else {
            return self.events.send(Event::Accepted { stream, peer, local }).await.is_ok();
        };
        // If another neighbour of this listener has no GTSM, what came before this socket knew its least TTL was judged by
        // nobody: such a connection is given up, and the neighbour tries again.
        let judged = least_of_all(transports, self.at.is_ipv4()) >= least;
        if !judged && has_input(&stream) {
            self.metrics.refused("Ttl");
            tracing::info!(%peer, least, "dropped a connection whose first octets came before their TTL was judged");
            return true;
        }
        tokio::spawn(prove(stream, (peer, local), self.events.clone(), self.metrics.clone()));
        true
    }
}

/// Lets a connection in as soon as something came through: the kernel drops what comes from too far away, so nothing is
/// said before.
async fn prove(
    stream: TcpStream,
    (peer, local): (SocketAddr, LocalAddresses),
    events: EventSender,
    metrics: Metrics,
) {
    // An octet has to be there: a new socket can be called readable without one.
    match tokio::time::timeout(GTSM_PROOF, stream.peek(&mut [0])).await {
        Err(_) => {
            metrics.refused("Ttl");
            tracing::warn!(%peer, "dropped a connection on which nothing came with a sufficient TTL");
        }
        Ok(Ok(1..)) => {
            if events.send(Event::Accepted { stream, peer, local }).await.is_err() {
                tracing::debug!(%peer, "accepted a connection while stopping");
            }
        }
        Ok(gone) => tracing::debug!(%peer, ?gone, "a connection was gone before anything was said"),
    }
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        // IPv4 has a socket of its own (ipv6(7), IPV6_V6ONLY).
        socket.set_only_v6(true)?;
    }
    // A restarted speaker must not wait for old connections in TIME_WAIT (socket(7), SO_REUSEADDR).
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// IPv6 can be missing from the kernel (EAFNOSUPPORT) or switched off by sysctl (EADDRNOTAVAIL); both are fine.
fn is_absent(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(nix::errno::Errno::from_raw);
    matches!(code, Some(nix::errno::Errno::EAFNOSUPPORT | nix::errno::Errno::EADDRNOTAVAIL))
}
