//! ADD and DEL, step by step. Each step that changed something puts its reverse on a stack; a failure takes the stack down
//! from the top. No lock is held across any of it but the attachment's own turn.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sart_cni::failure::{Failure, code};
use sart_cni::result::Attached;
use sart_cni::wire::Request;

use super::addresses::{AddressError, AddressRequest, PodAddresses};
use super::attachment::{self, Attachment, AttachmentKey};
use super::flows::OldFlows;
use super::journal::{Gone, Journal, JournalError, Record};
use super::network::{self, NetworkError, Remover, Sandbox};
use super::ports::{PodPort, PodPorts, PortError, PortProof};
use super::turns::Turns;
use super::{answer, check};

/// Kept of the runtime's patience for undoing and answering.
const MARGIN: Duration = Duration::from_millis(200);

/// Where an operation stands; faults are injected by tests at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// ADD: addresses are held in memory.
    Allocated,
    /// ADD: the journal knows that the kernel is about to change.
    Begun,
    /// ADD: the pair is there.
    Linked,
    /// ADD: the pod has addresses and routes.
    Configured,
    /// ADD: the node has routes to the pod.
    Routed,
    /// ADD: the dataplane has the port.
    Attached,
    /// ADD: the journal says so, and it is on disk.
    Made,
    /// DEL: the dataplane has let go.
    Detached,
    /// DEL: the journal knows that the kernel is about to change.
    Left,
    /// DEL: the pair is gone.
    Unlinked,
    /// DEL: the addresses cool down.
    Released,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Allocated,
        Self::Begun,
        Self::Linked,
        Self::Configured,
        Self::Routed,
        Self::Attached,
        Self::Made,
        Self::Detached,
        Self::Left,
        Self::Unlinked,
        Self::Released,
    ];
}

/// Called after every step; an error is taken as the step's own.
pub type Fault = Arc<dyn Fn(Step) -> Result<(), String> + Send + Sync>;

/// What ADD and DEL work with.
pub struct Machine {
    /// Where addresses come from.
    pub addresses: Arc<dyn PodAddresses>,
    /// The dataplane.
    pub ports: Arc<dyn PodPorts>,
    /// What survives us.
    pub journal: Journal,
    /// Who works on what.
    pub turns: Turns,
    /// Deletes links.
    pub remover: Remover,
    /// What the kernel tracks of addresses that were let go.
    pub flows: OldFlows,
    /// None but in tests.
    pub fault: Option<Fault>,
}

/// The reverse of a step.
enum Undo {
    Release,
    Forget(Attachment),
    Unlink(Attachment),
    Detach(PodPort),
}

impl Machine {
    /// Attaches, or answers again for what is attached already.
    ///
    /// # Errors
    /// See [`code`]; nothing is left of a failed ADD.
    pub fn add(
        &self,
        request: &Request,
        mut sandbox: Sandbox,
        deadline: Instant,
    ) -> Result<Attached, Failure> {
        let key = &request.key;
        let Some(_turn) = self.turns.take(key, deadline) else { return Err(busy(key)) };
        if let Some((known, made)) = self.journal.get(key) {
            if made {
                return check::again(&known, request, &mut sandbox);
            }
            return Err(Failure::new(
                code::TRY_AGAIN,
                format!("an earlier ADD of {key} was not undone; DEL it first"),
            ));
        }
        let mut undo = Vec::new();
        match self.attach(request, &mut sandbox, deadline, &mut undo) {
            Ok(attachment) => Ok(answer::attached(&attachment, &request.netns)),
            Err(failure) => {
                self.undo(key, undo);
                Err(failure)
            }
        }
    }

