//! A peer for big loads: writes buffers made beforehand, counts what comes back, keeps its session alive. Decides nothing
//! about routes, and must cost far less than the speaker it talks to.

mod table;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use table::{Broken, SENDERS, Table};

use crate::netns::Namespace;
use crate::raw_peer::{KEEPALIVE, RawPeer, message, open_body};
use crate::wait::wait_for;

/// Octets read at once, and written before the clock is looked at.
const CHUNK: usize = 256 * 1024;

/// Who the peer says it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// AS number.
    pub asn: u32,
    /// Router id.
    pub router_id: Ipv4Addr,
    /// Hold time in seconds; a KEEPALIVE goes out three times within it.
    pub hold_time: u16,
}

/// What both threads and the owner see.
#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    ended: AtomicBool,
    /// Buffers handed over and not yet written to the socket.
    unsent: AtomicUsize,
}

/// An established session with a thread for each direction; ends when dropped.
#[derive(Debug)]
pub struct Flood {
    stream: TcpStream,
    work: Option<mpsc::Sender<Arc<Vec<u8>>>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Connects from `namespace` and goes to Established; tries again until `limit` has passed.
    ///
    /// # Errors
    /// If no session comes up in time.
    pub fn establish(
        namespace: &Namespace,
        to: SocketAddr,
        identity: Identity,
        table: Table,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let open = open_body(identity.asn, identity.hold_time, identity.router_id);
        let stream = wait_for(&format!("a session with {to}"), limit, || {
            let mut peer = RawPeer::connect(namespace, to, Duration::from_secs(2))?;
            peer.establish(&open, Duration::from_secs(5))?;
            Ok(Some(peer.into_stream()))
        })?;
        Self::run(stream, Duration::from_secs(u64::from(identity.hold_time).max(3)) / 3, table)
    }

    fn run(stream: TcpStream, keepalive: Duration, table: Table) -> anyhow::Result<Self> {
        stream.set_read_timeout(None)?;
        stream.set_nodelay(true)?;
        let shared = Arc::new(Shared {
            table: Mutex::new(table),
            ended: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
        });
        let (work, orders) = mpsc::channel();
        let (reading, reader) = (stream.try_clone()?, Arc::clone(&shared));
        let (writing, writer) = (stream.try_clone()?, Arc::clone(&shared));
        let threads = vec![
            thread::Builder::new().name("flood-read".into()).spawn(move || read(reading, &reader))?,
            thread::Builder::new()
                .name("flood-write".into())
                .spawn(move || write(writing, &orders, keepalive, &writer))?,
        ];
        Ok(Self { stream, work: Some(work), shared, threads })
    }

    /// Hands over whole messages to be written; returns at once.
    ///
    /// # Errors
    /// If the session has ended.
    pub fn send(&self, messages: Arc<Vec<u8>>) -> anyhow::Result<()> {
        self.shared.unsent.fetch_add(1, Ordering::AcqRel);
        let work = self.work.as_ref().context("the peer has closed")?;
        work.send(messages).ok().context("the session has ended")
    }

    /// Whether everything handed over is in the socket.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.shared.unsent.load(Ordering::Acquire) == 0
    }

    /// Whether the far end, or the network, has ended the session.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// What came so far.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection without a NOTIFICATION, as a dying router does.
    pub fn close(&mut self) {
        self.work = None;
        // It may be closed already; then there is nothing to do.
        let _closed = self.stream.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            // A panic of a counting thread shows in the counts.
            let _ended = thread.join();
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.close();
    }
}

fn read(mut stream: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
        let mut table = shared.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(used) = table.take(&buffer[..filled]) else { break };
        drop(table);
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
    shared.ended.store(true, Ordering::Release);
}

fn write(mut stream: TcpStream, orders: &mpsc::Receiver<Arc<Vec<u8>>>, every: Duration, shared: &Shared) {
    let keepalive = message(KEEPALIVE, &[]);
    let mut due = Instant::now() + every;
    loop {
        let written = match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(messages) => {
                let written = write_all(&mut stream, &messages, &keepalive, (&mut due, every));
                shared.unsent.fetch_sub(1, Ordering::AcqRel);
                written
            }
            Err(RecvTimeoutError::Timeout) => {
                due = Instant::now() + every;
                stream.write_all(&keepalive)
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if written.is_err() {
            shared.ended.store(true, Ordering::Release);
            return;
        }
    }
}

/// Writes in big pieces that end with a message, with a KEEPALIVE between two where one is due.
fn write_all(
    stream: &mut TcpStream,
    messages: &[u8],
    keepalive: &[u8],
    (due, every): (&mut Instant, Duration),
) -> std::io::Result<()> {
    let mut rest = messages;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(whole_messages(rest));
        stream.write_all(now)?;
        rest = later;
        if Instant::now() >= *due {
            stream.write_all(keepalive)?;
            *due = Instant::now() + every;
        }
    }
    Ok(())
}

/// How many octets of messages at the start come to about a chunk.
fn whole_messages(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < CHUNK
        && let Some(&[high, low]) = bytes.get(at + 16..at + 18)
    {
        at += usize::from(u16::from_be_bytes([high, low])).max(19);
    }
    at.min(bytes.len())
}
