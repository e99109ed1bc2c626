//! Accepts connections from neighbours. Must never refuse one by itself: the speaker knows who is a neighbour.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sart_telemetry::Readiness;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::dial::{SocketOptions, prepare};
use super::owner::{Event, EventSender};

/// Connections that may wait in the kernel; a rack of neighbours that all restart at once.
const BACKLOG: i32 = 256;
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
    ) -> Self {
        let failing = Failing { addresses: Arc::default(), readiness };
        failing.change(BTreeMap::clear);
        Self { addresses, options, events, failing, port: None, tasks: Vec::new() }
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
                let at = SocketAddr::new(*address, port);
                tokio::spawn(listen(at, self.options.clone(), self.events.clone(), self.failing.clone()))
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

/// Binds and accepts for ever; ends only where the machine has no such family or address.
async fn listen(at: SocketAddr, options: SocketOptions, events: EventSender, failing: Failing) {
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
    accept_all(&listener, at, &options, &events).await;
}

async fn accept_all(listener: &TcpListener, at: SocketAddr, options: &SocketOptions, events: &EventSender) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%at, %error, "accepting a connection failed");
                // Out of descriptors, most likely: accept would fail again at once.
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let local = match prepare(&stream, options) {
            Ok(local) => local,
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection was gone before it was used");
                continue;
            }
        };
        if events.send(Event::Accepted { stream, peer, local }).await.is_err() {
            return;
        }
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