    fn attach(
        &self,
        request: &Request,
        sandbox: &mut Sandbox,
        deadline: Instant,
        undo: &mut Vec<Undo>,
    ) -> Result<Attachment, Failure> {
        let mut attachment = self.choose(request, deadline, undo)?;
        self.reach(Step::Allocated)?;
        self.journal.append(Record::Begun(attachment.clone())).map_err(journal)?;
        undo.push(Undo::Forget(attachment.clone()));
        self.reach(Step::Begun)?;
        let link = network::link(&attachment, sandbox).map_err(|error| refused(&attachment, error))?;
        undo.push(Undo::Unlink(attachment.clone()));
        (attachment.ifindex, attachment.pod_ifindex) = (link.link.index, link.peer);
        self.reach(Step::Linked)?;
        network::configure(&attachment, sandbox).map_err(|error| refused(&attachment, error))?;
        self.reach(Step::Configured)?;
        network::route(&attachment).map_err(|error| refused(&attachment, error))?;
        self.reach(Step::Routed)?;
        // Also before it is tried: the undoing of an attempt that failed half-way does no harm.
        undo.push(Undo::Detach(attachment.port()));
        self.attach_port(&attachment)?;
        self.reach(Step::Attached)?;
        let number = self.journal.append(Record::Made(attachment.clone())).map_err(journal)?;
        self.journal.sync(number).map_err(journal)?;
        self.reach(Step::Made)?;
        Ok(attachment)
    }

    /// Everything that is decided before the kernel changes.
    fn choose(
        &self,
        request: &Request,
        deadline: Instant,
        undo: &mut Vec<Undo>,
    ) -> Result<Attachment, Failure> {
        let key = request.key.clone();
        let pod_mac = match request.mac.as_deref() {
            None => attachment::mac(&key, 0x1),
            Some(text) => attachment::parse_mac(text).ok_or_else(|| {
                let msg = format!("runtimeConfig.mac `{text}` is no unicast MAC");
                Failure::new(code::INVALID_CONFIG, msg)
            })?,
        };
        let mtu = match request.mtu {
            Some(mtu) => mtu,
            None => network::uplink_mtu().map_err(|error| kernel(&key, &error))?,
        };
        let argument = |name: &str| request.arguments.get(name).filter(|value| !value.is_empty()).cloned();
        let asked = AddressRequest {
            key: key.clone(),
            namespace: argument("K8S_POD_NAMESPACE"),
            pod: argument("K8S_POD_NAME"),
            uid: argument("K8S_POD_UID"),
        };
        let patience = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let addresses = self.addresses.allocate(&asked, patience).map_err(unallocated)?;
        undo.push(Undo::Release);
        let pod = asked.namespace.iter().zip(&asked.pod).map(|(space, name)| format!("{space}/{name}"));
        Ok(Attachment {
            pod: pod.collect(),
            netns: request.netns.clone(),
            addresses,
            host_mac: attachment::host_mac(&key),
            pod_mac,
            mtu,
            ifindex: 0,
            pod_ifindex: 0,
            shaped: request.shaped,
            key,
        })
    }

    fn attach_port(&self, attachment: &Attachment) -> Result<(), Failure> {
        match self.ports.attach(&attachment.port()).map_err(dataplane)? {
            PortProof::Bpf => {}
            PortProof::Routing { why } => {
                tracing::debug!(attachment = %attachment.key, why, "the kernel's routing carries this pod");
            }
        }
        Ok(())
    }

    /// From the newest step back; what cannot be undone is said and left to the next start.
    fn undo(&self, key: &AttachmentKey, mut stack: Vec<Undo>) {
        while let Some(step) = stack.pop() {
            let failure = match step {
                Undo::Detach(port) => self.ports.detach(&port).map_err(|error| error.to_string()),
                Undo::Unlink(made) => self.remover.remove(&made.link()).map_err(|error| error.to_string()),
                Undo::Forget(begun) => self.forget(&begun).map(drop).map_err(|error| error.to_string()),
                Undo::Release => {
                    self.addresses.release(key, SystemTime::now());
                    Ok(())
                }
            };
            if let Err(error) = failure {
                tracing::error!(attachment = %key, error, "a failed ADD is not undone; DEL or the next start does it");
                return;
            }
        }
    }

