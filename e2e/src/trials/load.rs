//! A client that opens one connection after the other and counts what fails. Runs in the client machine's network; bounded
//! in number and time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::Lab;
use crate::lab::topology::CLIENT_NAME;
use crate::wait::{Patience, until};

/// Longest a single request may take before it counts as lost: shorter than the retry of a lost SYN (1 s, RFC 6298), so
/// that a dropped packet cannot hide behind TCP's patience.
const PATIENCE: Duration = Duration::from_millis(900);

/// Requests in progress.
pub(super) struct Load {
    done: Arc<AtomicUsize>,
    wanted: usize,
    task: JoinHandle<Result<Outcome>>,
}

/// What came of them.
pub(super) struct Outcome {
    /// Requests sent.
    pub(super) sent: usize,
    /// The first failures, in words.
    pub(super) failures: Vec<String>,
}

impl Load {
    /// Starts `wanted` requests to the address, one connection each.
    pub(super) fn start(lab: &Lab, target: SocketAddr, wanted: usize) -> Result<Self> {
        let client = lab.machine(CLIENT_NAME)?;
        let done = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&done);
        let task =
            std::thread::spawn(move || client.in_network(move || Ok(requests(target, wanted, &counter))));
        Ok(Self { done, wanted, task })
    }

    /// Waits until this share of the requests (in percent) is through.
    pub(super) fn reach(&self, percent: usize) -> Result<()> {
        let share = self.wanted * percent / 100;
        until(&format!("{share} requests"), Patience::once(Duration::from_secs(120)), || {
            let done = self.done.load(Ordering::Relaxed);
            ensure!(done >= share, "{done} are through");
            Ok(())
        })
    }

    /// Waits for the last one; an error if any failed.
    pub(super) fn finish(self) -> Result<usize> {
        let outcome = self.task.join().map_err(|_| anyhow!("the client panicked"))??;
        let lost = outcome.failures.len();
        ensure!(lost == 0, "{lost} of {} requests were lost: {}", outcome.sent, outcome.failures.join("; "));
        Ok(outcome.sent)
    }
}

fn requests(target: SocketAddr, wanted: usize, done: &AtomicUsize) -> Outcome {
    let mut failures = Vec::new();
    for number in 0..wanted {
        if let Err(error) = request(target) {
            failures.push(format!("request {number}: {error:#}"));
        }
        done.store(number + 1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    }
    Outcome { sent: wanted, failures }
}

/// One HTTP/1.0 request over a connection of its own; the body of the answer.
pub(super) fn request(target: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: vip\r\n\r\n").context("send")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read the answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of header")?;
    ensure!(head.split_ascii_whitespace().nth(1) == Some("200"), "the answer is {head:?}");
    Ok(body.to_owned())
}
