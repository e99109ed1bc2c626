//! What carries the packets of this node's pods, shared by the thread that opens the dataplane and those that attach pods.
//! Without programs the kernel routes, and everyone is told why.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::{Dataplane, OpenError};
use super::PodHooks;
use crate::cni::{PodPort, PodPorts, PortError, PortProof};

/// The state, and a handle to it.
#[derive(Debug, Clone)]
pub struct PodPath(Arc<watch::Sender<State>>);

#[derive(Debug, Clone)]
enum State {
    Opening,
    Plain(String),
    Programs(Arc<PodHooks>),
}

impl Default for PodPath {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Opening)))
    }
}

impl PodPath {
    /// From now on ports get the programs of `dataplane`. Ports that are there and have none are for the owner of the list
    /// to attach: see [`PodPath::changes`].
    ///
    /// # Errors
    /// Why they cannot be used; the kernel routes then.
    pub fn serve(&self, dataplane: &mut Dataplane) -> Result<(), OpenError> {
        match dataplane.pod_hooks() {
            Ok(hooks) => {
                self.0.send_replace(State::Programs(Arc::new(hooks)));
                Ok(())
            }
            Err(error) => {
                self.route(&error);
                Err(error)
            }
        }
    }

    /// From now on the kernel routes: the programs cannot run.
    pub fn route(&self, why: &OpenError) {
        self.0.send_replace(State::Plain(format!("{}: {why}", why.reason())));
    }

    /// Tells each time what carries the packets: nothing while it is not known, else whether programs do.
    #[must_use]
    pub fn changes(&self) -> PathChanges {
        PathChanges(self.0.subscribe())
    }

    /// The programs, if they carry the packets.
    #[must_use]
    pub fn hooks(&self) -> Option<Arc<PodHooks>> {
        match &*self.0.borrow() {
            State::Programs(hooks) => Some(Arc::clone(hooks)),
            State::Opening | State::Plain(_) => None,
        }
    }

    /// Runs `task` with the programs, or says what is there in their place.
    fn with(
        &self,
        port: &PodPort,
        task: impl FnOnce(&PodHooks) -> Result<(), PortError>,
    ) -> Result<PortProof, PortError> {
        let state = self.0.borrow().clone();
        match state {
            State::Opening => Err(opening(&port.link)),
            State::Plain(why) => Ok(PortProof::Routing { why }),
            State::Programs(hooks) if port.shaped && !hooks.goes_beside() => {
                let why =
                    "this kernel (below 6.6) cannot both shape a link and run programs on it".to_owned();
                Ok(PortProof::Routing { why })
            }
            State::Programs(hooks) => task(&hooks).map(|()| PortProof::Bpf),
        }
    }
}

/// See [`PodPath::changes`].
#[derive(Debug)]
pub struct PathChanges(watch::Receiver<State>);

impl PathChanges {
    /// Waits for a change; whether programs carry the packets from now on, or nothing when the agent ends.
    pub async fn next(&mut self) -> Option<bool> {
        self.0.changed().await.ok()?;
        Some(matches!(&*self.0.borrow_and_update(), State::Programs(_)))
    }
}

fn opening(link: &str) -> PortError {
    PortError { link: link.to_owned(), message: "the dataplane is not open yet: try again".to_owned() }
}

impl PodPorts for PodPath {
    fn attach(&self, port: &PodPort) -> Result<PortProof, PortError> {
        self.with(port, |hooks| hooks.attach(port))
    }

    fn detach(&self, port: &PodPort) -> Result<(), PortError> {
        let failed = |error: std::io::Error| PortError {
            link: port.link.clone(),
            message: format!("programs or rows stay behind: {error}"),
        };
        self.with(port, |hooks| hooks.take(port.ifindex).map_err(failed)).map(drop)
    }

    fn check(&self, port: &PodPort) -> Result<PortProof, PortError> {
        self.with(port, |hooks| hooks.check(port))
    }

    fn ready(&self) -> Result<(), PortError> {
        match &*self.0.borrow() {
            State::Opening => Err(opening("")),
            State::Plain(_) | State::Programs(_) => Ok(()),
        }
    }
}
