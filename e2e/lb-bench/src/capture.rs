//! Runs tcpdump in a spine's namespace and hands on what the nodes announce there. Owns the child process and ends it.

use std::io::{BufRead as _, BufReader, Read};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;

use crate::pcap::Reader;
use crate::update::{Flows, Seen};

/// How long an UPDATE may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Octets of a captured packet: what one may have at most (RFC 791, 3.1) and the 16 of its LINUX_SLL header. With
/// `--immediate-mode` every packet takes a slot of this size in the ring, however short it is.
const LONGEST: &str = "65551";
/// Size of the ring, about 500 slots. tcpdump's defaults (2 MiB, slots of 256 KiB) are 8: under load, UPDATEs got lost.
const RING_KIB: &str = "32768";

/// A running capture.
pub(crate) struct Capture {
    tcpdump: Child,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Capture {
    /// Starts to capture BGP that arrives in the network namespace of this process.
    pub(crate) fn start(pid: i32) -> anyhow::Result<Self> {
        let mut tcpdump = Command::new("nsenter")
            .args(["-t", &pid.to_string(), "-n", "--"])
            .args(["tcpdump", "-i", "any", "-y", "LINUX_SLL", "--time-stamp-precision=nano"])
            .args(["--immediate-mode", "-B", RING_KIB, "-s", LONGEST])
            .args(["-Q", "in", "-U", "-w", "-", "tcp port 179"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start tcpdump in the network of process {pid}"))?;
        let output = tcpdump.stdout.take().context("tcpdump has no output")?;
        let words = tcpdump.stderr.take().context("tcpdump says nothing")?;
        listening(words)?;
        let (sender, seen) = mpsc::unbounded_channel();
        std::thread::spawn(move || -> anyhow::Result<()> {
            let mut reader = Reader::new(output)?;
            let mut flows = Flows::default();
            while let Some(segment) = reader.next_segment()? {
                for route in flows.feed(&segment) {
                    sender.send(route)?;
                }
            }
            Ok(())
        });
        Ok(Self { tcpdump, seen })
    }

    /// Forgets what has been captured so far.
    pub(crate) fn drain(&mut self) {
        while self.seen.try_recv().is_ok() {}
    }

    /// Waits for the first announcement or withdrawal of the address; the packet's time since the epoch.
    pub(crate) async fn wait(&mut self, address: Ipv4Addr, announced: bool) -> anyhow::Result<Duration> {
        let wanted = async {
            loop {
                let seen = self.seen.recv().await.context("the capture ended (is tcpdump installed?)")?;
                if seen.address == address && seen.announced == announced {
                    return Ok(seen.at);
                }
            }
        };
        let word = if announced { "announcement" } else { "withdrawal" };
        tokio::time::timeout(PATIENCE, wanted)
            .await
            .with_context(|| format!("no {word} of {address}/32 at the spine within {PATIENCE:?}"))?
    }
}

/// Waits until tcpdump captures: an UPDATE before that would be missed. What it says later is read and thrown away.
fn listening(words: impl Read + Send + 'static) -> anyhow::Result<()> {
    let mut lines = BufReader::new(words).lines();
    loop {
        let line = lines.next().context("tcpdump ended before it captured anything")??;
        if line.contains("listening on") {
            break;
        }
    }
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok(())
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Already ended is as good as ended now.
        drop(self.tcpdump.kill());
        drop(self.tcpdump.wait());
    }
}
