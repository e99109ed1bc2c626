//! What the CNI server asks of the dataplane: programs on the host side of a pod's link, with proof. Routes do not belong
//! here: they stand before a port is attached and outlive it.

use std::net::IpAddr;

/// Attaches pods to the dataplane. Calls come from threads of their own and may wait for the kernel, not for the API.
pub trait PodPorts: Send + Sync {
    /// Attaches the programs to the host link and fills the maps, and returns only once it has read them back. Idempotent:
    /// after a restart it is called for every pod that is there.
    ///
    /// # Errors
    /// When the port is neither attached nor can be left to plain routing; nothing stays behind.
    fn attach(&self, port: &PodPort) -> Result<PortProof, PortError>;

    /// Takes programs and map rows away; called before the link is deleted. What is not there is no error.
    ///
    /// # Errors
    /// What stays behind.
    fn detach(&self, port: &PodPort) -> Result<(), PortError>;

    /// Whether everything [`PodPorts::attach`] promised still stands. For CHECK.
    ///
    /// # Errors
    /// What is missing.
    fn check(&self, port: &PodPort) -> Result<PortProof, PortError>;

    /// Whether [`PodPorts::attach`] would succeed now and the ports that exist work. Must not wait.
    ///
    /// # Errors
    /// What is impaired: STATUS says 51, existing pods suffer.
    fn ready(&self) -> Result<(), PortError>;
}

/// The host side of a pod's link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// Index of the host link, in the node's namespace.
    pub ifindex: u32,
    /// Its name.
    pub link: String,
    /// Its MAC, which the pod knows as its gateway's.
    pub host_mac: [u8; 6],
    /// Index of the pod's end, in the pod's namespace.
    pub pod_ifindex: u32,
    /// MAC of the pod's end.
    pub pod_mac: [u8; 6],
    /// The pod's addresses: what it may send from, and what is delivered to it.
    pub addresses: Vec<IpAddr>,
    /// A later plugin shapes the link (`runtimeConfig.bandwidth`): its queueing disciplines are not ours, and no packet of
    /// the pod may pass by them.
    pub shaped: bool,
}

/// What carries a pod's packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortProof {
    /// The programs, attached and read back.
    Bpf,
    /// The kernel's routing alone, and why.
    Routing {
        /// For the condition.
        why: String,
    },
}

/// A port is not as asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dataplane port of {link}: {message}")]
pub struct PortError {
    /// The host link; empty when no single one is meant.
    pub link: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// No programs at all: the kernel routes. What a node runs with whose kernel or settings refuse the programs.
#[derive(Debug, Clone)]
pub struct PlainRouting {
    /// Why, for the condition.
    pub why: String,
}

impl PlainRouting {
    fn proof(&self) -> PortProof {
        PortProof::Routing { why: self.why.clone() }
    }
}

impl PodPorts for PlainRouting {
    fn attach(&self, _: &PodPort) -> Result<PortProof, PortError> {
        Ok(self.proof())
    }

    fn detach(&self, _: &PodPort) -> Result<(), PortError> {
        Ok(())
    }

    fn check(&self, _: &PodPort) -> Result<PortProof, PortError> {
        Ok(self.proof())
    }

    fn ready(&self) -> Result<(), PortError> {
        Ok(())
    }
}
