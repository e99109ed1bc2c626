//! One TCP connection: a task that reads and a task that writes. They move bytes and must never look into them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use sart_bgp::session::{ConnId, ConnectionEnd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::metrics::Metrics;
use super::owner::{Event, EventSender};

/// A buffer begins with this size; most neighbours never need more.
const FIRST_READ_SIZE: usize = 16 * 1024;
/// The owner wants at most this much at a time, so that timers are served in between.
const READ_SIZE: usize = 256 * 1024;
/// Octets sent are reported in lumps of at least this size.
const REPORT_SIZE: usize = 64 * 1024;
/// Batches that may wait for a neighbour to read.
const SEND_QUEUE: usize = 4096;
/// Bytes that may wait for a neighbour to read before it counts as stuck: three tables of a million routes.
const SEND_LIMIT: usize = 16 * 1024 * 1024;
/// How long a closing connection may take to deliver what is queued, its NOTIFICATION above all.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// The owner's end of a connection. Dropping it delivers what is queued, then closes.
#[derive(Debug)]
pub struct Connection {
    queue: mpsc::Sender<Bytes>,
    queued: Arc<AtomicUsize>,
    /// The buffer on its way back to the reader.
    spent: mpsc::Sender<Vec<u8>>,
    /// Dropped with the connection, which tells both tasks.
    _closing: (oneshot::Sender<()>, oneshot::Sender<()>),
}

/// Why bytes could not be queued; the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The neighbour does not read.
    #[error("the neighbor does not read: too much waits to be sent")]
    Full,
    /// The socket failed.
    #[error("the connection is broken")]
    Broken,
}

impl Connection {
    /// Starts both tasks on `stream`. A far end that reads nothing for `send_hold` while something waits for it is given
    /// up (RFC 9687).
    pub fn start(
        conn: ConnId,
        (stream, send_hold): (TcpStream, Option<Duration>),
        events: EventSender,
        metrics: &Metrics,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (queue, pending) = mpsc::channel(SEND_QUEUE);
        let (closing, closed) = oneshot::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let (read, write) = stream.into_split();
        let (spent, empty) = mpsc::channel(1);
        let reports = events.clone();
        tasks.spawn(read_all((conn, read), events.clone(), (empty, closed), metrics.clone()));
        let (writer_closing, writer_closed) = oneshot::channel::<()>();
        let writing = write_all((conn, write, send_hold), pending, Arc::clone(&queued), reports);
        tasks.spawn(async move {
            tokio::select! {
                written = writing => if written.is_err() {
                    // Whether the owner still listens is its own matter.
                    let _told = events.send(Event::Closed { conn, end: ConnectionEnd::NotRead }).await;
                },
                () = after(writer_closed, FLUSH_TIME) => tracing::debug!("the neighbor did not read before closing"),
            }
        });
        Self { queue, queued, spent, _closing: (closing, writer_closing) }
    }

    /// Gives the buffer of [`Event::Received`] back; the connection reads on only then.
    pub fn give_back(&self, bytes: Vec<u8>) {
        // There is one buffer and room for one. A reader that has ended needs none.
        let _unneeded = self.spent.try_send(bytes);
    }

    /// Queues `bytes`, at once or not at all.
    ///
    /// # Errors
    /// If too much waits already or the socket has failed.
    pub fn send(&self, bytes: Bytes) -> Result<(), SendError> {
        let size = bytes.len();
        if self.queued.fetch_add(size, Ordering::Relaxed) + size > SEND_LIMIT {
            return Err(SendError::Full);
        }
        self.queue.try_send(bytes).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Broken,
        })
    }
}

/// Ends `time` after the connection was closed.
async fn after(closed: oneshot::Receiver<()>, time: Duration) {
    // The sender never sends: the result is always "dropped".
    let _dropped = closed.await;
    tokio::time::sleep(time).await;
}

/// The far end did not read anything for the send hold time.
struct NotRead;

