//! Watches kube-proxy: is its health endpoint fresh, and which ports stand in its rules. It reads; it never writes a rule.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sart_netlink::{ServiceRules, ServiceRulesWatcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::event::Event;
use crate::node::Proxy;

/// Between two looks at the health endpoint.
const POLL: Duration = Duration::from_secs(1);
/// A local HTTP server answers within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// A restart of kube-proxy leaves its rules in the kernel, so they go on serving that long without it.
const FRESH: Duration = Duration::from_secs(30);

/// Why kube-proxy gives no proof.
#[derive(Debug, thiserror::Error)]
enum ProxyError {
    /// Its rules cannot be read.
    #[error("cannot watch kube-proxy's rules: {0}")]
    Open(#[from] sart_netlink::OpenError),
    /// Its rules cannot be read.
    #[error("cannot read kube-proxy's rules: {0}")]
    Rules(#[from] sart_netlink::RequestError),
}

/// Why the health endpoint does not say that kube-proxy works.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("kube-proxy's health endpoint http://{address}/healthz does not answer: {source}")]
    Unreachable { address: SocketAddr, source: std::io::Error },
    #[error("kube-proxy's health endpoint http://{0}/healthz did not answer within 1 s")]
    Silent(SocketAddr),
    #[error("kube-proxy's health endpoint http://{address}/healthz says: {line}")]
    Unhealthy { address: SocketAddr, line: String },
}

/// The task's state.
#[derive(Debug)]
pub struct ProxyWatch {
    health: SocketAddr,
    events: Sender<Event>,
    rules: Arc<ServiceRules>,
    healthy_at: Option<Instant>,
    last: Proxy,
}

impl ProxyWatch {
    /// A watch of the kube-proxy whose health endpoint is at `health`.
    pub fn new(health: SocketAddr, events: Sender<Event>) -> Self {
        Self { health, events, rules: Arc::default(), healthy_at: None, last: Proxy::Unknown }
    }

    /// Runs until the engine is gone.
    pub async fn run(mut self) {
        while !self.events.is_closed() {
            let Err(error) = self.watch().await else { return };
            warn!(%error, "kube-proxy's rules are out of sight; trying again");
            self.tell(Proxy::Unproven { message: error.to_string() }).await;
            tokio::time::sleep(POLL).await;
        }
    }

    /// `Ok` means that the engine is gone.
    async fn watch(&mut self) -> Result<(), ProxyError> {
        let mut watcher = ServiceRulesWatcher::open()?;
        self.rules = Arc::new(watcher.snapshot().await?);
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.events.is_closed() {
            tokio::select! {
                changed = watcher.changed() => {
                    changed?;
                    self.rules = Arc::new(watcher.snapshot().await?);
                    // Before the first look at its health there is nothing to say.
                    if self.last != Proxy::Unknown {
                        self.tell(self.verdict(None)).await;
                    }
                }
                _ = poll.tick() => {
                    let failure = self.look().await;
                    self.tell(self.verdict(failure)).await;
                }
            }
        }
        Ok(())
    }

    /// Asks for its health; the failure, if there was one.
    async fn look(&mut self) -> Option<HealthError> {
        match healthz(self.health).await {
            Ok(()) => {
                self.healthy_at = Some(Instant::now());
                None
            }
            Err(error) => {
                // An answer that says "not healthy" counts at once; silence only when it lasts.
                if matches!(error, HealthError::Unhealthy { .. }) {
                    self.healthy_at = None;
                }
                Some(error)
            }
        }
    }

    fn verdict(&self, failure: Option<HealthError>) -> Proxy {
        if self.healthy_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Proxy::Healthy { rules: self.rules.clone() };
        }
        match (failure, &self.last) {
            (Some(error), _) => Proxy::Unproven { message: error.to_string() },
            (None, last @ Proxy::Unproven { .. }) => last.clone(),
            (None, _) => Proxy::Unproven { message: "kube-proxy's health is not known".to_owned() },
        }
    }

    async fn tell(&mut self, verdict: Proxy) {
        if verdict != self.last {
            self.last = verdict.clone();
            // A closed channel ends the loops above.
            drop(self.events.send(Event::Proxy(verdict)).await);
        }
    }
}

async fn healthz(address: SocketAddr) -> Result<(), HealthError> {
    let answer = timeout(ANSWER_TIMEOUT, status_line(address)).await;
    let line = answer.map_err(|_| HealthError::Silent(address))?;
    let line = line.map_err(|source| HealthError::Unreachable { address, source })?;
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(HealthError::Unhealthy { address, line }),
    }
}

async fn status_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut start = Vec::new();
    stream.take(256).read_to_end(&mut start).await?;
    let text = String::from_utf8_lossy(&start);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz "));
            stream.write_all(answer).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn only_status_200_is_healthy() {
        let good = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert!(healthz(good).await.is_ok());
        let bad = server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        let error = healthz(bad).await.unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
        assert!(matches!(healthz(bad).await, Err(HealthError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn a_refusal_counts_at_once_and_silence_only_after_a_while() {
        let (events, _keep) = tokio::sync::mpsc::channel(4);
        let address = server(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut watch = ProxyWatch::new(address, events);
        assert!(watch.look().await.is_none());
        let failure = watch.look().await;
        assert!(failure.is_some(), "nobody listens any more");
        assert!(matches!(watch.verdict(failure), Proxy::Healthy { .. }), "its rules still serve");
        watch.health = server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        let failure = watch.look().await;
        assert!(matches!(watch.verdict(failure), Proxy::Unproven { .. }));
    }
}
