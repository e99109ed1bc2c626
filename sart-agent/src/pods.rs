//! Puts the pods' half of the agent together: address book, CNI server and what carries the packets. Ending leaves every pod
//! as it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tracing::{error, info, warn};

use crate::cni::{self, InstallError, Installer, Server};
use crate::dataplane::{PathChanges, PodPath};
use crate::ipam::{self, AddressBook, Wiring};

/// Pause between attempts to install the plugin.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the CNI server listens and keeps its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The socket that the plugin dials.
    pub socket: PathBuf,
    /// The socket that `sart cni` dials.
    pub operators: PathBuf,
    /// Folder of the journal; it outlives the pod.
    pub state: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            socket: sart_cni::config::SOCKET.into(),
            operators: sart_rpc::AGENT_SOCKET.into(),
            state: sart_cni::config::STATE.into(),
        }
    }
}

/// Starts everything; a part that ends takes the agent with it.
pub fn spawn(tasks: &mut JoinSet<()>, wiring: Wiring, path: PodPath, places: Places, metrics: cni::Metrics) {
    let cool_down = ipam::book::COOL_DOWN;
    let live = Some((wiring.client.clone(), tokio::runtime::Handle::current()));
    let book = AddressBook::new(cool_down, live);
    ipam::spawn(tasks, wiring, &book);
    // Subscribed here, before the dataplane's thread starts: what it says first must not be missed.
    let changes = path.changes();
    tasks.spawn(serve(book, (path, changes), places, metrics));
}

/// Serves the plugin until the agent ends. The ledger learns what every pod holds before anybody is served.
async fn serve(
    book: AddressBook,
    (path, mut changes): (PodPath, PathChanges),
    places: Places,
    metrics: cni::Metrics,
) {
    // Ports cannot be attached before it is known what carries the packets.
    let Some(programs) = changes.next().await else { return };
    info!(programs, "pods are served next");
    let (addresses, ports) = (Arc::new(book.clone()), Arc::new(path));
    let settings =
        cni::Settings { socket: places.socket, state: places.state, metrics: metrics.clone(), fault: None };
    let started = spawn_blocking(move || Server::start(settings, addresses, ports)).await;
    let server = match started {
        Ok(Ok(server)) => Arc::new(server),
        Ok(Err(error)) => return error!(%error, "cannot serve the CNI plugin"),
        Err(error) => return error!(%error, "starting the CNI server ended badly"),
    };
    metrics.show(&server);
    book.adopted();
    tokio::spawn(serve_operators(Arc::clone(&server), places.operators));
    install().await;
    while changes.next().await.is_some() {
        let again = Arc::clone(&server);
        match spawn_blocking(move || again.machine().reattach()).await {
            Ok((attached, failed)) => info!(attached, failed, "ports of pods follow the dataplane"),
            Err(error) => warn!(%error, "ports of pods may not follow the dataplane"),
        }
    }
}

/// Pods do without it: a failure is said, and tried again.
async fn serve_operators(server: Arc<Server>, socket: PathBuf) {
    loop {
        match cni::service::serve(Arc::clone(&server), &socket).await {
            Ok(()) => warn!("the socket of `sart cni` was closed"),
            Err(error) => warn!(%error, "`sart cni` is not served; will be tried again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Puts the plugin and, last, its configuration where the runtime looks; tried again until it works.
async fn install() {
    loop {
        match spawn_blocking(put_in_place).await {
            Ok(Ok(changed)) => return info!(changed, "the runtime has the plugin"),
            Ok(Err(error)) => warn!(%error, "will be tried again"),
            Err(error) => return error!(%error, "installing the plugin ended badly"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn put_in_place() -> Result<bool, InstallError> {
    let installer = Installer::default();
    Ok(installer.binary()? | installer.configuration()?)
}