async fn write_all(
    (conn, mut socket, send_hold): (ConnId, OwnedWriteHalf, Option<Duration>),
    mut pending: mpsc::Receiver<Bytes>,
    queued: Arc<AtomicUsize>,
    reports: EventSender,
) -> Result<(), NotRead> {
    let mut octets = 0;
    loop {
        let next = tokio::select! {
            biased;
            // An owner that is busy, or waits for this connection to end, must not hold up what is queued.
            permit = reports.reserve(), if octets >= REPORT_SIZE => {
                // An owner that has stopped wants no report; what is queued goes out all the same.
                if let Ok(permit) = permit {
                    permit.send(Event::Sent { conn, octets });
                }
                octets = 0;
                continue;
            }
            next = pending.recv() => next,
        };
        let Some(bytes) = next else { break };
        let size = bytes.len();
        if let Err(error) = write_one(&mut socket, bytes, send_hold).await? {
            tracing::debug!(%error, "sending failed");
            return Ok(());
        }
        queued.fetch_sub(size, Ordering::Relaxed);
        octets += size;
    }
    // Dropping the half sends FIN.
    Ok(())
}

/// RFC 9687 section 4: every octet that the kernel takes restarts the timer.
async fn write_one(
    socket: &mut OwnedWriteHalf,
    mut bytes: Bytes,
    send_hold: Option<Duration>,
) -> Result<std::io::Result<()>, NotRead> {
    while !bytes.is_empty() {
        let writing = socket.write(&bytes);
        let written = match send_hold {
            Some(send_hold) => timeout(send_hold, writing).await.map_err(|_| NotRead)?,
            None => writing.await,
        };
        match written {
            Ok(0) => return Ok(Err(std::io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes.advance(written),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

async fn read_all(
    (conn, mut socket): (ConnId, OwnedReadHalf),
    events: EventSender,
    (mut empty, mut closed): (mpsc::Receiver<Vec<u8>>, oneshot::Receiver<()>),
    metrics: Metrics,
) {
    let mut bytes = Vec::with_capacity(FIRST_READ_SIZE);
    loop {
        let read = tokio::select! {
            read = socket.read_buf(&mut bytes) => read,
            _ = &mut closed => return drain(socket).await,
        };
        let filled = bytes.len() == bytes.capacity();
        let (event, last) = match read {
            Ok(0) => (Event::Closed { conn, end: ConnectionEnd::Finished }, true),
            Ok(_) => (Event::Received { conn, bytes }, false),
            Err(_) => (Event::Closed { conn, end: ConnectionEnd::Broken }, true),
        };
        let delivered = tokio::select! {
            delivered = deliver(&events, event, &metrics) => delivered,
            _ = &mut closed => return drain(socket).await,
        };
        if !delivered || last {
            return;
        }
        // Waiting here closes the TCP window: a neighbour can fill one buffer, not the memory.
        let spent = tokio::select! {
            spent = empty.recv() => spent,
            _ = &mut closed => None,
        };
        let Some(spent) = spent else { return drain(socket).await };
        bytes = spent;
        bytes.clear();
        if filled && bytes.capacity() < READ_SIZE {
            bytes.reserve_exact(bytes.capacity() * 4);
        }
    }
}

async fn deliver(events: &EventSender, event: Event, metrics: &Metrics) -> bool {
    match events.try_send(event) {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Full(event)) => {
            metrics.queue_full("events");
            events.send(event).await.is_ok()
        }
        Err(mpsc::error::TrySendError::Closed(_)) => false,
    }
}

/// Reads on without looking until the far end closes too: closing a socket with unread bytes sends RST, which would make
/// the far end lose our NOTIFICATION (tcp(7); RFC 1122 section 4.2.2.13).
async fn drain(mut socket: OwnedReadHalf) {
    let mut scrap = vec![0; READ_SIZE];
    let reading = async { while matches!(socket.read(&mut scrap).await, Ok(read) if read > 0) {} };
    if timeout(FLUSH_TIME, reading).await.is_err() {
        tracing::debug!("the far end kept a closed connection open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn connection(events: EventSender) -> (Connection, TcpStream, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        let mut tasks = JoinSet::new();
        let connection = Connection::start(ConnId(1), (near, None), events, &Metrics::default(), &mut tasks);
        (connection, far, tasks)
    }

    #[tokio::test]
    async fn closing_delivers_what_is_queued_even_if_the_far_end_still_sends() {
        let (events, _queue) = mpsc::channel(1);
        let (connection, mut far, mut tasks) = connection(events).await;
        far.write_all(&[7; 300_000]).await.unwrap();
        connection.send(vec![1; 100_000].into()).unwrap();
        connection.send(vec![2; 100_000].into()).unwrap();
        drop(connection);
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!((received.len(), received[0], received[199_999]), (200_000, 1, 2));
        drop(far);
        let ended = timeout(Duration::from_secs(30), async { while tasks.join_next().await.is_some() {} });
        assert!(ended.await.is_ok(), "a task outlives its connection");
    }

    #[tokio::test]
    async fn a_full_event_queue_holds_up_nothing_that_is_sent() {
        let (events, mut queue) = mpsc::channel(1);
        events.try_send(Event::Closed { conn: ConnId(2), end: ConnectionEnd::Finished }).unwrap();
        let (connection, mut far, _tasks) = connection(events).await;
        for octet in 1..=3 {
            connection.send(vec![octet; 2 * REPORT_SIZE].into()).unwrap();
        }
        let mut received = vec![0; 6 * REPORT_SIZE];
        timeout(Duration::from_secs(30), far.read_exact(&mut received)).await.unwrap().unwrap();
        assert!(matches!(queue.recv().await, Some(Event::Closed { conn: ConnId(2), .. })));
        let report = timeout(Duration::from_secs(30), queue.recv()).await.unwrap().unwrap();
        assert!(matches!(report, Event::Sent { octets, .. } if octets == 6 * REPORT_SIZE), "{report:?}");
    }

    #[tokio::test]
    async fn closing_ends_a_reader_that_waits_for_a_full_event_queue() {
        let (events, _queue) = mpsc::channel(1);
        events.try_send(Event::Closed { conn: ConnId(2), end: ConnectionEnd::Finished }).unwrap();
        let (metrics, mut tasks) = (Metrics::default(), JoinSet::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        let connection = Connection::start(ConnId(1), (near, None), events, &metrics, &mut tasks);
        far.write_all(&[7; 1000]).await.unwrap();
        while metrics.queue_full_count("events") == 0 {
            tokio::task::yield_now().await;
        }
        drop((connection, far));
        let ended = timeout(Duration::from_secs(30), async { while tasks.join_next().await.is_some() {} });
        assert!(ended.await.is_ok(), "a task outlives its connection");
    }

    #[tokio::test]
    async fn a_neighbor_that_does_not_read_is_found_out_before_it_costs_more_than_its_limit() {
        let (events, _queue) = mpsc::channel(1);
        let (connection, _far, _tasks) = connection(events).await;
        let mut sent = 0;
        let error = loop {
            match connection.send(vec![0; 1024 * 1024].into()) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(error, SendError::Full);
        // What the kernel buffered comes on top.
        assert!((16..64).contains(&sent), "{sent} MiB");
    }

    #[tokio::test]
    async fn a_reader_waits_until_its_bytes_were_taken_in_and_loses_none() {
        let (events, mut queue) = mpsc::channel(1);
        let (connection, mut far, _tasks) = connection(events).await;
        let sending = tokio::spawn(async move {
            far.write_all(&vec![9; 1024 * 1024]).await.unwrap();
        });
        let (mut received, mut largest) = (0, 0);
        let receiving = async {
            loop {
                match queue.recv().await.unwrap() {
                    Event::Received { bytes, .. } => {
                        received += bytes.len();
                        largest = largest.max(bytes.len());
                        assert!(queue.try_recv().is_err(), "one buffer at a time");
                        connection.give_back(bytes);
                    }
                    Event::Closed { end, .. } => break assert_eq!(end, ConnectionEnd::Finished),
                    other => panic!("{other:?}"),
                }
            }
        };
        timeout(Duration::from_secs(30), receiving).await.unwrap();
        assert_eq!(received, 1024 * 1024);
        assert!(largest <= READ_SIZE, "{largest}");
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_sent_is_reported_in_lumps() {
        let (events, mut queue) = mpsc::channel(8);
        let (connection, mut far, _tasks) = connection(events).await;
        for _ in 0..3 {
            connection.send(vec![1; REPORT_SIZE - 1].into()).unwrap();
        }
        let mut all = vec![0; 3 * (REPORT_SIZE - 1)];
        timeout(Duration::from_secs(30), far.read_exact(&mut all)).await.unwrap().unwrap();
        let report = timeout(Duration::from_secs(30), queue.recv()).await.unwrap().unwrap();
        assert!(
            matches!(report, Event::Sent { octets, .. } if octets == 2 * (REPORT_SIZE - 1)),
            "{report:?}"
        );
    }
}
