//! Serves `/healthz`, `/readyz` and `/metrics` over plain HTTP. Reads state only; metrics stay on the machine unless the
//! caller opens them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::health::Health;
use crate::metrics::{Registry, render};

/// A probe or scrape is one short request; more at once than this is abuse and waits in the kernel's backlog.
const MAX_CONNECTIONS: usize = 64;
/// A probe that has not sent its request by then is not one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// A bound server; [`TelemetryServer::serve`] runs it.
#[derive(Debug)]
pub struct TelemetryServer {
    listener: TcpListener,
    pages: Pages,
}

#[derive(Clone, Debug)]
struct Pages {
    health: Health,
    registry: Arc<Registry>,
    metrics_to_all: bool,
}

impl TelemetryServer {
    /// Binds `address`.
    ///
    /// # Errors
    /// The operating system's refusal, such as an address in use.
    pub async fn bind(address: SocketAddr, health: Health, registry: Arc<Registry>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, pages: Pages { health, registry, metrics_to_all: false } })
    }

    /// Serves `/metrics` to other machines too; without this only to loopback addresses.
    #[must_use]
    pub fn open_metrics(mut self) -> Self {
        self.pages.metrics_to_all = true;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until dropped.
    pub async fn serve(self) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let pages = self.pages.clone();
                    tokio::spawn(async move {
                        connection(stream, peer, pages).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a telemetry connection failed");
                    // Out of descriptors, most likely: accept would fail again at once.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, pages: Pages) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answer = pages.answer(request.method(), request.uri().path(), peer);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "telemetry connection ended");
    }
}

impl Pages {
    fn answer(&self, method: &Method, path: &str, peer: SocketAddr) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        }
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.readiness(),
            "/metrics" if self.metrics_to_all || peer.ip().to_canonical().is_loopback() => self.metrics(),
            "/metrics" => text(StatusCode::FORBIDDEN, "metrics are served to this machine only\n".to_owned()),
            _ => text(StatusCode::NOT_FOUND, "try /healthz, /readyz or /metrics\n".to_owned()),
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let unmet = self.health.unmet();
        if unmet.is_empty() {
            return text(StatusCode::OK, "ok\n".to_owned());
        }
        text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{}\n", unmet.join("\n")))
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match render(&self.registry) {
            Ok(page) => {
                let mut response = text(StatusCode::OK, page);
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
                response
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "a metric could not be encoded\n".to_owned()),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_and_metrics_are_served() {
        let health = Health::new();
        let config = health.require("config");
        let mut registry = crate::metrics::registry("sart_test");
        let count: prometheus_client::metrics::counter::Counter = Default::default();
        registry.register("things", "Things seen", count.clone());
        count.inc_by(3);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = TelemetryServer::bind(any, health, Arc::new(registry)).await.unwrap();
        let address = server.local_addr().unwrap();
        let task = tokio::spawn(server.serve());

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let waiting = get(address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503") && waiting.contains("config: not yet"), "{waiting}");
        config.ready();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("sart_test_things_total 3"));
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));
        task.abort();
    }

    #[test]
    fn metrics_stay_on_the_machine_unless_opened() {
        let registry = Arc::new(crate::metrics::registry("sart_test"));
        let mut pages = Pages { health: Health::new(), registry, metrics_to_all: false };
        let remote = SocketAddr::from(([192, 0, 2, 1], 40000));
        assert_eq!(pages.answer(&Method::GET, "/metrics", remote).status(), StatusCode::FORBIDDEN);
        assert_eq!(pages.answer(&Method::POST, "/metrics", remote).status(), StatusCode::METHOD_NOT_ALLOWED);
        pages.metrics_to_all = true;
        assert_eq!(pages.answer(&Method::GET, "/metrics", remote).status(), StatusCode::OK);
    }
}