    fn forget(&self, begun: &Attachment) -> Result<u64, JournalError> {
        let gone = Gone::new(begun.key.clone(), begun.addresses.clone(), SystemTime::now());
        self.journal.append(Record::Gone(gone))
    }

    /// Detaches; what is not there is no error.
    ///
    /// # Errors
    /// What a later DEL may mend.
    pub fn delete(&self, key: &AttachmentKey, deadline: Instant) -> Result<(), Failure> {
        let Some(_turn) = self.turns.take(key, deadline) else { return Err(busy(key)) };
        self.delete_in_turn(key)
    }

    /// The same for whoever has the turn.
    pub(super) fn delete_in_turn(&self, key: &AttachmentKey) -> Result<(), Failure> {
        let known = self.journal.get(key).map(|(attachment, _)| attachment);
        let port = match &known {
            Some(known) if known.ifindex != 0 => Some(known.port()),
            _ => network::find(key).map_err(|error| kernel(key, &error))?.map(|link| check::port(&link)),
        };
        if let Some(port) = port {
            self.ports.detach(&port).map_err(dataplane)?;
        }
        self.reach(Step::Detached)?;
        // Written before the link goes, synced while it goes. A full disk keeps no pod from leaving: after a crash the link
        // is missing all the same, and that tells as much.
        let number = known.as_ref().map(|known| self.forget(known));
        self.reach(Step::Left)?;
        self.unlink(key)?;
        self.reach(Step::Unlinked)?;
        // Read before: nobody else could say afterwards which ones they were.
        let held = self.addresses.held(key);
        self.addresses.release(key, SystemTime::now());
        self.flows.push(known.iter().flat_map(Attachment::ips).chain(held.iter().map(|one| one.address)));
        self.reach(Step::Released)?;
        match number.transpose().and_then(|number| number.map_or(Ok(()), |number| self.journal.sync(number)))
        {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(attachment = %key, %error, "detached, but the journal does not know");
                Ok(())
            }
        }
    }

    fn unlink(&self, key: &AttachmentKey) -> Result<(), Failure> {
        // A foreign link of our name stays: without our alias it is not ours to delete.
        if network::find(key).map_err(|error| kernel(key, &error))?.is_some() {
            self.remover.remove(&attachment::link_name(key)).map_err(|error| kernel(key, &error))?;
        }
        Ok(())
    }

    fn reach(&self, step: Step) -> Result<(), Failure> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => fault(step).map_err(|message| Failure::new(code::INTERNAL, message)),
        }
    }
}

pub(super) fn busy(key: &AttachmentKey) -> Failure {
    Failure::new(code::TRY_AGAIN, format!("another operation on {key} has not ended"))
}

fn journal(error: JournalError) -> Failure {
    Failure::detailed(code::JOURNAL, "the attachment cannot be recorded", error.to_string())
}

fn dataplane(error: PortError) -> Failure {
    Failure::detailed(code::DATAPLANE, "the dataplane does not take the pod's port", error.to_string())
}

fn kernel(key: &AttachmentKey, error: &NetworkError) -> Failure {
    Failure::detailed(code::KERNEL, format!("the kernel refused a step for {key}"), error.to_string())
}

fn refused(attachment: &Attachment, error: NetworkError) -> Failure {
    match error {
        NetworkError::Exists => Failure::new(
            code::INTERFACE_EXISTS,
            format!("the container has an interface {} already, which is not ours", attachment.key.ifname),
        ),
        error => kernel(&attachment.key, &error),
    }
}

fn unallocated(error: AddressError) -> Failure {
    let (code, msg) = match &error {
        AddressError::PodGone(_) => (code::UNKNOWN_CONTAINER, "the pod is gone"),
        AddressError::NoPool(_) => (code::NO_POOL, "no address pool serves the pod"),
        AddressError::Exhausted(_) => (code::TRY_AGAIN, "the address pool is exhausted"),
        AddressError::Pending(_) => (code::TRY_AGAIN, "no address is available yet"),
    };
    Failure::detailed(code, msg, error.to_string())
}
