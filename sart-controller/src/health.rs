//! /healthz, /readyz and /metrics on loopback. Answers from shared counters; touches no API and no cache.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The engine is alive while it turned within this many seconds.
const ALIVE_SECONDS: u64 = 60;
/// Longest request head that is read.
const MAX_HEAD: usize = 2048;

/// What the engine tells the outside.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    turned: AtomicU64,
    ready: AtomicBool,
    leading: AtomicBool,
    counters: Mutex<BTreeMap<String, u64>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            turned: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            leading: AtomicBool::new(false),
            counters: Mutex::default(),
        }
    }
}

impl Health {
    /// The engine's loop turned.
    pub fn turn(&self, ready: bool, leading: bool) {
        self.turned.store(self.started.elapsed().as_secs(), Ordering::Relaxed);
        self.ready.store(ready, Ordering::Relaxed);
        self.leading.store(leading, Ordering::Relaxed);
    }

    /// Counts one event of a series such as `name{label="x"}`.
    pub fn count(&self, series: String) {
        let mut counters = self.counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *counters.entry(series).or_default() += 1;
    }

    fn answer(&self, path: &str) -> (u16, String) {
        let alive = self.started.elapsed().as_secs() - self.turned.load(Ordering::Relaxed) < ALIVE_SECONDS;
        match path {
            "/healthz" if alive => (200, "ok\n".to_owned()),
            "/healthz" => (503, "the engine does not turn\n".to_owned()),
            "/readyz" if self.ready.load(Ordering::Relaxed) => (200, "ok\n".to_owned()),
            "/readyz" => (503, "caches are not complete yet\n".to_owned()),
            "/metrics" => (200, self.metrics()),
            _ => (404, "not found\n".to_owned()),
        }
    }

    fn metrics(&self) -> String {
        let mut text =
            format!("sart_controller_leading {}\n", u8::from(self.leading.load(Ordering::Relaxed)));
        let counters = self.counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (series, value) in counters.iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{series} {value}");
        }
        text
    }
}

/// Listens on loopback.
///
/// # Errors
/// The port is taken.
pub async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, health: Arc<Health>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let health = Arc::clone(&health);
                tokio::spawn(async move {
                    let served =
                        tokio::time::timeout(core::time::Duration::from_secs(5), answer(stream, &health));
                    if let Ok(Err(error)) = served.await {
                        tracing::debug!(%error, "health request");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a health request");
                tokio::time::sleep(core::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, health: &Health) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let path = text.split_whitespace().nth(1).unwrap_or_default();
    let (code, body) = health.answer(path.split('?').next().unwrap_or_default());
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {code} -\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}
