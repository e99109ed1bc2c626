//! Lists our speaker's whole table over its API again and again, as an impatient operator would. Reads only.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sart_rpc::v1;
use sart_rpc::v1::bgp_service_client::BgpServiceClient;
use tokio::runtime::{Builder, Runtime};

/// A whole listing may take this long.
const LIMIT: Duration = Duration::from_secs(120);

/// Listings that go on until told to stop.
pub(crate) struct Lister {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Listed>>,
}

/// What the listings came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listed {
    /// Complete ones.
    pub(crate) times: u32,
    /// Rows of the longest.
    pub(crate) rows: u64,
}

impl Lister {
    /// Begins on a thread of its own.
    pub(crate) fn start(socket: PathBuf) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("lister".into()).spawn(move || {
            let runtime = runtime()?;
            let mut listed = Listed::default();
            // At least once, however soon the stop comes.
            loop {
                listed.rows = listed.rows.max(list(&runtime, &socket)?);
                listed.times += 1;
                if stopped.load(Ordering::Acquire) {
                    return Ok(listed);
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Lets the running listing come to its end.
    pub(crate) fn stop(self) -> anyhow::Result<Listed> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow!("the lister panicked"))?
    }
}

/// The number of times that each neighbour's session has left Established, in sum.
pub(crate) fn flaps(socket: &PathBuf) -> anyhow::Result<u64> {
    runtime()?.block_on(async {
        let mut client = BgpServiceClient::new(sart_rpc::connect(socket).await?);
        let answer = client.list_neighbors(v1::ListNeighborsRequest::default()).await?.into_inner();
        Ok(answer.neighbors.iter().map(|neighbor| neighbor.flaps).sum())
    })
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("make a runtime")
}

fn list(runtime: &Runtime, socket: &PathBuf) -> anyhow::Result<u64> {
    let listing = async {
        let mut client = BgpServiceClient::new(sart_rpc::connect(socket).await?);
        let request = v1::ListPathsRequest { table: v1::Table::Local.into(), ..Default::default() };
        let mut rows = client.list_paths(request).await?.into_inner();
        let mut count = 0;
        while rows.message().await?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    runtime
        .block_on(async { tokio::time::timeout(LIMIT, listing).await })
        .context("a listing takes too long")?
}
