//! A client that opens one connection after the other and counts what fails, and which segments were lost on the way. Runs
//! in the client machine's network; bounded in number and time.

mod segments;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::Lab;
use crate::lab::topology::CLIENT_NAME;
use crate::wait::{Patience, until};
use segments::Segments;

pub(super) use segments::Ends;

/// How long to wait for each step of a request before it counts as lost. Generous: on a machine whose processors are busy
/// elsewhere an answer took five seconds. A packet that is dropped cannot hide behind TCP's patience: it is counted.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two requests.
const PAUSE: Duration = Duration::from_millis(5);
/// Requests at most, were nobody to end them: more than fit into the five minutes that the agents' return may take.
const MOST: usize = 60_000;

/// Requests in progress.
pub(super) struct Load {
    progress: Arc<Progress>,
    wanted: usize,
    ends: Ends,
    before: Segments,
    task: JoinHandle<Result<Outcome>>,
}

/// What client and trial tell each other.
#[derive(Default)]
struct Progress {
    done: AtomicUsize,
    /// What the requests are for is over.
    over: AtomicBool,
}

/// What came of them.
#[derive(Default)]
struct Outcome {
    /// Requests sent.
    sent: usize,
    /// The failures, in words.
    failures: Vec<String>,
    /// The longest that one took.
    slowest: Duration,
}

impl Load {
    /// Starts requests to the address, one connection each, from the client to the pods of `ends`: `wanted` of them at least,
    /// and until [`Load::finish`].
    pub(super) fn start(lab: &Lab, target: SocketAddr, wanted: usize, ends: Ends) -> Result<Self> {
        let before = ends.at_rest()?;
        let client = lab.machine(CLIENT_NAME)?;
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let task = std::thread::spawn(move || client.in_network(move || Ok(requests(target, wanted, &told))));
        Ok(Self { progress, wanted, ends, before, task })
    }

    /// Waits until this share of the requests (in percent) is through.
    pub(super) fn reach(&self, percent: usize) -> Result<()> {
        let share = self.wanted * percent / 100;
        until(&format!("{share} requests"), Patience::once(Duration::from_secs(120)), || {
            let done = self.progress.done.load(Ordering::Relaxed);
            ensure!(done >= share, "{done} are through");
            Ok(())
        })
    }

    /// Ends them and waits for the last one; an error if any failed, or if a segment was lost.
    pub(super) fn finish(self) -> Result<String> {
        self.progress.over.store(true, Ordering::Relaxed);
        let Outcome { sent, failures, slowest } =
            self.task.join().map_err(|_| anyhow!("the client panicked"))??;
        let segments = self.ends.at_rest()?.lost_since(self.before);
        let failed = failures.len();
        let said: String = failures.iter().map(|failure| format!("; {failure}")).collect();
        ensure!(
            failed == 0 && segments == 0,
            "{failed} of {sent} requests and {segments} TCP segments were lost{said}"
        );
        Ok(format!("{sent} requests, 0 lost, nor a segment; the slowest took {} ms", slowest.as_millis()))
    }
}

fn requests(target: SocketAddr, wanted: usize, progress: &Progress) -> Outcome {
    let mut outcome = Outcome::default();
    while outcome.sent < wanted || outcome.sent < MOST && !progress.over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        if let Err(error) = request(target) {
            outcome.failures.push(format!("request {}: {error:#}", outcome.sent));
        }
        outcome.slowest = outcome.slowest.max(begun.elapsed());
        outcome.sent += 1;
        progress.done.store(outcome.sent, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
    outcome
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
